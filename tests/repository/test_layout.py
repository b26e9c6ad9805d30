from __future__ import annotations

import os

import pytest

from inferd.core.errors import ConfigError, InferdError, ModelFileError
from inferd.repository.layout import find, inside, legal, listing, own_files

ENDINGS = {".onnx", ".pth", ".py"}


def names(path, **options):
    return [(p.name, p.version) for p in find(path, ENDINGS, **options)]


def test_a_lone_file_is_named_by_its_stem(tree):
    root = tree({"iris.onnx": "x", "my model (2).onnx": "x", "_x-.v1.onnx": "x"})
    assert names(root / "iris.onnx") == [("iris", "1")]
    assert names(root / "my model (2).onnx") == [("my-model-2", "1")]
    assert names(root / "_x-.v1.onnx") == [("x-.v1", "1")]


def test_a_repository_serves_the_latest_version_by_number(tree):
    root = tree({"iris/2/a.onnx": "x", "iris/10/a.onnx": "x", "iris/model.yaml": "", "digits/1/b.onnx": "x",
                 ".git/1/x.onnx": "x", "README.md": "x"})  # fmt: skip

    assert names(root) == [("digits", "1"), ("iris", "10")]
    assert names(root, every=True) == [("digits", "1"), ("iris", "2"), ("iris", "10")]
    (place,) = find(root / "iris", ENDINGS)
    assert place.modelfile == root / "iris/model.yaml" and place.directory == root / "iris/10"


def test_a_model_and_a_version_directory(tree):
    root = tree({"iris/1/a.onnx": "x", "iris/2/a.onnx": "x", "iris/model.yaml": ""})

    assert names(root / "iris") == [("iris", "2")]
    assert names(root / "iris/1") == [("iris", "1")]
    (place,) = find(root / "iris/1/a.onnx", ENDINGS)
    assert (place.name, place.version) == ("iris", "1") and place.modelfile is not None


def test_a_flat_model_directory(tree):
    root = tree({"model.yaml": "", "net.pth": "x", "net.py": "x"}, name="net")
    (place,) = find(root, ENDINGS)
    assert (place.name, place.version, place.modelfile) == ("net", "1", root / "model.yaml")


@pytest.mark.parametrize(
    ("files", "path", "found"),
    [
        ({"net.onnx": "x", "model.yaml": ""}, "net.onnx", ("net", "1", "model.yaml")),
        ({"net.py": "x", "model.yaml": ""}, "net.py", ("net", "1", "model.yaml")),
        ({"net.py": "x", "model.yaml": ""}, "net.py:Net", ("Net", "1", "model.yaml")),
        ({"iris/3/a.onnx": "x", "iris/model.yaml": ""}, "iris/3/a.onnx", ("iris", "3", "iris/model.yaml")),
        ({"iris/3/a.py": "x", "iris/model.yaml": ""}, "iris/3/a.py:A", ("A", "1", "iris/model.yaml")),
        ({"iris/3/a.onnx": "x", "model.yaml": ""}, "iris/3/a.onnx", ("a", "1", None)),
        ({"a/net.onnx": "x", "model.yaml": ""}, "a/net.onnx", ("net", "1", None)),
    ],
    ids=["flat", "code", "class", "version", "class-of-version", "far-above", "above-no-version"],
)  # fmt: skip
def test_a_file_named_by_itself_keeps_its_model_yaml(tree, files, path, found):
    root = tree(files)
    (place,) = find(f"{root}/{path}", ENDINGS)
    modelfile = None if found[2] is None else root / found[2]

    assert (place.name, place.version, place.modelfile) == (found[0], found[1], modelfile)
    assert modelfile is None or modelfile.is_relative_to(place.root)


def test_a_class_in_the_working_directory_keeps_its_model_yaml(tree, monkeypatch):
    root = tree({"sentiment.py": "x", "model.yaml": "", "app/models.py": "x"})
    monkeypatch.chdir(root)

    assert find("sentiment:S", ENDINGS)[0].modelfile == root / "model.yaml"
    assert find("app.models:S", ENDINGS)[0].modelfile is None


def test_a_model_yaml_among_the_files_of_a_version_is_misplaced(tree):
    root = tree({"iris/1/model.yaml": "", "iris/1/a.onnx": "x"})
    for path in ("iris/1/a.onnx", "iris/1", "iris"):
        with pytest.raises(ConfigError, match="belongs beside the version") as caught:
            find(root / path, ENDINGS)
        assert caught.value.help == f"move it to {root / 'iris/model.yaml'}"


def test_a_class_by_module_or_file(tree, monkeypatch):
    root = tree({"code.py": ""})
    monkeypatch.chdir(root)
    (place,) = find("app.models:Toxicity", ENDINGS)
    assert (place.name, place.reference, place.directory) == (
        "Toxicity",
        "app.models:Toxicity",
        root,
    )
    (place,) = find(f"{root}/code.py:M", ENDINGS)
    assert (place.name, place.reference, place.directory) == ("M", "code:M", root)


@pytest.mark.parametrize(
    ("files", "path", "says"),
    [
        pytest.param({}, "", "is an empty directory", id="empty"),
        pytest.param({"iris.onnx": "x"}, "iriss.onnx", "no such file or directory", id="missing"),
        pytest.param(
            {"iris/.hidden": "x"}, "", "holds no model: iris/ has no version", id="hidden"
        ),
        pytest.param({"iris/v2/a.onnx": "x"}, "", "a version is a plain number, not 'v2'", id="v2"),
        pytest.param(
            {"iris/1.0/a.onnx": "x"}, "", "a version is a plain number, not '1.0'", id="1.0"
        ),
        pytest.param(
            {"iris/007/a.onnx": "x"}, "iris", "a version is a plain number, not '007'", id="007"
        ),
        pytest.param({"b c/1/a.onnx": "x"}, "", "'b c' is not a legal model name", id="illegal"),
        pytest.param({"iris/1/a.onnx": "x", "b.onnx": "x"}, "", "b.onnx lies loose", id="loose"),
        pytest.param(
            {"iris/1/model.yaml": "", "iris/1/a.onnx": "x"},
            "",
            "belongs beside the version",
            id="yaml",
        ),
        pytest.param(
            {"iris/1/a.onnx": "x", "docs/images/x.png": "x"},
            "",
            "docs: holds no version",
            id="stray",
        ),
        pytest.param(
            {"情感.onnx": "x"}, "情感.onnx", "no model name can be made of '情感'", id="name"
        ),
        pytest.param({}, "a:b:c", "not a module:Class either", id="colons"),
        pytest.param({}, "gone/x.onnx", "is not a directory either", id="no-parent"),
        pytest.param({}, "x.py:M", "no such file", id="no-code"),
    ],
)
def test_what_cannot_be_served_says_why(tree, files, path, says):
    root = tree(files)
    with pytest.raises(ConfigError) as caught:
        find(f"{root}/{path}" if path else root, ENDINGS)
    assert says in caught.value.message


def test_the_nearest_file_is_offered(tree):
    root = tree({"iris.onnx": "x"})
    with pytest.raises(ConfigError) as caught:
        find(root / "irs.onnx", ENDINGS)
    assert caught.value.help == "did you mean 'iris.onnx'?"


def test_links_may_lead_about_inside_and_never_out(tree, tmp_path):
    root = tree({"iris/1/a.onnx": "x"})
    outside = tree({"secret/1/a.onnx": "x"}, name="outside")
    (root / "iris/2").symlink_to("1")
    assert names(root) == [("iris", "2")]

    (root / "leak").symlink_to(outside / "secret")
    with pytest.raises(ModelFileError, match="leads out of"):
        find(root, ENDINGS)
    (root / "leak").unlink()
    (root / "iris/1/b.onnx").symlink_to(outside / "secret/1/a.onnx")
    with pytest.raises(ModelFileError, match="leads out of"):
        listing(root / "iris/1", root)
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="is a link to nowhere"):
        find(tmp_path / "dangling", ENDINGS)


def test_a_path_that_is_itself_a_link_is_the_operators_choice(tree, tmp_path):
    root = tree({"iris/1/a.onnx": "x"})
    (tmp_path / "current").symlink_to(root)
    assert names(tmp_path / "current") == [("iris", "1")]


def test_special_files_and_loops(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelFileError, match="neither a file nor a directory"):
        find(tmp_path / "pipe.onnx", ENDINGS)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InferdError):
        find(tmp_path / "loop", ENDINGS)
    with pytest.raises(ModelFileError, match="cannot be followed"):
        inside(tmp_path / "loop", tmp_path)
    for wrong in ("", "a\0b"):
        with pytest.raises(ConfigError, match="is not a path"):
            find(wrong, ENDINGS)


@pytest.mark.parametrize("name", ["", ".a", "-a", "a/b", "a b", "é", "a" * 129, "a\n"], ids=repr)
def test_illegal_names(name):
    with pytest.raises(ConfigError, match="not a legal model name"):
        legal(name, "here")


def test_a_directory_of_scripts_makes_a_model(tree):
    root = tree({"m/code/inference.py": "", "n/1/n.onnx": "x", "n/1/code/helper.py": ""})

    assert names(root) == [("m", "1"), ("n", "1")]
    assert names(root / "m") == [("m", "1")]


def test_a_directory_called_code_without_scripts_makes_none(tree):
    root = tree({"m/code/notes.txt": ""})

    with pytest.raises(ConfigError, match="holds no model"):
        find(root / "m", ENDINGS)


# -- pipelines ----------------------------------------------------------------------------------------

P = {"pipeline.yaml": ""}


@pytest.mark.parametrize(
    ("files", "path", "found"),
    [
        (P, "", [("app", "1")]),
        (P, "pipeline.yaml", [("app", "1")]),
        ({"app/2/pipeline.yaml": "", "app/10/pipeline.yaml": ""}, "", [("app", "10")]),
        ({"3/pipeline.yaml": "", "3/steps.py": ""}, "3", [("app", "3")]),
        ({"3/pipeline.yaml": "", "model.yaml": ""}, "3/pipeline.yaml", [("app", "3")]),
        ({**P, "asr/1/a.onnx": "", "nlu/2/n.onnx": "", "steps/x.py": "", "data/x.txt": ""}, "",
         [("app", "1"), ("asr", "1"), ("nlu", "2")]),
        ({**P, "asr/1/a.onnx": ""}, "pipeline.yaml", [("app", "1"), ("asr", "1")]),
        ({**P, "flat/a.onnx": "", "told/model.yaml": "", "told/a.bin": ""}, "",
         [("app", "1"), ("flat", "1"), ("told", "1")]),
        ({"one/pipeline.yaml": "", "one/asr/1/a.onnx": "", "two/1/pipeline.yaml": "", "m/1/m.onnx": ""}, "",
         [("m", "1"), ("one", "1"), ("asr", "1"), ("two", "1")]),
        ({**P, "inner/pipeline.yaml": "", "inner/asr/1/a.onnx": ""}, "",
         [("app", "1"), ("inner", "1"), ("asr", "1")]),
    ],
    ids=["flat", "file", "versions", "version", "file of a version", "application", "file of an application",
         "flat models", "repository", "application in one"],
)  # fmt: skip
def test_a_pipeline_and_the_models_beside_it(tree, files, path, found):
    root = tree(files, name="app")
    assert names(root / path) == found


def test_a_pipeline_keeps_its_model_yaml(tree):
    root = tree(
        {
            "flat/pipeline.yaml": "",
            "flat/model.yaml": "",
            "app/1/pipeline.yaml": "",
            "app/model.yaml": "",
        }
    )
    assert [p.modelfile for p in find(root, ENDINGS)] == [
        root / "app/model.yaml",
        root / "flat/model.yaml",
    ]


@pytest.mark.parametrize(
    ("files", "says", "help"),
    [
        ({**P, "1/a.onnx": ""}, "pipeline.yaml: lies beside version directories", "move it into app/1/"),
        ({**P, "a.onnx": ""}, "a.onnx lies loose beside pipeline.yaml", "put it into a/1/"),
        ({**P, "asr/v1/a.onnx": ""}, "a version is a plain number", "rename it to 1"),
        ({"one/pipeline.yaml": "", "one/asr/1/a.onnx": "", "asr/2/a.onnx": ""},
         "two models are named 'asr'", "rename one of them"),
        ({**P, "app/1/a.onnx": ""}, "two models are named 'app'", "rename one of them"),
    ],
    ids=["versions", "loose", "almost a version", "one name twice", "its own name"],
)  # fmt: skip
def test_an_application_that_is_ambiguous_is_refused(tree, files, says, help):
    with pytest.raises(ConfigError) as caught:
        find(tree(files, name="app"), ENDINGS)
    assert says in caught.value.message and caught.value.help == help


def test_nothing_beside_a_pipeline_leads_out(tree, tmp_path):
    root = tree(P, name="app")
    (tmp_path / "elsewhere").mkdir()
    (root / "asr").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelFileError, match="leads out of"):
        find(root, ENDINGS)


def test_the_own_files_of_a_pipeline_are_no_models(tree):
    root = tree(
        {**P, "steps.py": "", "lib/x.py": "", "asr/1/a.onnx": "", "inner/pipeline.yaml": ""},
        name="app",
    )
    files, folders = own_files(root)
    assert [f.name for f in files] == ["pipeline.yaml", "steps.py"]
    assert folders == [root / "lib"]
