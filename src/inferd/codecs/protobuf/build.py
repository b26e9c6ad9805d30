"""Message classes from tables: no generated code, no .proto text, and a pool of our own.

A file is a package with messages, enumerations and services as plain data; ``build`` makes its
descriptors and adds them to a pool. The pool is private, so that definitions of the same names that
other libraries of the process bring (a client's, TensorFlow's) never meet these.

A message's row is ``(field, number, type)`` and, where there is more to say, a fourth word: ``many``
(repeated), ``map KEY`` (a map from that type of key to the type), ``one of NAME`` (a member of that
choice). A type is a scalar's name, a message or enumeration of the same file, or the full name of
one of another. A message ``A.B`` is nested in ``A``.

Source: protocol buffers, language guide (proto 3) and descriptor.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

Rows = tuple[tuple[Any, ...], ...]
Messages = Mapping[str, Rows]
Enums = Mapping[str, Mapping[str, int]]

_F = FieldDescriptorProto
SCALARS: dict[str, _F.Type.ValueType] = {
    "double": _F.TYPE_DOUBLE,
    "float": _F.TYPE_FLOAT,
    "int32": _F.TYPE_INT32,
    "int64": _F.TYPE_INT64,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
    "bool": _F.TYPE_BOOL,
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
}
MANY = "many"
_MAP, _ONE_OF = "map ", "one of "


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service: names of its messages, and which sides stream."""

    name: str
    request: str
    response: str
    streams: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """One file of definitions. ``needs``: the names of the files whose types it uses."""

    name: str
    package: str
    messages: Messages
    enums: Enums = field(default_factory=dict)
    services: Mapping[str, tuple[Method, ...]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


def build(pool: DescriptorPool, files: Iterable[File]) -> dict[str, Any]:
    """Add ``files`` to ``pool``, each after those it needs; return message classes by full name."""
    files = tuple(files)
    enums = {f"{file.package}.{name}" for file in files for name in file.enums}
    classes: dict[str, Any] = {}
    for file in files:
        pool.AddSerializedFile(describe(file, enums).SerializeToString())
        for name in file.messages:
            full = f"{file.package}.{name}"
            classes[full] = message_factory.GetMessageClass(pool.FindMessageTypeByName(full))
    return classes


def describe(file: File, enums: Iterable[str]) -> FileDescriptorProto:
    """Return the descriptor of a file; ``enums`` are the full names of all enumerations."""
    made = FileDescriptorProto(
        name=file.name, package=file.package, syntax="proto3", dependency=file.needs
    )
    scope = _Scope(file, frozenset(enums))
    placed: dict[str, DescriptorProto] = {}
    for name, rows in file.messages.items():
        outer, _, own = name.rpartition(".")
        target = placed[outer].nested_type if outer else made.message_type
        placed[name] = message = target.add(name=own)
        _add_fields(message, name, rows, scope)
    for name, values in file.enums.items():
        outer, _, own = name.rpartition(".")
        enum = EnumDescriptorProto(name=own)
        for label, number in values.items():
            enum.value.add(name=label, number=number)
        (placed[outer].enum_type if outer else made.enum_type).append(enum)
    for name, methods in file.services.items():
        service = made.service.add(name=name)
        for method in methods:
            service.method.add(
                name=method.name,
                input_type=scope.full(method.request),
                output_type=scope.full(method.response),
                client_streaming=method.streams,
                server_streaming=method.streams,
            )
    return made


class _Scope:
    """What the names of types in one file mean."""

    def __init__(self, file: File, enums: frozenset[str]) -> None:
        self._file = file
        self._enums = enums

    def full(self, name: str) -> str:
        """Return the absolute name of a type: the file's own first."""
        file = self._file
        own = name in file.messages or name in file.enums
        return f".{file.package}.{name}" if own else f".{name}"

    def fill(self, made: FieldDescriptorProto, kind: str) -> None:
        """Set the type of a field."""
        scalar = SCALARS.get(kind)
        if scalar is not None:
            made.type = scalar
            return
        made.type_name = self.full(kind)
        made.type = _F.TYPE_ENUM if made.type_name[1:] in self._enums else _F.TYPE_MESSAGE


def _add_fields(message: DescriptorProto, full: str, rows: Rows, scope: _Scope) -> None:
    choices: dict[str, int] = {}
    for name, number, kind, *more in rows:
        how: str = more[0] if more else ""
        made = message.field.add(name=name, number=number, label=_F.LABEL_OPTIONAL)
        if how.startswith(_MAP):
            made.label, made.type = _F.LABEL_REPEATED, _F.TYPE_MESSAGE
            entry = message.nested_type.add(name=_entry_name(name))
            entry.options.map_entry = True
            scope.fill(entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL), how[4:])
            scope.fill(entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL), kind)
            made.type_name = f"{scope.full(full)}.{entry.name}"
            continue
        scope.fill(made, kind)
        if how == MANY:
            made.label = _F.LABEL_REPEATED
        elif how.startswith(_ONE_OF):
            choice = how.removeprefix(_ONE_OF)
            if choice not in choices:
                choices[choice] = len(choices)
                message.oneof_decl.add(name=choice)
            made.oneof_index = choices[choice]


def _entry_name(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_")) + "Entry"
