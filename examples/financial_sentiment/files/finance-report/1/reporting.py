"""The report on analysed documents as a model, so that pages and other programs can ask for it."""

from __future__ import annotations

import json
from typing import TypedDict

import report

from inferd import Model
from inferd.core.errors import InvalidInput

LONGEST = 20_000_000


class Made(TypedDict):
    """``summary`` is JSON; ``html`` one file."""

    summary: str
    html: str


class Report(Model):
    """Counts documents and draws charts."""

    def predict(self, documents: str) -> Made:
        """Return the report on JSON Lines, or on a JSON list, of analysed documents."""
        if len(documents) > LONGEST:
            raise InvalidInput(f"more than {LONGEST:,} characters", help="send fewer documents")
        found, wrong = report.read(documents)
        if not found:
            raise InvalidInput(
                f"no analysed document: {wrong[0] if wrong else 'nothing was sent'}",
                help="send one JSON object per line, with 'sentiment' and 'score'",
            )
        summary = report.summarise(found, wrong)
        return {"summary": json.dumps(summary, ensure_ascii=False), "html": report.page(summary)}
