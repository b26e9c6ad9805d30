"""What the Open Inference Protocol tells of a server and its models: pure JSON values.

Metadata shows every free axis, the batch among them, as -1. Triton's configuration, which its
tools read, leaves the batch out of the sizes and says its largest in ``max_batch_size``; 0 stands for
a model that takes no batches.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md;
triton-inference-server/common, protobuf/model_config.proto.
"""

from __future__ import annotations

from typing import Any

from inferd.codecs import json
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES
from inferd.telemetry.tally import Tally

EXTENSIONS: tuple[str, ...] = (
    "binary_tensor_data",
    "classification",
    "generate",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
)
"""The extensions offered."""

OWN = "inferd"
"""The server's name; the parameter of a configuration that holds what Triton's form has no place for."""

UNBOUNDED = 1024
"""The largest batch told where nothing bounds it: the protocol has no way to say so."""


def server_metadata(name: str, version: str) -> dict[str, Any]:
    """Return the body of ``GET /v2``."""
    return {"name": name, "version": version, "extensions": list(EXTENSIONS)}


def model_metadata(
    name: str, versions: list[str], platform: str, signature: Signature
) -> dict[str, Any]:
    """Return the body of ``GET /v2/models/{name}``; free axes, the batch among them, are -1."""

    def tensor(spec: TensorSpec) -> dict[str, Any]:
        return {"name": spec.name, "datatype": spec.dtype.name, "shape": list(spec.shape)}

    return {
        "name": name,
        "versions": versions,
        "platform": platform,
        "inputs": [tensor(spec) for spec in signature.inputs],
        "outputs": [tensor(spec) for spec in signature.outputs],
    }


def max_batch_size(signature: Signature, plan: BatchPlan) -> int:
    """Return the largest batch of one request, 0 where the model takes none."""
    if not signature.batched:
        return 0
    return plan.max_batch or signature.max_batch or UNBOUNDED


def model_config(
    name: str, platform: str, signature: Signature, plan: BatchPlan, *, streams: bool = False,
    task: str | None = None, classes: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return a model's configuration as Triton writes it.

    What its form has no place for, and another inferd that asks this model wants to know, is told in
    ``parameters``, as JSON under the key ``OWN``: ``task``, ``classes``, what the bytes of inputs mean
    (``content``), what inputs are where a request leaves them out (``defaults``), the parameters that it
    takes (``takes``), and whether rows are answered in unequal shapes (``split``).
    """
    batched = signature.batched

    def tensor(spec: TensorSpec) -> dict[str, Any]:
        shape = spec.shape[1:] if batched else spec.shape
        return {
            "name": spec.name,
            "data_type": "TYPE_STRING" if spec.dtype is BYTES else f"TYPE_{spec.dtype.name}",
            "dims": list(shape),
            **({} if spec.default is None else {"optional": True}),
        }

    config: dict[str, Any] = {
        "name": name,
        "platform": platform,
        "backend": platform,
        "max_batch_size": max_batch_size(signature, plan),
        "input": [tensor(spec) for spec in signature.inputs],
        "output": [tensor(spec) for spec in signature.outputs],
        "model_transaction_policy": {"decoupled": streams},
    }
    if batched:
        config["dynamic_batching"] = {}
    content = {spec.name: spec.content for spec in signature.inputs if spec.content}
    defaults = {spec.name: spec.default for spec in signature.inputs if spec.default is not None}
    own = {
        "task": task, "classes": list(classes), "content": content, "defaults": defaults,
        "takes": list(signature.parameters or ()), "split": plan.split,
    }  # fmt: skip
    told = {key: value for key, value in own.items() if value}
    if told:
        config["parameters"] = {OWN: {"string_value": json.dumps(told).decode()}}
    return config


def model_statistics(name: str, version: str, tally: Tally) -> dict[str, Any]:
    """Return the statistics of one version as Triton writes them, times in nanoseconds.

    What is done before the model (decoding, transfer, transforms) is ``compute_input``, writing the
    answer ``compute_output``.
    """
    done = tally.succeeded

    def spent(count: int, seconds: float) -> dict[str, int]:
        return {"count": count, "ns": round(seconds * 1e9)}

    return {
        "name": name,
        "version": version,
        "last_inference": round(tally.last * 1e3),
        "inference_count": tally.rows,
        "execution_count": tally.runs,
        "inference_stats": {
            "success": spent(done, tally.seconds),
            "fail": spent(tally.failed, tally.failed_seconds),
            "queue": spent(done, tally.queue),
            "compute_input": spent(done, tally.decode + tally.batch),
            "compute_infer": spent(done, tally.run),
            "compute_output": spent(done, tally.encode),
            "cache_hit": spent(0, 0.0),
            "cache_miss": spent(0, 0.0),
        },
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": spent(size.count, size.batch),
                "compute_infer": spent(size.count, size.run),
                "compute_output": spent(size.count, 0.0),
            }
            for rows, size in sorted(tally.sizes.items())
        ],
        "memory_usage": [],
    }


STATES: dict[str, str] = {"ready": "READY", "loading": "LOADING", "failed": "UNAVAILABLE"}
"""States of a version, and what the protocol's model repository extension calls them."""


def repository_entry(name: str, version: str, state: str, reason: str) -> dict[str, Any]:
    """Return one row of the repository's index."""
    return {
        "name": name, "version": version, "state": STATES.get(state, "UNAVAILABLE"),
        "reason": reason,
    }  # fmt: skip
