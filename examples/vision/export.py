"""Export the network to ONNX, and check that the file answers as the network does.

``python export.py CODE TARGET``: CODE is a directory with the unpacked package and ``weights.pth``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

CLOSE = 1e-3
"""The most that a score may differ; they span about 20."""


def main(code: str, target: str) -> None:
    """Write ``target``."""
    sys.path.insert(0, code)
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(Path(code) / "weights.pth", weights_only=True, map_location="cpu")
    network.load_state_dict(weights)
    network.eval()
    torch.onnx.export(
        network, (torch.zeros(1, 3, 224, 224),), target, dynamo=False,
        input_names=["image"], output_names=["score"],
        dynamic_axes={"image": {0: "batch"}, "score": {0: "batch"}},
    )  # fmt: skip
    images = pictures()
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).numpy()
    apart = float(np.abs(answers(target, images) - expected).max())
    if not apart <= CLOSE:
        raise SystemExit(f"the exported file's scores differ by {apart}")


def pictures() -> np.ndarray:
    """Return scikit-learn's two photographs, as the network takes them."""
    from sklearn.datasets import load_sample_images

    cut = [image[100:324, 200:424] for image in load_sample_images().images]
    scaled = (np.stack(cut).astype(np.float32) - 127) / 128
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def answers(file: str, images: np.ndarray) -> np.ndarray:
    """Return what an ONNX file answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"image": images})
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:])
