"""The inference service's plain doors, with our own messages; the real clients come beside it."""

import grpc
import pytest
from tests.api.grpc.served import Served, refused, version

from inferd.codecs.protobuf.messages import inference
from inferd.routing.table import FAILED, LOADING
from inferd.telemetry.tally import Tally


def test_the_server_describes_itself(served):
    said = served.inference("ServerMetadata")

    assert (said.name, said.version) == ("inferd", "0")
    assert {"binary_tensor_data", "classification"} <= set(said.extensions)
    assert served.inference("ServerLive").live
    assert served.inference("ServerReady").ready


def test_a_server_that_loads_is_not_ready():
    with Served(version(), version("n", "1")) as served:
        served.table.find("n").state = LOADING
        assert not served.inference("ServerReady").ready
        asked = inference("ModelReadyRequest")
        assert served.inference("ModelReady", message=asked(name="m")).ready
        assert not served.inference("ModelReady", message=asked(name="n")).ready
        with refused(grpc.StatusCode.NOT_FOUND):
            served.inference("ModelReady", message=asked(name="x"))


def test_a_model_describes_itself():
    with Served(version("m", "1"), version("m", "2")) as served:
        asked = inference("ModelMetadataRequest")
        every = served.inference("ModelMetadata", message=asked(name="m"))
        one = served.inference("ModelMetadata", message=asked(name="m", version="1"))

    assert (every.name, list(every.versions)) == ("m", ["1", "2"])
    assert list(one.versions) == ["1"]
    assert (every.inputs[0].name, every.inputs[0].datatype) == ("x", "FP32")
    assert list(every.inputs[0].shape) == [-1, 2]
    assert every.outputs[0].name == "y"


def test_a_model_without_a_signature_yet_is_unavailable():
    with Served(version("m", sig=None)) as served:
        served.table.find("m").state = LOADING
        with refused(grpc.StatusCode.UNAVAILABLE):
            served.inference("ModelMetadata", message=inference("ModelMetadataRequest")(name="m"))


def test_a_models_configuration():
    with Served(version("m", streams=True)) as served:
        message = inference("ModelConfigRequest")(name="m")
        config = served.inference("ModelConfig", message=message).config

    assert config.name == "m"
    assert config.max_batch_size > 0
    assert list(config.input[0].dims) == [2]
    assert config.model_transaction_policy.decoupled


def test_statistics_are_those_of_the_account():
    tally = Tally()
    tally.ran(3, 0.001, 0.002)
    with Served(version("m", "1"), version("n", "1"), account=lambda m, v: tally) as served:
        asked = inference("ModelStatisticsRequest")
        every = served.inference("ModelStatistics").model_stats
        (one,) = served.inference("ModelStatistics", message=asked(name="n")).model_stats

    assert [s.name for s in every] == ["m", "n"]
    assert (one.name, one.version, one.inference_count, one.execution_count) == ("n", "1", 3, 1)
    assert one.batch_stats[0].compute_infer.ns == 2_000_000


def test_the_index_lists_versions_and_their_states():
    with Served(version("m", "1"), version("n", "1")) as served:
        failed = served.table.find("n")
        failed.state, failed.reason = FAILED, "no such file"
        asked = inference("RepositoryIndexRequest")
        rows = served.inference("RepositoryIndex").models
        (ready,) = served.inference("RepositoryIndex", message=asked(ready=True)).models

    assert [(r.name, r.state, r.reason) for r in rows] == [
        ("m", "READY", ""), ("n", "UNAVAILABLE", "no such file"),
    ]  # fmt: skip
    assert ready.name == "m"


VERBS = ["Load", "Unload"]


@pytest.mark.parametrize("verb", VERBS)
def test_models_are_not_loaded_at_a_clients_request(served, verb):
    with refused(grpc.StatusCode.PERMISSION_DENIED) as said:
        message = inference(f"RepositoryModel{verb}Request")(model_name="m")
        served.inference(f"RepositoryModel{verb}", message=message)

    assert "'m'" in said["details"]
    assert said["error-kind"] == "not_allowed"


class Repository:
    def __init__(self):
        self.heard = []

    async def load(self, model, parameters):
        self.heard.append(("load", model, parameters))

    async def unload(self, model, parameters):
        self.heard.append(("unload", model, parameters))


def test_a_repository_is_told_where_there_is_one():
    repository = Repository()
    with Served(repository=repository) as served:
        load = inference("RepositoryModelLoadRequest")(model_name="n")
        load.parameters["config"].string_param = "{}"
        served.inference("RepositoryModelLoad", message=load)
        # KServe's message has the model where Triton's has the repository.
        kserve = inference("RepositoryModelUnloadRequest")(repository_name="m")
        served.inference("RepositoryModelUnload", message=kserve)
        triton = inference("RepositoryModelUnloadRequest")(repository_name="m", model_name="n")
        served.inference("RepositoryModelUnload", message=triton)
        other = inference("RepositoryModelUnloadRequest")(repository_name="store")
        served.inference("RepositoryModelUnload", message=other)

    assert repository.heard == [
        ("load", "n", {"config": "{}"}), ("unload", "m", {}), ("unload", "n", {}),
        ("unload", "", {}),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["System", "Cuda"])
def test_there_are_no_regions_of_shared_memory(served, kind):
    assert not served.inference(f"{kind}SharedMemoryStatus").regions
    for verb in ("Register", "Unregister"):
        with refused(grpc.StatusCode.UNIMPLEMENTED):
            served.inference(f"{kind}SharedMemory{verb}")


@pytest.mark.parametrize("method", ["TraceSetting", "LogSettings"])
def test_what_is_not_offered_says_so(served, method):
    with refused(grpc.StatusCode.UNIMPLEMENTED) as said:
        served.inference(method)

    assert method in said["details"]
