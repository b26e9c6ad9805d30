import pytest

from inferd.core.signature import TensorSpec
from inferd.core.tensor import BYTES, FP32, INT64
from inferd.routing.pipeline.check import edges
from inferd.routing.pipeline.spec import Value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value(FP32, (-1, 4)), "float32[?, 4]"),
        (Value(BYTES, ()), "bytes[]"),
        (Value(BYTES, (), content="image"), "image[]"),
        (Value(FP32, (-1, -1, 3), uneven=True), "a list of float32[?, 3]"),
    ],
    ids=["array", "bytes", "image", "list"],
)
def test_a_type_is_shown_as_a_person_reads_it(value, text):
    assert edges.shown(value) == text


def test_a_spec_and_its_type_are_each_others_reverse():
    spec = TensorSpec("x", FP32, (-1, -1, 4), (), None)
    value = edges.of_spec(spec, batched=True)

    assert value == Value(FP32, (-1, 4))
    assert edges.spec("x", value, batched=True) == spec
    assert edges.of_spec(spec, batched=False, uneven=True).uneven


def test_a_list_of_what_has_a_free_axis_is_uneven():
    assert edges.listed(Value(FP32, (4,))) == Value(FP32, (-1, 4))
    assert edges.listed(Value(FP32, (-1, 4))) == Value(FP32, (-1, -1, 4), uneven=True)
    assert edges.element(edges.listed(Value(FP32, (-1, 4)))) == Value(FP32, (-1, 4))
    assert edges.element(Value(FP32, ())) is None


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        (Value(FP32, (4,)), Value(FP32, (4,)), True),
        (Value(FP32, (-1,)), Value(FP32, (4,)), True),
        (Value(FP32, (4,)), Value(FP32, (-1,)), True),
        (Value(FP32, ()), Value(FP32, (1,)), True),
        (Value(FP32, (1,)), Value(FP32, ()), True),
        (Value(FP32, ()), Value(FP32, (-1,)), False),
        (Value(FP32, (1, 1)), Value(FP32, (1,)), False),
        (Value(FP32, (4,)), Value(FP32, (5,)), False),
        (Value(FP32, (4,)), Value(INT64, (4,)), False),
        (Value(FP32, (-1, -1), uneven=True), Value(FP32, (-1, -1)), False),
        (Value(FP32, (-1, -1)), Value(FP32, (-1, -1), uneven=True), True),
    ],
    ids=["same", "free", "free wanted", "one", "single", "list", "rank", "size", "datatype", "uneven", "even"],
)  # fmt: skip
def test_what_may_feed_what(given, wanted, fits):
    assert (edges.mismatch(given, wanted) is None) is fits


def test_a_sample_is_of_the_type():
    assert edges.sample(Value(FP32, ())).shape == ()
    assert edges.sample(Value(INT64, (-1, 4))).tolist() == [[0]]
    assert edges.sample(Value(BYTES, (-1,))).tolist() == [b""]
    (element,) = edges.sample(Value(FP32, (-1, -1, 3), uneven=True))
    assert element.shape == (1, 1)


def test_types_are_narrowed_and_widened():
    free, known = Value(FP32, (-1, 4)), Value(FP32, (3, -1))

    assert edges.narrowed(free, known).shape == (3, 4)
    assert edges.narrowed(Value(FP32, (1,)), Value(FP32, ())).shape == (1,)
    assert edges.either([Value(FP32, (3, 4)), Value(FP32, (3, 5))]).shape == (3, -1)
    assert edges.either([Value(BYTES, (), content="text"), Value(BYTES, ())]).content is None
    assert edges.either([Value(FP32, (2, 3)), Value(FP32, (-1, -1), uneven=True)]).uneven


def test_sources_are_alike_where_datatype_and_axes_are_the_same():
    assert edges.alike(Value(FP32, (3,)), Value(FP32, (4,)))
    assert edges.alike(Value(FP32, ()), Value(FP32, (1,)))
    assert not edges.alike(Value(FP32, ()), Value(FP32, (4,)))
    assert not edges.alike(Value(FP32, ()), Value(INT64, ()))
