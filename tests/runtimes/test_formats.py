from __future__ import annotations

from inferd.runtimes.formats import (
    BY_ENDING,
    BY_ID,
    FORMATS,
    PREFIXES,
    SERVED_ENDINGS,
    TEXTS,
    table,
)
from inferd.runtimes.registry import BY_NAME


def test_ids_are_unique_and_every_probe_names_one():
    assert len(BY_ID) == len(FORMATS)
    assert {found for _, _, found in PREFIXES} | {found for _, found in TEXTS} <= set(BY_ID)


def test_a_format_is_served_by_a_known_runtime_or_says_the_way_out():
    for entry in FORMATS:
        if entry.runtime is None:
            assert entry.help, entry.id
        else:
            named = entry.endings or entry.marker
            assert entry.runtime in BY_NAME and entry.note and named, entry.id


def test_endings_are_lower_case_with_a_dot():
    assert all(e == e.lower() and e.startswith(".") for e in BY_ENDING)
    assert {".onnx", ".pt", ".pth", ".pt2", ".py"} <= SERVED_ENDINGS
    assert ".h5" not in SERVED_ENDINGS and ".pkl" not in SERVED_ENDINGS


def test_the_table_holds_each_served_format():
    text = table()
    assert all(f.title in text for f in FORMATS if f.runtime)
