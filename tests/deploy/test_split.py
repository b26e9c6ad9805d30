import pytest

from inferd.core.errors import ConfigError
from inferd.deploy.reading import pipelines, read_specs
from inferd.deploy.split import parse_services, split, top_pipeline


def planned(path, *texts):
    specs = read_specs(str(path))
    return split(specs, pipelines(specs), parse_services(texts))


def shape(plan):
    return {d.name: (d.asked, tuple(s.name for s in d.specs)) for d in plan.divisions}


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("asr,nlu",), {"asr": ("asr",), "nlu": ("nlu",)}),
        (("asr", "nlu"), {"asr": ("asr",), "nlu": ("nlu",)}),
        (("speech = vad + asr",), {"speech": ("vad", "asr")}),
        (("Text_Detect",), {"text-detect": ("Text_Detect",)}),
    ],
    ids=["commas", "repeated", "group", "slug"],
)
def test_services_are_named(texts, found):
    assert parse_services(texts) == found


@pytest.mark.parametrize("text", ["", "a,", "=a", "a=", "a=b+", "a,A"])
def test_what_names_no_service_is_refused(text):
    with pytest.raises(ConfigError, match="--services"):
        parse_services([text])


def test_steps_and_models_become_services(app):
    assert shape(planned(app, "first,pairs")) == {
        "first": (("sums",), ("sums",)),
        "pairs": (("pairs",), ("pairs",)),
        "app": (("app",), ("app",)),
    }


def test_what_is_nobody_elses_stays_with_the_pipeline(app):
    assert shape(planned(app, "first")) == {
        "first": (("sums",), ("sums",)),
        "app": (("app",), ("app", "pairs")),
    }


def test_several_steps_may_share_a_service(app):
    assert shape(planned(app, "both=first+second"))["both"] == (
        ("pairs", "sums"),
        ("pairs", "sums"),
    )


def test_a_nested_pipeline_takes_along_what_it_asks(app):
    inner = app / "inner"
    inner.mkdir()
    (inner / "pipeline.yaml").write_text(
        "inputs: [x]\nsteps:\n  one: {model: sums, inputs: {x: x}}\noutputs: {y: one.y}\n"
    )
    file = app / "pipeline.yaml"
    file.write_text(file.read_text().replace("model: sums", "model: inner"))

    found = shape(planned(app, "first"))

    assert found["first"] == (("inner",), ("inner", "sums"))
    assert found["app"] == (("app",), ("app", "pairs"))


def versioned(app):
    """Have the pipeline ask for the first of two versions of a model."""
    (app / "sums" / "2").mkdir()
    (app / "sums" / "2" / "sums.onnx").write_bytes((app / "sums" / "1" / "sums.onnx").read_bytes())
    file = app / "pipeline.yaml"
    file.write_text(file.read_text().replace("model: sums", "model: sums@1"))


def test_every_version_that_is_asked_for_stays_with_the_pipeline(app):
    versioned(app)

    plan = planned(app, "second")

    assert {(s.name, s.version) for s in plan.front.specs} == {
        ("app", "1"), ("sums", "1"), ("sums", "2"),
    }  # fmt: skip


def test_a_service_serves_the_latest_version_only(app):
    versioned(app)

    with pytest.raises(ConfigError, match="sums is asked for in the versions"):
        planned(app, "first")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("twice", "step 'twice' is a Python function(.|\n)*stays with app"),
        ("thrice", "no step of app and no model(.|\n)*did you mean 'twice'"),
        ("x=app", "app is the pipeline itself"),
        ("a=first,b=sums", "model 'sums' would be in a and in b"),
        ("app=first", "app is the name of the pipeline itself"),
    ],
    ids=["python", "unknown", "itself", "doubled", "name"],
)
def test_what_cannot_be_a_service_is_said(app, text, message):
    with pytest.raises(ConfigError, match=message):
        planned(app, text)


def test_transforms_stay_too(app):
    file = app / "pipeline.yaml"
    step = "  soft: {transform: [softmax], inputs: {z: second.z}}\noutputs:\n  s: soft.z\n"
    file.write_text(file.read_text().replace("outputs:\n", step))

    with pytest.raises(ConfigError, match="step 'soft' is transforms"):
        planned(app, "soft")


def test_without_a_pipeline_there_is_nothing_to_split(shop):
    with pytest.raises(ConfigError, match="no pipeline to split"):
        planned(shop, "sums")


def test_of_two_pipelines_one_must_be_named(app):
    found = pipelines(read_specs(str(app)))

    with pytest.raises(ConfigError, match="several pipelines are served: app, other"):
        top_pipeline({**found, "other": found["app"]})
