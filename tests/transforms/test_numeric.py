"""cast, normalize and impute."""

from __future__ import annotations

import numpy as np
import pytest
from tests.transforms.chains import chain, one_input, signature, spec

from inferd.core.errors import ConfigError, InvalidInput
from inferd.core.tensor import BY_NAME, FP16, FP32, FP64, INT8, INT64, UINT8, dtype_named
from inferd.transforms.numeric import narrow

TABLE = signature(spec("x", "float32", -1, 3), spec("y", "float32", -1, 1))
IMAGE = signature(spec("x", "float32", -1, 3, 8, 8), spec("y", "float32", -1, 1))
COUNTS = signature(spec("x", "int64", -1, 3), spec("y", "float32", -1, 1))


def test_cast_to_the_models_type_is_free() -> None:
    chained = chain(TABLE, [{"cast": "float32"}])

    assert chained.identity
    assert chained.external.inputs[0].dtype is FP32


def test_cast_from_another_type_changes_what_clients_send() -> None:
    chained = chain(TABLE, [{"cast": {"to": "float32", "from": "uint8"}}])

    given = one_input(chained, np.array([[1, 2, 255]], np.uint8))

    assert chained.external.inputs[0].dtype is UINT8
    assert given.dtype == np.float32
    assert given.tolist() == [[1, 2, 255]]


def test_cast_parses_texts() -> None:
    chained = chain(TABLE, [{"cast": {"to": "float32", "from": "string"}}])

    given = one_input(chained, np.array([["1.5", b" 2 ", "-3e1"]], object))

    assert given.tolist() == [[1.5, 2, -30]]
    with pytest.raises(InvalidInput, match="^cast: 'x' is not a number"):
        one_input(chained, np.array([["1", "2", "x"]], object))


@pytest.mark.parametrize(
    ("value", "to"),
    [
        pytest.param(np.array([300]), UINT8, id="too-large"),
        pytest.param(np.array([-1]), UINT8, id="negative"),
        pytest.param(np.array([np.nan]), INT64, id="nan"),
        pytest.param(np.array([np.inf], np.float32), INT8, id="infinite"),
        pytest.param(np.array([2.0**63]), INT64, id="just-over-int64"),
        pytest.param(np.array([1e30]), FP16, id="over-half"),
        pytest.param(np.array([1e300]), FP32, id="over-single"),
    ],
)
def test_narrow_refuses_what_does_not_fit(value: np.ndarray, to: object) -> None:
    with pytest.raises(InvalidInput):
        narrow(value, to)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [n for n in BY_NAME if n not in ("BYTES",)])
def test_narrow_keeps_small_numbers_in_every_type(name: str) -> None:
    to = dtype_named(name)

    out = narrow(np.array([0.0, 1.0]), to)

    assert out.dtype == to.numpy
    assert out.tolist() == [0, 1]


def test_narrow_keeps_infinity_among_floats() -> None:
    assert narrow(np.array([np.inf, -np.inf, 1.0]), FP32).tolist() == [np.inf, -np.inf, 1.0]


def test_cast_that_does_not_give_the_models_type_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.yaml:1.*INT64.*takes FP32") as caught:
        chain(TABLE, [{"cast": "int64"}])

    assert caught.value.help == "add cast: float32"


def test_cast_chooses_the_tensors_of_its_type() -> None:
    both = signature(
        [spec("ids", "int64", -1, 4), spec("x", "float32", -1, 3)], spec("y", "float32", -1, 1)
    )

    chained = chain(both, [{"cast": {"to": "float32", "from": "float64"}}])

    assert [s.dtype for s in chained.external.inputs] == [INT64, FP64]


def test_normalize_equals_the_formula() -> None:
    chained = chain(TABLE, [{"normalize": {"mean": [1, 2, 3], "std": [2, 4, 0.5]}}])
    x = np.array([[1, 2, 3], [3, 10, 4]], np.float32)

    given = one_input(chained, x)

    assert given.dtype == np.float32
    assert given.tolist() == [[0, 0, 0], [1, 2, 2]]
    assert x.tolist() == [[1, 2, 3], [3, 10, 4]], "a client's array must not change"


def test_normalize_by_range_takes_whole_numbers() -> None:
    chained = chain(
        TABLE, [{"cast": {"to": "uint8", "from": "uint8"}}, {"normalize": {"min": 0, "max": 255}}]
    )

    given = one_input(chained, np.array([[0, 51, 255]], np.uint8))

    np.testing.assert_allclose(given, [[0, 0.2, 1]], rtol=1e-6)


def test_normalize_finds_the_channel_axis() -> None:
    chained = chain(IMAGE, [{"normalize": {"mean": [0, 1, 2], "std": 1}}])

    given = one_input(chained, np.full((2, 3, 8, 8), 5, np.float32))

    assert given[0, :, 0, 0].tolist() == [5, 4, 3]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        pytest.param({}, "needs mean and std", id="nothing"),
        pytest.param({"mean": 0, "min": 0, "max": 1}, "not both", id="both"),
        pytest.param({"min": 0}, "go together", id="half"),
        pytest.param({"mean": 0, "std": 0}, "std must not be 0", id="zero"),
        pytest.param({"min": [1, 2, 3], "max": [2, 2, 4]}, "max must differ", id="no-range"),
        pytest.param({"min": [1, 2], "max": [2, 3, 4]}, "min has 2 values", id="uneven"),
        pytest.param({"mean": [1, 2]}, "2 values fit no axis", id="count"),
        pytest.param({"mean": "a"}, "mean: must be a number", id="text"),
        pytest.param({"mean": float("nan")}, "finite", id="nan"),
        pytest.param({"mean": [1, 2, 3], "axis": 0}, "axis 0 is the batch", id="batch-axis"),
        pytest.param({"mean": [1, 2, 3], "axis": 5}, "no axis 5", id="no-such-axis"),
    ],
)
def test_normalize_that_cannot_be(params: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chain(TABLE, [{"normalize": params}])


def test_impute_replaces_nan_only() -> None:
    chained = chain(TABLE, [{"impute": [7, 8, 9]}])

    given = one_input(chained, np.array([[np.nan, 1, np.nan], [1, 2, 3]], np.float32))

    assert given.tolist() == [[7, 1, 9], [1, 2, 3]]


def test_impute_before_a_cast_lets_clients_leave_whole_numbers_out() -> None:
    chained = chain(COUNTS, [{"impute": 0}, {"cast": "int64"}])

    given = one_input(chained, np.array([[1, np.nan, 2.0**40]]))

    assert chained.external.inputs[0].dtype is FP64
    assert given.dtype == np.int64
    assert given.tolist() == [[1, 0, 2**40]]


def test_impute_replaces_a_number_that_stands_for_missing() -> None:
    chained = chain(COUNTS, [{"impute": {"value": 5, "missing": -999}}])

    assert one_input(chained, np.array([[-999, 0, 1]])).tolist() == [[5, 0, 1]]


def test_impute_of_whole_numbers_needs_one_that_means_missing() -> None:
    with pytest.raises(ConfigError, match="INT64 cannot hold a missing value"):
        chain(COUNTS, [{"impute": 0}])
