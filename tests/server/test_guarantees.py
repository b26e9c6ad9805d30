"""Every test that ``docs/guarantees.md`` names exists, and every system test is named there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = set(re.findall(r"`(tests/\S+\.py::\w+)`", (ROOT / "docs" / "guarantees.md").read_text()))
HELPERS = {"test_the_hook_sees_unpickling", "test_a_bad_model_beside_good_ones_is_named"}


def names_in(path):
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test")
    }


def test_every_test_that_is_named_exists():
    missing = {
        name
        for name in NAMED
        if name.partition("::")[2] not in names_in(ROOT / name.partition("::")[0])
    }

    assert NAMED
    assert not missing


def test_every_system_test_is_named():
    here = {
        f"tests/system/{path.name}::{name}"
        for path in (ROOT / "tests" / "system").glob("test_*.py")
        for name in names_in(path) - HELPERS
    }

    assert not here - NAMED
