"""The table of dialects is tested whole: a door for each dialect, a test for each operation."""

from pathlib import Path

import pytest
from tests.parity.models import DATATYPES
from tests.parity.table import DOORS, meets
from tests.parity.tensors import HARD
from tests.parity.wire import Refused

from inferd.api.dialects import DIALECTS, OPERATIONS

SOURCE = "".join(path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py")))


def test_every_dialect_has_its_door():
    assert list(DOORS) == [dialect.name for dialect in DIALECTS]


@pytest.mark.parametrize("operation", [operation.name for operation in OPERATIONS])
def test_every_operation_is_asked_for(operation):
    generated = operation in HARD or operation.upper() in DATATYPES

    assert generated or f'"{operation}"' in SOURCE


def test_an_answer_where_a_refusal_is_expected_fails():
    with pytest.raises(AssertionError, match="a refusal was expected"):
        with meets("oip", "unknown_model"):
            pass


def test_a_refusal_where_an_answer_is_expected_fails():
    with pytest.raises(AssertionError, match="refused"):
        with meets("oip", "int8"):
            raise Refused("invalid_input", "no")


def test_a_refusal_of_another_kind_fails():
    with pytest.raises(AssertionError):
        with meets("oip", "unknown_model"):
            raise Refused("unavailable", "no")


def test_a_limit_that_is_none_fails():
    with pytest.raises(AssertionError, match="a refusal was expected"):
        with meets("oip", "fp16"):
            pass
