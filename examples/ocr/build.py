"""Prepare the OCR application: ``python -m examples.ocr.build --out DIR``.

``DIR`` becomes a repository of one application, ``ocr``, with pictures to try it on beside it:

    DIR/ocr/pipeline.yaml, steps.py, boxes.py, characters.txt    the pipeline
    DIR/ocr/text-detect/, text-angle/, text-recognise/           its models
    DIR/sample.png, english.png, chinese.png                     pictures

The models are those of the package ``rapidocr-onnxruntime``. It is downloaded once and not installed;
its code is not used. What is up to date is left alone; the application appears whole or not at all.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from examples.kit import prepare as kit
from examples.kit.packages import Package, fetch, member
from examples.ocr import sample

HERE = Path(__file__).parent
FILES = HERE / "files"
NAME = "ocr"

WEIGHTS = Package(
    "rapidocr-onnxruntime",
    "1.4.4",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
)
MODELS = {
    "text-detect": "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    "text-angle": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "text-recognise": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
}
CHARACTERS = "text-recognise"
"""The model whose file holds the list of characters."""

FONT = Package(
    "pylopdf-fonts-zh-cn",
    "0.1.1",
    "e2661ef3790cbe0f0f6aa5338b6859b7cd288ee75bc88cd4239c62cd025d4fb3",
)
FONT_FILE = "pylopdf_fonts_zh_cn/NotoSansSC-Regular.otf"

NEEDED = {
    "cv2": "opencv-python-headless",
    "pyclipper": "pyclipper",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
"""Modules that building and running take beside inferd, and their packages."""


def build(out: Path, cache: Path | None = None) -> Path:
    """Bring ``out`` up to date and return it; raises ``SystemExit`` where something is missing."""
    kit.need(NEEDED)
    sources = [HERE / "build.py", HERE / "sample.py", *FILES.rglob("*.py"), *FILES.rglob("*.yaml")]

    def make(folder: Path) -> None:
        weights, font = fetch(WEIGHTS, cache), fetch(FONT, cache)
        _application(folder, weights)
        _pictures(out, font)
        print(f"{out}: the application {NAME} and {len(sample.SIGNS)} pictures", flush=True)

    kit.application(out, NAME, kit.made_from(WEIGHTS, FONT, files=sources), make)
    return out


def _application(folder: Path, weights: Path) -> None:
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FILES, folder, ignore=without, dirs_exist_ok=True)
    for model, name in MODELS.items():
        artifact = folder / model / "1" / f"{model}.onnx"
        artifact.parent.mkdir()
        artifact.write_bytes(member(weights, name))
        if model == CHARACTERS:
            session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
            characters = session.get_modelmeta().custom_metadata_map["character"]
            (folder / "characters.txt").write_text(characters, encoding="utf-8")


def _pictures(out: Path, font: Path) -> None:
    with (out / ".font.otf").open("wb") as file:
        file.write(member(font, FONT_FILE))
    for name, sign in sample.SIGNS.items():
        (out / f"{name}.png").write_bytes(sample.draw(sign, out / ".font.otf", sample.photograph()))
    (out / ".font.otf").unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = kit.options("Prepare the OCR application.", ".ocr", arguments)
    out = build(options.out, options.cache)
    print("once it is served, on the port that it names:")
    print(
        f"  curl -sS -H 'Content-Type: image/png' --data-binary @{out}/sample.png"
        " http://127.0.0.1:8000/models/ocr/predict"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
