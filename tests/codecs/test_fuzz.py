"""Whatever is sent: every decoder reads it as its signature says, or refuses it as wrong.

A request that was read is one that a model may be asked: tensors of the signature's names, datatypes
and shapes, and whatever else travels with it to a worker as JSON.
"""

import json

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.codecs.fuzzing import SIGNATURES, altered, mutated, values
from tests.codecs.seeds import DIALECTS, binary_size, seeds

from inferd.codecs import registry
from inferd.codecs.json import loads
from inferd.codecs.media import JSON, JSON_LINES, NPZ, OCTETS
from inferd.core.defaults import Defaults
from inferd.core.errors import InvalidInput, Unsupported
from inferd.core.plan import BatchPlan

MANY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
MOST = 64 << 20


def check(decoded, sig):
    """Make sure that what was decoded is what a model may be given."""
    orjson.dumps([decoded.parameters, decoded.form, decoded.id, decoded.priority, decoded.timeout])
    rows = decoded.rows if decoded.inputs is None else [decoded.inputs]
    assert rows
    for row in rows:
        Defaults(sig).fill(row)
        assert set(row) == {spec.name for spec in sig.inputs}
        sizes = set()
        for spec in sig.inputs:
            array = row[spec.name]
            assert array.dtype == spec.dtype.numpy
            assert array.ndim == len(spec.shape)
            assert all(w in (-1, n) for n, w in zip(array.shape, spec.shape, strict=True))
            assert array.nbytes <= MOST
            if array.dtype.hasobject:
                assert {bytes}.issuperset(map(type, array.flat))
            sizes.add(array.shape[0] if sig.batched else 1)
        assert len(sizes) == 1


def decode(decoder, body, sig):
    """Decode a body, or make sure that its refusal can be told."""
    refusal = None
    try:
        decoded = decoder.decode(body)
    except (InvalidInput, Unsupported) as error:
        refusal = str(error)
    if refusal is None:
        check(decoded, sig)
    else:
        assert 0 < len(refusal) < 2000


def made(data, name):
    """Return a decoder of that name and its signature, drawn of those that it fits."""
    fits = []
    for key, sig in SIGNATURES.items():
        try:
            registry.decoder(name, sig, BatchPlan())
        except (InvalidInput, Unsupported):
            continue
        fits.append(key)
    sig = SIGNATURES[data.draw(st.sampled_from(fits))]
    plan = BatchPlan(split=data.draw(st.booleans()))
    if name == SPLIT:
        size = data.draw(st.sampled_from([0, 1, binary_size(sig)]) | st.integers(0, 400))
        name = registry.split_door(size)
    return registry.decoder(name, sig, plan), sig


SPLIT = registry.split_door(0)
SAGEMAKER = [registry.sagemaker_door(media, JSON) for media in (JSON, JSON_LINES, NPZ, OCTETS)]
NAMES = [*registry.NAMES, SPLIT, *SAGEMAKER]


@pytest.mark.parametrize("name", NAMES)
@MANY
@given(data=st.data())
def test_any_body_is_read_or_refused(name, data):
    decoder, sig = made(data, name)

    decode(decoder, data.draw(st.binary(max_size=80) | mutated(seeds(name, sig))), sig)


@pytest.mark.parametrize("name", DIALECTS)
@MANY
@given(data=st.data(), escaped=st.booleans())
def test_any_json_in_the_words_of_a_protocol_is_read_or_refused(name, data, escaped):
    decoder, sig = made(data, name)
    specs = (*sig.inputs, *sig.outputs)
    words = {*DIALECTS[name], *(s.name for s in specs), *(s.dtype.name for s in specs)}
    good = loads(data.draw(st.sampled_from([b"{}", *seeds(name, sig)])))
    value = data.draw(values(words) | altered(good, words))

    decode(decoder, json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass"), sig)
