"""Short ways to write signatures and tensors in tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.core.signature import Signature


def signature(inputs, outputs=(("y", "FP32", [-1, 1]),), *, batched=True):
    """Build a signature of (name, datatype, shape[, content, symbols or a dict of more]) rows."""

    def row(name, dtype, shape, extra=None):
        entry = {"name": name, "dtype": dtype, "shape": shape}
        if isinstance(extra, str):
            entry["content"] = extra
        elif isinstance(extra, dict):
            entry.update(extra)
        elif extra:
            entry["symbols"] = extra
        return entry

    return Signature.from_json(
        {
            "inputs": [row(*i) for i in inputs],
            "outputs": [row(*o) for o in outputs],
            "batched": batched,
        }
    )


def arrays(spec, batch):
    """Strategy: an array of ``spec`` with ``batch`` rows, free axes drawn."""
    sizes = st.tuples(*(st.just(n) if n >= 0 else st.integers(1, 4) for n in spec.shape[1:]))
    if spec.dtype.numpy.hasobject:

        def fill(shape):
            count = int(np.prod((batch, *shape)))
            return st.lists(st.text(max_size=5), min_size=count, max_size=count).map(
                lambda texts: np.array([t.encode() for t in texts], object).reshape(batch, *shape)
            )

        return sizes.flatmap(fill)
    finite = {"allow_nan": False, "allow_infinity": False} if spec.dtype.numpy.kind == "f" else {}
    return sizes.flatmap(
        lambda shape: hnp.arrays(
            spec.dtype.numpy, (batch, *shape), elements=hnp.from_dtype(spec.dtype.numpy, **finite)
        )
    )
