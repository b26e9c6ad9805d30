"""iris and digits: scikit-learn classifiers exported to ONNX.

Both keep only the probabilities as output (an exported classifier also gives its label), so that
``top_k`` and ``labels`` in ``model.yaml`` write the answer.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skl2onnx import to_onnx
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ZOOM = 16
"""Sample pictures are drawn so much larger than the 8x8 pixels they show."""

INK = 255 / 16
"""Grey levels per unit of the data, whose pixels go from 0 to 16."""

IRIS_YAML = """\
# Sepal length, sepal width, petal length, petal width in cm -> species and probability.
postprocess:
  - top_k: 1
  - labels: labels.txt
warmup: samples.json
"""

DIGITS_YAML = f"""\
# A picture of one handwritten digit, dark paper and bright ink -> digit and probability.
preprocess:
  - decode_image: L
  - resize: {{size: 8, method: box}}
  - normalize: {{std: {INK}}}
  - reshape: [-1, 64]
postprocess:
  - top_k: 1
  - labels: labels.txt
warmup: samples.json
"""


def iris(folder: Path) -> str:
    """Build iris into ``folder``; returns a line that sums it up."""
    data = load_iris()
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    accuracy = _export(folder / "1" / "iris.onnx", classifier, data.data, data.target)
    _describe(folder, IRIS_YAML, data.target_names, [{"data": [5.1, 3.5, 1.4, 0.2]}])
    return f"species of iris, held-out accuracy {accuracy:.3f}"


def digits(folder: Path) -> str:
    """Build digits into ``folder``, and ten pictures to try into ``folder/samples``."""
    data = load_digits()
    classifier = make_pipeline(
        StandardScaler(), MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=0)
    )
    accuracy = _export(folder / "1" / "digits.onnx", classifier, data.data, data.target)
    pictures = folder / "samples"
    pictures.mkdir()
    encoded = []
    for digit in range(10):
        picture = png(data.images[int(np.argmax(data.target == digit))])
        (pictures / f"digit-{digit}.png").write_bytes(picture)
        encoded.append({"data": {"b64": base64.b64encode(picture).decode()}})
    _describe(folder, DIGITS_YAML, [str(n) for n in range(10)], encoded[3:4])
    return f"handwritten digits, held-out accuracy {accuracy:.3f}"


def png(image: np.ndarray) -> bytes:
    """Return an 8x8 image of values 0..16 as a PNG large enough to look at."""
    pixels = np.kron(np.rint(image * INK).astype(np.uint8), np.ones((ZOOM, ZOOM), np.uint8))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


def _export(target: Path, classifier: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Train, write the ONNX file and return the accuracy on a held-out fifth."""
    x = x.astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.2, random_state=0, stratify=y
    )
    classifier.fit(train_x, train_y)
    model = to_onnx(classifier, x[:1], options={id(classifier): {"zipmap": False}})
    outputs = [o for o in model.graph.output if o.name != "label"]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    target.write_bytes(model.SerializeToString())
    return float(classifier.score(test_x, test_y))


def _describe(folder: Path, yaml: str, labels: Any, samples: list[dict[str, Any]]) -> None:
    (folder / "model.yaml").write_text(yaml)
    (folder / "1" / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    (folder / "1" / "samples.json").write_text(json.dumps(samples))
