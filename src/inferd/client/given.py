"""What a caller gives, as the tensors of a request.

Inputs are ``{name: value}``, one value for the only input (or the only one without a default), a list of
``{name: value}`` (a batch), or a pandas DataFrame. Each value becomes an array of its input's datatype under the rules of
the simple dialect: strictly, nothing rounded or cut. The rank of an array, against the rank of an
example in the model's signature, says whether it is one example (it is given a batch axis of one,
and the answer loses it) or a batch. A pandas column is always a batch.

A server that does not say what its model takes is given arrays as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inferd.client.foreign import is_foreign, is_frame, is_series, matrix, unfold
from inferd.codecs.npy import fit
from inferd.codecs.values import check_shape, depth_of, show_shape, to_array
from inferd.core.errors import InvalidInput, nearest
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors, as_bytes, dtype_of

_TEXTUAL = "SUOT"


class Given(NamedTuple):
    """The tensors of a request; ``single``: the answer's batch axis is to be taken off.

    ``index``: the row labels of the pandas value they came from.
    """

    tensors: Tensors
    single: bool
    index: Any = None


def to_tensors(inputs: Any, signature: Signature) -> Given:
    """Return the tensors of a request; raises ``InvalidInput`` naming the input that does not fit."""
    if not signature.inputs:
        return _undeclared(inputs)
    if is_frame(inputs):
        return _frame(inputs, signature)
    if isinstance(inputs, Mapping):
        return _named(inputs, signature)
    if _is_rows(inputs):
        return _rows(inputs, signature)
    lone = signature.lone
    if lone is None:
        listed = ", ".join(repr(spec.name) for spec in signature.inputs)
        raise InvalidInput(
            f"the model takes {len(signature.inputs)} inputs; one value without a name was given",
            help=f"give {{name: value}} with {listed}",
        )
    return _named({lone.name: inputs}, signature)


def array_of(value: Any, spec: TensorSpec) -> np.ndarray:
    """Return ``value`` as an array of the datatype of ``spec``, of whatever rank it has."""
    value = unfold(value, spec.dtype)
    if isinstance(value, np.ndarray):
        return _fitted(value, spec)
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, np.ndarray) or is_foreign(v) for v in value):
            return _stacked([array_of(v, spec) for v in value], spec)
        return _listed(value, spec)
    if isinstance(value, np.generic):
        return _fitted(np.asarray(value), spec)
    if spec.dtype is BYTES:
        return _texts(value, spec)
    return to_array(value, spec.dtype, 0, f"input {spec.name!r}")


def _fitted(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    if array.dtype.kind not in _TEXTUAL:
        if spec.dtype is BYTES:
            raise InvalidInput(
                f"input {spec.name!r} takes texts or bytes; the array holds {array.dtype.name}",
                help="an image goes in as PIL.Image.fromarray(array) or as the file's bytes",
            )
        return fit(array, spec)
    if spec.dtype is not BYTES:
        return _listed(array.tolist(), spec)
    return _texts(array.tolist(), spec).reshape(array.shape)


def _listed(value: Sequence[Any], spec: TensorSpec) -> np.ndarray:
    if spec.dtype is BYTES:
        return _texts(value, spec)
    plain = _lists(value)
    return to_array(plain, spec.dtype, depth_of(plain), f"input {spec.name!r}")


def _lists(value: Any) -> Any:
    """Return nested sequences as lists, numpy's scalars as Python's."""
    if isinstance(value, (list, tuple)):
        kinds = set(map(type, value))
        if type(value) is list and kinds <= {int, float}:
            return value
        return [_lists(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _texts(value: Any, spec: TensorSpec) -> np.ndarray:
    """Return texts and bytes, nested evenly or alone, as an array of bytes."""
    array = np.empty((), object)
    if isinstance(value, (list, tuple)):
        try:
            array = np.array(value, object)
        except ValueError:
            raise _uneven(spec) from None
    else:
        array[()] = value
    for index, element in enumerate(array.flat):
        try:
            array.flat[index] = as_bytes(element)
        except UnicodeEncodeError as error:
            raise InvalidInput(f"input {spec.name!r}: the text cannot be sent: {error}") from None
        except InvalidInput as error:
            raise InvalidInput(f"input {spec.name!r}: {error.message}") from None
    return array


def _stacked(rows: list[np.ndarray], spec: TensorSpec) -> np.ndarray:
    if len({row.shape for row in rows}) > 1:
        raise _uneven(spec)
    return np.stack(rows)


def _uneven(spec: TensorSpec) -> InvalidInput:
    return InvalidInput(
        f"input {spec.name!r}: the rows are of unequal shape, which no tensor holds",
        help="ask for each example alone; the server forms the batch",
    )


def _named(values: Mapping[str, Any], signature: Signature) -> Given:
    specs = {spec.name: spec for spec in signature.inputs}
    for name in values:
        if name not in specs:
            raise InvalidInput(f"no input named {str(name)!r}", help=nearest(str(name), specs))
    tensors: Tensors = {}
    singles: dict[str, bool] = {}
    index: Any = None
    # An input that is left out may be optional on another server; the server says if it is not.
    for name, spec in specs.items():
        if name in values:
            value = values[name]
            tensors[name], singles[name] = _aligned(value, spec, batched=signature.batched)
            index = value.index if index is None and hasattr(value, "to_frame") else index
    _check_sizes(tensors, singles, batched=signature.batched)
    return Given(tensors, any(singles.values()), index)


def _aligned(value: Any, spec: TensorSpec, *, batched: bool) -> tuple[np.ndarray, bool]:
    """Return the tensor of one input with its batch axis, and whether it is one example."""
    if value is None:
        raise InvalidInput(f"input {spec.name!r} has no value", help="NaN is float('nan')")
    array = array_of(value, spec)
    example = spec.shape[1:] if batched else spec.shape
    one_value = all(n in (1, -1) for n in example)
    if batched and is_series(value) and one_value:
        array = array.reshape(len(array), *(1,) * len(example))
    elif array.ndim == 0 and one_value:
        array = array.reshape((1,) * len(example))
    single = batched and array.ndim == len(example)
    if not single and array.ndim != len(spec.shape):
        also = f"; a batch is {show_shape(spec.shape)}" if batched else ""
        raise InvalidInput(
            f"input {spec.name!r}: an example is {show_shape(example)}{also}; "
            f"got {show_shape(array.shape)}"
        )
    check_shape(array.shape, example if single else spec.shape, spec, "the value")
    return (array[np.newaxis] if single else array), single


def _check_sizes(tensors: Tensors, singles: Mapping[str, bool], *, batched: bool) -> None:
    if not batched or len(tensors) < 2:
        return
    first = next(iter(tensors))
    for name, array in tensors.items():
        if singles[name] != singles[first]:
            one, many = (name, first) if singles[name] else (first, name)
            raise InvalidInput(
                f"input {one!r} is one example and input {many!r} is a batch",
                help="give every input one example, or every input a batch of one size",
            )
        if len(array) != len(tensors[first]):
            raise InvalidInput(
                f"input {first!r} holds {len(tensors[first])} examples, "
                f"input {name!r} holds {len(array)}"
            )


def _is_rows(inputs: Any) -> bool:
    return (
        isinstance(inputs, (list, tuple))
        and bool(inputs)
        and all(isinstance(row, Mapping) for row in inputs)
    )


def _rows(rows: Sequence[Mapping[str, Any]], signature: Signature) -> Given:
    """Read a list of ``{name: value}``: a batch, each of them one example."""
    if not signature.batched:
        raise InvalidInput("the model takes no batch", help="give one {name: value}")
    examples = [_named(row, signature) for row in rows]
    columns: Tensors = {}
    for spec in signature.inputs:
        parts = [given.tensors.get(spec.name) for given in examples]
        found = [part for part in parts if part is not None]
        if not found:
            continue
        if len(found) != len(parts) or not all(given.single for given in examples):
            raise InvalidInput(f"every row must hold one example of input {spec.name!r}")
        if len({part.shape for part in found}) > 1:
            raise _uneven(spec)
        columns[spec.name] = np.concatenate(found)
    return Given(columns, single=False)


def _frame(frame: Any, signature: Signature) -> Given:
    """Read a table: its columns as inputs by name, or as the features of the one input."""
    names = [str(name) for name in frame.columns]
    wanted = [spec.name for spec in signature.inputs]
    if sorted(names) == sorted(wanted):
        by_name = {name: frame.iloc[:, i] for i, name in enumerate(names)}
        return _named(by_name, signature)._replace(index=frame.index)
    lone = signature.lone
    if lone is not None and len(lone.shape) == 2:
        array = array_of(matrix(frame), lone)
        check_shape(array.shape, lone.shape, lone, "the table")
        return Given({lone.name: array}, single=False, index=frame.index)
    raise InvalidInput(
        f"the table has the columns {', '.join(names)}; the model takes {', '.join(wanted)}",
        help="choose the columns with frame[[...]]",
    )


def _undeclared(inputs: Any) -> Given:
    if is_frame(inputs):
        inputs = {str(name): inputs[name] for name in inputs.columns}
    if not isinstance(inputs, Mapping):
        raise InvalidInput(
            "the server does not say what the model takes", help="give {input name: array}"
        )
    tensors: Tensors = {}
    for name, value in inputs.items():
        array = np.asarray(unfold(value, BYTES if is_bytes_like(value) else None))
        if dtype_of(array) is BYTES:
            array = _texts(array.tolist(), TensorSpec(str(name), BYTES, array.shape))
        tensors[str(name)] = array
    return Given(tensors, single=False)


def is_bytes_like(value: object) -> bool:
    """Return whether an input that nothing declares is to be sent as bytes: a file."""
    return hasattr(value, "read_bytes")
