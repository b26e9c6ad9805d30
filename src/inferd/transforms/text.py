"""Texts: ``tokenize`` before the model and ``decode_tokens`` after it.

Both read a ``tokenizer.json`` that lies beside the model. Padding is left to ``pad``, so that texts
of unequal length batch together; what of ids, mask and types the model takes decides its signature.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from inferd.core.errors import InvalidInput, MissingExtra
from inferd.core.tensor import BYTES, DType, Tensors, as_bytes
from inferd.transforms.draft import BATCH as BATCH_AXIS
from inferd.transforms.draft import TOKENS, Axis, Draft, Flow, swap
from inferd.transforms.files import read
from inferd.transforms.operation import (
    BATCH,
    ITEM,
    POSTPROCESS,
    PREPROCESS,
    Bound,
    Context,
    EachOutput,
    Kernel,
    Operation,
    Transform,
)
from inferd.transforms.pad import is_mask
from inferd.transforms.parameter import FLAG, POSITIVE, TEXT, Args, Parameter, StepError

MAX_TOKENIZER_BYTES = 256 << 20
MAX_TEXT_BYTES = 1 << 20
"""Bytes of a text that is tokenized: a megabyte takes about a second, in which no other request goes on."""

IDS, MASK, TYPES = "ids", "mask", "types"


def load_tokenizer(directory: Path, name: str, what: str) -> Any:
    """Return the tokenizer of a file. Raises ``MissingExtra`` or ``StepError``."""
    try:
        import tokenizers
    except ImportError:
        raise MissingExtra("tokenizers", "text", what=what) from None
    data = read(directory, name, "file", MAX_TOKENIZER_BYTES)
    try:
        return tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:
        raise StepError(f"file: {name!r} is no tokenizer: {error}") from None


@dataclass(slots=True)
class Tokenize:
    """A text becomes token ids, and the mask and types where the model takes them."""

    args: Args
    tokenizer: Any
    name: str = "text"
    _parts: dict[str, tuple[str, DType]] = field(default_factory=dict)

    def source(self, wanted: Flow) -> Flow:
        """One text instead of all the inputs made of it."""
        names = self._roles(wanted)
        self._parts = {role: (name, wanted[name].dtype) for role, name in names.items()}
        gone = tuple(names.values())
        self.name = self.args["input"] or "text"
        if self.name in wanted and self.name not in gone:
            raise StepError(f"input: the model has an input {self.name!r} of its own")
        text = Draft(self.name, BYTES, (BATCH_AXIS,), "text", sample=self._sample())
        return swap(wanted, gone, {self.name: text})

    def _sample(self) -> bytes:
        """Return a text that has tokens, were it one of the vocabulary's own."""
        for text in ("hello world", *sorted(self.tokenizer.get_vocab(), key=len)[-20:]):
            if self.tokenizer.encode(text, add_special_tokens=False).ids:
                return str(text).encode()
        return b"hello world"

    def _roles(self, wanted: Flow) -> dict[str, str]:
        flat = [
            n for n, d in wanted.items()
            if d.dtype is not BYTES and d.axes is not None and len(d.axes) == 2
        ]  # fmt: skip
        masks = [n for n in flat if is_mask(wanted[n])]
        types = [n for n in flat if "type" in n.lower() or "segment" in n.lower()]
        rest = [n for n in flat if n not in masks and n not in types and wanted[n].integer]
        named = self.args["output"]
        if named is not None:
            if named not in wanted:
                raise StepError(f"output: the model has no input {named!r}")
            ids = [named]
        else:
            ids = [n for n in rest if n.lower() in ("input_ids", "ids", "tokens")] or rest
        if len(ids) != 1:
            there = ", ".join(f"{n} ({d.text()})" for n, d in wanted.items())
            raise StepError(
                f"which input takes the token ids? The model has {there}",
                help="name it with output:",
            )
        found = {IDS: ids[0]}
        for role, names in ((MASK, masks), (TYPES, types)):
            names = [n for n in names if n != ids[0]]
            if len(names) > 1:
                raise StepError(f"several inputs could take the {role}: {', '.join(names)}")
            if names:
                found[role] = names[0]
        return found

    def bind(self, given: Flow) -> Bound:
        """Put the parts in the place of the text."""
        axes = (BATCH_AXIS, Axis(-1, TOKENS, (self.name, 0)))
        drafts = {n: Draft(n, dtype, axes) for n, dtype in self._parts.values()}
        return Bound(swap(given, self.name, drafts), self._apply)

    def _apply(self, tensors: Tensors) -> None:
        encoding = self._encode(tensors.pop(self.name))
        for role, (name, dtype) in self._parts.items():
            values = {
                IDS: encoding.ids, MASK: encoding.attention_mask, TYPES: encoding.type_ids,
            }[role]  # fmt: skip
            tensors[name] = np.asarray(values, dtype.numpy)

    def _encode(self, x: np.ndarray) -> Any:
        if x.size != 1:
            raise InvalidInput(f"one text per example, not {x.size}")
        data = as_bytes(x.reshape(-1)[0])
        if len(data) > MAX_TEXT_BYTES:
            raise InvalidInput(f"the text has {len(data)} bytes; {MAX_TEXT_BYTES} are read at most")
        try:
            text = data.decode()
        except UnicodeError:
            raise InvalidInput("the text is not valid UTF-8") from None
        encoding = self.tokenizer.encode(text, add_special_tokens=self.args["special_tokens"])
        count, most = len(encoding.ids), self.args["max_length"]
        if not count:
            raise InvalidInput("the text has no tokens")
        if most is not None and count > most:
            raise InvalidInput(f"the text has {count} tokens; the model takes {most} at most")
        return encoding


def _tokenize(args: Args, context: Context) -> Operation:
    tokenizer = load_tokenizer(context.directory, args["file"], "tokenize")
    tokenizer.no_padding()
    most, cut = args["max_length"], args["truncation"]
    if cut is None:
        cut = most is not None
    if not cut:
        # a limit of the file's own stays, unless truncation is turned off
        if args["truncation"] is False:
            tokenizer.no_truncation()
    elif most is not None:
        special = tokenizer.num_special_tokens_to_add(False) if args["special_tokens"] else 0
        if most <= special:
            raise StepError(f"max_length: {most} leaves no room beside {special} special tokens")
        tokenizer.enable_truncation(most)
    elif tokenizer.truncation is None:
        raise StepError("truncation: needs max_length, for the tokenizer has no limit of its own")
    return Tokenize(args, tokenizer)


@dataclass(slots=True)
class DecodeTokens:
    """Token ids become one text per example."""

    tokenizer: Any
    skip_special: bool
    names: str = "text"

    def fits(self, given: Draft) -> bool:
        """Fits whole numbers, one row of them per example."""
        return given.integer and len(given.known) == 2

    def forward(self, given: Draft) -> Draft:
        """One text per example."""
        if not self.fits(given):
            raise StepError(
                f"needs rows of token ids, but {given.name!r} is {given.text()}",
                help="put argmax before it where the model gives scores",
            )
        return replace(
            given, dtype=BYTES, axes=given.known[:1], content="text",
            classes=None, scores=None, along=None,
        )  # fmt: skip

    def kernel(self, _given: Draft, _result: Draft) -> Kernel:
        """Decode the batch; ids below zero mark nothing and are left out."""

        def apply(x: np.ndarray) -> np.ndarray:
            rows = [[i for i in row if 0 <= i < 1 << 32] for row in x.tolist()]
            out = np.empty(len(rows), object)
            texts = self.tokenizer.decode_batch(rows, skip_special_tokens=self.skip_special)
            out[:] = [text.encode() for text in texts]
            return out

        return apply

    def touches(self, _given: Draft) -> int | None:
        """A text is made of all the ids of a row."""
        return 1


def _decode_tokens(args: Args, context: Context) -> Operation:
    tokenizer = None
    if not context.dry:
        tokenizer = load_tokenizer(context.directory, args["file"], "decode_tokens")
    return EachOutput(DecodeTokens(tokenizer, args["skip_special_tokens"]), args)


_FILE = Parameter("file", TEXT, "the tokenizer, beside the model", "tokenizer.json")

TRANSFORMS = (
    Transform(
        "tokenize", PREPROCESS, ITEM,
        "Split a text into token ids, with mask and types where the model takes them. Follow it "
        "with `pad`. Needs the extra `text`.",
        _tokenize,
        "tokenize: {file: tokenizer.json, max_length: 128}",
        "One text (BYTES, content `text`) per example, named `text` or as `input` says.",
        (
            _FILE,
            Parameter("max_length", POSITIVE, "the most tokens, special ones included"),
            Parameter("truncation", FLAG, "cut longer texts; default: if max_length is given"),
            Parameter("special_tokens", FLAG, "add what the tokenizer puts around a text", True),
        ),
        ("file",),
    ),
    Transform(
        "decode_tokens", POSTPROCESS, BATCH,
        "Turn rows of token ids into texts. Needs the extra `text`.",
        _decode_tokens,
        "decode_tokens: tokenizer.json",
        "One text (BYTES) per example, named `text`.",
        (
            _FILE,
            Parameter("skip_special_tokens", FLAG, "leave special tokens out", True),
        ),
        ("file",),
        heavy=True,
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
