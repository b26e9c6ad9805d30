"""Small Whisper models in CTranslate2's form, made here: real files, whose weights follow a script.

Each token leads to one other, whatever is heard: all layers but the embedding and the last are zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import whisper_spec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SIZE, HEADS, HIDDEN = 16, 2, 32
START, END, NOTHING = "<|startoftranscript|>", "<|endoftext|>", "<|nospeech|>"
TRANSCRIBE = "<|transcribe|>"
SPECIAL = (
    END, START, "<|en|>", "<|translate|>", TRANSCRIBE, "<|startoflm|>", "<|startofprev|>",
    NOTHING, "<|notimestamps|>",
)  # fmt: skip
TIMES = tuple(f"<|{i * 0.02:.2f}|>" for i in range(1501))
WORDS = ("▁hello", "▁world", "▁again", "▁la", "▁...")
SPOKEN = ("<|0.00|>", "▁hello", "▁world", "<|1.00|>", "<|1.02|>", "▁again", "<|2.50|>", END)
"""Two segments: "hello world" until 1 s, "again" until 2.5 s."""

UNFINISHED = ("<|0.00|>", "▁hello", "<|20.00|>", "<|20.02|>", "▁world", END)
PAUSED = ("<|0.00|>", "▁hello", "<|2.00|>", "<|2.02|>", "▁world", "<|20.00|>", END)
NOTHING_SAID = ("<|0.00|>", "▁...", "<|2.00|>", END)
LOOP = ("<|0.00|>", "▁la", "▁la")


def write(
    folder: Path, script: Sequence[str] = SPOKEN, *, bands: int = 80, others: Sequence[str] = ()
) -> Path:
    """Write a model that says ``script`` in every window, and hears ``bands``; return its folder.

    ``others``: codes of languages that it knows beside English.
    """
    folder.mkdir(parents=True, exist_ok=True)
    special = (*SPECIAL, *(f"<|{code}|>" for code in others))
    # that an empty word is among them says that a model knows several languages
    tokens = [*WORDS, *([""] if others else []), *special, *TIMES]
    spec = whisper_spec.WhisperSpec(1, HEADS, 1, HEADS)
    _layers(spec, bands)
    _script(spec.decoder, tokens, script)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokens.index(f"<|{code}|>") for code in ("en", *others)]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.save(str(folder))
    _tokenizer(tokens, special).save(str(folder / "tokenizer.json"))
    return folder


def _tokenizer(tokens: list[str], special: Sequence[str]) -> Tokenizer:
    made = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="▁..."))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    made.add_special_tokens([AddedToken(t, special=True) for t in special])
    return made


def _script(decoder: Any, tokens: list[str], script: Sequence[str]) -> None:
    """Let each token of a script lead to the next."""
    leads = [(START, script[0]), (TRANSCRIBE, script[0]), *itertools.pairwise(script)]
    places = {name: i for i, name in enumerate(dict.fromkeys(name for name, _ in leads))}
    embedding = np.zeros((len(tokens), SIZE), np.float32)
    projection = np.zeros((len(tokens), SIZE), np.float32)
    for name, place in places.items():
        embedding[tokens.index(name), place] = 1
    for name, after in leads:
        projection[tokens.index(after), places[name]] = 6
    decoder.embeddings.weight = embedding
    decoder.projection.weight = projection
    decoder.projection.bias = np.zeros(len(tokens), np.float32)


def _layers(spec: Any, bands: int) -> None:
    """Give every layer weights that change nothing."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    def linear(layer: Any, out: int, into: int) -> None:
        layer.weight, layer.bias = zeros(out, into), zeros(out)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(SIZE, np.float32), zeros(SIZE)

    def attention(layer: Any, *sizes: int) -> None:
        norm(layer.layer_norm)
        for part, size in zip(layer.linear, sizes, strict=True):
            linear(part, size, SIZE)

    for conv, channels in ((spec.encoder.conv1, bands), (spec.encoder.conv2, SIZE)):
        conv.weight, conv.bias = zeros(SIZE, channels, 3), zeros(SIZE)
    for part, length in ((spec.encoder, 1500), (spec.decoder, 448)):
        part.position_encodings.encodings = zeros(length, SIZE)
        norm(part.layer_norm)
        for layer in part.layer:
            attention(layer.self_attention, 3 * SIZE, SIZE)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, HIDDEN, SIZE)
            linear(layer.ffn.linear_1, SIZE, HIDDEN)
    for layer in spec.decoder.layer:
        attention(layer.attention, SIZE, 2 * SIZE, SIZE)
