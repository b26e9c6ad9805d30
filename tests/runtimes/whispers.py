"""Small Whisper models in CTranslate2's form, made here: real files, and weights that mean nothing.

What they hear is nonsense, but the same every time, in the form that Whisper gives it: times and words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import whisper_spec
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

SIZE, HEADS, HIDDEN = 16, 2, 32
MULTILINGUAL = 51_865
"""From so many tokens on the library takes a model for one of many languages."""

SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
TIMES = tuple(f"<|{i * 0.02:.2f}|>" for i in range(1501))


def write(folder: Path, *, multilingual: bool = False, seed: int = 0) -> Path:
    """Write a model into ``folder``; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rest = len(SPECIAL) + len(TIMES)
    words = MULTILINGUAL - rest if multilingual else 200
    tokens = [*(f"word{i}" for i in range(words)), *SPECIAL, *TIMES]
    spec = whisper_spec.WhisperSpec(1, HEADS, 1, HEADS)
    fill(spec, len(tokens), np.random.default_rng(seed))
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.lang_ids = [tokens.index("<|en|>"), tokens.index("<|de|>")] if multilingual else []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.save(str(folder))
    tokenizer(tokens).save(str(folder / "tokenizer.json"))
    return folder


def tokenizer(tokens: list[str]) -> Tokenizer:
    made = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="word0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL])
    return made


def fill(spec: Any, vocabulary: int, random: np.random.Generator) -> None:
    """Give every layer weights."""

    def noise(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    def linear(layer: Any, out: int, into: int) -> None:
        layer.weight, layer.bias = noise(out, into), np.zeros(out, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)

    def attention(layer: Any, *sizes: int) -> None:
        norm(layer.layer_norm)
        for part, size in zip(layer.linear, sizes, strict=True):
            linear(part, size, SIZE)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, HIDDEN, SIZE)
        linear(layer.linear_1, SIZE, HIDDEN)

    for conv, channels in ((spec.encoder.conv1, 80), (spec.encoder.conv2, SIZE)):
        conv.weight, conv.bias = noise(SIZE, channels, 3), np.zeros(SIZE, np.float32)
    for part, length in ((spec.encoder, 1500), (spec.decoder, 448)):
        part.position_encodings.encodings = noise(length, SIZE)
        norm(part.layer_norm)
        for layer in part.layer:
            attention(layer.self_attention, 3 * SIZE, SIZE)
            feed_forward(layer.ffn)
    for layer in spec.decoder.layer:
        attention(layer.attention, SIZE, 2 * SIZE, SIZE)
    spec.decoder.embeddings.weight = noise(vocabulary, SIZE)
    linear(spec.decoder.projection, vocabulary, SIZE)
