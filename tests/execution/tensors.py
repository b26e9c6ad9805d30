"""Hypothesis strategies for the tensors that cross to a worker."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferd.core.tensor import BYTES, DTYPES

NUMERIC = [d for d in DTYPES if d is not BYTES]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=0, max_size=12)


def shapes(*, least=1):
    return hnp.array_shapes(min_dims=least, max_dims=3, min_side=0, max_side=4)


def bytes_array(shape):
    count = int(np.prod(shape))

    def build(elements):
        out = np.empty(count, dtype=object)
        out[:] = elements
        return out.reshape(shape)

    return st.lists(st.binary(max_size=9), min_size=count, max_size=count).map(build)


@st.composite
def arrays(draw, shape=None, dtype=None):
    shape = draw(shapes()) if shape is None else shape
    dtype = draw(st.sampled_from(DTYPES)) if dtype is None else dtype
    if dtype is BYTES:
        return draw(bytes_array(shape))
    return draw(hnp.arrays(dtype.numpy, shape))


@st.composite
def alike(draw, most=4):
    """Return requests of one layout, as the batcher groups them: equal names, dtypes and shapes."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    rows = draw(st.integers(0, 3))
    layout = {
        n: ((rows, *draw(shapes(least=0))), draw(st.sampled_from(DTYPES))) for n in names
    }  # fmt: skip
    count = draw(st.integers(1, most))
    return [
        {n: draw(arrays(shape, dtype)) for n, (shape, dtype) in layout.items()}
        for _ in range(count)
    ]


def same(left, right):
    """Compare two requests bit for bit."""
    assert list(left) == list(right)
    for name, array in left.items():
        other = right[name]
        assert array.shape == other.shape, name
        assert array.dtype == other.dtype, name
        if array.dtype.hasobject:
            assert array.tolist() == other.tolist()
        else:
            assert array.tobytes() == other.tobytes(), name
    return True
