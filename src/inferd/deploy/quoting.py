"""User's words on their way into a Dockerfile, YAML or NGINX: checked, then quoted, or refused.

A name, a label or a URL may come from a directory, a file or the command line, and a generated file is
run by somebody who did not read it. So nothing is pasted: what a place needs is matched whole against a
pattern, and what may be free text is written with the quoting of that place. Control characters are
refused everywhere, a line break above all.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from inferd.core.errors import ConfigError

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_TAG = re.compile(r"[a-z0-9][a-z0-9._/:-]{0,200}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?")
_URL = re.compile(r"[A-Za-z0-9:/?&=%#@!()*+,;~_.\[\]-]{1,1000}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_SIZE = re.compile(r"[1-9][0-9]{0,11}[kmg]?", re.ASCII)
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+]*(?:-[A-Za-z0-9._+]+){4,5}\.whl")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


def slug(name: str) -> str:
    """Return a name as services and host names spell it: ``Text_Detect.v2`` gives ``text-detect-v2``.

    Raises ``ConfigError`` where nothing is left of it.
    """
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if not _SLUG.fullmatch(made):
        raise ConfigError(
            f"{name!r}: no name of a service can be made of it", help="use letters and digits"
        )
    return made


def image(text: str, flag: str) -> str:
    """Return the name of an image to build on or to run, with its tag or digest."""
    return _matched(_IMAGE, text, flag, "the name of an image", "python:3.11-slim-bookworm")


def tag(text: str, flag: str) -> str:
    """Return the name under which an image is kept."""
    return _matched(_TAG, text, flag, "a name for an image", "shop/iris:1.2")


def host(text: str, flag: str) -> str:
    """Return a host name."""
    return _matched(_HOST, text, flag, "a host name", "models.example.org")


def size(text: str, flag: str) -> str:
    """Return an amount of memory as container engines spell it."""
    return _matched(_SIZE, text.lower(), flag, "an amount of memory", "2g")


def wheel(text: str, flag: str) -> str:
    """Return the file name of a wheel."""
    return _matched(_WHEEL, text, flag, "the name of a wheel", "inferd-0.1.0-py3-none-any.whl")


def version(text: str, what: str) -> str:
    """Return the version of a distribution."""
    return _matched(_VERSION, text, what, "a version", "2.13.0")


def variable(text: str, flag: str) -> str:
    """Return the name of an environment variable."""
    return _matched(_VARIABLE, text, flag, "the name of a variable", "INFERD_LOG_LEVEL")


def address(text: str, flag: str) -> str:
    """Return an address of this machine."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"{flag}: {text[:80]!r} is not an IP address") from None


def url(text: str, flag: str) -> str:
    """Return the URL of a package index; one with a password in it is refused."""
    _matched(_URL, text, flag, "a URL", "https://pypi.org/simple")
    try:
        parts = urlsplit(text)
        secret = parts.username or parts.password
    except ValueError:
        raise ConfigError(f"{flag}: {text!r} is not a URL") from None
    if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.path):
        raise ConfigError(f"{flag}: {text!r} is not a URL of http, https or file")
    if secret:
        raise ConfigError(
            f"{flag}: the URL holds a password, and the Dockerfile may be read by anybody",
            help="leave it out, and give it when building: --build-arg PIP_INDEX_URL=...",
        )
    return text


def _matched(pattern: re.Pattern[str], text: str, flag: str, what: str, example: str) -> str:
    if not pattern.fullmatch(text):
        raise ConfigError(f"{flag}: {text[:80]!r} is not {what}", help=f"for example {example}")
    return text


def printable(text: str, what: str) -> str:
    """Return a text without control characters; raises ``ConfigError`` where it has some."""
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in text):
        raise ConfigError(f"{what}: {text[:80]!r} holds control characters")
    return text


def docker_word(text: str, what: str = "a value") -> str:
    """Return a text as one double-quoted word of a Dockerfile, with nothing expanded in it."""
    for char in ("\\", '"', "$"):
        text = text.replace(char, f"\\{char}")
    return f'"{printable(text, what)}"'


def docker_list(words: Sequence[str], what: str = "an argument") -> str:
    """Return words as the JSON list of an exec-form instruction."""
    return json.dumps([printable(word, what) for word in words])


def interpolated(value: Any) -> Any:
    """Return a value for ``compose.yaml``: a dollar sign would be taken for a variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: interpolated(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [interpolated(item) for item in value]
    return value


def to_yaml(value: Any, indent: int = 0) -> str:
    """Return a value as YAML in block style, in its own order, indented."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes a value that stands twice out twice, and lists indented below their key."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    text = yaml.dump(
        value, Dumper=Plain, sort_keys=False, allow_unicode=True, width=4096, default_flow_style=False
    )  # fmt: skip
    lines = text.removesuffix("...\n").rstrip("\n").split("\n")  # splitlines() knows other ends too
    return "\n".join(" " * indent + line if line else line for line in lines) + "\n"
