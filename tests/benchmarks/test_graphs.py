"""The benchmark's graphs compute, and padding changes no answer of the transformer."""

from __future__ import annotations

import numpy as np
import onnxruntime

from benchmarks import graphs


def test_the_mlp_gives_probabilities() -> None:
    session = onnxruntime.InferenceSession(graphs.mlp().SerializeToString())

    out = session.run(None, {"x": np.ones((2, 4), np.float32)})[0]

    assert out.shape == (2, 3)
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-6)


def test_padding_does_not_change_the_embedding() -> None:
    model = graphs.transformer(layers=1, width=16, heads=2, ffn=32, vocabulary=50)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ids = np.arange(1, 6)[None]
    padded = np.pad(ids, ((0, 0), (0, 3)))

    alone = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
    beside = session.run(
        None, {"input_ids": padded, "attention_mask": (padded > 0).astype(np.int64)}
    )[0]

    assert alone.shape == (1, 16)
    np.testing.assert_allclose(alone, beside, atol=1e-5)
