"""docs/speech.md: its models are read, its tables are complete, its client runs against a served model."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faster_whisper")

from tests.runtimes import whispers
from tests.system.serving import environment, serving
from tests.transforms.chains import chain, signature, spec
from tests.transforms.sounds import file, tone
from tests.transforms.test_voice import network

from inferd.config.sources import parse_yaml
from inferd.runtimes.whisper import SIGNATURE
from inferd.runtimes.whisper_parameters import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "speech.md").read_text()
MODELS = dict(re.findall(r"```yaml\n# models/(\w+)/model.yaml\n(.*?)```", PAGE, re.DOTALL))
(CLIENT,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def rows(heading: str) -> list[str]:
    """Return the first column of the table whose head begins with ``heading``."""
    table = PAGE.split(f"\n| {heading}", 1)[1].split("\n\n")[0].splitlines()[2:]
    return re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table))


@pytest.mark.parametrize("name", MODELS)
def test_its_models_take_a_recording(name: str, tmp_path: Path) -> None:
    declared = parse_yaml(MODELS[name], "model.yaml").plain()
    (tmp_path / "silero_vad.onnx").write_bytes(network(sequence=True))
    takes = spec("audio", "float32", -1, *((-1, -1) if name == "keywords" else (-1,)))
    chained = chain(
        signature(takes, spec("y", "float32", -1, 2)), declared["preprocess"], (), tmp_path
    )

    out = chained.prepare({"audio": file(tone())})["audio"]

    assert chained.external.inputs[0].content == "audio"
    assert out.shape == ((40, 101) if name == "keywords" else (16_000,))


def test_its_tables_are_complete() -> None:
    assert rows("`parameters` in model.yaml") == [f.name for f in fields(Settings)]
    assert sorted(rows("output")) == sorted(s.name for s in SIGNATURE.outputs)


def test_its_client_prints_what_is_said(tmp_path: Path) -> None:
    model = tmp_path / "repository" / "whisper"
    whispers.write(model / "1")
    (model / "model.yaml").write_text(MODELS["whisper"])
    recording = tmp_path / "recording.wav"
    recording.write_bytes(file(np.tile(tone(8000), (50, 1)), 8000))

    with serving(tmp_path / "server", model.parent, "--instances", 1) as server:
        text = CLIENT.replace("http://127.0.0.1:8000", "http://{}:{}".format(*server.data))
        ran = subprocess.run(
            [sys.executable, "-c", text, recording], env=environment(), capture_output=True,
            text=True, timeout=50, check=False,
        )  # fmt: skip

    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stderr
    assert lines[0] == "hello world again hello world again"
    assert [line[:4] for line in lines[1:]] == ["  0%", "  2%", "  5%", " 62%", " 65%"]
    assert "hello world" in lines[2]
