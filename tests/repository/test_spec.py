from __future__ import annotations

import json
from pathlib import Path

from inferd.core.step import Step
from inferd.repository.spec import Batching, ModelSpec


def test_what_a_worker_needs_is_json():
    spec = ModelSpec(
        "m", "2", "torch", Path("/m/2"), Path("/m/2/a.pth"), options={"factory": "a:B"},
        preprocess=(Step("cast", "float32", "model.yaml:3"),), batching=Batching(max_size=8),
    )  # fmt: skip

    row = json.loads(json.dumps(spec.to_json()))

    assert (
        row["artifact"] == "/m/2/a.pth"
        and row["max_size"] == 8
        and row["options"] == {"factory": "a:B"}
    )
    assert Step.from_json(row["preprocess"][0]) == spec.preprocess[0]
