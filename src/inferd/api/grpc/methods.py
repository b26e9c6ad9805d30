"""The one table of methods: everything the server answers to over gRPC, as data.

A method is a route like those of HTTP (a call is a POST to ``/package.Service/Method``), so one policy
and one observer hear of both. ``door`` names the handler; ``refused`` and ``absent`` are those of
methods that are known and not allowed, or not offered. Permissions are those of ``api.routes``.
"""

from __future__ import annotations

from dataclasses import dataclass

from inferd.api.routes import ADMIN, INFER, PUBLIC, READ, Route

PLANE = "grpc"
OIP = "oip_grpc"
TFSERVING = "tfserving_grpc"
PLAIN = "grpc"

INFERENCE_SERVICE = "inference.GRPCInferenceService"
PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
HEALTH_SERVICE = "grpc.health.v1.Health"
REFLECTION_SERVICES = (
    "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection",
)  # fmt: skip
SERVICES = (
    INFERENCE_SERVICE, PREDICTION_SERVICE, MODEL_SERVICE, HEALTH_SERVICE, *REFLECTION_SERVICES,
)  # fmt: skip
"""Every service that is offered."""

REFUSED = "refused"
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method. ``streams``: requests, answers or both come in any number."""

    service: str
    name: str
    path: str
    raw_path: bytes
    route: Route
    streams: bool = False


def _row(
    service: str, name: str, door: str, permission: str, dialect: str, summary: str,
    *, streams: bool = False,
) -> Rpc:  # fmt: skip
    path = f"/{service}/{name}"
    return Rpc(
        service,
        name,
        path,
        path.encode(),
        Route("POST", path, door, permission, "none", dialect, (PLANE,), summary),
        streams,
    )


def _oip(name: str, door: str, permission: str, summary: str, *, streams: bool = False) -> Rpc:
    return _row(INFERENCE_SERVICE, name, door, permission, OIP, summary, streams=streams)


def _memory(kind: str, what: str) -> tuple[Rpc, ...]:
    return (
        _oip(f"{kind}SharedMemoryStatus", "regions", READ, f"Regions of {what}: always none"),
        _oip(f"{kind}SharedMemoryRegister", ABSENT, INFER, f"Share {what}: not offered"),
        _oip(f"{kind}SharedMemoryUnregister", ABSENT, INFER, f"Unshare {what}: not offered"),
    )


def _predict(name: str, door: str, permission: str, summary: str) -> Rpc:
    return _row(PREDICTION_SERVICE, name, door, permission, TFSERVING, summary)


METHODS: tuple[Rpc, ...] = (
    _oip("ServerLive", "live", PUBLIC, "Whether the server lives"),
    _oip("ServerReady", "ready", PUBLIC, "Whether the server is ready"),
    _oip("ModelReady", "model_ready", READ, "Whether a model is ready"),
    _oip("ServerMetadata", "server", READ, "Server metadata"),
    _oip("ModelMetadata", "model", READ, "Model metadata"),
    _oip("ModelInfer", "infer", INFER, "Ask a model"),
    _oip("ModelStreamInfer", "stream", INFER, "Ask models in one stream, answers in pieces",
         streams=True),
    _oip("ModelConfig", "config", READ, "A model's configuration"),
    _oip("ModelStatistics", "statistics", READ, "What models did so far"),
    _oip("RepositoryIndex", "index", READ, "Models and the states of their versions"),
    _oip("RepositoryModelLoad", "load", ADMIN, "Load a model, where that is allowed"),
    _oip("RepositoryModelUnload", "unload", ADMIN, "Unload a model, where that is allowed"),
    *_memory("System", "system memory"),
    *_memory("Cuda", "memory of a GPU"),
    _oip("TraceSetting", ABSENT, READ, "Settings of traces: not offered"),
    _oip("LogSettings", ABSENT, READ, "Settings of logs: not offered"),
    _predict("Predict", "predict", INFER, "Ask a model"),
    _predict("GetModelMetadata", "metadata", READ, "Signatures of a model"),
    _predict("Classify", ABSENT, INFER, "Classify examples: not offered"),
    _predict("Regress", ABSENT, INFER, "Regress examples: not offered"),
    _predict("MultiInference", ABSENT, INFER, "Several of these at once: not offered"),
    _row(MODEL_SERVICE, "GetModelStatus", "status", READ, TFSERVING, "States of a model's versions"),
    _row(MODEL_SERVICE, "HandleReloadConfigRequest", REFUSED, ADMIN, TFSERVING,
         "Change what is served: not allowed"),
    _row(HEALTH_SERVICE, "Check", "check", PUBLIC, PLAIN, "Whether the server is ready"),
    _row(HEALTH_SERVICE, "Watch", "watch", PUBLIC, PLAIN, "The same, at every change",
         streams=True),
    *(
        _row(service, "ServerReflectionInfo", "reflect", READ, PLAIN, "Describe the services",
             streams=True)
        for service in REFLECTION_SERVICES
    ),
)  # fmt: skip


def markdown() -> str:
    """Return the methods as Markdown; ``docs/grpc.md`` holds exactly this text."""
    lines: list[str] = []
    for service in SERVICES:
        lines += [f"`{service}`", "", "| method | answers | permission |", "|---|---|---|"]
        lines += [
            f"| `{rpc.name}` | {rpc.route.summary} | {rpc.route.permission} |"
            for rpc in METHODS
            if rpc.service == service
        ]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"
