"""What is answered in any type reads back, as a request of that type, as the tensors it was made of."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.codecs.signatures import arrays, signature

from inferd.codecs import registry
from inferd.codecs.answers import offers
from inferd.codecs.base import Encoded
from inferd.codecs.media import CSV, JSON, NPY, NPZ, OCTETS, TEXT
from inferd.codecs.sagemaker import bodies
from inferd.core.plan import BatchPlan
from inferd.core.tensor import DTYPES

SHAPES = {"values": [-1], "rows": [-1, 3], "free rows": [-1, -1], "pictures": [-1, 2, 2]}
SEVERAL = [("a", "FP32", [-1, 1]), ("b", "INT64", [-1, 1]), ("c", "BYTES", [-1, 1])]
SIGNATURES = {
    **{
        f"{dtype}-{kind}": signature([("x", dtype.name, shape)], [("x", dtype.name, shape)])
        for dtype in DTYPES
        for kind, shape in SHAPES.items()
    },
    "several": signature(SEVERAL, SEVERAL),
}
WHOLE = (TEXT, OCTETS)  # of one example alone


def same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def both(sig):
    """Return the types that answers of a signature have and its requests may have too."""
    return [media for media in offers(sig) if media in bodies(sig)]


@pytest.mark.parametrize("key", SIGNATURES)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_an_answer_reads_back_in_every_type(key, data):
    sig = SIGNATURES[key]
    media = data.draw(st.sampled_from(both(sig)))
    rows = 1 if media in WHOLE else data.draw(st.integers(1, 3))
    tensors = {spec.name: data.draw(arrays(spec, rows)) for spec in sig.inputs}
    elements = [e for a in tensors.values() if a.dtype.hasobject for e in a.flat]
    # numpy's texts end before zeros; an empty body is none, nor is an empty line of a table.
    assume(media not in (NPY, NPZ) or not any(e.endswith(b"\0") for e in elements))
    assume(media not in (*WHOLE, CSV) or all(elements))

    codec = registry.decoder(registry.sagemaker_door(JSON, media), sig, BatchPlan())
    written = codec.encode(tensors, media in WHOLE)
    body = written.body if isinstance(written, Encoded) else b'{"data":' + written[15:]
    reader = registry.decoder(registry.sagemaker_door(media, JSON), sig, BatchPlan())

    same(reader.decode(body).inputs, tensors)
