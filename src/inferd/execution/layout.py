"""The layout of a request: what its tensors look like, whatever they hold."""

from __future__ import annotations


class Layout:
    """The shape of a request: entries that share one ``Layout`` object are alike byte for byte.

    ``rows``: size of axis 0 (1 for unbatched models); ``key``: the batch key; ``length``: size
    along the padded axis; ``nbytes``: payload bytes, 0 where they vary (BYTES). ``heads``: block
    headers already worked out, by number of entries.
    """

    __slots__ = ("heads", "key", "length", "nbytes", "rows")

    def __init__(self, rows: int, key: object, length: int, nbytes: int) -> None:
        self.rows = rows
        self.key = key
        self.length = length
        self.nbytes = nbytes
        self.heads: dict[int, bytes] = {}
