import pytest
from tests.cli.conftest import write_model

from inferd.core.errors import ConfigError
from inferd.core.step import Step
from inferd.deploy.plan import Part, alike, by_grpc, part, title
from inferd.repository.spec import ModelSpec
from inferd.repository.store import scan
from inferd.runtimes.detect import Detector


def spec(tmp_path, **fields):
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    given = {"name": "m", "version": "1", "runtime": "onnx", "origin": str(tmp_path)} | fields
    return ModelSpec(directory=folder, **given)


def test_a_repository_is_served_whole(shop):
    found = part("shop", scan([shop], Detector()), grpc=True)

    assert found.models == ("sums",)
    assert found.arguments == ("/models",)
    assert found.extras == ("grpc",)
    assert found.grpc
    assert not found.imports.distributions


@pytest.mark.parametrize(
    ("fields", "extras"),
    [
        ({}, ()),
        ({"runtime": "torch"}, ("torch",)),
        ({"preprocess": (Step("decode_image", None),)}, ("image",)),
        ({"preprocess": (Step("tokenize", {}), Step("pad", {}))}, ("text",)),
        ({"postprocess": (Step("softmax", None),)}, ()),
        ({"preprocess": (Step("decode_audio", None), Step("mono", None))}, ("audio",)),
        ({"runtime": "whisper", "preprocess": (Step("resample", 16_000),)}, ("audio", "whisper")),
    ],
    ids=["onnx", "torch", "image", "text", "numbers", "sound", "speech"],
)
def test_only_what_the_models_need_goes_in(tmp_path, fields, extras):
    assert part("m", [spec(tmp_path, **fields)], grpc=False).extras == extras


def test_transforms_of_a_pipeline_and_extras_asked_for_count_too(tmp_path):
    found = part(
        "m", [spec(tmp_path)], grpc=False, steps=["decode_image", "softmax"], extras=["tracing"]
    )

    assert found.extras == ("image", "tracing")


def test_without_grpc_there_is_none(tmp_path):
    assert not part("m", [spec(tmp_path)], grpc=False).grpc


def test_parts_may_have_the_packages_of_all(tmp_path, app):
    (app / "steps.py").write_text("import yaml\n")
    parts = [
        part("m", [spec(tmp_path, runtime="torch")], grpc=False),
        part("app", scan([app], Detector()), grpc=True),
    ]

    first, second = alike(parts)

    assert first.extras == second.extras == ("grpc", "torch")
    assert first.imports == second.imports
    assert "pyyaml" in first.imports.distributions
    assert (first.files, second.files) == (parts[0].files, parts[1].files)
    assert (first.paths, second.models) == (parts[0].paths, parts[1].models)


def test_models_that_take_sound_are_asked_over_grpc(tmp_path):
    heard = spec(tmp_path, name="heard", preprocess=(Step("decode_audio", None),))

    assert by_grpc([heard, spec(tmp_path)]) == {"heard"}


def test_trust_is_given_to_the_models_that_are_there(tmp_path):
    found = part("m", [spec(tmp_path)], trusted=["m", "elsewhere"])

    assert found.arguments == ("/models", "--trust-pickle", "m")


def test_requirements_beside_models_are_found(app):
    (app / "requirements.txt").write_text("pyyaml\n")

    found = part("app", scan([app], Detector()))

    assert [str(copy.target) for copy in found.requirements] == ["app/requirements.txt"]
    assert not found.imports.distributions


def test_code_without_requirements_needs_what_it_imports(app):
    (app / "steps.py").write_text("import numpy\nimport absent_thing\nimport yaml\n")

    found = part("app", scan([app], Detector())).imports

    assert (found.distributions, found.unknown) == (("numpy", "pyyaml"), ("absent_thing",))


def test_nothing_is_no_image():
    with pytest.raises(ConfigError, match="no model"):
        part("m", [])


def test_two_files_in_one_place_are_refused(tmp_path):
    specs = []
    for name in ("a", "b"):
        folder = tmp_path / name / "m" / "1"
        folder.mkdir(parents=True)
        write_model(folder / "x.onnx")
        specs += scan([tmp_path / name], Detector())

    with pytest.raises(ConfigError, match="two files would be /models/m/1/x.onnx"):
        part("m", specs)


@pytest.mark.parametrize(
    ("path", "name"),
    [("shop", "shop"), ("shop/iris.onnx", "iris"), ("shop/pipeline.yaml", "shop"), ("x.py:Sum", "Sum")],
    ids=["directory", "file", "pipeline", "class"],
)  # fmt: skip
def test_a_path_has_a_title(tmp_path, path, name):
    (tmp_path / "shop").mkdir()

    assert title(tmp_path / path) == name


def test_a_part_is_data():
    assert Part("m", (), (), ("/models",), ()).arguments == ("/models",)
