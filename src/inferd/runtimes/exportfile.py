"""What a ``torch.export`` archive may hold, checked before PyTorch reads it.

PyTorch warns that loading one is not safe: weights, constants and sample inputs may be pickles that
are loaded without restriction, opaque constants go to ``pickle.loads``, shape expressions to
``sympify`` (which evaluates Python), names and guards into generated code that is executed, and
compiled libraries are opened. So a narrow form is let through: tensors stored raw, names that are
identifiers, operators of ``torch.ops``, expressions and guards of known functions over symbols and
sizes, no compiled code. Sample inputs are a pickle by format; the runtime loads with
``TORCH_FORCE_WEIGHTS_ONLY_LOAD=1`` so that they are held to plain tensors as well.

Source: torch 2.13, torch/export/pt2_archive and torch/_export/serde.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inferd.core.errors import ModelFileError
from inferd.runtimes.archive import Archive, open_archive
from inferd.runtimes.protowalk import Corrupt

MAX_JSON = 256 << 20
MAX_EXPRESSION = 10_000
_NAME = re.compile(r"[A-Za-z_]\w*|", re.ASCII)
_PATH = re.compile(r"[\w.\-/\[\]<>]*", re.ASCII)
_TEXT = re.compile(r"[\w.,:;>\- ()+*/=]*", re.ASCII)
_TARGET = re.compile(
    r"torch\.ops\.\w+\.\w+(\.\w+)?|_operator\.\w+|math\.trunc|torch\.sym_\w+", re.ASCII
)
_SYMBOL = re.compile(r"[suz]f?\d+|zuf\d+|oo|int_oo", re.ASCII)
_METHODS = frozenset({"size", "stride", "storage_offset", "ndim", "shape"})
_FUNCTIONS = frozenset(
    [
        "Symbol",
        "Integer",
        "Float",
        "Add",
        "Mul",
        "Pow",
        "Max",
        "Min",
        "Mod",
        "PythonMod",
        "FloorDiv",
        "CleanDiv",
        "ModularIndexing",
        "CeilToInt",
        "FloorToInt",
        "ToFloat",
        "TruncToInt",
        "TruncToFloat",
        "RoundToInt",
        "RoundDecimal",
        "IntTrueDiv",
        "FloatTrueDiv",
        "FloatPow",
        "PowByNatural",
        "Where",
        "Eq",
        "Ne",
        "Lt",
        "Le",
        "Gt",
        "Ge",
        "Equality",
        "Unequality",
        "StrictLessThan",
        "LessThan",
        "StrictGreaterThan",
        "GreaterThan",
        "And",
        "Or",
        "Not",
        "Identity",
        "BitwiseFn_bitwise_and",
        "BitwiseFn_bitwise_or",
        "OpaqueUnaryFn_sqrt",
        "Rational",
        "floor",
        "ceiling",
        "Abs",
        "Mod",
        "sqrt",
    ]
)
_SPECS = frozenset({
    None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict",
    "collections.namedtuple",
})  # fmt: skip
_FREE = frozenset({"metadata", "torch_version", "nn_module_stack"})
_NAMES = frozenset({"name", "as_name", "forward_arg_names"})


def check_export(path: Path) -> None:
    """Refuse a ``.pt2`` that could run code when it is loaded. Raises ``ModelFileError``."""
    try:
        reason = judge(open_archive(path))
    except Corrupt as error:
        raise ModelFileError(f"{path}: is damaged: {error}") from None
    if reason is not None:
        raise ModelFileError(
            f"{path}: {reason}, which could run code when it is loaded",
            help="export it again with torch.export and plain tensor inputs, or to ONNX",
        )


def judge(archive: Archive) -> str | None:
    """Return why an archive is refused, or ``None``. Raises ``Corrupt``."""
    if "serialized_exported_program.json" in archive or "version" in archive:
        return "has the layout of PyTorch before 2.8"
    for name in archive.sizes:
        if name.startswith(("data/aotinductor/", "data/executorch/", "data/mtia/", "mtia")):
            return f"holds compiled code ({name})"
        if re.search(r"(custom|opaque)_obj_", name):
            return f"holds a pickled object ({name})"
        if name.endswith(".pt") and not name.startswith("data/sample_inputs/"):
            return f"holds pickled weights ({name})"
    for name in archive.under("data/"):
        if name.endswith("_config.json"):
            for payload in _walk_dicts(_json(archive, name)):
                if payload.get("use_pickle"):
                    return f"holds pickled tensors ({name})"
                if not str(payload.get("path_name", "")).startswith(("weight_", "tensor_", "")):
                    return f"holds unknown data ({name})"
    for name in archive.under("models/"):
        reason = _strings(_json(archive, name))
        if reason is not None:
            return f"{reason} ({name})"
    return None


def _json(archive: Archive, name: str) -> Any:
    try:
        return json.loads(archive.read(name, MAX_JSON))
    except (ValueError, RecursionError) as error:
        if isinstance(error, Corrupt):
            raise
        raise Corrupt(f"{name} is not valid JSON: {error}") from None


def _walk_dicts(value: Any) -> Iterator[dict[str, Any]]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack += item.values()
        elif isinstance(item, list):
            stack += item


def _strings(root: Any) -> str | None:
    """Judge every string of a serialized program by the key it stands under."""
    stack: list[tuple[str, Any]] = [("", root)]
    while stack:
        key, value = stack.pop()
        if isinstance(value, dict):
            for name, inner in value.items():
                if name in _FREE:
                    continue
                if not _PATH.fullmatch(name) and not _TEXT.fullmatch(name):
                    return f"holds the key {name[:60]!r}"
                stack.append((name, inner))
        elif isinstance(value, list):
            stack += [(key, inner) for inner in value]
        elif isinstance(value, str):
            reason = _string(key, value)
            if reason is not None:
                return reason
    return None


def _string(key: str, value: str) -> str | None:
    if key in {"in_spec", "out_spec"}:
        return None if _spec(value) else "holds an unknown structure of inputs or outputs"
    if key == "expr_str":
        fine = _expression(value)
    elif key == "guards_code":
        fine = _guard(value)
    elif key == "target":
        fine = bool(_TARGET.fullmatch(value))
    elif key in _NAMES:
        fine = bool(_NAME.fullmatch(value))
    else:
        fine = bool(_TEXT.fullmatch(value) or _PATH.fullmatch(value))
    return None if fine else f"holds the {key or 'text'} {value[:80]!r}"


_PLAIN_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.operator, ast.unaryop,
    ast.cmpop, ast.boolop, ast.Load,
)  # fmt: skip


def _expression(value: str) -> bool:
    """Whether a text is arithmetic over symbols and known functions, as ``sympify`` will run it."""
    return _parsed(value, {"func": _FUNCTIONS, "guard": False})


def _guard(value: str) -> bool:
    """Whether a guard compares sizes of inputs and does nothing else."""
    return _parsed(value, {"func": _FUNCTIONS | {"min", "max"}, "guard": True})


def _parsed(value: str, rules: dict[str, Any]) -> bool:
    if len(value) > MAX_EXPRESSION or not value.isascii():
        return False
    try:
        tree = ast.parse(value.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        inner = _inner(node, rules)
        if inner is None:
            return False
        stack += inner
    return True


def _inner(node: ast.AST, rules: dict[str, Any]) -> list[ast.AST] | None:
    """Return the nodes below an allowed one that are still to be judged, or ``None``."""
    if isinstance(node, _PLAIN_NODES):
        return list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Constant):
        return [] if isinstance(node.value, (int, float)) else None
    if isinstance(node, ast.Name):
        return [] if _SYMBOL.fullmatch(node.id) or (rules["guard"] and node.id == "L") else None
    if isinstance(node, ast.Call):
        return _call(node, rules)
    if not rules["guard"]:
        return None
    if isinstance(node, ast.Attribute):
        return [node.value] if node.attr in _METHODS else None
    if isinstance(node, ast.Subscript):
        key = node.slice
        named = isinstance(key, ast.Constant) and isinstance(key.value, str)
        if named and isinstance(key, ast.Constant) and not _NAME.fullmatch(str(key.value)):
            return None
        return [node.value] if named else [node.value, key]
    return None


def _call(node: ast.Call, rules: dict[str, Any]) -> list[ast.AST] | None:
    function = node.func
    arguments = [*node.args, *(k.value for k in node.keywords)]
    if isinstance(function, ast.Attribute) and rules["guard"]:
        return [function, *arguments]
    if not isinstance(function, ast.Name) or function.id not in rules["func"]:
        return None
    if function.id == "Symbol":  # the one function that takes a text: a symbol's name
        name = node.args[0] if node.args else None
        if not isinstance(name, ast.Constant) or not _SYMBOL.fullmatch(str(name.value)):
            return None
        arguments = arguments[1:]
    return list(arguments)


def _spec(value: str) -> bool:
    """Judge a pytree spec: a JSON text of known containers whose keys are identifiers."""
    if not value:
        return True
    try:
        tree = json.loads(value)
    except (ValueError, RecursionError):
        return False
    for node in _walk_dicts(tree):
        if "type" not in node and "children_spec" not in node:
            return False
        if node.get("type") not in _SPECS:
            return False
        context = node.get("context")
        if context is not None and not re.fullmatch(r"null|\[[\w\s\",]*\]", str(context), re.ASCII):
            return False
    return True
