import pytest

from inferd.core.message import StepTiming, Timings
from inferd.telemetry import table
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.served import ServedMetrics


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def served(metrics):
    return ServedMetrics(metrics, "iris", "1")


def stage(metrics, name):
    return metrics.snapshot().values[table.STAGE_SECONDS]["iris", "1", name]


def test_answers_are_counted_by_door_and_status(metrics, served):
    served.answered("simple", Timings(), 0.1)
    served.answered("simple", Timings(), 0.1)
    served.failed("oip", 400, "invalid_input")

    values = metrics.snapshot().values

    assert values[table.REQUESTS]["iris", "1", "simple", "200"].value == 2
    assert values[table.REQUESTS]["iris", "1", "oip", "400"].value == 1
    assert values[table.ERRORS]["iris", "invalid_input"].value == 1


def test_every_stage_reaches_its_histogram_at_a_scrape(metrics, served):
    timings = Timings(queue=1.0, batch=2.0, run=3.0, decode=4.0)
    served.answered("simple", timings, 11.0)
    timings.encode = 5.0  # known only after the answer was written

    sums = {name: stage(metrics, name).sum for name in table.STAGES}

    assert sums == {"queue": 1.0, "batch": 2.0, "run": 3.0, "decode": 4.0, "encode": 5.0}
    assert metrics.snapshot().values[table.REQUEST_SECONDS]["iris", "1"].sum == 11.0


def test_what_is_remembered_between_scrapes_is_bounded(metrics, served):
    for _ in range(1000):
        served.answered("simple", Timings(run=0.001), 0.002)

    assert len(served._finished) < 256
    assert stage(metrics, "run").count == 1000


def test_what_pipelines_ask_has_stages_and_is_no_request(metrics, served):
    served.asked([Timings(queue=1.0, batch=2.0, run=3.0), Timings(run=0.5)])

    told = {name: (stage(metrics, name).count, stage(metrics, name).sum) for name in table.STAGES}

    assert told == {
        "queue": (2, 1.0), "batch": (2, 2.0), "run": (2, 3.5), "decode": (0, 0), "encode": (0, 0),
    }  # fmt: skip
    assert metrics.snapshot().values[table.REQUEST_SECONDS]["iris", "1"].count == 0
    assert served.account().succeeded == 0


def test_timings_with_steps_are_told_further(served):
    heard = []
    served.steps = heard.append
    whole = Timings(steps=(StepTiming("a", 0.0, 1.0),))
    served.answered("simple", Timings(), 0.1)
    served.answered("simple", whole, 0.1)
    served.flush()
    served.asked([whole])

    assert heard == [[whole], [whole]]


def test_batches(metrics, served):
    served.batch(8)
    served.batch(4, fill=0.9)

    values = metrics.snapshot().values

    assert values[table.BATCH_SIZE]["iris", "1"].sum == 12
    assert values[table.BATCH_FILL]["iris", "1"].count == 1


def test_an_unloaded_version_leaves_nothing(metrics, served):
    served.answered("simple", Timings(), 0.1)
    served.close()

    assert not any(
        "1" in labels for children in metrics.snapshot().values.values() for labels in children
    )
