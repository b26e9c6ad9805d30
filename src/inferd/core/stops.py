"""Stop texts: where an answer ends, whichever pieces it comes in."""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Ends a text before the first of some stop texts, whichever pieces it comes in.

    First is the one that is complete first; of two that are complete at once, the one that began
    earlier. The result depends on the text alone, not on how it was cut into pieces.
    """

    __slots__ = ("_held", "_stops", "stopped")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Take a piece; return what may be sent. Nothing follows once ``stopped``."""
        if self.stopped or not self._stops:
            return "" if self.stopped else text
        text = self._held + text
        found = [(at + len(s), at) for s in self._stops if (at := text.find(s)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = max(self._begun(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    @staticmethod
    def _begun(text: str, stop: str) -> int:
        """Return how many characters at the end of ``text`` may be the beginning of ``stop``."""
        for size in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:size]):
                return size
        return 0

    def end(self) -> str:
        """The text is over: return what was held back."""
        held, self._held = self._held, ""
        return held
