"""The raw ceiling of the binary form answers rightly however its requests arrive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.binaryceiling import Filled, Handler, Joined

from benchmarks import binaryceiling, load, models, pictures


@pytest.fixture
def handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handler:
    monkeypatch.setattr(models, "ROOT", tmp_path)
    return binaryceiling.handler()


class _Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def _fill(protocol: Filled, data: bytes, piece: int) -> None:
    while data:
        room = protocol.get_buffer(-1)
        size = min(len(room), piece, len(data))
        room[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


@pytest.mark.parametrize("piece", [1000, 70_000, 1 << 20])
@pytest.mark.parametrize("way", [Filled, Joined])
def test_requests_in_any_pieces_are_answered(handle: Handler, way: type, piece: int) -> None:
    transport, protocol, data = _Transport(), way(handle), pictures.probe("B")
    protocol.connection_made(transport)

    for _ in range(2):
        if way is Filled:
            _fill(protocol, data, piece)
        else:
            for at in range(0, len(data), piece):
                protocol.data_received(data[at : at + piece])

    image = pictures.base()
    image[0, : pictures.ROWS] = pictures.own(1)[0]
    for answer in transport.written:
        assert load.complete(answer) == len(answer)
        found = pictures.binary_result(load.body_of(answer))
        np.testing.assert_allclose(found, image.mean(axis=(1, 2)), atol=1e-4)
    assert len(transport.written) == 2
