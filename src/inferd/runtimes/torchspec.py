"""Between PyTorch's calling conventions and named arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from inferd.core.errors import ModelFailed, Unsupported
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, dtype_named

OUTPUT = "output"
_DTYPES: dict[Any, str] = {
    torch.bool: "BOOL", torch.uint8: "UINT8", torch.int8: "INT8", torch.int16: "INT16",
    torch.int32: "INT32", torch.int64: "INT64", torch.float16: "FP16", torch.float32: "FP32",
    torch.float64: "FP64", torch.uint16: "UINT16", torch.uint32: "UINT32", torch.uint64: "UINT64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProgramSignature:
    """What an exported program says. ``outputs`` is ``None`` where it has to be learned."""

    signature: Signature
    by_keyword: bool
    outputs: tuple[TensorSpec, ...] | None


def arguments(
    inputs: Tensors, names: Sequence[str], *, by_keyword: bool
) -> tuple[list[Any], dict[str, Any]]:  # fmt: skip
    """Return a module's arguments: by keyword, or in the signature's order."""
    tensors = {n: torch.from_numpy(_usable(inputs[n])) for n in names}
    return ([], tensors) if by_keyword else (list(tensors.values()), {})


def _usable(array: np.ndarray) -> np.ndarray:
    """Return an array PyTorch can share: writable, native, of positive strides."""
    if array.flags.writeable and array.flags.c_contiguous and array.dtype.isnative:
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def forward_names(module: Any) -> tuple[str, ...]:
    """Return the parameter names of ``forward``, empty where they cannot be told."""
    if isinstance(module, torch.jit.ScriptModule):
        try:
            schema = module.forward.schema
        except (AttributeError, RuntimeError):
            return ()
        return tuple(a.name for a in schema.arguments if a.name != "self")
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return ()
    kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    return tuple(p.name for p in parameters if p.kind in kinds)


def named_outputs(returned: Any, names: Sequence[str] | None) -> Tensors:
    """Return what a module returned by name: a tensor, a tuple or list of them, or a dict.

    ``names``: as declared; ``None``: a dict's own, ``output`` for one, ``output_0`` ... for more.
    Raises ``ModelFailed`` where the two do not fit.
    """
    if isinstance(returned, Mapping):
        parts = {str(k): v for k, v in returned.items() if isinstance(v, torch.Tensor)}
        if names is None:
            return {k: _array(v) for k, v in parts.items()}
        if set(names) <= set(parts):
            return {n: _array(parts[n]) for n in names}
        values: Sequence[Any] = list(parts.values())
    else:
        values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    if not all(isinstance(v, torch.Tensor) for v in values):
        kinds = ", ".join(type(v).__name__ for v in values)
        raise ModelFailed(f"the model returned {kinds}, and only tensors are served")
    if names is None:
        names = [OUTPUT] if len(values) == 1 else [f"{OUTPUT}_{i}" for i in range(len(values))]
    if len(values) < len(names):
        raise ModelFailed(f"the model returned {len(values)} tensors for {len(names)} outputs")
    return {n: _array(v) for n, v in zip(names, values, strict=False)}


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    if tensor.is_sparse or tensor.is_quantized:
        tensor = tensor.to_dense() if tensor.is_sparse else tensor.dequantize()
    array: np.ndarray = tensor.cpu().resolve_conj().resolve_neg().numpy()
    return array


def program_signature(program: Any) -> ProgramSignature:
    """Read names, datatypes and shapes out of a ``torch.export`` program.

    Raises ``Unsupported`` for inputs that are not tensors, naming them.
    """
    values = {n.name: n.meta.get("val") for n in program.graph.nodes}
    inputs, by_keyword = _input_names(program)
    signature = program.graph_signature
    specs = tuple(
        _spec(name, values.get(node), node)
        for name, node in zip(inputs, signature.user_inputs, strict=True)
    )
    found = Signature(specs, (), max_batch=_most(program, signature.user_inputs, values))
    nodes = list(signature.user_outputs)
    shaped = [values.get(n) if isinstance(n, str) else None for n in nodes]
    if not all(isinstance(v, torch.Tensor) for v in shaped):
        return ProgramSignature(found, by_keyword, None)
    names = _output_names(program, len(nodes))
    outputs = tuple(_spec(n, v, n) for n, v in zip(names, shaped, strict=True))
    return ProgramSignature(replace(found, outputs=outputs), by_keyword, outputs)


def _most(program: Any, nodes: Sequence[Any], values: Mapping[str, Any]) -> int | None:
    """Return the largest batch the program was exported for, where it was bounded."""
    bounds = []
    for node in nodes:
        shape = values[node].shape
        if not shape or isinstance(shape[0], int):
            continue
        limits = program.range_constraints.get(shape[0].node.expr)
        upper: Any = getattr(limits, "upper", None)
        if getattr(upper, "is_Integer", False) and int(upper) < 1 << 31:
            bounds.append(int(upper))
    return min(bounds, default=None)


def _input_names(program: Any) -> tuple[list[str], bool]:
    """Return input names and whether to pass them by keyword.

    Positional inputs are named after ``forward``'s parameters where the file has their names.
    """
    users = list(program.graph_signature.user_inputs)
    args, kwargs = program.call_spec.in_spec.children()
    plain = all(child.is_leaf() for child in (*args.children(), *kwargs.children()))
    if not plain or args.num_leaves + kwargs.num_leaves != len(users):
        raise Unsupported(
            "its inputs are nested (lists, dicts or tuples of tensors)",
            help="export it with plain tensor arguments",
        )
    keywords = [str(k) for k in kwargs.context] if kwargs.num_leaves else []
    positional = [str(u) for u in users[: args.num_leaves]]
    if keywords and not positional:
        return keywords, True
    if keywords:
        raise Unsupported(
            "it takes some inputs by position and some by keyword",
            help="export it with one of the two",
        )
    return positional, False


def _output_names(program: Any, count: int) -> list[str]:
    spec = program.call_spec.out_spec
    if spec is not None and spec.type is dict and spec.num_leaves == count:
        return [str(k) for k in spec.context]
    return [OUTPUT] if count == 1 else [f"{OUTPUT}_{i}" for i in range(count)]


def _spec(name: str, value: Any, node: Any) -> TensorSpec:
    if not isinstance(value, torch.Tensor):
        raise Unsupported(
            f"its input {node!r} is a {type(value).__name__}, and only tensors are served",
            help="export it with tensor arguments only",
        )
    if value.dtype not in _DTYPES and value.dtype is not torch.bfloat16:
        raise Unsupported(f"{name!r} is of datatype {value.dtype}, which cannot be served")
    dtype = dtype_named(_DTYPES.get(value.dtype, "FP32"))
    shape = tuple(n if isinstance(n, int) else -1 for n in value.shape)
    symbols = tuple(None if isinstance(n, int) else str(n) for n in value.shape)
    return TensorSpec(name, dtype, shape, symbols if any(symbols) else ())
