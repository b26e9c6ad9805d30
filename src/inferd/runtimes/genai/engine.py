"""Continuous batching: requests join and leave between steps, and all that are answered share one run.

A step either reads prompts or adds one token to every answer; where both are wanted they take turns.
Prompts are read a chunk at a time, so that neither a long one nor many hold up those who are being answered.
The chunks go to the oldest and to the one with the least left in turn: short ones do not wait for long ones,
and long ones that come together are read one after the other rather than all end last. The first tokens of prompts that were read in one step come together: after an idle
moment the engine waits for a blink, since requests seldom come alone and would else queue behind the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inferd.core.errors import InferdError, InvalidInput
from inferd.core.message import Parameters
from inferd.core.runtime import Step
from inferd.core.stops import StopCutter
from inferd.core.tensor import Tensors, lone
from inferd.runtimes.genai.cache import LEAST
from inferd.runtimes.genai.decoder import Decoder
from inferd.runtimes.genai.parameters import Limits, read_sampling
from inferd.runtimes.genai.prompt import asked
from inferd.runtimes.genai.sample import Sampler
from inferd.runtimes.genai.text import Stream, Texts

IDLE_CHUNKS = 4
"""Chunks of prompts that one step reads while nobody is being answered."""

QUIET = 0.003
BLINK = 0.010
"""Seconds: prompts wait until so long no other came, and at most so long in all."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One request. ``row``: its row of the cache, once it has one; ``left``: tokens of the prompt still to read."""

    key: int
    prompt: np.ndarray
    sampler: Sampler
    stream: Stream
    cutter: StopCutter
    limit: int
    since: float
    row: int = -1
    left: int = 0
    said: int = 0
    token: int = 0
    told: bool = False
    held: bool = False


class GenaiEngine:
    """The engine of one loaded model. Rows ``0`` to ``active`` are answered in each step."""

    niceness = 10

    def __init__(
        self, decoder: Decoder, texts: Texts, limits: Limits, eos: tuple[int, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._decoder = decoder
        self._texts = texts
        self._limits = limits
        self._eos = frozenset(eos)
        self._clock = clock
        self._known: dict[int, Sequence] = {}
        self._rows: list[Sequence | None] = [None] * limits.sequences
        self._waiting: list[Sequence] = []
        self._oldest = False
        self._last = 0.0
        self._read = False
        self.active = 0

    @property
    def waiting(self) -> int:
        """Return how many prompts are not read to their end."""
        return len(self._waiting)

    def add(self, key: int, inputs: Tensors, parameters: Parameters) -> None:
        """Take a request. Raises ``InvalidInput``."""
        limits = self._limits
        sampling = read_sampling(parameters, limits)
        prompt, messages = asked(inputs)
        text = self._texts.rendered(messages, limits.prompt) if prompt is None else (prompt,)
        tokens = self._texts.encoded(text, limits.prompt)
        if (
            tokens.max() >= self._decoder.vocabulary
        ):  # it would fail the run, and with it everybody's
            raise InvalidInput("the prompt holds a token that the model does not know")
        self._last = self._clock()
        self._known[key] = sequence = Sequence(
            key, tokens, Sampler(sampling, tokens.tolist(), tuple(self._eos)), self._texts.stream(),
            StopCutter(sampling.stop), min(sampling.max_tokens, limits.context - len(tokens)),
            self._last, left=len(tokens),
        )  # fmt: skip
        self._waiting.append(sequence)

    def step(self) -> list[Step]:
        """Read prompts, or add a token to every answer."""
        try:
            if self._waiting and not (self._read and self.active):
                if not self.active and not self._settled():
                    return []
                self._read = True
                return self._read_prompts()
            self._read = False
            return self._answer() if self.active else []
        except BaseException:
            self._reset()
            raise

    def cancel(self, key: int) -> None:
        """Let a request go; its row is free at once."""
        sequence = self._known.get(key)
        if sequence is not None:
            self._leave(sequence)

    def hold(self, key: int, *, on: bool) -> None:
        """Leave an answer out of the steps for a while."""
        sequence = self._known.get(key)
        if sequence is None or sequence.held == on:
            return
        sequence.held = on
        if sequence.row >= 0 and not sequence.left:
            if on:
                self._rest(sequence)
            else:
                self._join(sequence)

    # ------------------------------------------------------------------------------------ prompts

    def _settled(self) -> bool:
        """Whether no other request seems to be on its way."""
        now = self._clock()
        return now - self._last >= QUIET or now - self._waiting[0].since >= BLINK

    def _read_prompts(self) -> list[Step]:
        """Read chunks of waiting prompts, as many as the step may."""
        chunk = self._limits.prefill
        budget = chunk if self.active else chunk * IDLE_CHUNKS
        found: list[Step] = []
        for _ in range(len(self._waiting)):
            sequence = self._due() if budget > 0 else None
            if sequence is None:
                break
            start = len(sequence.prompt) - sequence.left
            taken = _chunk(min(chunk, budget), sequence.left)
            budget -= taken
            tokens = sequence.prompt[None, start : start + taken]
            logits = self._decoder.run(tokens, sequence.row)
            sequence.left -= taken
            if sequence.left:
                continue
            self._waiting.remove(sequence)
            step = self._gained(sequence, logits[0, -1])
            if step is not None:
                found.append(step)
            if step is None or not step[2]:
                if not sequence.held:
                    self._join(sequence)
            else:
                self._leave(sequence)
        return found

    def _due(self) -> Sequence | None:
        """Return the prompt to read on with, which has a row: the oldest, or the one with the least left."""
        free = [row for row, owner in enumerate(self._rows) if owner is None]
        there = [each for each in self._waiting if each.row >= 0 or free]
        if not there:
            return None
        self._oldest = not self._oldest
        sequence = there[0] if self._oldest else min(there, key=lambda each: each.left)
        if sequence.row < 0:
            self._place(sequence, free)
        return sequence

    def _place(self, sequence: Sequence, free: list[int]) -> None:
        """Give a request one of the free rows."""
        cache = self._decoder.cache
        sequence.row = cache.claim(sequence.prompt, free)
        self._rows[sequence.row] = sequence
        sequence.left -= cache.begin(sequence.row, sequence.prompt)

    # ------------------------------------------------------------------------------------ answers

    def _answer(self) -> list[Step]:
        """Add a token to every answer."""
        running = [s for s in self._rows[: self.active] if s is not None]
        tokens = np.array([[s.token] for s in running], np.int64)
        logits = self._decoder.run(tokens, 0)
        found = [(s, self._gained(s, row)) for s, row in zip(running, logits[:, 0], strict=True)]
        for sequence, step in found:
            if step is not None and step[2]:
                self._leave(sequence)
        return [step for _, step in found if step is not None]

    def _gained(self, sequence: Sequence, logits: np.ndarray) -> Step | None:
        """Choose a request's next token; return its piece, ``None`` where that gives no text yet."""
        try:
            token = sequence.sampler.next(logits, sequence.said)
            if token in self._eos:
                return self._over(sequence, sequence.cutter.end(), b"stop")
            sequence.token = token
            sequence.said += 1
            text = sequence.cutter.feed(sequence.stream.text(token))
        except InferdError as error:
            return sequence.key, error, True
        if sequence.cutter.stopped:
            return self._over(sequence, text, b"stop")
        if sequence.said >= sequence.limit:
            return self._over(sequence, text + sequence.cutter.end(), b"length")
        if not text:
            return None
        piece = {"text": lone(text.encode()), "completion_tokens": _number(sequence.said)}
        if not sequence.told:
            sequence.told = True
            piece["prompt_tokens"] = _number(len(sequence.prompt))
        return sequence.key, piece, False

    def _over(self, sequence: Sequence, text: str, reason: bytes) -> Step:
        return (
            sequence.key,
            {
                "text": lone(text.encode()),
                "finish_reason": lone(reason),
                "prompt_tokens": _number(len(sequence.prompt)),
                "completion_tokens": _number(sequence.said),
            },
            True,
        )

    # --------------------------------------------------------------------------------------- rows

    def _join(self, sequence: Sequence) -> None:
        """Make a sequence one of those that are answered."""
        self._swap(sequence.row, self.active)
        self.active += 1

    def _rest(self, sequence: Sequence) -> None:
        """Take a sequence out of those that are answered, without letting it go."""
        if sequence.row < self.active:
            self.active -= 1
            self._swap(sequence.row, self.active)

    def _leave(self, sequence: Sequence) -> None:
        self._known.pop(sequence.key, None)
        if sequence in self._waiting:
            self._waiting.remove(sequence)
        if sequence.row >= 0:
            self._rest(sequence)
            self._rows[sequence.row] = None

    def _swap(self, one: int, other: int) -> None:
        if one == other:
            return
        self._decoder.cache.swap(one, other)
        rows = self._rows
        rows[one], rows[other] = rows[other], rows[one]
        for row in (one, other):
            owner = rows[row]
            if owner is not None:
                owner.row = row

    def _reset(self) -> None:
        """Begin anew: after a failed run nothing in the cache can be relied on."""
        self._known.clear()
        self._waiting.clear()
        self._rows = [None] * len(self._rows)
        self.active = 0
        self._decoder.cache.forget()


def _chunk(most: int, left: int) -> int:
    """Return how many of the tokens that are left are read now: of ``LEAST`` or more, all chunks are."""
    taken = min(max(most, LEAST), left)
    rest = left - taken
    if 0 < rest < LEAST:
        taken = taken - (LEAST - rest) if taken >= 2 * LEAST else left
    return taken


def _number(value: int) -> np.ndarray:
    return np.array([value], np.int64)
