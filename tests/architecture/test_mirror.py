"""Every source module has its test file under the same name, or a reason why it has none."""

import pytest
from tests.architecture.house import MODULES, SOURCE, TESTS

ELSEWHERE = {
    "__init__.py": "tests/architecture/test_imports.py and test_public.py",
    "__main__.py": "one line; tests/cli/test_main.py starts it",
    "api/loading.py": "a Protocol: tests/server/test_loading.py has its implementation",
    "core/runtime.py": "a Protocol: its contract is tested on every runtime",
    "transport/lifetime.py": "test_limits.py (time), test_server.py (stop), test_connection.py (end)",
}
"""Modules without a test file of their name, and where they are tested."""

SUBJECTS = [
    m for m in MODULES if m.path.name != "__init__.py" and m.relative.as_posix() not in ELSEWHERE
]


@pytest.mark.parametrize("module", SUBJECTS, ids=lambda m: m.name)
def test_a_module_has_its_test(module):
    mirrored = TESTS / module.relative.parent / f"test_{module.relative.name.lstrip('_')}"

    assert mirrored.exists(), f"write {mirrored.relative_to(TESTS.parent)}, or say why not"


@pytest.mark.parametrize("path", [p for p in ELSEWHERE if "/" in p], ids=str)
def test_an_exception_is_still_needed(path):
    assert (SOURCE / path).exists()
    assert not (TESTS / path).with_name(f"test_{(TESTS / path).name}").exists()
