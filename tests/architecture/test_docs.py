"""Documents and code say the same: generated parts are up to date, links lead somewhere."""

import re

import pytest
from scripts.docs import PARTS, ROOT, documents, renewed

IDS = [str(path.relative_to(ROOT)) for path in documents()]


@pytest.mark.parametrize("path", documents(), ids=IDS)
def test_generated_parts_are_up_to_date(path):
    assert path.read_text() == renewed(path.read_text()), "run `make docs`"


@pytest.mark.parametrize("path", documents(), ids=IDS)
def test_links_to_files_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
    missing = [link for link in links if not (path.parent / link).exists()]

    assert not missing


@pytest.mark.parametrize("part", ["cli", "metrics", "settings"], ids=str)
def test_every_table_is_in_a_document(part):
    assert part in PARTS
    assert any(f"<!-- generated: {part} -->" in path.read_text() for path in documents())
