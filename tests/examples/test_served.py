"""Every quickstart model loads as inferd loads it and answers its samples as the page says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from examples.quickstart import build

from inferd.codecs.results import Results
from inferd.codecs.simple import SimpleCodec
from inferd.execution.blocks import Block
from inferd.execution.loading import load_program
from inferd.repository.store import scan
from inferd.runtimes.detect import Detector


class Loaded:
    """One model of a repository, run in this process."""

    def __init__(self, path: Path) -> None:
        (spec,) = scan([path], Detector())
        self.samples = json.loads(spec.warmup.read_bytes()) if spec.warmup else []
        self.program, loaded = load_program(spec.to_json(), threads=1, curve=None, cpus=1)
        self.codec = SimpleCodec(loaded.signature, loaded.plan)
        self.results = Results(loaded.signature)

    def __call__(self, body: Any) -> Any:
        decoded = self.codec.decode(orjson.dumps(body))
        given = decoded.rows or [decoded.inputs]
        blocks = [Block(1, one) for one in given]
        outcome = self.program.run(blocks, [math.inf] * len(blocks), 0)
        assert not outcome.errors
        rows = [block.tensors for block in outcome.blocks]
        if decoded.single or len(given) == 1:
            return orjson.loads(self.results.encode(rows[0], decoded.single))["result"]
        return rows


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("skl2onnx", "PIL", "torch"):
        pytest.importorskip(library)
    out = tmp_path_factory.mktemp("quickstart")
    build.build(out, [r for r in build.RECIPES if r.module != "sentences"])
    return out


@pytest.mark.parametrize(
    ("model", "label"), [("iris", "setosa"), ("digits", "3")], ids=["iris", "digits"]
)
def test_a_classifier_answers_label_and_score(repository: Path, model: str, label: str) -> None:
    loaded = Loaded(repository / model)

    answer = loaded(loaded.samples[0])

    assert answer["label"] == label
    assert answer["score"] > 0.9


def test_wine_answers_probabilities(repository: Path) -> None:
    loaded = Loaded(repository / "wine")

    answer = loaded(loaded.samples[0])

    assert len(answer) == 3
    assert answer[0] > 0.9


def test_keywords_answers_phrases(repository: Path) -> None:
    loaded = Loaded(repository / "keywords")

    assert "neural network" in loaded(loaded.samples[0])["keywords"]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return both sentence models with untrained weights: steps and shapes are those served."""
    for library in ("torch", "tokenizers", "onnx"):
        pytest.importorskip(library)
    from examples.quickstart import sentences as recipe

    tokenizer = recipe.tokenizer_of([*recipe.EXAMPLES] * recipe.RARE)
    net = recipe.Net(tokenizer.get_vocab_size()).eval()
    trained = recipe.Trained(recipe.to_onnx(net), tokenizer, 0.5, 3)
    out = tmp_path_factory.mktemp("sentences")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "train", lambda: trained)
        for name, make in (("reviews", recipe.ids), ("sentiment", recipe.texts)):
            (out / name / "1").mkdir(parents=True)
            make(out / name)
    return out


def test_ragged_ids_and_texts_get_the_same_answers(sentences: Path) -> None:
    by_ids, by_text = Loaded(sentences / "reviews"), Loaded(sentences / "sentiment")

    for ids, text in zip(by_ids.samples, by_text.samples, strict=True):
        assert by_ids(ids) == by_text(text)


def test_rows_of_unequal_length_are_answered_as_alone(sentences: Path) -> None:
    loaded = Loaded(sentences / "reviews")
    rows = [sample["data"] for sample in loaded.samples]

    together = loaded({"data": rows})

    for row, tensors in zip(rows, together, strict=True):
        alone = loaded({"data": row})
        assert tensors["label"][0, 0].decode() == alone["label"]
        assert tensors["score"][0, 0] == pytest.approx(alone["score"], abs=1e-6)
