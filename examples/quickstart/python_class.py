"""keywords: a model that is a Python class and has no artifact."""

from __future__ import annotations

import json
from pathlib import Path

YAML = """\
# An English text -> its best key phrases and their scores.
runtime: python
class: keywords:Keywords
warmup: samples.json
"""

SAMPLE = (
    "Dynamic batching lets a model server answer many small requests with one run of the neural "
    "network. Padding sentences of unequal length wastes work, so the server groups neighbours "
    "in length and keeps the queue fair."
)


def build(folder: Path) -> str:
    """Write ``model.yaml`` beside the class; returns a line that sums it up."""
    (folder / "model.yaml").write_text(YAML)
    (folder / "1" / "samples.json").write_text(json.dumps([{"data": SAMPLE}]))
    return "key phrases of a text, plain Python"
