"""Short ways to write signatures and steps, and a small model that honours its mask."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from inferd.core.signature import Signature, TensorSpec
from inferd.core.step import Step
from inferd.core.tensor import dtype_named
from inferd.transforms.chain import Chain
from inferd.transforms.collate import Collated
from inferd.transforms.compile import compile_chain

NOWHERE = Path("does-not-exist")


def spec(name: str, dtype: str, *shape: Any) -> TensorSpec:
    """``spec("x", "float32", -1, "seq", 4)``: a text is a free axis of that symbol."""
    symbols = tuple(n if isinstance(n, str) else None for n in shape)
    sizes = tuple(-1 if isinstance(n, str) else n for n in shape)
    return TensorSpec(name, dtype_named(dtype), sizes, symbols if any(symbols) else ())


def signature(inputs: Any, outputs: Any, **more: Any) -> Signature:
    return Signature(_specs(inputs), _specs(outputs), **more)


def _specs(given: Any) -> tuple[TensorSpec, ...]:
    return (given,) if isinstance(given, TensorSpec) else tuple(given)


def steps(*declared: Any, line: int = 1) -> list[Step]:
    """``steps("softmax", {"top_k": 3})``: as YAML gives them."""
    out = []
    for i, one in enumerate(declared):
        name, params = (one, None) if isinstance(one, str) else next(iter(one.items()))
        out.append(Step(name, params, f"model.yaml:{line + i}"))
    return out


def chain(sig: Signature, before: Any = (), after: Any = (), directory: Path = NOWHERE) -> Chain:
    return compile_chain(sig, steps(*before), steps(*after), directory)


def one_input(chained: Chain, array: Any) -> np.ndarray:
    """What the model is given for one block of the only input."""
    name = chained.external.inputs[0].name
    given = chained.before(chained.concatenate([{name: np.asarray(array)}]).inputs)
    return next(iter(given.values()))


def answered(chained: Chain, **outputs: Any) -> Any:
    """What clients get for outputs of a model that has no padding."""
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    rows = len(next(iter(arrays.values())))
    return chained.after(arrays, Collated({}, rows))


def png(array: Any, kind: str = "PNG", **more: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(out, kind, **more)
    return out.getvalue()


TAGGER = signature(
    [spec("ids", "int64", -1, "seq"), spec("mask", "int64", -1, "seq")],
    [spec("tags", "float32", -1, "seq", 3), spec("pooled", "float32", -1, 3)],
)


def run_tagger(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores per token and their mean over the real tokens."""
    ids, mask = inputs["ids"], inputs["mask"]
    tags = np.stack([np.sin(ids * k) for k in (1, 2, 3)], axis=-1).astype(np.float32)
    # what the mask hides is made loud, so that a forgotten mask is noticed
    tags = np.where(mask[:, :, None] == 1, tags, np.float32(1e6))
    real = np.where(mask[:, :, None] == 1, tags, 0)
    pooled = real.sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return {"tags": tags, "pooled": pooled.astype(np.float32)}


def served(chained: Chain, requests: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Answer one-row requests in one batch, as a worker does; rows without batch axis."""
    if chained.by_item:
        rows = [{n: a[0] for n, a in r.items()} for r in requests]
        collated = chained.collate([chained.prepare(row) for row in rows])
    else:
        collated = chained.concatenate(requests)
    answer = chained.after(run_tagger(chained.before(collated.inputs)), collated)
    if isinstance(answer, list):
        return answer
    return [{n: a[i] for n, a in answer.items()} for i in range(collated.rows)]
