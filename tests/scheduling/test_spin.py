import pytest

from inferd.scheduling.spin import CALM, FAST, PATIENCE, REST, Spin


def test_it_is_calm_after_batches_of_one_request_and_no_more_after_one_of_two():
    spin = Spin()
    for _ in range(CALM - 1):
        spin.ran(1)
        assert not spin.calm
    spin.ran(1)
    assert spin.calm

    spin.ran(2)

    assert not spin.calm


@pytest.mark.parametrize(
    ("seconds", "worth"), [(FAST / 2, True), (FAST * 2, False)], ids=["fast", "slow"]
)
def test_only_fast_models_are_waited_for(seconds, worth):
    assert Spin().worth(seconds) is worth


def test_useless_waits_make_it_rest():
    spin = Spin()
    for _ in range(PATIENCE - 1):
        spin.waited(False)
    spin.waited(True)
    for _ in range(PATIENCE - 1):
        spin.waited(False)
    assert spin.worth(0.0)

    spin.waited(False)

    assert [spin.worth(0.0) for _ in range(REST)] == [False] * REST
    assert spin.worth(0.0)
