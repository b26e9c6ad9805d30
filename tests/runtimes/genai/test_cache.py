import sys
from pathlib import Path

import numpy as np
import pytest

from inferd.runtimes.genai.cache import WORTH, Cache, room

ROWS, CONTEXT = 4, 64


@pytest.fixture
def cache():
    return Cache([np.zeros((ROWS, 2, CONTEXT, 3), np.float32) for _ in range(2)], ROWS)


def fill(cache, row, tokens):
    """Write as the model would: each token's place holds its number."""
    for array in cache.arrays:
        start = cache.held(row)
        for i, token in enumerate(tokens):
            array[row, :, start + i] = token
    cache.add(row, tokens)


def content(cache, row):
    size = cache.held(row)
    assert all((array[row, :, :size] == array[row, :1, :size, :1]).all() for array in cache.arrays)
    return cache.arrays[0][row, 0, :size, 0].tolist()


def test_rows_hold_what_was_written(cache):
    fill(cache, 1, [5, 6])
    fill(cache, 1, [7])

    assert cache.held(1) == 3 and content(cache, 1) == [5, 6, 7] and cache.held(0) == 0


@pytest.mark.parametrize(("one", "other"), [(0, 2), (2, 0), (1, 1)])
def test_rows_are_exchanged_with_what_they_hold(cache, one, other):
    fill(cache, 0, range(1, 11))
    fill(cache, 2, [20, 21])
    before = [content(cache, row) for row in range(ROWS)]

    cache.swap(one, other)

    before[one], before[other] = before[other], before[one]
    assert [content(cache, row) for row in range(ROWS)] == before


def test_a_prompt_that_begins_alike_starts_from_there(cache):
    known = list(range(1, 21))
    fill(cache, 0, known)
    prompt = np.array([*known[:15], 90, 91])

    assert cache.begin(3, prompt) == 15
    assert content(cache, 3) == known[:15] and content(cache, 0) == known


def test_the_last_tokens_are_left_to_be_asked(cache):
    known = list(range(1, 21))
    fill(cache, 0, known)

    assert cache.begin(0, np.array(known)) == 18


def test_what_was_generated_is_not_used_again(cache):
    fill(cache, 0, range(1, 11))
    for token in range(11, 21):
        fill(cache, 0, [token])

    assert cache.begin(1, np.arange(1, 31)) == 10 and cache.held(0) == 20


def test_a_few_tokens_are_not_worth_a_copy(cache):
    fill(cache, 0, range(1, 21))

    assert cache.begin(1, np.array([*range(1, WORTH), 99, 99])) == 0
    assert cache.held(1) == 0


def test_a_row_that_another_prompt_used_is_cut_back(cache):
    fill(cache, 2, range(1, 31))
    prompt = np.array([*range(1, 11), 98, 99])

    assert cache.begin(2, prompt) == 10
    assert cache.held(2) == 10 and content(cache, 2) == list(range(1, 11))


def test_the_free_row_that_knows_most_is_claimed(cache):
    fill(cache, 1, range(1, 11))
    fill(cache, 2, range(1, 21))

    assert cache.claim(np.arange(1, 40), free=[0, 1, 2]) == 2
    assert cache.claim(np.arange(1, 40), free=[0, 1]) == 1


def test_an_empty_row_goes_before_one_that_may_be_of_use(cache):
    fill(cache, 0, range(1, 21))

    assert cache.claim(np.arange(100, 120), free=[0, 1]) == 1


def test_of_rows_that_are_of_no_use_the_oldest_is_taken(cache):
    for row in (2, 0, 1, 3):
        assert cache.claim(np.array([row] * 9), free=[row]) == row
        fill(cache, row, [row] * 9)

    assert cache.claim(np.arange(100, 120), free=[0, 1, 2, 3]) == 2


def test_nothing_is_relied_on_after_forgetting(cache):
    fill(cache, 0, range(1, 21))
    cache.forget()

    assert cache.begin(1, np.arange(1, 21)) == 0 and cache.held(0) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_taken_where_it_is_written():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    array = room((64, 1 << 18), np.float32)  # 64 MiB
    before = resident()
    array[:, 0] = 1

    assert resident() - before < 8 << 20
    assert array.sum() == 64


def test_rooms_may_be_of_half_precision():
    array = room((2, 3), np.float16)
    array += 1

    assert array.dtype == np.float16 and array.sum() == 6
