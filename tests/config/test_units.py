from __future__ import annotations

import pytest

from inferd.config.units import byte_size, duration, format_bytes, format_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2ms", 0.002), ("1.5s", 1.5), (3, 3.0), (0.25, 0.25), ("3", 3.0), (" 2 m ", 120.0), ("1h", 3600.0),
     ("10us", 1e-5), (".5s", 0.5), (0, 0.0), ("1MS", 0.001)],
    ids=str,
)  # fmt: skip
def test_durations(written, seconds):
    assert duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "s",
        "-1s",
        -1,
        float("nan"),
        float("inf"),
        "1e9",
        "1 year",
        "9999999h",
        True,
        None,
        [1],
        "1s2",
        "١s",
        10**400,
    ],
    ids=repr,
)
def test_what_is_no_duration(wrong):
    with pytest.raises(ValueError, match=r".") as caught:
        duration(wrong)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("64MB", 64_000_000),
        ("1GiB", 2**30),
        (4096, 4096),
        ("8 kib", 8192),
        ("1.5kB", 1500),
        ("0", 0),
    ],
    ids=str,
)
def test_sizes(written, size):
    assert byte_size(written) == size and isinstance(byte_size(written), int)


@pytest.mark.parametrize("wrong", ["1.5", 0.5, "1XB", "-1", "2EiB", False], ids=repr)
def test_what_is_no_size(wrong):
    with pytest.raises(ValueError, match="MB|bytes|unit"):
        byte_size(wrong)


def test_both_are_written_as_read():
    for seconds in (0.002, 0.25, 1.5, 120.0, 3600.0, 90.0):
        assert duration(format_duration(seconds)) == pytest.approx(seconds)
    for size in (1, 4096, 8 << 20, 64_000_000, 0):
        assert byte_size(format_bytes(size)) == size
    assert (format_duration(0.25), format_bytes(8 << 20)) == ("250ms", "8MiB")
