from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import pytest

from inferd.config.reference import parse, shown_default
from inferd.config.settings import GROUPS, REFERENCE, Settings

IDS = [row.key for row in REFERENCE]


@pytest.mark.parametrize("row", REFERENCE, ids=IDS)
def test_a_row_says_all_there_is_to_say(row):
    assert row.doc
    assert not row.doc.endswith(".")
    assert row.env.startswith("INFERD_")
    assert (row.kind == "choice") == bool(row.choices)
    assert row.flag is None or row.flag.startswith("--")
    assert shown_default(row)


@pytest.mark.parametrize("row", REFERENCE, ids=IDS)
def test_the_default_is_a_value_its_own_parser_takes(row):
    assert parse(row, None if row.default is None else row.default) == row.default


def test_keys_flags_and_variables_are_given_once():
    for names in (IDS, [r.env for r in REFERENCE], [r.flag for r in REFERENCE if r.flag]):
        assert len(names) == len(set(names))


def test_every_group_is_a_field_of_the_settings():
    hints = get_type_hints(Settings)

    assert {name: hints[name] for name in GROUPS} == GROUPS


@pytest.mark.parametrize("row", [r for r in REFERENCE if "." in r.key], ids=lambda r: r.key)
def test_only_optional_settings_may_be_none(row):
    group, _, name = row.key.partition(".")
    hint = get_type_hints(GROUPS[group])[name]

    assert ("None" in str(hint)) == row.optional


def test_settings_cannot_be_changed():
    for value in (Settings(), *(cls() for cls in GROUPS.values())):
        with pytest.raises(FrozenInstanceError):
            setattr(value, fields(value)[0].name, None)
