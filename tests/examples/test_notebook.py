"""The notebook runs from its first cell to its last, and what it finds is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
for library in ("ipykernel", "matplotlib", "skl2onnx"):
    pytest.importorskip(library)

PATH = Path(__file__).parents[2] / "examples" / "notebook.ipynb"

FOUND = """
import json
print(json.dumps({
    "same": float(np.mean([a["index"] for a in answers] == classifier.predict(unseen))),
    "accuracy": float(accuracy),
    "sizes": sizes,
    "served": [int(result["index"][0]), float(result["score"][0])],
    "here": [int(answers[0]["index"]), float(answers[0]["score"])],
    "number": [number, "".join(map(str, classifier.predict(unseen[:6])))],
    "graph": shown,
    "clients": clients,
    "asked": [len(each) for each in latencies],
    "slowest": max(float(each.max()) for each in latencies),
    "batches": [float(n) for n in mean_batch],
    "ended": server.returncode,
    "left": repository.exists(),
}))
"""


@pytest.fixture(scope="module")
def notebook():
    """Return the notebook with its outputs; its last cell prints what it found."""
    read = nbformat.read(PATH, as_version=4)
    read.cells.append(nbformat.v4.new_code_cell(FOUND))
    client = nbclient.NotebookClient(
        read, timeout=50, resources={"metadata": {"path": str(PATH.parent)}}
    )
    return client.execute()


@pytest.fixture(scope="module")
def found(notebook):
    return json.loads(notebook.cells[-1].outputs[0].text)


def test_it_is_kept_without_outputs() -> None:
    read = nbformat.read(PATH, as_version=4)

    nbformat.validate(read)
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_nothing_is_warned_of(notebook) -> None:
    streams = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]

    assert [o.text for o in streams if o.get("name") == "stderr"] == []


def test_the_model_answers_as_scikit_learn_does(found) -> None:
    assert found["same"] >= 0.995
    assert found["accuracy"] >= 0.97


def test_the_server_answers_as_the_model_here(found) -> None:
    assert found["served"][0] == found["here"][0]
    assert found["served"][1] == pytest.approx(found["here"][1], abs=1e-4)


def test_the_pipeline_reads_what_the_model_sees(found) -> None:
    read, seen = found["number"]
    assert read == seen
    assert found["graph"].startswith("flowchart")
    assert "model digits" in found["graph"]


def test_every_request_is_answered_and_requests_that_meet_share_batches(found) -> None:
    assert found["asked"] == [224 for n in found["clients"]]
    assert 0 < found["slowest"] < 10_000
    assert found["batches"][0] == 1.0
    assert max(found["batches"]) > 1.5


def test_the_cost_of_several_sizes_is_drawn(notebook, found) -> None:
    assert found["sizes"][0] == 1
    assert len(found["sizes"]) >= 2  # how many are measured is a matter of time
    drawn = [
        cell.id for cell in notebook.cells if cell.cell_type == "code"
        for output in cell.outputs if "image/png" in output.get("data", {})
    ]  # fmt: skip
    assert drawn == ["cost", "plot"]


def test_the_server_is_stopped_and_nothing_is_left(found) -> None:
    assert found["ended"] == 0
    assert found["left"] is False
