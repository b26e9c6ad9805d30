"""The ``.npz`` format: arrays by name, each an ``.npy`` file in a zip archive.

The archive is read with bounds on everything it claims: the number of members, their sizes as written
in the directory (checked before a byte is expanded, and held while expanding) and the sum of them.
Members are stored or deflated, as numpy writes them: other methods want memory that the archive names.
An array is then read as any ``.npy``: no pickle, no object arrays.

Source: numpy's NEP 1 and ``numpy.savez``; PKWARE's APPNOTE for the archive, which ``zipfile`` reads.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np

from inferd.codecs.base import Decoded, split_rows
from inferd.codecs.npy import fit, parse
from inferd.codecs.values import check_shape, shown
from inferd.core.errors import InvalidInput, TooLarge, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors

MAX_MEMBERS = 256
MAX_BYTES = 64 << 20
"""Bytes of all arrays of one archive, expanded."""

_ENDING = ".npy"
_ENTRY = b"PK\x01\x02"  # begins every entry of the directory
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, OSError,
)  # fmt: skip
"""What ``zipfile`` raises for an archive that is none, or not as it says: a place before its begin."""


def read(body: bytes, limit: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name; raises ``InvalidInput`` or ``TooLarge``."""
    # Before the directory is read: it becomes an object for each entry.
    count = body.count(_ENTRY)
    if count > MAX_MEMBERS:
        raise TooLarge(f"the npz archive holds {count} files, over {MAX_MEMBERS}")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return _members(archive, archive.infolist(), limit)
    except _BROKEN as error:
        raise InvalidInput(f"the body is not an npz archive: {error}") from None


def _members(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], limit: int
) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        name = member.filename.removesuffix(_ENDING)
        if name in arrays:
            raise InvalidInput(f"the npz archive holds {shown(name)} twice")
        if member.compress_type not in _METHODS:
            raise InvalidInput(
                f"{shown(name)} in the npz archive is neither stored nor deflated",
                help="save it with numpy.savez or numpy.savez_compressed",
            )
        if member.file_size > limit:
            raise TooLarge(f"the arrays of the npz archive are over {MAX_BYTES} bytes")
        with archive.open(member) as stream:
            data = stream.read(limit + 1)
        limit -= len(data)
        if limit < 0:
            raise TooLarge(f"the arrays of the npz archive are over {MAX_BYTES} bytes")
        try:
            arrays[name] = parse(data)
        except InvalidInput as error:
            raise InvalidInput(f"{shown(name)} in the npz archive: {error.message}") from None
    if not arrays:
        raise InvalidInput("the npz archive holds no arrays")
    return arrays


def write(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an archive of arrays, stored without compression as ``numpy.savez`` does."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}{_ENDING}", write_npy(array))
    return out.getvalue()


def write_npy(array: np.ndarray) -> bytes:
    """Return an array, of numbers or fixed-width texts, as ``.npy``."""
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


class NpzCodec:
    """``application/x-npz``: each input of a model as an array, by name; ranks decide as in npy.

    A lone array whose name is no input (``arr_0``) is the lone input.
    """

    def __init__(self, signature: Signature, plan: BatchPlan | None = None) -> None:
        self._signature = signature
        self._split = plan is not None and plan.split

    def decode(self, body: bytes) -> Decoded:
        """Decode arrays that are one example, or a batch of one size."""
        given = self._named(read(bytes(body)))
        singles: list[str] = []
        inputs: Tensors = {}
        for spec in self._signature.inputs:
            if spec.name not in given:
                continue  # it has a default
            array = fit(given[spec.name], spec)
            inputs[spec.name] = self._batch(array, spec, singles)
        if not self._signature.batched:
            return Decoded(inputs, None, True)
        if singles and len(singles) < len(inputs):
            raise InvalidInput(
                f"{singles[0]!r} is one example and another array is a batch",
                help="give every input one example, or every input a batch of one size",
            )
        sizes = {name: array.shape[0] for name, array in inputs.items()}
        size = next(iter(sizes.values()))
        if set(sizes.values()) != {size} or size == 0:
            told = ", ".join(f"{name} {count}" for name, count in sizes.items())
            raise InvalidInput(f"the arrays must hold equally many examples, got: {told}")
        if self._split and size > 1:
            return Decoded(None, split_rows(inputs, size))
        return Decoded(inputs, None, bool(singles))

    def _named(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [spec.name for spec in self._signature.inputs]
        lone = self._signature.lone
        if lone is not None and len(arrays) == 1 and not arrays.keys() & set(names):
            return {lone.name: next(iter(arrays.values()))}
        for name in arrays:
            if name not in names:
                raise InvalidInput(f"no input named {shown(name)}", help=nearest(name, names))
        for spec in self._signature.inputs:
            if spec.name not in arrays and spec.default is None:
                raise InvalidInput(f"input {spec.name!r} is missing in the npz archive")
        return arrays

    def _batch(self, array: np.ndarray, spec: TensorSpec, singles: list[str]) -> np.ndarray:
        if not self._signature.batched:
            check_shape(array.shape, spec.shape, spec, "the value")
            return array
        if array.ndim == len(spec.shape) - 1:
            check_shape(array.shape, spec.shape[1:], spec, "an example")
            singles.append(spec.name)
            return array[np.newaxis]
        check_shape(array.shape, spec.shape, spec, "a batch")
        return array
