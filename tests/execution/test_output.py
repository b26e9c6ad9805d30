"""What a worker prints reaches the log line by line."""

import asyncio
import os

import pytest

from inferd.execution.output import LINE_MAX, OutputReader


async def lines_of(*writes, drain=False):
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    lines = []
    reader = OutputReader(read_end, loop, lines.append)
    reader.open()
    for data in writes:
        os.write(write_end, data)
        if not drain:
            await asyncio.sleep(0.002)
    if drain:
        reader.drain()
    os.close(write_end)
    async with asyncio.timeout(5):
        while not reader.closed:
            await asyncio.sleep(0.001)
    reader.close()
    with pytest.raises(OSError):
        os.fstat(read_end)
    return lines


@pytest.mark.parametrize("drain", [False, True], ids=["while-it-runs", "after-its-end"])
@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"he", b"llo\nwor", b"ld\n"], ["hello", "world"]),
        ([b"no end"], ["no end"]),
        ([b"\n\n  \n\r\n"], []),
        ([b"\xff\xfe bad utf\n"], ["\ufffd\ufffd bad utf"]),
        ([], []),
    ],
    ids=["lines", "pieces", "no-newline", "empty", "not-utf8", "nothing"],
)
def test_lines_arrive(writes, expected, drain):
    assert asyncio.run(lines_of(*writes, drain=drain)) == expected


def test_a_line_without_end_is_cut_and_memory_stays_bounded():
    lines = asyncio.run(lines_of(*[b"x" * 30_000] * 4, b"\nlast\n"))

    assert lines[-1] == "last"
    assert max(map(len, lines)) == LINE_MAX


def test_draining_does_not_wait_for_a_writer_that_lives_on():
    async def run():
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        lines = []
        reader = OutputReader(read_end, asyncio.get_running_loop(), lines.append)
        reader.open()
        os.write(write_end, b"last words\n")
        reader.drain()
        os.close(write_end)
        return lines, reader.closed

    assert asyncio.run(run()) == (["last words"], True)
