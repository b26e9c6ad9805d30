import pytest
from tests.codecs.signatures import signature

from inferd.codecs import registry
from inferd.codecs.media import RECORDINGS
from inferd.core.errors import Unsupported
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 1])])
IMAGE = signature([("x", "BYTES", [-1], "image")])
SOUND = signature([("x", "BYTES", [-1], "audio")])
TEXT = signature([("x", "BYTES", [-1])])
FITS = {"image": IMAGE, "text/plain": TEXT, **dict.fromkeys(RECORDINGS, SOUND)}


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_name_makes_a_decoder_for_some_model(name):
    sig = FITS.get(name, FITS.get(name.partition("/")[0], VECTOR))

    assert registry.decoder(name, sig, BatchPlan()).decode
    assert registry.encoder(name, sig).encode


def test_an_unknown_name_is_refused():
    with pytest.raises(Unsupported, match="no codec named 'simpel'"):
        registry.decoder("simpel", VECTOR, BatchPlan())


def test_the_binary_form_is_named_by_the_size_of_its_json_part():
    name = registry.split_door(0)

    decoded = registry.decoder(name, VECTOR, BatchPlan()).decode(bytes(4))

    assert decoded.inputs["x"].tolist() == [[0]]
    assert registry.answered_as(name) == registry.OIP


@pytest.mark.parametrize(
    ("name", "away"),
    [
        (registry.OIP, True),
        (registry.GENERATE, True),
        ("text/csv", True),
        ("application/x-npy", False),
        (registry.split_door(100), False),
        (registry.split_door(1 << 20), True),
    ],
)
def test_what_is_slow_to_read_is_read_elsewhere(name, away):
    assert registry.offloaded(name) == away


@pytest.mark.parametrize(
    ("name", "sig", "body", "long"),
    [
        ("application/x-npy", VECTOR, b"{'fortran_order': False}", False),
        ("application/x-npy", VECTOR, b"{'fortran_order': True}", True),
        ("application/x-npy", TEXT, b"", True),
        (registry.split_door(100), VECTOR, b"", False),
        (registry.split_door(100), TEXT, b"", True),
        ("image/png", IMAGE, b"True", False),
        (registry.sagemaker_door("application/x-npy", "application/json"), TEXT, b"", True),
    ],
)
def test_some_raw_bodies_take_long_all_the_same(name, sig, body, long):
    assert registry.lingers(name, memoryview(body), sig) == long
