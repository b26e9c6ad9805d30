"""tokenize and decode_tokens."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tests.transforms.chains import TAGGER, answered, chain, served, signature, spec

from inferd.core.errors import ConfigError, InvalidInput, MissingExtra
from inferd.core.tensor import BYTES
from inferd.transforms.text import MAX_TEXT_BYTES

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "mat"]
OUT = spec("y", "float32", -1, 2)
BERT = signature(
    [
        spec("input_ids", "int64", -1, "s"),
        spec("attention_mask", "int64", -1, "s"),
        spec("token_type_ids", "int64", -1, "s"),
    ],
    OUT,
)
IDS = signature(spec("tokens_in", "int32", -1, "s"), OUT)
PAD = {"pad": {"axis": 1}}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    words = tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])
    # a file's own padding must not reach us: pad decides
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def text(value: Any) -> dict[str, np.ndarray]:
    out = np.empty(1, object)
    out[0] = value
    return {"text": out}


def test_all_that_the_model_takes_is_made(model: Path) -> None:
    chained = chain(BERT, ["tokenize", PAD], directory=model)

    rows = [chained.prepare({"text": t}) for t in ("the cat", b"sat")]
    given = chained.before(chained.collate(rows).inputs)

    (seen,) = chained.external.inputs
    assert (seen.name, seen.dtype, seen.shape, seen.content) == ("text", BYTES, (-1,), "text")
    assert chained.plan.length == ("text", 0)
    assert list(given) == ["input_ids", "attention_mask", "token_type_ids"]
    assert given["input_ids"].tolist() == [[2, 4, 5, 3], [2, 6, 3, 0]]
    assert given["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert given["token_type_ids"].tolist() == [[0] * 4, [0] * 4]


def test_only_what_the_model_takes(model: Path) -> None:
    chained = chain(IDS, [{"tokenize": {"special_tokens": False, "input": "sentence"}}, PAD],
                    directory=model)  # fmt: skip

    row = chained.prepare({"sentence": "the dog"})

    assert [s.name for s in chained.external.inputs] == ["sentence"]
    assert row["tokens_in"].dtype == np.int32
    assert row["tokens_in"].tolist() == [4, 1]


def test_sentences_are_answered_as_alone(model: Path) -> None:
    chained = chain(TAGGER, ["tokenize", PAD], directory=model)
    requests = [text(t) for t in ("the cat sat on the mat", "cat", "on mat", "sat the cat")]

    together = served(chained, requests)

    assert chained.plan.split, "texts of one request may be answered in unequal shapes"
    for request, row in zip(requests, together, strict=True):
        (alone,) = served(chained, [request])
        for name, value in alone.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "count"),
    [
        pytest.param({"max_length": 4}, 4, id="cut"),
        pytest.param({"max_length": 4, "special_tokens": False}, 4, id="cut-plain"),
        pytest.param({"max_length": 9}, 8, id="short-enough"),
        pytest.param({}, 8, id="no-limit"),
    ],
)
def test_lengths(model: Path, params: dict[str, Any], count: int) -> None:
    chained = chain(IDS, [{"tokenize": params}, PAD], directory=model)

    assert len(chained.prepare({"text": "the cat sat on the mat"})["tokens_in"]) == count


def test_longer_texts_may_be_refused(model: Path) -> None:
    chained = chain(
        IDS, [{"tokenize": {"max_length": 4, "truncation": False}}, PAD], directory=model
    )

    with pytest.raises(InvalidInput, match="8 tokens; the model takes 4 at most"):
        chained.prepare({"text": "the cat sat on the mat"})


def test_texts_are_bounded_before_they_are_read(model: Path) -> None:
    chained = chain(IDS, [{"tokenize": {"max_length": 4}}, PAD], directory=model)

    assert len(chained.prepare({"text": "a" * MAX_TEXT_BYTES})["tokens_in"]) == 3
    with pytest.raises(InvalidInput, match=f"{MAX_TEXT_BYTES + 1} bytes; {MAX_TEXT_BYTES} are"):
        chained.prepare({"text": "a" * (MAX_TEXT_BYTES + 1)})


@pytest.mark.parametrize(
    "value", [b"\xff\xfe", 7, None, "\ud800", np.array(["a", "b"], object)],
    ids=["bytes", "number", "none", "surrogate", "two"],
)  # fmt: skip
def test_what_is_no_text(model: Path, value: Any) -> None:
    with pytest.raises(InvalidInput):
        chain(IDS, ["tokenize", PAD], directory=model).prepare({"text": value})


def test_a_text_without_tokens(model: Path) -> None:
    chained = chain(IDS, [{"tokenize": {"special_tokens": False}}, PAD], directory=model)

    with pytest.raises(InvalidInput, match="no tokens"):
        chained.prepare({"text": "  "})


def test_a_fixed_length_needs_pad(model: Path) -> None:
    fixed = signature(spec("ids", "int64", -1, 16), OUT)

    with pytest.raises(ConfigError) as caught:
        chain(fixed, ["tokenize"], directory=model)

    assert caught.value.help == "add pad: {axis: 1, to: 16}"
    assert chain(fixed, ["tokenize", {"pad": {"axis": 1, "to": 16}}], directory=model)


def test_which_input_takes_the_ids(model: Path) -> None:
    two = signature([spec("a", "int64", -1, "s"), spec("b", "int64", -1, "s")], OUT)

    with pytest.raises(ConfigError, match="which input takes the token ids"):
        chain(two, ["tokenize", PAD], directory=model)
    named = chain(two, [{"tokenize": {"output": "b"}}, {"pad": {"input": "b"}}], directory=model)
    assert [s.name for s in named.external.inputs] == ["a", "text"]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param([PAD, "tokenize"], "cannot stand after pad", id="order"),
        pytest.param([{"tokenize": "no.json"}, PAD], "no file 'no.json'", id="no-file"),
        pytest.param([{"tokenize": "bad.json"}, PAD], "is no tokenizer", id="no-tokenizer"),
        pytest.param([{"tokenize": {"max_length": 2}}, PAD], "no room", id="no-room"),
        pytest.param([{"tokenize": {"truncation": True}}, PAD], "needs max_length", id="no-length"),
    ],
)
def test_what_cannot_be(model: Path, before: list[Any], said: str) -> None:
    (model / "bad.json").write_text('{"model": 1}')

    with pytest.raises(ConfigError, match=said):
        chain(IDS, before, directory=model)


def test_ids_become_texts(model: Path) -> None:
    sig = signature(spec("x", "float32", -1, 4), spec("ids", "int64", -1, -1))
    chained = chain(sig, after=["decode_tokens"], directory=model)

    out = answered(chained, ids=np.array([[2, 4, 5, 3], [6, 0, -100, 3]]))

    (seen,) = chained.external.outputs
    assert (seen.name, seen.dtype, seen.shape) == ("text", BYTES, (-1,))
    assert out["text"].tolist() == [b"the cat", b"sat"]


def test_scores_need_argmax_before_they_are_decoded(model: Path) -> None:
    sig = signature(spec("x", "float32", -1, 4), spec("y", "float32", -1, -1, 9))

    with pytest.raises(ConfigError, match="needs rows of token ids"):
        chain(sig, after=["decode_tokens"], directory=model)
    chained = chain(sig, after=["argmax", {"decode_tokens": {"output": "words"}}], directory=model)
    out = answered(chained, y=np.eye(9, dtype=np.float32)[[[4, 8]]])
    assert out["words"].tolist() == [b"the mat"]


def test_padding_is_cut_before_texts_are_made(model: Path) -> None:
    sig = signature(spec("x", "int64", -1, "s"), spec("ids", "int64", -1, "s"))
    chained = chain(sig, [{"pad": {"axis": 1, "value": 8}}], ["decode_tokens"], directory=model)
    collated = chained.concatenate([{"x": np.array([[4, 5]])}, {"x": np.array([[6]])}])

    out = chained.after({"ids": chained.before(collated.inputs)["x"]}, collated)

    assert [r["text"].item() for r in out] == [b"the cat", b"sat"]


def test_a_missing_library_names_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtra, match=r"inferd\[text\]"):
        chain(IDS, ["tokenize", PAD], directory=model)
