"""The one private pool, and the message classes in it by their full names."""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from inferd.codecs.protobuf import weigh
from inferd.codecs.protobuf.build import build
from inferd.codecs.protobuf.inference import INFERENCE
from inferd.codecs.protobuf.tfserving import ERROR_CODES, SERVING, TENSORS
from inferd.core.errors import InvalidInput

POOL = DescriptorPool()
for _known in (any_pb2, wrappers_pb2):
    POOL.AddSerializedFile(_known.DESCRIPTOR.serialized_pb)

CLASSES: dict[str, Any] = build(POOL, (INFERENCE, ERROR_CODES, TENSORS, SERVING))
"""Message classes by full name (``inference.ModelInferRequest``)."""


def inference(name: str) -> Any:
    """Return a message class of the package ``inference``."""
    return CLASSES[f"{INFERENCE.package}.{name}"]


def serving(name: str) -> Any:
    """Return a message class of the package ``tensorflow.serving``."""
    return CLASSES[f"{SERVING.package}.{name}"]


def parse(cls: Any, data: bytes, most: int = weigh.FEW) -> Any:
    """Return the message in ``data``, of ``most`` fields where it is large.

    Raises ``InvalidInput`` where it is none, and ``TooLarge``.
    """
    weigh.check(cls, data, most)
    return read(cls, data)


def read(cls: Any, data: bytes) -> Any:
    """Return the message in ``data``, which was weighed; raises ``InvalidInput`` where it is none."""
    try:
        return cls.FromString(data)
    except DecodeError:
        name = cls.DESCRIPTOR.full_name
        raise InvalidInput(f"the message is no {name}: it cannot be parsed") from None
