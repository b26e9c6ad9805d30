"""The sentence classifier: the ONNX graph equals the trained module, and padding changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")


def test_the_graph_computes_what_the_module_does_for_any_padding() -> None:
    import onnxruntime
    from examples.quickstart import sentences

    torch.manual_seed(1)
    net = sentences.Net(30).eval()
    session = onnxruntime.InferenceSession(sentences.to_onnx(net).SerializeToString())
    ids = np.array([[3, 4, 5, 0, 0], [6, 7, 8, 9, 10]])
    mask = (ids > 0).astype(np.int64)

    together = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    alone = session.run(None, {"input_ids": ids[:1, :3], "attention_mask": mask[:1, :3]})[0]
    with torch.inference_mode():
        trained = net(torch.from_numpy(ids), torch.from_numpy(mask).float()).numpy()

    np.testing.assert_allclose(together, trained, atol=1e-5)
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_the_tokenizer_makes_characters_of_a_text() -> None:
    from examples.quickstart import sentences

    tokenizer = sentences.tokenizer_of(["好好好 坏坏坏", "AAA"])

    assert tokenizer.encode("Ａ 好x").ids == [
        tokenizer.token_to_id("a"), tokenizer.token_to_id("好"), 1,
    ]  # fmt: skip
    assert tokenizer.token_to_id("[PAD]") == 0
