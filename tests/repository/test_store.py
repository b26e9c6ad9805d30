from __future__ import annotations

import json
from pathlib import Path

import pytest

from inferd.core.errors import ConfigError, InferdError, ModelFileError
from inferd.repository.store import scan


class Formats:
    """Formats of one letter: content ``x`` is ONNX, ``t`` torch, anything else broken."""

    endings = frozenset({".onnx", ".pth", ".py"})
    tasks = {"torch": "classify"}
    runtimes = ("onnx", "torch", "python", "sagemaker")

    def __init__(self):
        self.asked = []

    def marks(self, file):
        return file.name == "network.bin" and file.is_file() and file.read_text() == "x"

    def detect(self, artifact, *, model, runtime, options):
        self.asked.append((artifact.name, model, runtime, dict(options)))
        if artifact.is_dir():
            return "torch"
        if artifact.suffix == ".py":
            return "python"
        kind = {"x": "onnx", "t": "torch"}.get(artifact.read_text())
        if kind is None or runtime not in {None, kind}:
            raise ModelFileError(f"{artifact}: is broken")
        return kind


def one(path, **options):
    (spec,) = scan([path], Formats(), **options)
    return spec


def test_a_lone_file(tree):
    root = tree({"iris.onnx": "x"})
    spec = one(root / "iris.onnx")

    assert (spec.name, spec.version, spec.runtime) == ("iris", "1", "onnx")
    assert spec.artifact == root / "iris.onnx" and spec.origin == str(root / "iris.onnx")
    assert spec.options == {"directory": str(root)}


def test_a_lone_file_is_served_as_the_model_yaml_beside_it_says(tree):
    root = tree({"sd.pth": "t", "net.py": "", "model.yaml": "factory: net:Net\nwarmup: s.json\n",
                 "s.json": "[]"})  # fmt: skip
    spec = one(root / "sd.pth")

    assert (spec.name, spec.options["factory"]) == ("sd", "net:Net")
    assert (spec.modelfile, spec.warmup) == (root / "model.yaml", root / "s.json")
    assert spec.options["places"] == {
        "factory": f"{root}/model.yaml:1", "warmup": f"{root}/model.yaml:2",
    }  # fmt: skip


def test_a_lone_class_is_served_as_the_model_yaml_beside_it_says(tree):
    said = "class: s:S\nartifact: w.bin\nparameters: {k: 1}\n"
    root = tree({"s.py": "", "w.bin": "z", "model.yaml": said})
    for path in (f"{root}/s.py:S", root / "s.py"):
        spec = one(path)
        assert (spec.runtime, spec.artifact) == ("python", root / "w.bin")
        assert (spec.options["class"], spec.options["parameters"]) == ("s:S", {"k": 1})


@pytest.mark.parametrize(
    ("files", "path", "says"),
    [
        ({"model.yaml": "warmpu: x"}, "a.onnx", "model.yaml:1: warmpu: unknown key"),
        ({"model.yaml": "", "b.onnx": "x"}, "a.onnx", "model.yaml: may be about a.onnx or b.onnx"),
        ({"model.yaml": "artifact: b.onnx"}, "a.onnx",
         "model.yaml:1: artifact: names b.onnx, and a.onnx is served"),
        ({"model.yaml": "class: t:T"}, "s.py", "model.yaml:1: class: names t:T, and s.py is served"),
        ({"model.yaml": "class: t:T"}, "s.py:S", "class: names t:T, and s:S is served"),
        ({"model.yaml": ""}, "s.py", "model.yaml: may be about s.py or a.onnx"),
    ],
    ids=["typo", "two", "another", "other-code", "other-class", "code-or-onnx"],
)  # fmt: skip
def test_a_model_yaml_beside_a_lone_file_is_never_passed_over(tree, files, path, says):
    root = tree({"a.onnx": "x", "s.py": "", **files})
    with pytest.raises(InferdError) as caught:
        one(f"{root}/{path}")
    assert says in caught.value.message and caught.value.help


@pytest.mark.parametrize(
    ("said", "path"),
    [("artifact: a.onnx", "a.onnx"), ("runtime: python", "s.py"), ("class: s:S", "s.py")],
    ids=["artifact", "runtime", "class"],
)
def test_a_model_yaml_that_says_which_file_it_is_about_is_plain(tree, said, path):
    root = tree({"a.onnx": "x", "b.onnx": "x", "s.py": "", "model.yaml": said})

    assert one(root / path).modelfile == root / "model.yaml"


def test_model_yaml_reaches_the_spec_and_crosses_as_json(tree):
    root = tree({
        "net/model.yaml": "factory: net:Net\nsignature: {inputs: [{name: x, dtype: float32, shape: [-1, 4]}]}\n"
        "warmup: samples.json\npreprocess: [{cast: float32}]\nthreads: 2\n",
        "net/1/net.pth": "t", "net/1/net.py": "", "net/1/labels.txt": "", "net/samples.json": "[]",
    })  # fmt: skip
    spec = one(root)

    assert spec.runtime == "torch" and spec.artifact == root / "net/1/net.pth"
    assert spec.options["factory"] == "net:Net" and spec.options["threads"] == 2
    assert spec.options["signature"] == spec.signature and spec.modelfile == root / "net/model.yaml"
    assert spec.warmup == root / "net/samples.json"
    assert json.loads(json.dumps(spec.to_json()))["preprocess"][0]["name"] == "cast"


def test_python_models(tree, monkeypatch):
    root = tree({"a/model.yaml": "class: s:S\n", "a/1/s.py": "", "a/1/weights.npy": "",
                 "b/1/only.py": "", "c/model.yaml": "class: s:S\nartifact: w.bin\n", "c/1/w.bin": "z"})  # fmt: skip
    a, b, c = scan([root], Formats())

    assert (a.runtime, a.artifact, a.options["class"]) == ("python", None, "s:S")
    assert (b.runtime, b.artifact) == ("python", root / "b/1/only.py")
    assert c.artifact == root / "c/1/w.bin"
    monkeypatch.chdir(root)
    spec = one("app:Model")
    assert (spec.name, spec.artifact, spec.directory) == ("Model", None, Path.cwd())


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({"m/1/a.onnx": "x", "m/1/b.onnx": "x"}, "several candidates: a.onnx, b.onnx", id="several"),
        pytest.param({"m/1/a.bin": "x", "m/1/b.bin": "x"}, "several candidates: a.bin, b.bin", id="unknown"),
        pytest.param({"m/1/a.py": "", "m/1/b.py": ""}, "several candidates: a.py, b.py", id="code"),
        pytest.param({"m/1/notes.txt": ""}, "holds no model file", id="none"),
        pytest.param({"m/1/.a.onnx": "x"}, "holds no model file", id="hidden"),
        pytest.param({"m/model.yaml": "artifact: b.onnx", "m/1/a.onnx": "x"}, "model.yaml:1: artifact: no file 'b.onnx'", id="named"),
        pytest.param({"m/model.yaml": "runtime: onx", "m/1/a.onnx": "x"}, "model.yaml:1: runtime: unknown runtime 'onx'", id="runtime"),
        pytest.param({"m/model.yaml": "runtime: torch", "m/1/a.onnx": "x"}, "a.onnx: is broken", id="mismatch"),
        pytest.param({"m/model.yaml": "factory: a:B", "m/1/a.onnx": "x"}, "factory: is used by the runtime torch only", id="unused"),
        pytest.param({"m/model.yaml": "warmup: s.json", "m/1/a.onnx": "x"}, "warmup: no file 's.json'", id="warmup"),
        pytest.param({"m/1/a.onnx": "broken"}, "a.onnx: is broken", id="broken"),
        pytest.param({"m/model.yaml": "runtime: python", "m/1/w.bin": "x"}, "holds no model file", id="python"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_says_why(tree, files, says):
    with pytest.raises(InferdError) as caught:
        one(tree(files))
    assert says in caught.value.message and "m/" in caught.value.message


def test_a_page_beside_models_is_led_into_one_of_them(tree):
    with pytest.raises(InferdError, match="page: holds no model file") as caught:
        list(scan([tree({"m/1/a.onnx": "x", "page/index.html": "x"})], Formats()))
    assert caught.value.help.endswith("MODEL/page/")


def test_external_data_and_notes_beside_an_artifact_are_no_candidates(tree):
    root = tree({"m/1/a.onnx": "x", "m/1/a.onnx.data": "", "m/1/weights.bin": "", "m/1/tokenizer.json": "",
                 "m/1/labels.txt": "", "m/1/code.py": "", "m/1/README.md": ""})  # fmt: skip
    assert one(root).artifact.name == "a.onnx"


def test_two_models_of_one_name_name_both_paths(tree):
    root = tree({"a/iris.onnx": "x", "b/iris.onnx": "x"})
    with pytest.raises(ConfigError, match="two models are named 'iris'") as caught:
        scan([root / "a/iris.onnx", root / "b/iris.onnx"], Formats())
    assert str(root / "a/iris.onnx") in caught.value.message


def test_trust_is_the_operators_and_names_a_model(tree):
    root = tree({"m.pth": "t", "n.pth": "t"})
    formats = Formats()
    specs = scan([root / "m.pth", root / "n.pth"], formats, trust_pickle=["m"])

    assert [s.options.get("trust_pickle") for s in specs] == [True, None]
    assert formats.asked[0][3]["trust_pickle"] is True
    with pytest.raises(ConfigError, match="--trust-pickle mm: no such model") as caught:
        scan([root / "m.pth"], Formats(), trust_pickle=["mm"])
    assert caught.value.help == "did you mean 'm'?"


def test_nothing_to_serve():
    with pytest.raises(ConfigError, match="no PATH"):
        scan([], Formats())


def test_every_version_of_one_model(tree):
    root = tree({"m/1/a.onnx": "x", "m/2/a.onnx": "x"})
    assert [s.version for s in scan([root], Formats(), every=True)] == ["1", "2"]


SCRIPT = {"m/code/inference.py": "", "m/code/helper.py": "", "m/weights.joblib": ""}


@pytest.mark.parametrize("path", ["", "m"], ids=["repository", "model"])
def test_a_script_serves_a_directory_without_an_artifact(tree, path):
    root = tree(SCRIPT)
    spec = one(root / path)

    assert (spec.name, spec.version, spec.runtime) == ("m", "1", "sagemaker")
    assert spec.artifact == root / "m/code/inference.py" and spec.directory == root / "m"
    assert spec.run_timeout == 60


def test_a_script_alone_is_enough_and_may_be_a_version(tree):
    root = tree({"a/code/inference.py": "", "b/2/code/inference.py": ""})

    assert [(s.name, s.version, s.runtime) for s in scan([root], Formats())] == [
        ("a", "1", "sagemaker"), ("b", "2", "sagemaker"),
    ]  # fmt: skip
    assert one(root / "a").name == "a"
    assert one(root / "b" / "2").version == "2"


@pytest.mark.parametrize("beside", ["m/a.onnx", "m/own.py"])
def test_a_script_beside_a_model_is_not_run_unasked(tree, beside):
    root = tree({**SCRIPT, beside: "x"})
    asked = scan([root / "m"], Formats(), program="inference.py")[0]

    assert one(root / "m").artifact == root / beside
    assert asked.artifact == root / "m/code/inference.py"


def test_the_operator_may_name_another_script(tree):
    root = tree(SCRIPT)

    assert scan([root], Formats(), program="helper.py")[0].artifact == root / "m/code/helper.py"


def test_a_model_file_may_ask_for_a_script(tree):
    files = {**SCRIPT, "m/a.onnx": "x"}
    spec = one(tree({**files, "m/model.yaml": "runtime: sagemaker\nrun_timeout: 5s\n"}) / "m")
    named = one(
        tree({**files, "m/model.yaml": "runtime: sagemaker\nartifact: code/helper.py\n"}, "named")
        / "m"
    )

    assert (spec.runtime, spec.run_timeout) == ("sagemaker", 5)
    assert named.artifact.name == "helper.py"
    with pytest.raises(ModelFileError, match="no such file"):
        one(tree({"m/a.onnx": "x", "m/model.yaml": "runtime: sagemaker\n"}, "none") / "m")


def test_what_is_declared_otherwise_is_not_a_script(tree):
    root = tree({**SCRIPT, "m/a.onnx": "x", "m/model.yaml": "runtime: onnx\n"})

    assert scan([root / "m"], Formats(), program="inference.py")[0].runtime == "onnx"


def test_a_script_outside_the_directory_is_refused(tree, tmp_path):
    root = tree({"m/weights.joblib": ""})
    (tmp_path / "inference.py").write_text("")
    (root / "m" / "code").mkdir()
    (root / "m" / "code" / "inference.py").symlink_to(tmp_path / "inference.py")

    with pytest.raises(ModelFileError, match="leads out"):
        one(root / "m")


# -- pipelines ----------------------------------------------------------------------------------------


def test_a_pipeline_is_its_file_and_its_model_yaml(tree):
    root = tree({"pipeline.yaml": "", "samples.json": "[]", "model.yaml": (
        "task: ocr\nwarmup: samples.json\ninstances: 2\nversion_labels: {stable: 1}\nrun_timeout: 5s\n"
    )}, name="app")  # fmt: skip
    spec = one(root)

    assert (spec.name, spec.version, spec.runtime) == ("app", "1", "pipeline")
    assert (spec.artifact, spec.directory) == (root / "pipeline.yaml", root)
    assert (spec.task, spec.warmup, spec.instances.min) == ("ocr", root / "samples.json", 2)
    assert spec.version_labels == {"stable": "1"} and spec.run_timeout == 5
    assert spec.options["directory"] == str(root)


def test_a_version_with_a_pipeline_beside_other_versions(tree):
    root = tree({"app/1/a.onnx": "x", "app/2/pipeline.yaml": "", "app/model.yaml": "task: ocr"})
    assert [s.runtime for s in scan([root], Formats(), every=True)] == ["onnx", "pipeline"]


def test_an_application_gives_specs_of_its_models_too(tree):
    root = tree({"pipeline.yaml": "", "asr/1/a.onnx": "x", "steps.py": ""}, name="app")
    assert [(s.name, s.runtime) for s in scan([root], Formats())] == [
        ("app", "pipeline"),
        ("asr", "onnx"),
    ]


def test_a_pipeline_may_be_of_another_path_than_its_models(tree):
    root = tree({"one/pipeline.yaml": "", "two/asr/1/a.onnx": "x"})
    assert [s.name for s in scan([root / "one", root / "two"], Formats())] == ["one", "asr"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batching: auto", "model.yaml:1: batching: means nothing for a pipeline"),
        ("preprocess: []", "model.yaml:1: preprocess: means nothing for a pipeline"),
        ("task: a\nartifact: x.onnx", "model.yaml:2: artifact: means nothing for a pipeline"),
        ("runtime: onnx", "model.yaml:1: runtime: 'onnx' does not run"),
        ("task: 5", "model.yaml:1: task: must be text"),
        ("warmup: s.json", "model.yaml:1: warmup: no file 's.json'"),
    ],
    ids=["batching", "preprocess", "artifact", "runtime", "task", "warmup"],
)
def test_a_model_yaml_that_means_nothing_for_a_pipeline_is_refused(tree, text, says):
    root = tree({"pipeline.yaml": "", "model.yaml": text}, name="app")
    with pytest.raises(ConfigError) as caught:
        one(root)
    assert says in caught.value.message


def test_a_file_that_is_named_is_served_whatever_lies_beside_it(tree):
    root = tree({"pipeline.yaml": "", "m.onnx": "x"}, name="app")
    assert one(root / "m.onnx").runtime == "onnx"


def test_a_runtime_says_what_its_models_are_for_unless_model_yaml_does(tree):
    root = tree(
        {"m/1/a.pth": "t", "n/1/a.pth": "t", "n/model.yaml": "task: embed\n", "o/1/a.onnx": "x"}
    )
    specs = {spec.name: spec.task for spec in scan([root], Formats())}

    assert specs == {"m": "classify", "n": "embed", "o": None}


def test_a_directory_may_be_the_artifact_as_a_whole(tree):
    root = tree({"m/1/network.bin": "x", "m/1/other.onnx": "y", "m/1/words.txt": "z"})

    (spec,) = scan([root], Formats())

    assert spec.artifact == root / "m" / "1"
    assert scan([root / "m" / "1"], Formats())[0].artifact == spec.artifact


def test_a_file_of_such_a_name_and_other_content_marks_nothing(tree):
    root = tree({"m/1/network.bin": "y", "m/1/other.onnx": "x"})

    assert one(root).artifact == root / "m" / "1" / "other.onnx"
    with pytest.raises(ModelFileError, match=r"network\.bin: is broken"):
        one(root / "m" / "1" / "network.bin")


def test_the_file_that_marks_a_directory_means_the_directory(tree, monkeypatch):
    root = tree({"m/network.bin": "x", "m/words.txt": "z", "n/3/network.bin": "x"})
    monkeypatch.chdir(root / "m")

    for path in (root / "m" / "network.bin", "network.bin"):
        (spec,) = scan([path], Formats())
        assert (spec.name, spec.artifact) == ("m", root / "m")
    (spec,) = scan([root / "n" / "3" / "network.bin"], Formats())
    assert (spec.name, spec.version) == ("n", "3")
