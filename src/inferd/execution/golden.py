"""Golden requests: the input a model must answer before it is called ready.

From the model's own ``warmup`` samples where it has them, else an example its transforms can work on.
Used for warm-up and measuring (in the worker) and for readiness (through the whole path).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from inferd.codecs.simple import SimpleCodec
from inferd.core.defaults import Defaults, sampled
from inferd.core.errors import InferdError, ModelFileError
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BOOL, BYTES, Tensors
from inferd.transforms.example import IMAGE, png, wav

FREE_SEQUENCE = 8
FREE_IMAGE = 224
MAX_SAMPLES = 16
SECONDS = 0.05  # of a sound


def golden_samples(signature: Signature, plan: BatchPlan, warmup: Path) -> list[Tensors]:
    """Return the golden requests of a samples file, each with the batch on axis 0.

    Raises ``ModelFileError`` naming the file where it cannot be read or does not fit the signature.
    """
    try:
        rows = orjson.loads(warmup.read_bytes())
    except OSError as error:
        raise ModelFileError(f"{warmup}: cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ModelFileError(f"{warmup}: not valid JSON: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise ModelFileError(
            f"{warmup}: must hold a list of request bodies",
            help='for example [{"data": [5.1, 3.5, 1.4, 0.2]}]',
        )
    codec, defaults = SimpleCodec(signature, plan), Defaults(signature)
    out: list[Tensors] = []
    for i, row in enumerate(rows[:MAX_SAMPLES]):
        try:
            decoded = codec.decode(orjson.dumps(row))
        except InferdError as error:
            raise ModelFileError(
                f"{warmup}: sample {i}: {error.message}", help=error.help
            ) from None
        out.extend(decoded.rows if decoded.rows is not None else [decoded.inputs or {}])
    for inputs in out:
        defaults.fill(inputs)
    return out


def made_from(signature: Signature) -> Tensors:
    """Make one plausible request from a signature: deterministic, small, of the right shapes."""
    made = {spec.name: _tensor(spec, signature.batched) for spec in signature.inputs}
    return sampled(made, signature)


def _tensor(spec: TensorSpec, batched: bool) -> np.ndarray:
    free = FREE_IMAGE if len(spec.shape) == 4 else FREE_SEQUENCE
    shape = [free if n < 0 else n for n in spec.shape]
    if batched and shape:
        shape[0] = 1
    if spec.dtype is BYTES:
        out = np.empty(shape, dtype=object)
        files = {"image": lambda: png(IMAGE, IMAGE), "audio": lambda: wav(SECONDS)}
        out[...] = files.get(spec.content or "", lambda: b"hello world")()
        return out
    if spec.dtype is BOOL:
        return np.ones(shape, dtype=bool)
    if spec.dtype.numpy.kind in "iu":
        return np.ones(shape, dtype=spec.dtype.numpy)
    return np.full(shape, 0.5, dtype=spec.dtype.numpy)
