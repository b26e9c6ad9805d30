import re
from pathlib import Path

import pytest

from inferd.core.message import Timings
from inferd.telemetry import table
from inferd.telemetry.metrics import COUNTER, GAUGE, HISTOGRAM


@pytest.mark.parametrize("spec", table.METRICS, ids=lambda spec: spec.name)
def test_a_row_follows_the_conventions(spec):
    assert re.fullmatch(r"inferd_[a-z_]+", spec.name)
    assert spec.type in (COUNTER, GAUGE, HISTOGRAM)
    assert spec.name.endswith("_total") == (spec.type == COUNTER)
    assert bool(spec.buckets) == (spec.type == HISTOGRAM)
    assert list(spec.buckets) == sorted(set(spec.buckets))
    assert spec.help
    assert not spec.help.endswith(".")


def test_every_metric_of_the_module_is_in_the_table_once():
    rows = [v for v in vars(table).values() if isinstance(v, table.MetricSpec)]

    assert sorted(r.name for r in rows) == sorted(r.name for r in table.METRICS)
    assert len({r.name for r in rows}) == len(rows)


def test_every_metric_is_counted_somewhere():
    source = Path(table.__file__).parents[1]
    text = "".join(p.read_text() for p in source.rglob("*.py") if p.name != "table.py")
    names = {k for k, v in vars(table).items() if isinstance(v, table.MetricSpec)}

    assert {name for name in names if f"table.{name}" not in text} == set()


def test_every_stage_is_a_timing():
    assert set(table.STAGES) <= set(Timings.__slots__)


def test_the_document_has_a_line_for_each():
    text = table.markdown()

    assert all(f"| `{spec.name}` |" in text for spec in table.METRICS)
