"""Bodies to numpy and back, for scripts that leave it to their server: JSON, CSV, npy and npz.

A JSON list becomes an array, any other JSON value stays what it is; a table is always two axes, rows
and columns. Nothing is unpickled. These are the conversions of SageMaker's toolkits, which their
scripts count on; they follow no signature, since such a script has none.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, ModelFailed, NotAcceptable, UnsupportedMedia

JSON, CSV = "application/json", "text/csv"
NPY, NPZ = "application/x-npy", "application/x-npz"
MAX_BYTES = 64 << 20
"""Bytes of all arrays of one npz archive, expanded."""


_UNREADABLE = (
    ValueError, OSError, EOFError, RecursionError, MemoryError, NotImplementedError, RuntimeError,
    csv.Error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What the readers raise on a body that is not what it is called."""


def read(body: bytes, content_type: str) -> Any:
    """Return what a body holds; raises ``UnsupportedMedia`` or ``InvalidInput``."""
    media = content_type.partition(";")[0].strip().lower()
    reader = _READERS.get(media)
    if reader is None:
        raise UnsupportedMedia(
            f"this model does not take {content_type[:60]}",
            help=f"it takes {', '.join(_READERS)}; for others define input_fn",
        )
    try:
        return reader(body)
    except _UNREADABLE as error:
        raise InvalidInput(f"the body is not valid {media}: {str(error)[:200]}") from None


def _json(body: bytes) -> Any:
    value = json.loads(body)
    return np.array(value) if isinstance(value, list) else value


def _csv(body: bytes) -> np.ndarray:
    rows = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")) if row]
    if not rows:
        raise ValueError("it has no rows")
    try:
        return np.array([[float(cell) if cell.strip() else np.nan for cell in row] for row in rows])
    except ValueError:
        return np.array(rows)


def _npy(body: bytes) -> Any:
    if not body.startswith(b"\x93NUMPY"):
        raise ValueError("it does not begin as an npy file does")
    return np.load(io.BytesIO(body), allow_pickle=False)


def _npz(body: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"its arrays are over {MAX_BYTES} bytes")
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return dict(arrays)


_READERS: dict[str, Callable[[bytes], Any]] = {JSON: _json, CSV: _csv, NPY: _npy, NPZ: _npz}


def written(prediction: Any, accept: str) -> bytes:
    """Return a prediction as a body of the type wanted; raises ``NotAcceptable``."""
    media = accept.partition(";")[0].strip().lower()
    writer = _WRITERS.get(media)
    if writer is None:
        raise NotAcceptable(
            f"this model does not answer in {accept[:60]}",
            help=f"it has {', '.join(_WRITERS)}; for others define output_fn",
        )
    try:
        return writer(prediction)
    except (TypeError, ValueError) as error:
        raise ModelFailed(
            f"a {type(prediction).__name__} cannot be answered as {media}: {error}",
            help="define output_fn(prediction, accept)",
        ) from None


def _array(prediction: Any) -> np.ndarray:
    array = np.asarray(prediction)
    if array.dtype.hasobject:
        raise TypeError("it holds Python objects")
    return array


def _to_json(prediction: Any) -> bytes:
    return json.dumps(prediction, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    told = getattr(value, "tolist", None)  # arrays, scalars, tensors, columns of tables
    if told is None:
        raise TypeError(f"it holds a {type(value).__name__}")
    return told()


def _to_csv(prediction: Any) -> bytes:
    array = _array(prediction)
    out = io.StringIO()
    rows = array.reshape(array.shape[0], -1) if array.ndim else array.reshape(1, 1)
    csv.writer(out, lineterminator="\n").writerows(rows.tolist())
    return out.getvalue().encode()


def _to_npy(prediction: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, _array(prediction), allow_pickle=False)
    return out.getvalue()


_WRITERS: dict[str, Callable[[Any], bytes]] = {JSON: _to_json, CSV: _to_csv, NPY: _to_npy}
