from tests.codecs.signatures import signature

from inferd.codecs.oip_metadata import (
    model_config,
    model_metadata,
    model_statistics,
    repository_entry,
    server_metadata,
)
from inferd.core.message import Timings
from inferd.core.plan import BatchPlan
from inferd.telemetry.tally import Tally

TEXT = signature([("t", "BYTES", [-1, 2])])


def test_metadata_shows_the_batch():
    assert model_metadata("m", ["1", "2"], "onnx", TEXT) == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "onnx",
        "inputs": [{"name": "t", "datatype": "BYTES", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    }


def test_extensions_are_told():
    told = server_metadata("inferd", "1.0")

    assert (told["name"], told["version"]) == ("inferd", "1.0")
    assert "binary_tensor_data" in told["extensions"]


def test_a_configuration_leaves_the_batch_out():
    assert model_config("m", "onnx", TEXT, BatchPlan(max_batch=8)) == {
        "name": "m",
        "platform": "onnx",
        "backend": "onnx",
        "max_batch_size": 8,
        "input": [{"name": "t", "data_type": "TYPE_STRING", "dims": [2]}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [1]}],
        "model_transaction_policy": {"decoupled": False},
        "dynamic_batching": {},
    }


def test_a_model_without_batches_has_a_largest_of_zero():
    single = signature([("x", "INT64", [3])], [("y", "BOOL", [1])], batched=False)

    config = model_config("m", "onnx", single, BatchPlan(batched=False), streams=True)

    assert config["max_batch_size"] == 0
    assert config["input"] == [{"name": "x", "data_type": "TYPE_INT64", "dims": [3]}]
    assert config["model_transaction_policy"] == {"decoupled": True}
    assert "dynamic_batching" not in config


def test_a_batch_that_nothing_bounds_is_told_as_a_large_one():
    assert model_config("m", "onnx", TEXT, BatchPlan())["max_batch_size"] == 1024


def test_statistics_are_in_nanoseconds():
    tally = Tally()
    tally.answered(
        [(Timings(queue=0.001, batch=0.002, run=0.003, decode=0.004, encode=0.005), 1.0)]
    )
    tally.failure(0.5)
    tally.ran(4, 0.002, 0.003)

    told = model_statistics("m", "2", tally)
    stages = told["inference_stats"]

    assert (told["name"], told["version"]) == ("m", "2")
    assert (told["inference_count"], told["execution_count"]) == (4, 1)
    assert told["last_inference"] > 1.7e12
    assert stages["success"] == {"count": 1, "ns": 1_000_000_000}
    assert stages["fail"] == {"count": 1, "ns": 500_000_000}
    assert stages["queue"] == {"count": 1, "ns": 1_000_000}
    assert stages["compute_input"] == {"count": 1, "ns": 6_000_000}
    assert stages["compute_infer"] == {"count": 1, "ns": 3_000_000}
    assert stages["compute_output"] == {"count": 1, "ns": 5_000_000}
    assert told["batch_stats"] == [
        {
            "batch_size": 4,
            "compute_input": {"count": 1, "ns": 2_000_000},
            "compute_infer": {"count": 1, "ns": 3_000_000},
            "compute_output": {"count": 1, "ns": 0},
        }
    ]


def test_states_have_the_protocols_names():
    assert repository_entry("m", "1", "ready", "")["state"] == "READY"
    assert repository_entry("m", "1", "loading", "x") == {
        "name": "m", "version": "1", "state": "LOADING", "reason": "x",
    }  # fmt: skip
    assert repository_entry("m", "1", "failed", "no")["state"] == "UNAVAILABLE"
    assert repository_entry("m", "1", "else", "")["state"] == "UNAVAILABLE"
