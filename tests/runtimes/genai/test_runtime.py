import threading

import numpy as np
import pytest
from tests.generators import generator

from inferd.core.errors import ModelFailed, ModelFileError
from inferd.core.signature import Signature
from inferd.runtimes.genai.runtime import GenaiRuntime

from .conftest import bytes_of


@pytest.fixture
def load(reciter):
    made = []

    def loaded(folder=reciter, **options):
        runtime = GenaiRuntime()
        made.append(runtime)
        return runtime, runtime.load(folder, {"threads": 1, "directory": str(folder), **options})

    yield loaded
    for runtime in made:
        runtime.close()


def prompts(*texts):
    return {"prompt": np.concatenate([bytes_of(text) for text in texts])}


def test_it_says_what_it_is(load):
    runtime, _ = load()

    assert runtime.name == "genai" and runtime.streams
    assert runtime.version().startswith("onnxruntime-genai ")


def test_the_signature_is_that_of_all_models_that_generate_and_crosses_as_json(load):
    _, signature = load()

    assert [(s.name, s.default) for s in signature.inputs] == [("prompt", ""), ("messages", "")]
    assert [s.name for s in signature.outputs] == [
        "text", "finish_reason", "prompt_tokens", "completion_tokens",
    ]  # fmt: skip
    assert Signature.from_json(signature.to_json()) == signature


def test_a_batch_is_answered_together(load):
    runtime, signature = load()
    outputs = runtime.run(prompts("m", "n"))

    assert outputs["text"].tolist() == [b"nop", b"op"]
    assert outputs["completion_tokens"].tolist() == [3, 2]
    for spec in signature.outputs:
        assert outputs[spec.name].dtype == spec.dtype.numpy and outputs[spec.name].shape == (2,)


def test_a_trial_is_short(load):
    runtime, _ = load()
    runtime.trial = 2

    assert runtime.run(prompts("a"))["text"].tolist() == [b"bc"]


def test_how_many_share_a_step_is_told(load):
    assert load()[0].sequences == 8
    assert load(sequences=3)[0].sequences == 3
    assert load(parameters={"sequences": 2})[0].sequences == 2


def test_the_file_of_settings_stands_for_its_directory(load, reciter):
    runtime, _ = load(reciter / "genai_config.json")

    assert runtime.run(prompts("o"))["text"].tolist() == [b"p"]


def test_two_models_do_not_share_anything(load):
    (first, _), (second, _) = load(), load()
    first.close()

    assert second.run(prompts("o"))["text"].tolist() == [b"p"]


def test_it_may_be_asked_from_another_thread_than_it_was_loaded_in(load):
    runtime, _ = load()
    found = []
    thread = threading.Thread(target=lambda: found.append(runtime.run(prompts("o"))))
    thread.start()
    thread.join()

    assert found[0]["text"].tolist() == [b"p"]


def test_closing_is_idempotent_and_ends_it(load):
    runtime, _ = load()
    runtime.close()
    runtime.close()

    with pytest.raises(ModelFailed, match="closed"):
        runtime.engine()


def test_a_file_that_is_no_directory_is_named(load, reciter):
    with pytest.raises(ModelFileError, match=r"model\.onnx: is no directory with a genai_config"):
        load(reciter / "model.onnx")


def test_a_declared_signature_is_refused(load):
    with pytest.raises(ModelFileError, match="remove `signature`|is given"):
        load(signature={"inputs": [{"name": "x", "dtype": "int64", "shape": [-1]}]})


def test_what_model_yaml_lays_down_holds(load):
    runtime, _ = load(parameters={"default_max_tokens": 4})

    assert runtime.run(prompts("a"))["text"].tolist() == [b"bcde"]


def test_a_broken_model_is_named(tmp_path, load):
    folder = generator(tmp_path / "m")
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[: len(data) // 2])

    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        load(folder)
