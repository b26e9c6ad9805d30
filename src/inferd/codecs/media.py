"""Bodies that are not JSON: an encoded image, a recording, a text, a table, an array.

Which of them a model takes follows from its external signature: an image, a recording or a text where its one
input is a BYTES tensor that a transform (or the model) reads as such, a table where an example is
a row of values, an array where there is one input. What does not fit is refused with what does.
"""

from __future__ import annotations

import numpy as np

from inferd.codecs.base import Decoded, Decoder
from inferd.codecs.csv import FILES, CsvCodec, takes_csv
from inferd.codecs.npy import NpyCodec
from inferd.core.errors import InvalidInput, UnsupportedMedia
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec, is_text
from inferd.core.tensor import BYTES

JSON = "application/json"
CSV = "text/csv"
TEXT = "text/plain"
NPY = "application/x-npy"
NPZ = "application/x-npz"
OCTETS = "application/octet-stream"
JSON_LINES = "application/jsonlines"
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp")
_WAV = ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav")
_OGG = ("audio/ogg", "application/ogg", "audio/oga", "audio/opus", "audio/vorbis")
RECORDINGS = (*_WAV, "audio/flac", "audio/x-flac", *_OGG)
"""By all their names: what is in a recording, its decoder sees."""
MEDIA: tuple[str, ...] = (JSON, *IMAGES, *RECORDINGS, TEXT, CSV, NPY)
"""Every content type of the simple dialect."""
JSON_LINES_NAMES = dict.fromkeys(
    ("application/x-jsonlines", "application/jsonl", "application/x-ndjson", "application/ndjson"),
    JSON_LINES,
)
"""Other names of JSON Lines that clients use."""
ALL = frozenset((*MEDIA, NPZ, OCTETS, JSON_LINES))
"""Every content type that some dialect reads."""
VIEWED = frozenset((NPY,))
"""Those whose decoders take any buffer, so that a large body need not be copied into bytes."""


def accepts(signature: Signature) -> tuple[str, ...]:
    """Return the content types a model of this signature takes, JSON first."""
    kinds = (*IMAGES, *RECORDINGS, TEXT)
    found = [JSON, *(media for media in kinds if input_of(media, signature) is not None)]
    if takes_csv(signature):
        found.append(CSV)
    lone = signature.lone
    if lone is not None and lone.content not in FILES:
        found.append(NPY)
    return tuple(found)


def input_of(media: str, signature: Signature) -> TensorSpec | None:
    """Return the input that a body of this type is for, ``None`` where there is none.

    All others must have defaults; of several that could be meant it is the first.
    """
    wanted = "image" if media in IMAGES else "audio" if media in RECORDINGS else "text"
    needed = [spec for spec in signature.inputs if spec.default is None]
    for spec in signature.inputs:
        alone = not needed or needed == [spec]
        fits = is_text(spec) if wanted == "text" else spec.content == wanted
        if alone and fits and spec.dtype is BYTES and _holds_one(spec, signature):
            return spec
    return None


def media_codec(media: str, signature: Signature, plan: BatchPlan | None = None) -> Decoder:
    """Return the decoder of ``media`` for a model; raises ``UnsupportedMedia`` where none fits."""
    takes = accepts(signature)
    if media not in takes:
        raise UnsupportedMedia(
            f"this model does not take {media}", help="it takes " + ", ".join(takes)
        )
    if media == CSV:
        return CsvCodec(signature, plan)
    if media == NPY:
        return NpyCodec(signature, plan)
    spec = input_of(media, signature)
    assert spec is not None  # else ``accepts`` has no such type
    return BytesCodec(spec, text=media == TEXT)


def _holds_one(spec: TensorSpec, signature: Signature) -> bool:
    row = spec.shape[1:] if signature.batched else spec.shape
    return all(n in (1, -1) for n in row)


class BytesCodec:
    """The whole body is the one element of one example: an image, a recording or a text."""

    def __init__(self, spec: TensorSpec, *, text: bool) -> None:
        self._spec = spec
        self._text = text

    def decode(self, body: bytes) -> Decoded:
        """Take the body as it is; a text must be UTF-8."""
        if not body:
            raise InvalidInput("the body is empty")
        if self._text:
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise InvalidInput(
                    f"the text is not UTF-8: bad byte at offset {error.start}"
                ) from None
        array = np.empty((1,) * len(self._spec.shape), object)
        array[(0,) * array.ndim] = body
        return Decoded({self._spec.name: array}, None, True)
