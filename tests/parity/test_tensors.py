"""Same tensors in, same tensors out, whatever the dialect: every datatype, shape and hard value."""

import numpy as np
import pytest
from tests.parity.models import DATATYPES, SIGNATURES
from tests.parity.table import DOORS, cells, meets
from tests.parity.tensors import HARD, array, filled, same

SMALL = {"one_row": (1, 1), "no_rows": (0, 3), "empty_rows": (2, 0)}
SHAPES = {
    "rank1": ("rank1", (4,)),
    "rank3": ("rank3", (2, 3, 2)),
    "large": ("echo-fp32", (128, 2048)),
}
GIVEN = {
    "halves_given": ("gives-fp16", 0.5, "FP16"),
    "bytes_given": ("gives-bytes", b"\xff\x00\xfe", "BYTES"),
}


def echoed(door, model, x):
    return door.predict(model, {"x": x}).tensors["y"]


@pytest.mark.parametrize("dialect", DOORS)
@pytest.mark.parametrize("dtype", DATATYPES)
def test_a_datatype_comes_back_as_it_went_in(doors, dialect, dtype):
    x = filled((2, 3), dtype)

    with meets(dialect, dtype.lower()):
        same(echoed(doors[dialect], f"echo-{dtype.lower()}", x), x)


@pytest.mark.parametrize("dialect", DOORS)
@pytest.mark.parametrize("dtype", DATATYPES)
def test_a_single_value_comes_back_as_it_went_in(doors, dialect, dtype):
    x = filled((), dtype)

    with meets(dialect, "scalar", dtype.lower()):
        same(echoed(doors[dialect], f"scalar-{dtype.lower()}", x), x)


@pytest.mark.parametrize(("dialect", "shape"), cells(SHAPES))
def test_a_shape_comes_back_as_it_went_in(doors, dialect, shape):
    model, sizes = SHAPES[shape]
    x = filled(sizes, "FP32")

    with meets(dialect, shape):
        same(echoed(doors[dialect], model, x), x)


@pytest.mark.parametrize(("dialect", "shape"), cells(SMALL))
@pytest.mark.parametrize("dtype", DATATYPES)
def test_few_and_no_values_come_back_as_they_went_in(doors, dialect, shape, dtype):
    x = filled(SMALL[shape], dtype)

    with meets(dialect, shape, dtype.lower()) as differs:
        found = echoed(doors[dialect], f"echo-{dtype.lower()}", x)
        same(found, x.reshape(0, 0) if differs else x)


@pytest.mark.parametrize(("dialect", "operation"), cells(HARD))
def test_a_value_that_is_hard_to_carry_comes_back(doors, dialect, operation):
    dtype, rows = HARD[operation]
    x = array(rows, dtype)

    with meets(dialect, operation) as differs:
        found = echoed(doors[dialect], f"echo-{dtype.lower()}", x)
        same(found, lost(operation, x) if differs else x)


def lost(operation, x):
    """What comes back where a protocol has no form for a value."""
    if operation == "infinities":
        return np.where(np.isinf(x), np.nan, x)
    return array([[element.rstrip(b"\0") for element in row] for row in x.tolist()], "BYTES")


@pytest.mark.parametrize("dialect", DOORS)
def test_several_inputs_and_outputs_of_any_shape(doors, dialect):
    a = np.array([[0.5, 1], [2, 4]], np.float32)
    b = np.array([[1, -2, 2**53 + 1], [3, 4, 5]])

    with meets(dialect, "several"):
        found = doors[dialect].predict("several", {"a": a, "b": b}).tensors

        assert set(found) == {"sum", "twice", "name"}
        same(found["sum"], np.array([1.5, 6], np.float32))
        same(found["twice"], b * 2)
        same(found["name"], array([b"1", b"3"], "BYTES"))


@pytest.mark.parametrize("dialect", DOORS)
def test_several_inputs_and_outputs_of_one_value(doors, dialect):
    a, b = np.array([[0.25], [3]]), np.array([[2**53], [-1]])

    with meets(dialect, "columns"):
        found = doors[dialect].predict("pair", {"a": a, "b": b}).tensors

        assert set(found) == {"half", "next"}
        same(found["half"], a / 2)
        same(found["next"], b + 1)


@pytest.mark.parametrize("dialect", DOORS)
def test_an_input_that_has_a_default_may_be_left_out(doors, dialect):
    x, plus = np.array([[0.25], [3]]), np.array([[1], [2]])

    with meets(dialect, "optional"):
        same(doors[dialect].predict("optional", {"x": x}).tensors["y"], x + 7)
        if dialect != "sagemaker_npy":  # holds one array
            found = doors[dialect].predict("optional", {"x": x, "plus": plus}).tensors["y"]
            same(found, x + plus)


@pytest.mark.parametrize("dialect", DOORS)
def test_an_input_of_each_datatype_at_once(doors, dialect):
    inputs = {d.lower(): filled((2, 3), d) for d in DATATYPES}

    with meets(dialect, "several", "fp16"):
        found = doors[dialect].predict("every", inputs).tensors

        assert set(found) == set(SIGNATURES["every"][1])
        for name, x in inputs.items():
            same(found[f"{name}_out"], x)


@pytest.mark.parametrize("dialect", DOORS)
def test_one_of_several_outputs(doors, dialect):
    inputs = {"a": np.array([[1.0], [2]]), "b": np.array([[3], [4]])}

    with meets(dialect, "one_output") as differs:
        found = doors[dialect].predict("pair", inputs, outputs=["next"]).tensors

        assert set(found) == ({"half", "next"} if differs else {"next"})
        same(found["next"], inputs["b"] + 1)


@pytest.mark.parametrize(("dialect", "operation"), cells(GIVEN))
def test_an_answer_that_is_hard_to_carry(doors, dialect, operation):
    model, value, dtype = GIVEN[operation]

    with meets(dialect, operation):
        found = doors[dialect].predict(model, {"x": np.zeros((2, 3), np.float32)}).tensors
        same(found["y"], array([[value], [value]], dtype))
