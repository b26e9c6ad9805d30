import pytest

from inferd.scheduling.spin import CALM, FAST, PATIENCE, PROBE, REST, Spin


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


def test_now_and_then_it_does_not_wait_to_see_whether_others_come():
    spin = Spin()

    waits = [spin.worth(0.0) for _ in range(3 * PROBE)]

    assert waits.count(False) == 3


def test_a_request_that_comes_while_another_runs_ends_the_calm():
    spin = Spin()
    for _ in range(CALM):
        spin.ran(1)

    spin.crowded()

    assert not spin.calm
    assert not any(spin.worth(0.0) for _ in range(REST))
