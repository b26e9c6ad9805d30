"""The reflection service of gRPC: clients without definitions ask what there is.

The library's servicer answers out of our private pool, to which the definitions of health and of
reflection itself are added. Version 1 of the service and its forerunner have the same messages.

Source: grpc/grpc, doc/server-reflection.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio

from inferd.api.grpc.methods import SERVICES
from inferd.codecs.protobuf.messages import POOL, parse

_ALPHA, _STABLE = "grpc.reflection.v1alpha", "grpc.reflection.v1"


class ReflectionService:
    """``grpc.reflection.v1.ServerReflection`` and ``v1alpha``."""

    def __init__(self) -> None:
        self._servicer = aio.ReflectionServicer(SERVICES, pool=described(POOL))

    async def reflect(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Answer each question."""
        questions = (parse(reflection_pb2.ServerReflectionRequest, m) async for m in messages)
        async for answer in self._servicer.ServerReflectionInfo(questions, None):
            yield answer.SerializeToString()


def described(pool: DescriptorPool) -> DescriptorPool:
    """Add the definitions of health and reflection to ``pool``, where they are not yet."""
    reflection = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    text = text_format.MessageToString(reflection).replace(_ALPHA, _STABLE)
    stable = text_format.Parse(text, FileDescriptorProto(), allow_unknown_field=False)
    stable.name = "grpc_reflection_v1.proto"
    for file in (
        health_pb2.DESCRIPTOR.serialized_pb, reflection_pb2.DESCRIPTOR.serialized_pb,
        stable.SerializeToString(),
    ):  # fmt: skip
        pool.AddSerializedFile(file)
    return pool
