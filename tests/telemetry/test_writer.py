import os
import threading
import time

from inferd.telemetry.writer import BoundedWriter


def read_all(fd):
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


def test_lines_arrive_in_order():
    read, write = os.pipe()
    writer = BoundedWriter(write)
    writer.start()
    for i in range(100):
        writer.write(b"%d\n" % i)
    writer.close()
    os.close(write)

    assert read_all(read) == b"".join(b"%d\n" % i for i in range(100))
    os.close(read)


def test_a_reader_that_stalls_never_holds_up_the_writer_and_losses_are_counted():
    read, write = os.pipe()
    writer = BoundedWriter(write, max_bytes=100_000, note=lambda n: b"lost %d\n" % n)
    writer.start()
    start = time.monotonic()
    kept = sum(writer.write(b"x" * 999 + b"\n") for _ in range(1000))
    took = time.monotonic() - start

    # The pipe holds 64 KiB, the queue 100 kB; nobody reads.
    assert took < 5
    assert 100 <= kept <= 300
    assert writer.dropped == 1000 - kept

    found = []
    reader = threading.Thread(target=lambda: found.append(read_all(read)))
    reader.start()
    deadline = time.monotonic() + 10
    while not writer.write(b"after\n") and time.monotonic() < deadline:
        writer.dropped -= 1  # this try is not what the test counts
        time.sleep(0.001)
    writer.close()
    os.close(write)
    reader.join()

    assert found[0].count(b"x" * 999) == kept
    assert b"lost " in found[0]
    assert found[0].endswith(b"after\n")
    os.close(read)


def test_a_reader_that_is_gone_is_no_error():
    read, write = os.pipe()
    os.close(read)
    writer = BoundedWriter(write)
    writer.start()
    writer.write(b"one\ntwo\n", 2)
    writer.close()

    assert writer.dropped == 2
    os.close(write)


def test_close_does_not_wait_for_ever():
    read, write = os.pipe()
    writer = BoundedWriter(write)
    writer.start()
    writer.write(b"x" * 1_000_000)
    start = time.monotonic()
    writer.close(timeout=0.1)

    assert time.monotonic() - start < 5
    assert not writer.write(b"late\n")
    read_all_in_thread = threading.Thread(target=read_all, args=(read,), daemon=True)
    read_all_in_thread.start()
    writer._thread.join(10)
    os.close(write)
    read_all_in_thread.join(10)
    os.close(read)


def test_a_non_blocking_descriptor_is_waited_for():
    read, write = os.pipe()
    os.set_blocking(write, False)
    writer = BoundedWriter(write)
    writer.start()
    writer.write(b"x" * 500_000 + b"\n")
    found = []
    reader = threading.Thread(target=lambda: found.append(read_all(read)))
    reader.start()
    writer.close(timeout=10)
    os.close(write)
    reader.join(10)

    assert len(found[0]) == 500_001
    os.close(read)
