"""What a transcription does with sound and tokens."""

from __future__ import annotations

import numpy as np
import pytest

from inferd.runtimes.whisper_windows import RATE, WINDOW, next_sound, repetitive, segments

FIRST = 100
"""The token that stands for the time 0 here."""


def at(seconds: float) -> int:
    return FIRST + round(seconds / 0.02)


@pytest.mark.parametrize(
    ("tokens", "found", "settled"),
    [
        pytest.param([at(0), 1, 2, at(1.5)], [(0, 1.5, (1, 2))], 10, id="one"),
        pytest.param(
            [at(0), 1, at(1), at(1.2), 2, at(3)],
            [(0, 1, (1,)), (1.2, 3, (2,))], 10, id="two-and-nothing-after",
        ),
        pytest.param(
            [at(0), 1, at(4), at(4)], [(0, 4, (1,))], 4, id="speech-goes-on-over-the-end"
        ),
        pytest.param(
            [at(0), 1, at(4), at(4), 2, 3], [(0, 4, (1,))], 4, id="the-last-has-no-end"
        ),
        pytest.param([at(2), 1, 2], [(2, 10, (1, 2))], 10, id="the-only-one-has-no-end"),
        pytest.param([1, 2], [(0, 10, (1, 2))], 10, id="no-times"),
        pytest.param([at(0), 1, at(15)], [(0, 10, (1,))], 10, id="a-time-after-the-end"),
        pytest.param([at(3), 1, at(2)], [(3, 3, (1,))], 10, id="an-end-before-its-beginning"),
        pytest.param([at(0), 1, at(0.2), at(0.2)], [(0, 0.2, (1,))], 10, id="it-must-go-on"),
        pytest.param([at(0), at(0)], [], 10, id="no-text"),
        pytest.param([], [], 10, id="no-tokens"),
    ],
)  # fmt: skip
def test_segments(tokens, found, settled):
    got, until = segments(tokens, FIRST, 10)

    assert [(round(s.start, 2), round(s.end, 2), s.tokens) for s in got] == found
    assert until == pytest.approx(settled)


def test_every_answer_of_a_window_moves_on():
    random = np.random.default_rng(0)
    for _ in range(500):
        tokens = random.integers(0, FIRST + 600, random.integers(0, 20)).tolist()
        seconds = float(random.uniform(0.1, 30))

        found, settled = segments(tokens, FIRST, seconds)

        assert 0.05 < settled <= seconds
        assert all(0 <= s.start <= s.end <= seconds and s.tokens for s in found)


def test_the_next_sound_is_found_a_little_early():
    audio = np.zeros(3 * WINDOW, np.float32)
    audio[2 * WINDOW + 5000] = 0.5

    assert next_sound(audio, 0) == 2 * WINDOW + 5000 - RATE // 10
    assert next_sound(audio, 2 * WINDOW + 4999) == 2 * WINDOW + 4999
    assert next_sound(audio, 2 * WINDOW + 5001) is None


def test_silence_has_no_sound():
    assert next_sound(np.full(RATE, 5e-5, np.float32), 0) is None
    assert next_sound(np.empty(0, np.float32), 0) is None


def test_what_repeats_itself_is_known():
    assert repetitive("you you you you you you you you you you you you you you") > 2.4
    assert repetitive("He was not an ill-disposed young man.") < 1.5
    assert repetitive("") == 0
