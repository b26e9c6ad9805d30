"""``genai_config.json``: what a directory of onnxruntime-genai says, read without any framework.

The front reads it before a worker starts, the worker once more. Nothing in it may name a file outside of
the directory, and nothing that would be loaded as code. Of its settings those count that describe the
model; session options, which could name libraries, are never passed on.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferd.core.errors import ModelFileError
from inferd.runtimes.onnxfile import check_external_data
from inferd.runtimes.probe import probe
from inferd.runtimes.protowalk import Corrupt

NAME = "genai_config.json"
TOKENIZER = "tokenizer.json"
MAX_CONFIG = 1 << 20
MAX_TOKENIZER = 128 << 20
MAX_MODEL = 1 << 40
MAX_CONTEXT = 1 << 24
MAX_EOS = 64

_AGAIN = "make the directory again: python -m onnxruntime_genai.models.builder -e cpu"
_SMALL = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
_OTHER_PARTS = (
    "encoder",
    "embedding",
    "vision",
    "speech",
    "joiner",
    "decoder_init",
    "mtp",
    "dflash2",
)
_CODE = ("custom_ops", "library", "plugin", "shared_lib")


@dataclass(frozen=True, slots=True)
class Config:
    """What counts of ``genai_config.json``. ``search``: the sampling that the model's makers suggest.

    ``heads`` and ``size``: of keys and values, in each layer.
    ``key`` and ``value`` are patterns of the names of the cache's tensors, with ``%d`` for the layer;
    the ones of what comes out are ``present_key`` and ``present_value``.
    """

    kind: str
    model: Path
    context: int
    eos: tuple[int, ...]
    vocabulary: int
    layers: int
    heads: int
    size: int
    ids: str
    mask: str
    positions: str
    key: str
    value: str
    logits: str
    present_key: str
    present_value: str
    search: Mapping[str, Any]


def read_config(directory: Path) -> Config:
    """Read and check a directory. Raises ``ModelFileError`` naming the file at fault."""
    path = directory / NAME
    raw = _object(path)
    for key in _keys(raw):
        if any(word in key.lower() for word in _CODE):
            raise ModelFileError(
                f"{path}: names a library to load ({key!r}), and nothing in a model's files runs code",
                help="remove the key; operators of your own need a runtime of your own",
            )
    config = _config(raw, path, directory)
    _check_files(directory, config)
    return config


def _object(path: Path) -> dict[str, Any]:
    _regular(path, MAX_CONFIG)
    try:
        raw = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: is not valid JSON: {error}", help=_AGAIN) from None
    if not isinstance(raw, dict):
        raise ModelFileError(f"{path}: must hold an object", help=_AGAIN)
    return raw


def _config(raw: dict[str, Any], path: Path, directory: Path) -> Config:
    model = _part(raw, "model", path)
    decoder = _part(model, "decoder", path)
    other = next((name for name in _OTHER_PARTS if model.get(name)), None)
    if other is not None or decoder.get("pipeline"):
        raise ModelFileError(
            f"{path}: the model has a part {other or 'pipeline'!r}, and only decoders of text are served",
            help="serve it with an engine that knows it, and name that under `services`",
        )
    _check_providers(decoder, path)
    inputs, outputs = _part(decoder, "inputs", path), _part(decoder, "outputs", path)
    if not _part(raw, "search", path).get("past_present_share_buffer"):
        raise ModelFileError(
            f"{path}: the model's cache does not grow in place (past_present_share_buffer)",
            help=_AGAIN,
        )
    vocabulary = _whole(model, "vocab_size", path, MAX_CONTEXT)
    return Config(
        kind=str(model.get("type", "")),
        model=_beside(directory, decoder.get("filename"), path),
        context=_whole(model, "context_length", path, MAX_CONTEXT),
        eos=_eos(model, path, vocabulary),
        vocabulary=vocabulary,
        layers=_whole(decoder, "num_hidden_layers", path, 10_000),
        heads=_whole(decoder, "num_key_value_heads", path, 10_000),
        size=_whole(decoder, "head_size", path, 10_000),
        ids=str(inputs.get("input_ids", "input_ids")),
        mask=str(inputs.get("attention_mask", "attention_mask")),
        positions=str(inputs.get("position_ids", "position_ids")),
        key=_pattern(inputs, "past_key_names", "past_key_values.%d.key", path),
        value=_pattern(inputs, "past_value_names", "past_key_values.%d.value", path),
        logits=str(outputs.get("logits", "logits")),
        present_key=_pattern(outputs, "present_key_names", "present.%d.key", path),
        present_value=_pattern(outputs, "present_value_names", "present.%d.value", path),
        search=_part(raw, "search", path),
    )


def _check_providers(decoder: dict[str, Any], path: Path) -> None:
    options = decoder.get("session_options") or {}
    given = options.get("provider_options") if isinstance(options, dict) else None
    for row in given if isinstance(given, list) else ():
        for name in row if isinstance(row, dict) else ():
            if str(name).lower() not in ("cpu", "cpuexecutionprovider"):
                raise ModelFileError(
                    f"{path}: the model is built for {str(name)!r}, and it would run on a CPU",
                    help="build it for `-e cpu`, or serve it with an engine made for that device",
                )


def _check_files(directory: Path, config: Config) -> None:
    _regular(directory / TOKENIZER, MAX_TOKENIZER)
    for name in _SMALL:
        if (directory / name).is_symlink() or (directory / name).exists():
            _regular(directory / name, MAX_TOKENIZER if name.startswith("added") else MAX_CONFIG)
    path = config.model
    _regular(path, MAX_MODEL)
    try:
        found = probe(path).format
    except (Corrupt, OSError, ValueError) as error:
        raise ModelFileError(f"{path}: is damaged: {error}", help=_AGAIN) from None
    if found != "onnx":
        raise ModelFileError(f"{path}: is not an ONNX model", help=_AGAIN)
    check_external_data(path)


def _regular(path: Path, limit: int) -> int:
    """Return the size of a plain file; links are refused, since they may lead out of the directory."""
    try:
        status = path.lstat()
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read: {error.strerror or error}",
            help="the directory must hold everything that the builder wrote into it",
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(f"{path}: is not a plain file", help="copy the file itself")
    if not 0 < status.st_size <= limit:
        raise ModelFileError(
            f"{path}: has {status.st_size} bytes; 1 to {limit} are read", help=_AGAIN
        )
    return status.st_size


def _beside(directory: Path, name: Any, path: Path) -> Path:
    plain = isinstance(name, str) and name.isprintable() and not set(name) & set("/\\:")
    if not plain or name in ("", ".", ".."):
        raise ModelFileError(
            f"{path}: model.decoder.filename is {name!r}, and must be the name of a file beside it",
            help="keep everything in one directory",
        )
    return directory / str(name)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _part(raw: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = raw.get(name)
    if not isinstance(found, dict):
        raise ModelFileError(f"{path}: has no object {name!r}", help=_AGAIN)
    return found


def _whole(raw: dict[str, Any], name: str, path: Path, most: int) -> int:
    value = raw.get(name)
    if type(value) is not int or not 0 < value <= most:
        raise ModelFileError(f"{path}: {name!r} is {value!r}, and must be 1 to {most}", help=_AGAIN)
    return value


def _eos(model: dict[str, Any], path: Path, most: int) -> tuple[int, ...]:
    value = model.get("eos_token_id")
    found = value if isinstance(value, list) else [value]
    if not 0 < len(found) <= MAX_EOS or any(type(n) is not int or not 0 <= n < most for n in found):
        raise ModelFileError(
            f"{path}: 'eos_token_id' is {str(value)[:64]}, and must be a token: 0 to {most - 1}",
            help=_AGAIN,
        )
    return tuple(found)


def _pattern(raw: dict[str, Any], name: str, default: str, path: Path) -> str:
    value = raw.get(name, default)
    if not isinstance(value, str) or value.count("%") != 1 or "%d" not in value:
        raise ModelFileError(f"{path}: {name!r} is {value!r}, and must hold one %d", help=_AGAIN)
    return value
