"""What is configured of scheduling: by default the cost curve decides."""

from inferd.scheduling.admission import QueueLimits
from inferd.scheduling.settings import BatchSettings, Counters


def test_by_default_nothing_is_decided():
    settings = BatchSettings()

    assert settings.max_size is settings.slots is settings.run_timeout is None
    assert settings.max_delay == 0
    assert settings.replay
    assert settings.limits == QueueLimits()


def test_counters_start_at_nothing():
    counters = Counters()

    assert {getattr(counters, name) for name in Counters.__slots__} == {0}
