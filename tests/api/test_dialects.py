"""The table of operations and dialects: whole, consistent, and written as documents show it."""

import pytest

from inferd.api.dialects import DIALECTS, EXPECTED, LIMITS, OPERATIONS, PARTS, limit, markdown
from inferd.core.errors import KINDS

NAMES = {dialect.name for dialect in DIALECTS}
KNOWN = {operation.name for operation in OPERATIONS}


def test_names_are_said_once():
    assert len(NAMES) == len(DIALECTS)
    assert len(KNOWN) == len(OPERATIONS)
    assert {operation.part for operation in OPERATIONS} == set(PARTS)


@pytest.mark.parametrize("cell", LIMITS, ids="-".join)
def test_a_limit_is_about_a_dialect_and_an_operation_and_says_why(cell):
    dialect, operation = cell
    found = LIMITS[cell]

    assert dialect in NAMES
    assert operation in KNOWN
    if found.kind is not None:
        assert found.kind in KINDS
        assert found.kind != EXPECTED.get(operation), "that is what every dialect does"
    assert found.why


def test_kinds_that_are_expected_exist():
    assert set(EXPECTED) <= KNOWN
    assert set(EXPECTED.values()) <= set(KINDS)


def test_what_can_be_done_has_no_limit():
    assert limit("oip_binary", "fp16") is None
    assert limit("oip", "fp16").kind == "invalid_input"


def test_the_binary_forms_and_grpc_carry_every_value_and_shape():
    carried = [o.name for o in OPERATIONS if o.part in PARTS[:3]]

    for dialect in ("oip_binary", "grpc", "grpc_stream", "client", "tfs_grpc"):
        assert not [name for name in carried if limit(dialect, name)]


def test_markdown_has_a_cell_for_each_pair_and_a_note_for_each_limit():
    text = markdown()

    for dialect in DIALECTS:
        assert dialect.title in text
    for operation in OPERATIONS:
        assert operation.title in text
    for found in set(LIMITS.values()):
        assert found.why in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
