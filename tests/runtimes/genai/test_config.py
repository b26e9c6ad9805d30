import json

import pytest
from tests.generators import CONTEXT, EOS, generator, settings

from inferd.core.errors import ModelFileError
from inferd.runtimes.genai.config import MAX_CONFIG, read_config


def refused(folder, **config):
    generator(folder, config=config)
    with pytest.raises(ModelFileError) as caught:
        read_config(folder)
    assert str(folder) in caught.value.message
    return caught.value.message


def test_what_counts_is_read(tmp_path):
    config = read_config(generator(tmp_path / "m"))

    assert (config.kind, config.context, config.eos, config.layers) == ("llama", CONTEXT, (EOS,), 2)
    assert config.model == tmp_path / "m" / "model.onnx"
    assert config.key == "past_key_values.%d.key" and config.present_value == "present.%d.value"


def test_there_may_be_several_ends(tmp_path):
    folder = generator(tmp_path / "m", config={"model": {"eos_token_id": [EOS, 10]}})

    assert read_config(folder).eos == (EOS, 10)


@pytest.mark.parametrize(
    "name",
    [
        "../model.onnx",
        "/etc/passwd",
        "a/model.onnx",
        "a\\model.onnx",
        "C:model.onnx",
        "..",
        "",
        None,
        3,
    ],
    ids=repr,
)
def test_a_file_out_of_the_directory_is_refused(tmp_path, name):
    assert "must be the name of a file beside it" in refused(
        tmp_path / "m", decoder={"filename": name}
    )


@pytest.mark.parametrize(
    "name", ["model.onnx", "tokenizer.json", "genai_config.json", "chat_template.jinja"]
)
def test_a_link_is_refused(tmp_path, name):
    folder = generator(tmp_path / "m")
    (tmp_path / name).write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / name)

    with pytest.raises(ModelFileError, match=f"{name}: is not a plain file"):
        read_config(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "genai_config.json"])
def test_a_missing_file_is_named(tmp_path, name):
    folder = generator(tmp_path / "m")
    (folder / name).unlink()

    with pytest.raises(ModelFileError, match=f"{name}: cannot be read: No such file"):
        read_config(folder)


@pytest.mark.parametrize("key", ["custom_ops_library", "ep_library_path", "provider_plugin"])
def test_libraries_are_never_loaded(tmp_path, key):
    options = {"provider_options": [], key: "/tmp/evil.so"}

    assert "runs code" in refused(tmp_path / "m", decoder={"session_options": options})


def test_a_build_for_another_device_is_refused(tmp_path):
    options = {"provider_options": [{"cuda": {}}]}

    assert "built for 'cuda'" in refused(tmp_path / "m", decoder={"session_options": options})


def test_a_model_that_sees_is_refused(tmp_path):
    assert "'vision'" in refused(tmp_path / "m", model={"vision": {"filename": "v.onnx"}})


@pytest.mark.parametrize(
    ("part", "given", "told"),
    [
        ("model", {"context_length": 0}, "context_length"),
        ("model", {"context_length": "long"}, "context_length"),
        ("model", {"eos_token_id": None}, "eos_token_id"),
        ("model", {"eos_token_id": []}, "eos_token_id"),
        ("model", {"eos_token_id": [1, 300]}, "must be a token: 0 to 257"),
        ("model", {"decoder": []}, "no object 'decoder'"),
        ("decoder", {"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ("decoder", {"inputs": {"past_key_names": "%s"}}, "must hold one %d"),
        ("search", {"past_present_share_buffer": False}, "does not grow in place"),
    ],
    ids=lambda each: json.dumps(each)[:40] if isinstance(each, dict) else None,
)
def test_nonsense_is_named(tmp_path, part, given, told):
    assert told in refused(tmp_path / "m", **{part: given})


@pytest.mark.parametrize(
    "text", ["{", "[1]", "{" * 5000, "[" * 200_000], ids=lambda t: t[:2] + str(len(t))
)
def test_broken_settings_are_refused(tmp_path, text):
    folder = generator(tmp_path / "m")
    (folder / "genai_config.json").write_text(text)

    with pytest.raises(ModelFileError, match=r"genai_config\.json"):
        read_config(folder)


def test_huge_settings_are_not_read(tmp_path):
    folder = generator(tmp_path / "m")
    text = json.dumps({**settings(), "more": "x" * MAX_CONFIG})
    (folder / "genai_config.json").write_text(text)

    with pytest.raises(ModelFileError, match=f"has {len(text)} bytes; 1 to {MAX_CONFIG} are read"):
        read_config(folder)


def test_a_model_that_is_none_is_refused(tmp_path):
    folder = generator(tmp_path / "m")
    (folder / "model.onnx").write_bytes(b"GGUF" + bytes(100))

    with pytest.raises(ModelFileError, match=r"model\.onnx: is not an ONNX model"):
        read_config(folder)
