"""The codecs by name, as data.

A name and a signature make a codec anywhere: in the front, in a codec process, in a client. The
two JSON dialects have names of their own; a body that is not JSON is named by its content type.
"""

from __future__ import annotations

from inferd.codecs.base import Decoder, Encoder
from inferd.codecs.json import MAX_DEPTH
from inferd.codecs.media import MEDIA, media_codec
from inferd.codecs.oip import OIPCodec
from inferd.codecs.simple import SimpleCodec
from inferd.core.errors import Unsupported, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature

SIMPLE = "simple"
OIP = "oip"
_JSON: dict[str, type[SimpleCodec | OIPCodec]] = {SIMPLE: SimpleCodec, OIP: OIPCodec}
JSON_DOORS: tuple[str, ...] = tuple(_JSON)
"""The dialects whose large bodies and answers may be coded in another process."""
NAMES: tuple[str, ...] = (*_JSON, *MEDIA[1:])


def decoder(
    name: str, signature: Signature, plan: BatchPlan, max_depth: int = MAX_DEPTH
) -> Decoder:
    """Return the decoder of that name; raises ``UnsupportedMedia`` where it does not fit."""
    found = _JSON.get(name)
    if found is not None:
        return found(signature, plan, max_depth)
    if name not in NAMES:
        raise Unsupported(f"no codec named {name!r}", help=nearest(name, NAMES))
    return media_codec(name, signature, plan)


def encoder(name: str, signature: Signature) -> Encoder:
    """Return the encoder of that name; bodies that are not JSON are answered as ``simple``."""
    return _JSON.get(name, SimpleCodec)(signature)
