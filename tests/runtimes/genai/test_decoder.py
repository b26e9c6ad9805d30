import numpy as np
import pytest
from onnx import TensorProto, helper, load, save
from tests.generators import VOCABULARY, generator

from inferd.core.errors import ModelFailed, ModelFileError
from inferd.runtimes.genai.config import read_config
from inferd.runtimes.genai.decoder import Decoder


@pytest.fixture
def decoder(thoughtful):
    decoder = Decoder(read_config(thoughtful), 4, 64, 1)
    yield decoder
    decoder.close()


def read(decoder, tokens, row=0):
    return decoder.run(np.array([tokens]), row)[0, -1]


def test_every_token_has_its_logits(decoder):
    logits = decoder.run(np.array([[1, 2, 3]]), 0)

    assert logits.shape == (1, 3, VOCABULARY) and np.isfinite(logits).all()


def test_chunks_are_read_as_if_they_came_at_once(decoder):
    whole = read(decoder, [7, 8, 9, 10, 11])
    read(decoder, [7, 8], row=1)
    read(decoder, [9], row=1)

    np.testing.assert_allclose(read(decoder, [10, 11], row=1), whole, rtol=1e-4, atol=1e-4)


def test_what_was_said_before_matters(decoder):
    assert not np.allclose(read(decoder, [1, 5]), read(decoder, [2, 5], row=1))


def test_rows_of_unequal_length_share_a_run(decoder):
    for row, tokens in enumerate(([1, 2, 3, 4, 5, 6], [9], [7, 8, 9])):
        read(decoder, tokens, row)
    together = decoder.run(np.array([[50], [51], [52]]), 0)[:, 0]

    alone = Decoder(decoder._config, 1, 64, 1)
    for row, tokens in enumerate(([1, 2, 3, 4, 5, 6, 50], [9, 51], [7, 8, 9, 52])):
        alone.cache.forget()
        np.testing.assert_allclose(read(alone, tokens), together[row], rtol=1e-4, atol=1e-4)
    alone.close()


def test_rows_are_swapped_between_runs(decoder):
    read(decoder, [1, 2, 3], 0)
    read(decoder, [4, 5], 1)
    expected = decoder.run(np.array([[9], [9]]), 0)[:, 0]
    decoder.cache.forget()
    read(decoder, [1, 2, 3], 0)
    read(decoder, [4, 5], 1)

    decoder.cache.swap(0, 1)

    np.testing.assert_allclose(
        decoder.run(np.array([[9], [9]]), 0)[:, 0], expected[::-1], rtol=1e-4, atol=1e-4
    )


def test_more_than_the_context_is_a_failure_that_is_told(decoder):
    with pytest.raises(ModelFailed, match="the model failed"):
        decoder.run(np.ones((1, 80), np.int64), 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"num_hidden_layers": 3}, "lacks 'past_key_values.2.key'"),
        ({"outputs": {"logits": "scores"}}, "no output 'scores'"),
        (
            {"num_key_value_heads": 5},
            "has 1 x 16 heads and sizes, and genai_config.json says 5 x 16",
        ),
        ({"head_size": 8}, "says 1 x 8"),
        ({"inputs": {"attention_mask": "mask"}}, "lacks 'mask'"),
    ],
    ids=["layers", "output", "heads", "size", "input"],
)
def test_names_and_sizes_that_do_not_fit_are_refused(tmp_path, change, told):
    with pytest.raises(ModelFileError, match=told):
        Decoder(read_config(generator(tmp_path / "m", config={"decoder": change})), 1, 64, 1)


def test_another_input_is_refused(tmp_path):
    folder = generator(tmp_path / "m")
    model = load(str(folder / "model.onnx"))
    model.graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Identity", ["pixels"], ["seen"]))
    model.graph.output.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, [1]))
    save(model, str(folder / "model.onnx"))

    with pytest.raises(ModelFileError, match="needs 'pixels'"):
        Decoder(read_config(folder), 1, 64, 1)


def test_a_vocabulary_of_another_size_is_refused(tmp_path):
    folder = generator(tmp_path / "m", config={"model": {"vocab_size": VOCABULARY + 1}})

    with pytest.raises(
        ModelFileError, match=f"has {VOCABULARY} tokens, and .* says {VOCABULARY + 1}"
    ):
        Decoder(read_config(folder), 1, 64, 1)


def test_more_sequences_than_there_is_memory_for_are_refused(thoughtful):
    with pytest.raises(
        ModelFileError, match=r"no memory for 256 sequences of 2305843009213693952 "
    ):
        Decoder(read_config(thoughtful), 256, 1 << 61, 1)
