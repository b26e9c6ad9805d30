"""Pipelines written as text, and signatures as short as they can be, for the tests beside this file."""

import textwrap

from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import dtype_named
from inferd.routing.pipeline.definition.file import read_pipeline
from inferd.routing.pipeline.plan import Callee


def read(directory, text, name="flow"):
    """Read a pipeline that is served as ``name`` from ``directory``."""
    path = directory / "pipeline.yaml"
    path.write_text(textwrap.dedent(text))
    return read_pipeline(path, name)


def specs(text):
    """Return tensors written as ``x: float32 -1 4, y: bytes``."""
    rows = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, rest = part.partition(":")
        dtype, *shape = rest.split()
        content = dtype if dtype in ("image", "text") else None
        dtype = dtype_named("bytes" if content else dtype)
        rows.append(TensorSpec(name.strip(), dtype, tuple(map(int, shape)), (), content))
    return tuple(rows)


def model(inputs, outputs, **more):
    """Return a model that takes batches; shapes are those of one example."""
    return Callee(batched(inputs, outputs, ragged=more.pop("ragged", False)), **more)


def batched(inputs, outputs, *, ragged=False):
    """Return a signature with a batch axis before the shapes that are written."""

    def row(spec):
        return TensorSpec(spec.name, spec.dtype, (-1, *spec.shape), (), spec.content)

    return Signature(
        tuple(map(row, specs(inputs))), tuple(map(row, specs(outputs))), True, None, ragged
    )


def function(inputs, outputs, uneven=()):
    """Return a Python function: shapes are those of one example, lists ``uneven`` may differ within."""
    return Callee(Signature(specs(inputs), specs(outputs), batched=False), uneven=frozenset(uneven))
