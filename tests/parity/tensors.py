"""Tensors that are hard to carry, and their plain forms in JSON, tables and numpy files."""

import csv
import io

import numpy as np

NUMPY = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16",
    "FP32": "float32", "FP64": "float64", "BYTES": "object",
}  # fmt: skip
NAMES = {np.dtype(value): name for name, value in NUMPY.items()}

HARD = {
    "wide_integers": ("INT64", [[2**53 + 1, -(2**63), 2**63 - 1]]),
    "wide_unsigned": ("UINT64", [[2**64 - 1, 2**53 + 1, 0]]),
    "nan": ("FP32", [[1.5, float("nan")]]),
    "infinities": ("FP64", [[float("inf"), float("-inf"), 0.5]]),
    "exact_floats": ("FP64", [[0.1, 5e-324, 1.7976931348623157e308, -0.0, 2.0**53 + 2]]),
    "exact_singles": ("FP32", [[0.1, 1e-45, 3.4028235e38, -0.0, 16777216.0]]),
    "texts": (
        "BYTES",
        [["caf\u00e9".encode(), "\U0001f40c".encode(), b'"\\\n,'], [b"", b" a ", b"1"]],
    ),
    "not_utf8": ("BYTES", [[b"\xff\x00\xfe", b"\x80"]]),
    "zero_bytes": ("BYTES", [[b"a\0", b"\0b"]]),
}
"""Operation to datatype and rows of a tensor."""


def array(values, dtype):
    """Return nested lists as an array of a datatype; BYTES hold bytes."""
    if dtype == "BYTES":
        plain = np.array(values, object)
        return np.array([bytes(v) for v in plain.ravel()] + [None], object)[:-1].reshape(
            plain.shape
        )
    return np.array(values, NUMPY[dtype])


def filled(shape, dtype):
    """Return an array of a shape with values of a datatype that differ from each other."""
    count = int(np.prod(shape, dtype=int))
    if dtype == "BYTES":
        flat = np.empty(count, object)
        flat[:] = [f"t{n}".encode() for n in range(count)]
    elif dtype == "BOOL":
        flat = np.arange(count) % 3 == 0
    else:
        flat = np.arange(1, count + 1).astype(NUMPY[dtype])
        if dtype.startswith("FP"):
            flat = flat / 4 - 1
        flat = flat.astype(NUMPY[dtype])
    return flat.reshape(shape)


def dtype_of(array):
    return NAMES[array.dtype]


def same(found, wanted):
    """Assert that two arrays have one datatype, one shape and the same values, bit by bit but NaN."""
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if wanted.dtype == object:
        assert found.tolist() == wanted.tolist()
        return
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def listed(array, text):
    """Return an array as nested lists; ``text`` writes an element of BYTES."""
    if array.dtype != object:
        return array.tolist()
    if array.ndim == 0:
        return text(array.item())
    return [
        listed(np.asarray(row, object) if array.ndim > 1 else _item(row), text) for row in array
    ]


def _item(element):
    box = np.empty((), object)
    box[()] = element
    return box


def read(value, dtype, rank, text):
    """Return nested lists of JSON as an array, strictly: no number for a boolean, no 1.0 for an integer."""
    leaves = _leaves(value, rank)
    if dtype == "BYTES":
        flat = np.empty(len(leaves), object)
        flat[:] = [text(leaf) for leaf in leaves]
    else:
        kind = NUMPY[dtype][0]
        allowed = {"b": (bool,), "i": (int,), "u": (int,), "f": (float, int, type(None))}[kind]
        assert set(map(type, leaves)) <= set(allowed), (dtype, leaves[:5])
        leaves = [float("nan") if leaf is None else leaf for leaf in leaves]
        flat = np.array(leaves, NUMPY[dtype])
    return flat.reshape(_shape(value, rank))


def _leaves(value, rank):
    if rank == 0:
        assert not isinstance(value, list), "nested deeper than the signature"
        return [value]
    assert isinstance(value, list), "nested less than the signature"
    return [leaf for item in value for leaf in _leaves(item, rank - 1)]


def _shape(value, rank):
    shape = []
    for _ in range(rank):
        shape.append(len(value) if value is not None else 0)
        value = value[0] if value else None
    return shape


def npy(array):
    """Return the bytes of a numpy file; texts are of fixed width, as numpy writes them."""
    out = io.BytesIO()
    np.save(out, fixed(array), allow_pickle=False)
    return out.getvalue()


def fixed(array):
    """Return texts as numpy holds them without pickle: U where they are UTF-8, else S."""
    if array.dtype != object:
        return array
    elements = array.ravel().tolist()
    try:
        elements = [e.decode() if isinstance(e, bytes) else e for e in elements]
        return np.array(elements, "U").reshape(array.shape)
    except UnicodeDecodeError:
        return np.array(elements, "S").reshape(array.shape)


def loose(array):
    """Return an array read from a numpy file with its texts as bytes objects."""
    if array.dtype.kind not in "US":
        return array
    out = np.empty(array.size, object)
    out[:] = [e.encode() if isinstance(e, str) else e for e in array.ravel().tolist()]
    return out.reshape(array.shape)


def table(columns):
    """Return columns, each of two axes, as CSV; several columns have a header of their names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if len(columns) > 1:
        writer.writerow(columns)
    flat = [column.reshape(len(column), column[:1].size) for column in columns.values()]
    for row in zip(*flat, strict=True):
        writer.writerow([_cell(value) for part in row for value in part.tolist()])
    return out.getvalue().encode("utf-8", "surrogateescape")


def _cell(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def read_table(body, specs):
    """Return the outputs of a table: ``specs`` are name to (datatype, shape), in order of the columns."""
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    at, found = 0, {}
    for name, (dtype, shape) in specs.items():
        width = shape[1] if len(shape) == 2 and shape[1] > 0 else 1
        if len(specs) == 1:
            width = len(rows[0])
        cells = [_uncell(cell, dtype) for row in rows for cell in row[at : at + width]]
        found[name] = array([cells], dtype).reshape(len(rows), *([width] * (len(shape) - 1)))
        at += width
    assert all(len(row) == at for row in rows)
    return found


def _uncell(cell, dtype):
    if dtype == "BYTES":
        return cell.encode()
    if dtype == "BOOL":
        return {"true": True, "false": False}[cell]
    return float(cell) if dtype.startswith("FP") else int(cell)
