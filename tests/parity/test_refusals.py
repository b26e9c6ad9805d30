"""What is wrong with a request, or with a model, has one kind of error in every dialect."""

import numpy as np
import pytest
from tests.parity.serve import BODY_BYTES
from tests.parity.table import DOORS, meets

TENSORS = [name for name, door in DOORS.items() if door.task == "tensors"]


@pytest.mark.parametrize("dialect", DOORS)
def test_an_input_that_is_missing(doors, dialect):
    with meets(dialect, "missing_input"):
        doors[dialect].lacking()


@pytest.mark.parametrize("dialect", DOORS)
def test_values_of_another_kind(doors, dialect):
    with meets(dialect, "wrong_datatype"):
        doors[dialect].mistyped()


@pytest.mark.parametrize("dialect", TENSORS)
def test_integers_that_the_datatype_does_not_hold(doors, dialect):
    with meets(dialect, "wrong_datatype"):
        doors[dialect].predict("echo-int8", {"x": np.array([[300]])})


@pytest.mark.parametrize("dialect", DOORS)
def test_rows_of_the_wrong_length(doors, dialect):
    with meets(dialect, "wrong_shape"):
        doors[dialect].misshaped()


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
