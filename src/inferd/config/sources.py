"""Raw settings with their origin: YAML with line numbers, and nothing interpreted.

A ``Section`` is a plain mapping that also knows where each key was written, so that whoever owns
a setting can say ``model.yaml:7: preprocess[1].normalise: unknown step``. Only the safe loader's
types are built; tags, anchors that expand and duplicate keys are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inferd.core.errors import ConfigError, nearest

MAX_BYTES = 1 << 20


class Section(Mapping[str, Any]):
    """A mapping read from a file. Nested mappings are sections; lists hold plain values or sections.

    ``where(key)`` gives ``file:line`` of a key, ``where()`` of the section itself.
    """

    def __init__(
        self, values: dict[str, Any], file: str = "", lines: dict[str, int] | None = None,
        line: int = 0, path: str = "",
    ) -> None:  # fmt: skip
        self._values = values
        self._lines = lines or {}
        self.file = file
        self.line = line
        self.path = path

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def where(self, key: str | None = None) -> str:
        """Return ``file:line`` of ``key`` (of the section where the key is absent or ``None``)."""
        line = self._lines.get(key, self.line) if key is not None else self.line
        return f"{self.file}:{line}" if line else self.file

    def error(self, key: str | None, message: str, *, help: str | None = None) -> ConfigError:
        """Build the error for ``key``: file, line, dotted key, message."""
        dotted = ".".join(p for p in (self.path, key or "") if p)
        if not dotted.isprintable():  # a key as the file has it may steer a terminal
            dotted = repr(dotted)[1:-1]
        place = f"{self.where(key)}: {dotted}" if dotted else self.where(key)
        return ConfigError(f"{place}: {message}", help=help)

    def only(self, *allowed: str) -> Section:
        """Refuse keys not in ``allowed``, naming the nearest allowed one; returns the section."""
        for key in self._values:
            if key not in allowed:
                raise self.error(key, "unknown key", help=nearest(key, allowed))
        return self

    def plain(self) -> dict[str, Any]:
        """Return nested plain dicts and lists, without origins."""
        return {k: _plain(v) for k, v in self._values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.plain()
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def load_yaml(path: Path) -> Section:
    """Read a YAML mapping. Raises ``ConfigError`` naming file and line; an empty file is empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{path}: is {len(data)} bytes, over the {MAX_BYTES} a settings file may have"
        )
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes | str, file: str) -> Section:
    """Parse YAML text as ``load_yaml`` does; ``file`` is the name used in messages."""
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(data)
        node = loader.get_single_node()
        if node is None:
            return Section({}, file)
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{file}:1: must be a mapping of keys to values")
        return _section(loader, node, file, "")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not valid YAML: {error.problem}") from None
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply") from None
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{file}: not valid YAML: {reason}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _section(loader: Any, node: Any, file: str, path: str) -> Section:
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise ConfigError(f"{file}:{line}: the key {key!r} must be text")
        if key in values:
            raise ConfigError(f"{file}:{line}: {key}: given twice")
        values[key] = _value(loader, value_node, file, f"{path}.{key}" if path else key)
        lines[key] = line
        if isinstance(value_node.value, list) and type(value_node).__name__ == "SequenceNode":
            for i, item in enumerate(value_node.value):
                lines[f"{key}[{i}]"] = item.start_mark.line + 1
    return Section(values, file, lines, node.start_mark.line + 1, path)


_PLAIN_TAGS = {"MappingNode": "map", "SequenceNode": "seq"}


def _value(loader: Any, node: Any, file: str, path: str) -> Any:
    kind = type(node).__name__
    if kind in _PLAIN_TAGS:
        place = f"{file}:{node.start_mark.line + 1}: {path}"
        if node.tag != f"tag:yaml.org,2002:{_PLAIN_TAGS[kind]}":
            raise ConfigError(f"{place}: the tag {node.tag} is not allowed here")
        # An alias gives the same node again: nested ones would grow without bound.
        if getattr(node, "visited", False):
            raise ConfigError(f"{place}: anchors of lists and mappings are not allowed here")
        node.visited = True
        if kind == "MappingNode":
            return _section(loader, node, file, path)
        return [_value(loader, n, file, f"{path}[{i}]") for i, n in enumerate(node.value)]
    return loader.construct_object(node, deep=True)
