"""What is wrong with a request, or with a model, has one kind of error in every dialect."""

import numpy as np
import pytest
from tests.parity.serve import BODY_BYTES
from tests.parity.table import DOORS, meets
from tests.parity.tensors import array, filled


@pytest.mark.parametrize("dialect", DOORS)
def test_an_input_that_is_missing(doors, dialect):
    with meets(dialect, "missing_input"):
        doors[dialect].predict("pair", {"a": np.array([[1.0]])})


@pytest.mark.parametrize("dialect", DOORS)
def test_texts_where_numbers_belong(doors, dialect):
    with meets(dialect, "wrong_datatype"):
        doors[dialect].predict("echo-fp32", {"x": array([[b"one", b"two"]], "BYTES")})


@pytest.mark.parametrize("dialect", DOORS)
def test_numbers_that_are_too_large_for_the_datatype_or_of_another(doors, dialect):
    with meets(dialect, "wrong_datatype"):
        doors[dialect].predict("echo-int8", {"x": np.array([[300]])})


@pytest.mark.parametrize("dialect", DOORS)
def test_rows_that_are_too_long(doors, dialect):
    with meets(dialect, "wrong_shape"):
        doors[dialect].predict("fixed", {"x": filled((2, 4), "FP32")})


@pytest.mark.parametrize("dialect", DOORS)
def test_a_body_that_is_too_large(doors, dialect):
    with meets(dialect, "too_large"):
        doors[dialect].oversized(BODY_BYTES + (128 << 10))


@pytest.mark.parametrize("dialect", DOORS)
def test_a_model_that_fails(doors, dialect):
    door = doors[dialect]
    with meets(dialect, "model_failure"):
        door.ask("fails")

    assert door.ask("works").tensors, "the next request is answered"
