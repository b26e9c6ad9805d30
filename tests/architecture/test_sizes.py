"""Files of 400 lines at most, functions under 50, and a docstring that opens every module."""

import ast

import pytest
from tests.architecture.house import MODULES

MOST_LINES = 400
MOST_IN_A_FUNCTION = 50


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_a_file_fits_on_a_few_screens(module):
    assert len(module.text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_functions_are_short(module):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: length
        for node in ast.walk(module.tree)
        if isinstance(node, functions)
        and (length := node.end_lineno - node.lineno + 1) >= MOST_IN_A_FUNCTION
    }

    assert not long


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_a_module_opens_with_what_it_is(module):
    docstring = ast.get_docstring(module.tree)

    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", "?"))
