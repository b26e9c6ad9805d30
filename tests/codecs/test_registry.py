import pytest
from tests.codecs.signatures import signature

from inferd.codecs import registry
from inferd.core.errors import Unsupported
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 1])])
IMAGE = signature([("x", "BYTES", [-1], "image")])
TEXT = signature([("x", "BYTES", [-1])])


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_name_makes_a_decoder_for_some_model(name):
    sig = IMAGE if name.startswith("image/") else TEXT if name == "text/plain" else VECTOR

    assert registry.decoder(name, sig, BatchPlan()).decode
    assert registry.encoder(name, sig).encode


def test_an_unknown_name_is_refused():
    with pytest.raises(Unsupported, match="no codec named 'simpel'"):
        registry.decoder("simpel", VECTOR, BatchPlan())
