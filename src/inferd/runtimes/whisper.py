"""Speech to text: Whisper models in CTranslate2's form, through faster-whisper.

A model is a directory: ``model.bin``, ``config.json``, ``tokenizer.json`` and a vocabulary. Nothing is ever
downloaded. A request is one recording of 16 kHz. Each step works through one window of one of the requests
in turn, so that an hour of speech does not hold up a sentence, and what is heard streams a segment at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer

from inferd.core.errors import ModelFileError, nearest
from inferd.core.message import Parameters
from inferd.core.runtime import Engine, Options, Step
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32, Tensors, lone
from inferd.runtimes.generate import answered
from inferd.runtimes.signatures import reconcile
from inferd.runtimes.whisper_parameters import NAMES, Settings, Wanted, check_language, checked
from inferd.runtimes.whisper_windows import RATE, WINDOW, Segment, next_sound, repetitive, segments

FILES = ("model.bin", "config.json", "tokenizer.json")
MAX_TOKENS = 220
"""New tokens in a window, about twice what the quickest speaker needs; a loop ends there."""

MAX_PROMPT = 220
SHORTEST = RATE // 10
"""No word is shorter."""

UNLIKELY = -1.0
REPEATS = 2.4
NO_SPEECH = 0.6

SIGNATURE = Signature(
    inputs=(TensorSpec("audio", FP32, (-1, -1)),),
    outputs=(
        TensorSpec("text", BYTES, (-1,), content="text"),
        TensorSpec("segments", BYTES, (-1, -1), content="text"),
        TensorSpec("starts", FP32, (-1, -1)),
        TensorSpec("ends", FP32, (-1, -1)),
        TensorSpec("language", BYTES, (-1,), content="text"),
        TensorSpec("duration", FP32, (-1,)),
        TensorSpec("progress", FP32, (-1,)),
    ),
    ragged=True,
    parameters=NAMES,
)


class WhisperRuntime:
    """One Whisper model."""

    name = "whisper"
    releases_gil = True
    keeps_inputs = False
    streams = True

    def __init__(self) -> None:
        self.trial: int | None = None
        self._settings = Settings()
        self._model: Any = None

    def load(self, artifact: Path, options: Options) -> Signature:
        folder = artifact if artifact.is_dir() else artifact.parent
        for name in FILES:
            # the library would look for a missing tokenizer on the network
            if not (folder / name).is_file():
                raise ModelFileError(
                    f"{folder}: holds no {name}",
                    help="a Whisper model is a directory as ct2-transformers-converter writes it, "
                    "with --copy_files tokenizer.json",
                )
        self._settings = Settings.of(dict(options.get("parameters") or {}), str(folder))
        supported = sorted(ctranslate2.get_supported_compute_types("cpu"))
        if self._settings.compute_type not in supported:
            raise ModelFileError(
                f"{folder}: model.yaml: parameters: compute_type: "
                f"{self._settings.compute_type!r} does not run here",
                help=nearest(self._settings.compute_type, supported),
            )
        self._model = self._loaded(folder, int(options.get("threads") or 1))
        _check_features(self._model, folder)
        place = f"{folder}: model.yaml: parameters: "
        check_language(self._settings.language, _languages(self._model), ModelFileError, place)
        return reconcile(SIGNATURE, options, str(folder))

    def _loaded(self, folder: Path, threads: int) -> Any:
        try:
            return WhisperModel(
                str(folder.resolve()),
                device="cpu",
                compute_type=self._settings.compute_type,
                cpu_threads=threads,
                local_files_only=True,
            )
        except Exception as error:  # the library's own types, all of them Exception
            raise ModelFileError(
                f"{folder}: CTranslate2 {ctranslate2.__version__} cannot load it: {error}"
            ) from None

    def engine(self) -> Engine:
        """Return the engine that transcribes the recordings of several requests in turn."""
        return TurnsEngine(self._model, self._settings)

    def run(self, inputs: Tensors) -> Tensors:
        rows = [{k: a[i : i + 1] for k, a in inputs.items()} for i in range(len(inputs["audio"]))]
        return answered(self.engine(), rows, self.trial)

    def close(self) -> None:
        self._model = None

    def version(self) -> str:
        return f"ctranslate2 {ctranslate2.__version__}"


class TurnsEngine:
    """Works through one window of one request a step: those that wait longest first."""

    def __init__(self, model: Any, settings: Settings) -> None:
        self._model = model
        self._settings = settings
        self._languages = _languages(model)
        self._running: dict[int, Iterator[tuple[list[Tensors], bool]]] = {}
        self._turns: deque[int] = deque()
        self._latest: int | None = None
        self._held: set[int] = set()

    def add(self, key: int, inputs: Tensors, parameters: Parameters) -> None:
        wanted = Wanted.of(parameters, self._languages, self._settings)
        audio = checked(inputs["audio"], self._settings.max_seconds)
        self._running[key] = Transcription(self._model, self._settings, wanted, audio).pieces()
        self._turns.append(key)

    def step(self) -> list[Step]:
        if self._latest is not None:  # behind those that came while it had its turn
            self._turns.append(self._latest)
            self._latest = None
        key = next((k for k in self._turns if k not in self._held), None)
        if key is None:
            return []
        self._turns.remove(key)
        try:
            pieces, over = next(self._running[key])
        except BaseException as error:
            self.cancel(key)
            return [(key, error, True)]
        if over:
            self.cancel(key)
        else:
            self._latest = key
        *before, final = pieces
        return [*((key, piece, False) for piece in before), (key, final, over)]

    def cancel(self, key: int) -> None:
        self._held.discard(key)
        if self._running.pop(key, None) is None:
            return
        if key in self._turns:
            self._turns.remove(key)
        elif key == self._latest:
            self._latest = None

    def hold(self, key: int, *, on: bool) -> None:
        """Let a request's turns pass for a while: its client does not keep up."""
        if on:
            self._held.add(key)
        else:
            self._held.discard(key)


@dataclass(slots=True)
class Transcription:
    """One recording on its way to text."""

    model: Any
    settings: Settings
    wanted: Wanted
    audio: np.ndarray
    tokenizer: Any = None
    previous: list[int] = field(default_factory=list)
    said: bool = False

    def pieces(self) -> Iterator[tuple[list[Tensors], bool]]:
        """Yield the pieces that each window gave, and whether it was the last; the first tells the language."""
        position = next_sound(self.audio, 0)
        if position is None:
            yield [self._opening() | {"progress": _row(1.0)}], True
        known = False
        while position is not None:
            window = self.audio[position : position + WINDOW]
            found, settled = self._heard(window)
            offset = position / RATE
            position = next_sound(self.audio, position + max(1, int(settled * RATE)))
            done = len(self.audio) if position is None else position
            made = [] if known else [self._opening()]
            known = True
            made += [p for s in found for p in self._piece(s, offset)]
            yield [*made, {"progress": _row(done / len(self.audio))}], position is None

    def _opening(self) -> Tensors:
        """Return what is known before any word, with every output there is."""
        none, no_times = np.empty((1, 0), object), np.empty((1, 0), np.float32)
        language = self.tokenizer.language_code if self.tokenizer else self._named_language()
        return {
            "text": lone(b""), "segments": none, "starts": no_times, "ends": no_times,
            "language": lone(language.encode()), "duration": _row(len(self.audio) / RATE),
            "progress": _row(0.0),
        }  # fmt: skip

    def _named_language(self) -> str:
        return self.wanted.language or ("" if self.model.model.is_multilingual else "en")

    def _piece(self, segment: Segment, offset: float) -> Iterator[Tensors]:
        """Yield a segment as a piece of the answer, where it holds any text."""
        text = self.tokenizer.decode(list(segment.tokens))
        if not any(c.isalnum() for c in text):  # in noise it hears dots
            return
        start, end = offset + segment.start, offset + segment.end
        sound = next_sound(self.audio, int(start * RATE))
        if sound is not None and sound < end * RATE:  # a pause before it belongs to nobody
            start = max(start, sound / RATE)
        yield {
            "text": lone((text if self.said else text.lstrip()).encode()),
            "segments": lone(text.strip().encode())[None],
            "starts": _row(start)[None], "ends": _row(end)[None],
            "progress": _row(min(1.0, end * RATE / len(self.audio))),
        }  # fmt: skip
        self.said = True

    def _heard(self, window: np.ndarray) -> tuple[list[Segment], float]:
        """Return the segments of one window, and how many seconds of it they settle."""
        seconds = len(window) / RATE
        if len(window) < SHORTEST:
            return [], seconds
        features = pad_or_trim(self.model.feature_extractor(window))
        encoded = self.model.encode(features)
        if self.tokenizer is None:
            self.tokenizer = self._tokenizer(encoded)
        prompt = self._prompt()
        tokens, heat, heard = self._decoded(encoded, prompt)
        if not heard:
            return [], seconds
        found, settled = segments(tokens, self.tokenizer.timestamp_begin, seconds)
        if self.settings.condition_on_previous_text and heat < 0.5:
            said = [t for s in found for t in s.tokens]
            self.previous = [*self.previous, *said][-MAX_PROMPT:]
        return found, settled

    def _tokenizer(self, encoded: Any) -> Any:
        language = self._named_language()
        if not language:
            language = self.model.model.detect_language(encoded)[0][0][0][2:-2]
        return Tokenizer(
            self.model.hf_tokenizer, self.model.model.is_multilingual, self.wanted.task, language
        )

    def _prompt(self) -> list[int]:
        """Return what the network is told before it listens: the caller's words, and those before."""
        tokenizer = self.tokenizer
        before: list[int] = []
        if self.wanted.prompt.strip():
            before = tokenizer.encode(" " + self.wanted.prompt.strip())
        before = [*before, *self.previous][-MAX_PROMPT:]
        return [*([tokenizer.sot_prev, *before] if before else []), *tokenizer.sot_sequence]

    def _decoded(self, encoded: Any, prompt: list[int]) -> tuple[list[int], float, bool]:
        """Return the tokens of a window, the temperature they took, and whether anybody spoke."""
        best: tuple[float, list[int], float] | None = None
        for heat in self.wanted.temperatures:
            result = self.model.model.generate(
                encoded, [prompt], max_length=len(prompt) + MAX_TOKENS,
                beam_size=1 if heat else self.settings.beam_size,
                sampling_topk=0 if heat else 1, sampling_temperature=heat or 1.0,
                return_scores=True, return_no_speech_prob=True,
            )[0]  # fmt: skip
            tokens = result.sequences_ids[0]
            likely = result.scores[0] * len(tokens) / (len(tokens) + 1)
            if result.no_speech_prob > NO_SPEECH and likely < UNLIKELY:
                return [], heat, False
            repeats = repetitive(self.tokenizer.decode(tokens)) > REPEATS
            if likely >= UNLIKELY and not repeats:
                return tokens, heat, True
            if not repeats and (best is None or likely > best[0]):
                best = likely, tokens, heat
        # what only repeats itself was heard in noise
        return (best[1], best[2], True) if best else ([], 1.0, False)


def _languages(model: Any) -> list[str]:
    """Return the codes of the languages that a model knows: those it has a token for.

    The library lists all that any model knows.
    """
    known: list[str] = model.supported_languages
    if len(known) == 1:
        return known
    return [code for code in known if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None]


def _check_features(model: Any, folder: Path) -> None:
    """Raise ``ModelFileError`` where sound would be prepared for another network than this one."""
    made, wanted = len(model.feature_extractor.mel_filters), model.model.n_mels
    if made != wanted:
        raise ModelFileError(
            f"{folder}: the network hears {wanted} bands, and preprocessor_config.json, or its absence, "
            f"means {made}",
            help="copy the preprocessor_config.json that the model was published with",
        )


def _row(value: float) -> np.ndarray:
    return np.array([value], np.float32)
