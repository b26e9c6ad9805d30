"""Our tables of the inference service agree with the definitions that Triton's client brings."""

import pytest
from google.protobuf import descriptor_pool
from tritonclient.grpc import model_config_pb2, service_pb2

from inferd.codecs.protobuf.inference import INFERENCE
from inferd.codecs.protobuf.messages import CLASSES, POOL

THEIRS = descriptor_pool.Default()
SERVICE = f"{INFERENCE.package}.GRPCInferenceService"
# Parts of a model's configuration that no server of ours ever tells.
PARTLY = {"ModelInstanceGroup", "ModelConfig"}


def said(field):
    """Return all that the wire knows of a field."""
    kind = field.message_type or field.enum_type
    choice = field.containing_oneof
    return (
        field.name, field.number, field.type, field.is_repeated, kind and kind.full_name,
        choice and choice.name,
    )  # fmt: skip


@pytest.mark.parametrize("name", INFERENCE.messages, ids=str)
def test_a_message_agrees(name):
    ours = POOL.FindMessageTypeByName(f"inference.{name}")
    theirs = THEIRS.FindMessageTypeByName(f"inference.{name}")

    fields = {f.number: said(f) for f in theirs.fields}
    for field in ours.fields:
        assert said(field) == fields.pop(field.number)
    assert not fields or name in PARTLY


@pytest.mark.parametrize("name", INFERENCE.enums, ids=str)
def test_an_enumeration_agrees(name):
    ours = POOL.FindEnumTypeByName(f"inference.{name}")
    theirs = THEIRS.FindEnumTypeByName(f"inference.{name}")

    assert {v.name: v.number for v in ours.values} == {v.name: v.number for v in theirs.values}


def test_every_message_of_the_service_is_there():
    theirs = service_pb2.DESCRIPTOR.message_types_by_name

    assert not {f"inference.{name}" for name in theirs} - set(CLASSES)


def test_the_service_agrees():
    def methods(pool):
        return {
            m.name: (m.input_type.full_name, m.output_type.full_name, m.client_streaming,
                     m.server_streaming)
            for m in pool.FindServiceByName(SERVICE).methods
        }  # fmt: skip

    assert methods(POOL) == methods(THEIRS)


def test_both_definitions_live_in_one_process():
    assert (
        model_config_pb2.ModelConfig.DESCRIPTOR is not CLASSES["inference.ModelConfig"].DESCRIPTOR
    )
