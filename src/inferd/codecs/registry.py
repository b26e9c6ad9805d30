"""The codecs by name, as data.

A name and a signature make a codec anywhere: in the front, in a codec process, in a client. The
two JSON dialects have names of their own; a body that is not JSON is named by its content type.
"""

from __future__ import annotations

from inferd.codecs.base import Codec, Decoder, Encoder
from inferd.codecs.embeddings import EmbeddingsCodec
from inferd.codecs.generate import GenerateCodec
from inferd.codecs.json import MAX_DEPTH
from inferd.codecs.media import CSV, MEDIA, NPY, OCTETS, media_codec
from inferd.codecs.oip import OIPCodec, SplitCodec
from inferd.codecs.rawtensor import Buffer
from inferd.codecs.sagemaker import OFFLOADED, SageMakerCodec
from inferd.codecs.simple import SimpleCodec
from inferd.codecs.tfexamples import ClassifyCodec, RegressCodec
from inferd.codecs.tfserving import ExplainCodec, TFServingCodec
from inferd.core.errors import Unsupported, nearest
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES

SIMPLE = "simple"
OIP = "oip"
GENERATE = "oip_generate"
TFSERVING = "tfserving"
TF_CLASSIFY = "tfserving_classify"
TF_REGRESS = "tfserving_regress"
TF_EXPLAIN = "tfserving_explain"
EMBEDDINGS = "openai_embeddings"
_JSONCodec = (
    SimpleCodec
    | OIPCodec
    | GenerateCodec
    | TFServingCodec
    | ClassifyCodec
    | RegressCodec
    | EmbeddingsCodec
)
_JSON: dict[str, type[_JSONCodec]] = {
    SIMPLE: SimpleCodec,
    OIP: OIPCodec,
    GENERATE: GenerateCodec,
    TFSERVING: TFServingCodec,
    TF_CLASSIFY: ClassifyCodec,
    TF_REGRESS: RegressCodec,
    TF_EXPLAIN: ExplainCodec,
    EMBEDDINGS: EmbeddingsCodec,
}
JSON_DOORS: tuple[str, ...] = tuple(_JSON)
"""The dialects whose large bodies and answers may be coded in another process."""
LARGE_JSON = 64 * 1024
"""Bytes of a JSON part that is not decoded on the loop where its body is large."""
NAMES: tuple[str, ...] = (*_JSON, *MEDIA[1:])


_HEADER = 256  # bytes of an npy array's own, in which it says how it lies
_SPLIT = "oip+"
_SAGEMAKER = "sagemaker:"


def split_door(json_bytes: int) -> str:
    """Return the name of the codec of bodies of the Open Inference Protocol's binary form.

    ``json_bytes``: the size of their JSON part.
    """
    return f"{_SPLIT}{json_bytes}"


def sagemaker_door(body: str, answer: str) -> str:
    """Return the name of the SageMaker codec of a content type of bodies and one of answers."""
    return f"{_SAGEMAKER}{body}>{answer}"


def offloaded(name: str) -> bool:
    """Return whether large bodies of that codec are worth decoding in another process.

    Raw bytes become arrays at once, so of the binary form only a large JSON part is.
    """
    if name.startswith(_SPLIT):
        return int(name.removeprefix(_SPLIT)) > LARGE_JSON
    if name.startswith(_SAGEMAKER):
        return name.removeprefix(_SAGEMAKER).partition(">")[0] in OFFLOADED
    return name in JSON_DOORS or name == CSV


def lingers(name: str, body: Buffer, signature: Signature) -> bool:
    """Return whether a large body that is not ``offloaded`` takes long to read for all that.

    Raw texts become an object each, and an array that lies column by column is turned.
    """
    media = name.removeprefix(_SAGEMAKER).partition(">")[0]
    if not name.startswith(_SPLIT) and media not in (NPY, OCTETS):
        return False
    return any(s.dtype is BYTES for s in signature.inputs) or b"True" in bytes(body[:_HEADER])


def answered_as(name: str) -> str:
    """Return the name of the encoder that answers what the codec ``name`` decoded."""
    if name.startswith(_SAGEMAKER):
        return name
    door = OIP if name.startswith(_SPLIT) else name
    return door if door in JSON_DOORS else SIMPLE


def json_codec(
    name: str, signature: Signature, plan: BatchPlan, max_depth: int = MAX_DEPTH
) -> Codec:
    """Return the codec of a dialect of ``JSON_DOORS``, or of a ``sagemaker_door``."""
    if name.startswith(_SAGEMAKER):
        body, _, answer = name.removeprefix(_SAGEMAKER).partition(">")
        return SageMakerCodec(signature, plan, max_depth, body, answer)
    return _JSON[name](signature, plan, max_depth)


def decoder(
    name: str, signature: Signature, plan: BatchPlan, max_depth: int = MAX_DEPTH
) -> Decoder:
    """Return the decoder of that name; raises ``UnsupportedMedia`` where it does not fit."""
    if name in _JSON or name.startswith(_SAGEMAKER):
        return json_codec(name, signature, plan, max_depth)
    if name.startswith(_SPLIT):
        return SplitCodec(OIPCodec(signature, plan, max_depth), int(name.removeprefix(_SPLIT)))
    if name not in NAMES:
        raise Unsupported(f"no codec named {name!r}", help=nearest(name, NAMES))
    return media_codec(name, signature, plan)


def encoder(name: str, signature: Signature) -> Encoder:
    """Return the encoder of that name; bodies that are not JSON are answered as ``simple``."""
    return json_codec(answered_as(name), signature, BatchPlan())
