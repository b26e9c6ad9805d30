"""Values of other libraries as plain arrays and bytes: pandas, images, files, tensors.

A value of a library can only come from where that library was imported, so nothing is imported here
to recognise one. What has ``__array__`` (a PyTorch, JAX or polars value) is an array.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from inferd.codecs.npy import parse
from inferd.core.errors import InvalidInput, MissingExtra
from inferd.core.tensor import BYTES, DType

_ARRAY_MODES = ("L", "RGB", "RGBA")


def library(name: str, extra: str, what: str) -> Any:
    """Import an optional library; raises ``MissingExtra`` naming its extra."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtra(name.partition(".")[0], extra, what=what) from None


def _instance(value: object, module: str, kind: str) -> bool:
    cls = getattr(sys.modules.get(module), kind, None)
    return cls is not None and isinstance(value, cls)


def is_frame(value: object) -> bool:
    """Return whether ``value`` is a pandas DataFrame."""
    return _instance(value, "pandas", "DataFrame")


def is_series(value: object) -> bool:
    """Return whether ``value`` is a column: a pandas Series or Index."""
    return _instance(value, "pandas", "Series") or _instance(value, "pandas", "Index")


def is_image(value: object) -> bool:
    """Return whether ``value`` is a PIL image."""
    return _instance(value, "PIL.Image", "Image")


def is_foreign(value: object) -> bool:
    """Return whether ``unfold`` does anything to ``value``."""
    if isinstance(value, (np.ndarray, np.generic, bytes, str)):
        return False
    return isinstance(value, Path) or is_image(value) or hasattr(value, "__array__")


def unfold(value: Any, dtype: DType | None) -> Any:
    """Return a value of another library as an array, or as bytes for an input of ``BYTES``.

    Anything else is returned as it is.
    """
    if not is_foreign(value):
        return value
    if is_image(value):
        return png(value) if dtype is BYTES else pixels(value)
    if isinstance(value, Path):
        return _file(value, dtype)
    if is_series(value):
        return column(value)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = f"{type(value).__module__}.{type(value).__name__}"
        raise InvalidInput(f"a {kind} cannot be read as an array: {error}") from None


def column(series: Any) -> np.ndarray:
    """Return a pandas column as an array; missing numbers are NaN."""
    array: np.ndarray = series.to_numpy()
    if array.dtype.hasobject and is_numeric(series):
        array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def is_numeric(series: Any) -> bool:
    """Return whether a pandas column holds numbers or booleans."""
    return bool(sys.modules["pandas"].api.types.is_numeric_dtype(series.dtype))


def matrix(frame: Any) -> np.ndarray:
    """Return a pandas table as one array, a row for each of its rows; missing numbers are NaN."""
    array: np.ndarray = frame.to_numpy()
    if array.dtype.hasobject and all(is_numeric(frame.iloc[:, i]) for i in range(frame.shape[1])):
        array = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def png(image: Any) -> bytes:
    """Return an image as a PNG file, without loss; how it is to be turned (EXIF) goes with it."""
    file = io.BytesIO()
    exif = image.getexif()
    more = {"exif": exif.tobytes()} if exif else {}
    try:
        image.save(file, "PNG", compress_level=1, **more)
    except OSError:  # a mode that PNG has not, CMYK for example
        file = io.BytesIO()
        image.convert("RGB").save(file, "PNG", compress_level=1, **more)
    return file.getvalue()


def pixels(image: Any) -> np.ndarray:
    """Return an image as ``[height, width, channels]`` of UINT8; grey has two axes."""
    return np.asarray(image if image.mode in _ARRAY_MODES else image.convert("RGB"))


def _file(path: Path, dtype: DType | None) -> bytes | np.ndarray:
    """Return a file's bytes, or the array in it where the input takes numbers (image, npy)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    if dtype is BYTES:
        return data
    if path.suffix.lower() == ".npy":
        return parse(data)
    images = library("PIL.Image", "image", f"reading {path.name} as an array")
    try:
        with images.open(io.BytesIO(data)) as image:
            return pixels(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidInput(f"{path} is not an image: {error}") from None
