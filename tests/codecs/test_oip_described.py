"""Metadata and configuration of other servers, ours among them, to a signature."""

from dataclasses import replace

import pytest

from inferd.codecs.oip_described import describe
from inferd.codecs.oip_metadata import model_config, model_metadata, server_metadata
from inferd.codecs.rawtensor import BF16
from inferd.core.errors import InvalidInput
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, FP32, INT64

X, Y = TensorSpec("x", FP32, (-1, 4)), TensorSpec("y", INT64, (-1,))
SIGNATURE = Signature((X,), (Y,))


def metadata(*inputs, outputs=(("y", "INT64", [-1]),)):
    def rows(given):
        return [{"name": n, "datatype": d, "shape": s} for n, d, s in given]

    return {"name": "m", "versions": ["1", "2"], "inputs": rows(inputs), "outputs": rows(outputs)}


def told(signature, plan=None, **more):
    plan = plan or BatchPlan(signature.batched, signature.max_batch)
    return describe(
        model_metadata("m", ["1"], "p", signature), model_config("m", "p", signature, plan, **more)
    )


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE,
        replace(SIGNATURE, max_batch=8),
        replace(SIGNATURE, max_batch=1),
        replace(SIGNATURE, batched=False),
        replace(SIGNATURE, parameters=("most", "heat")),
        Signature((replace(X, shape=(2, 2)),), (replace(Y, shape=()),), batched=False),
        Signature((TensorSpec("i", BYTES, (-1,), (), "image"),), (Y,)),
        Signature((X, TensorSpec("i", BYTES, (-1, 1), default=[""])), (Y,)),
    ],
    ids=["batch", "eight", "one", "free", "parameters", "fixed", "image", "default"],
)
def test_what_an_inferd_tells_is_what_another_understands(signature):
    found = told(signature)

    assert found.signature == signature
    assert (found.plan.batched, found.plan.max_batch) == (signature.batched, signature.max_batch)
    assert not found.streams


@pytest.mark.parametrize(
    ("server", "binary", "b64"),
    [
        (None, True, False),
        ({"name": "triton"}, True, False),
        ({"name": "other", "extensions": []}, False, False),
        (server_metadata("inferd", "1"), True, True),
    ],
    ids=["unknown", "silent", "plain", "ours"],
)
def test_what_a_server_reads(server, binary, b64):
    found = describe(metadata(), server=server)

    assert (found.binary, found.b64) == (binary, b64)


def test_what_the_protocol_has_no_place_for():
    found = told(SIGNATURE, BatchPlan(split=True), task="classify", classes=("cat", "dög"))

    assert (found.task, found.classes, found.plan.split) == ("classify", ("cat", "dög"), True)
    assert told(SIGNATURE).classes == ()


def test_a_model_that_streams_is_asked_row_by_row():
    found = told(SIGNATURE, streams=True)

    assert found.streams
    assert found.plan.split


def test_without_a_configuration_the_shapes_decide():
    assert describe(metadata(("x", "FP32", [-1, 4]))).signature.batched
    assert not describe(metadata(("x", "FP32", [2, 4]))).signature.batched
    assert describe(metadata(("x", "FP32", [-1, 4]))).versions == ("1", "2")


def test_sizes_may_be_texts_and_bf16_is_float32_here():
    found = describe(metadata(("x", "BF16", ["-1", "4"])))

    assert found.signature.inputs == (X,)
    assert found.dtypes == {"x": BF16}


@pytest.mark.parametrize("size", ["8", 8], ids=repr)
def test_a_batch_of_triton(size):
    found = describe(metadata(("x", "FP32", [-1, 4])), {"max_batch_size": size})

    assert found.signature.max_batch == 8


def test_a_batch_that_the_shapes_do_not_have_is_not_believed():
    found = describe(metadata(("x", "FP32", [3, 4])), {"max_batch_size": 8})

    assert not found.signature.batched


@pytest.mark.parametrize(
    "parameters",
    [None, [], {"inferd": "x"}, {"inferd": {"string_value": "{"}}, {"inferd": {"string_value": "[]"}},
     {"inferd": {"string_value": '{"classes": 3, "task": [], "content": [], "split": 1}'}}],
    ids=str,
)  # fmt: skip
def test_parameters_of_others_are_passed_over(parameters):
    found = describe(metadata(("x", "FP32", [-1, 4])), {"parameters": parameters})

    assert (found.task, found.classes, found.plan.split) == (None, (), False)


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"outputs": [1]}, {"outputs": [{"name": "y"}]}, metadata(("", "FP32", [1])),
     metadata(("x", "FP32", ["a"])), metadata(("x", "FP3", [1])), {**metadata(), "inputs": 3},
     {**metadata(), "versions": 3}],
    ids=str,
)  # fmt: skip
def test_what_is_no_metadata(value):
    with pytest.raises(InvalidInput):
        describe(value)


def test_a_configuration_that_is_none_is_passed_over():
    assert describe(metadata(("x", "FP32", [-1, 4])), "config").signature.batched
