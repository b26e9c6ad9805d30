"""The one table of routes: everything the server answers to over HTTP, as data.

Matching, ``Allow``, ``OPTIONS``, permissions, body limits, OpenAPI and the documents all come from
these rows, so a route cannot exist without a permission and a description. HEAD is answered where
GET is, OPTIONS everywhere; neither is written down.

``door`` names the handler. ``permission`` is what a caller must hold: ``public`` (nobody is ever
asked), ``infer`` (use a model), ``read`` (see what is served), ``metrics``, ``admin``. ``body`` is
the class of body a route takes, a key of ``BODIES``: ``none``, ``json``, ``media`` (JSON and what a
model's signature allows), ``any`` (read as JSON, whatever it is called) and what dialects add.
A segment may end in a verb (``{name}:predict``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inferd.codecs.media import JSON, MEDIA, OCTETS
from inferd.codecs.multipart import FORM_DATA

DATA = "data"
CONTROL = "control"
METRICS = "metrics"

PUBLIC = "public"
INFER = "infer"
READ = "read"
SCRAPE = "metrics"
ADMIN = "admin"
PERMISSIONS = (PUBLIC, INFER, READ, SCRAPE, ADMIN)

SIMPLE = "simple"
OIP = "oip"
TFSERVING = "tfserving"
SAGEMAKER = "sagemaker"
SAGEMAKER_RUNTIME = "sagemaker_runtime"
OPENAI = "openai"


BODIES: dict[str, tuple[str, ...]] = {
    "none": (),
    "json": (JSON,),
    "media": MEDIA,
    "tensors": (JSON, OCTETS),
    "any": (),
    "form": (FORM_DATA,),
    "whole": ("*/*",),
}
"""The content types that each class of body takes; none listed: whatever it is called, as JSON.

``whole`` is whatever it is called, as that: the door says what its model takes.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path template (``/models/{name}/predict``) of some planes."""

    method: str
    template: str
    door: str
    permission: str
    body: str
    dialect: str
    planes: tuple[str, ...]
    summary: str


def _simple(method: str, template: str, door: str, permission: str, summary: str) -> Route:
    body = "media" if method == "POST" else "none"
    return Route(method, template, door, permission, body, SIMPLE, (DATA,), summary)


def _oip(method: str, template: str, door: str, permission: str, summary: str) -> Route:
    body = "tensors" if method == "POST" else "none"
    return Route(method, template, door, permission, body, OIP, (DATA,), summary)


def _triton(template: str, door: str, permission: str, summary: str) -> Route:
    return Route("POST", template, door, permission, "any", OIP, (DATA,), summary)


def _control(template: str, door: str, permission: str, summary: str) -> Route:
    return Route("GET", template, door, permission, "none", SIMPLE, (CONTROL,), summary)


_BOTH = (DATA, CONTROL)
_V = "/versions/{version}"
_L = "/labels/{label}"


def _tfserving() -> tuple[Route, ...]:
    """Return the routes of TensorFlow Serving and of KServe's first protocol."""
    one = "/v1/models/{name}"
    places = ((one, "a model"), (f"{one}{_V}", "one version"), (f"{one}{_L}", "a labelled version"))

    def row(method: str, template: str, door: str, summary: str) -> Route:
        permission, body = (INFER, "any") if method == "POST" else (READ, "none")
        return Route(method, template, door, permission, body, TFSERVING, (DATA,), summary)

    rows = [
        Route(
            "GET", "/", "kserve_alive", PUBLIC, "none", TFSERVING, (DATA,), "Whether the server lives"
        ),
        row("GET", "/v1/models", "tfs_models", "The models served, as each client lists them"),
        row("GET", one, "tfs_model", "State of a model and its versions"),
        *(row("GET", path, "tfs_status", f"State of {whom}") for path, whom in places[1:]),
        *(row("GET", f"{path}/metadata", "tfs_metadata", f"Metadata of {whom}")
          for path, whom in places),
    ]  # fmt: skip
    asked = (
        ("predict", "Ask"), ("classify", "Classify with"), ("regress", "Regress with"),
        ("explain", "Ask the explainer of"),
    )  # fmt: skip
    for verb, what in asked:
        rows += [
            row("POST", f"{path}:{verb}", f"tfs_{verb}{'_label' * (_L in path)}", f"{what} {whom}")
            for path, whom in places
        ]
    return tuple(rows)


def _openai() -> tuple[Route, ...]:
    """Return the routes of the OpenAI API, at its own place and below KServe's prefix."""
    asked = (
        ("embeddings", "openai_embeddings", "json", "Turn texts or token ids into vectors"),
        ("completions", "openai_completions", "json", "Go on from a text"),
        ("chat/completions", "openai_chat", "json", "Answer a conversation"),
        ("audio/transcriptions", "openai_transcriptions", "form", "Write down what is said"),
        ("audio/translations", "openai_translations", "form", "Write it down in English"),
    )
    rows = [
        Route("POST", f"{prefix}/v1/{path}", door, INFER, body, OPENAI, (DATA,), summary)
        for prefix in ("", "/openai")
        for path, door, body, summary in asked
    ]
    listed = (
        ("/openai/v1/models", "openai_models", "The models served"),
        ("/openai/v1/models/{name}", "openai_model", "A model"),
    )
    rows += [
        Route("GET", path, door, READ, "none", OPENAI, (DATA,), summary)
        for path, door, summary in listed
    ]
    return tuple(rows)


def _sagemaker() -> tuple[Route, ...]:
    """Return the routes of SageMaker: of its containers, and of the API before its endpoints."""

    def row(
        method: str, template: str, door: str, permission: str, summary: str, body: str = "none",
        dialect: str = SAGEMAKER,
    ) -> Route:  # fmt: skip
        return Route(method, template, door, permission, body, dialect, (DATA,), summary)

    runtime, endpoint = SAGEMAKER_RUNTIME, "/endpoints/{name}"
    return (
        row("GET", "/ping", "sm_ping", PUBLIC, "Whether the container is ready"),
        row("POST", "/invocations", "sm_invoke", INFER, "Ask the model of the container", "whole"),
        row("GET", "/models", "sm_models", READ, "Multi-model: what is loaded"),
        row("POST", "/models", "sm_load", ADMIN, "Multi-model: load a model", "json"),
        row("GET", "/models/{name}", "sm_model", READ, "Multi-model: whether a model is loaded"),
        row("DELETE", "/models/{name}", "sm_unload", ADMIN, "Multi-model: unload a model"),
        row("POST", "/models/{name}/invoke", "sm_invoke_model", INFER, "Multi-model: ask a model",
            "whole"),
        row("POST", f"{endpoint}/invocations", "sm_endpoint", INFER,
            "Ask a model as the runtime API does", "whole", runtime),
        row("POST", f"{endpoint}/invocations-response-stream", "sm_endpoint_stream", INFER,
            "Ask a model and be answered in pieces", "whole", runtime),
        row("POST", f"{endpoint}/async-invocations", "sm_endpoint_async", INFER,
            "Ask a model and fetch the answer later: not offered", "none", runtime),
    )  # fmt: skip


ROUTES: tuple[Route, ...] = (
    _simple("POST", "/predict", "predict", INFER, "Ask the only model served"),
    _simple("POST", "/models/{name}/predict", "predict", INFER, "Ask a model"),
    _simple("POST", f"/models/{{name}}{_V}/predict", "predict", INFER, "Ask one version of a model"),
    Route("GET", "/healthz", "healthz", PUBLIC, "none", SIMPLE, _BOTH, "Whether the server lives"),
    Route(
        "GET", "/readyz", "readyz", PUBLIC, "none", SIMPLE, _BOTH,
        "Whether the server is ready, and why not",
    ),
    _simple("GET", "/ui", "model_pages", READ, "The pages of models, or the only one"),
    _simple("GET", "/ui/{name}", "model_page", READ, "A model's page"),
    _simple("GET", "/ui/{name}/{file}", "model_page", READ, "A file of a model's page"),
    _oip("GET", "/v2", "oip_server", READ, "Server metadata"),
    _oip("GET", "/v2/health/live", "oip_live", PUBLIC, "Whether the server lives"),
    _oip("GET", "/v2/health/ready", "oip_ready", PUBLIC, "Whether the server is ready"),
    _oip("GET", "/v2/models", "oip_models", READ, "Models served, and their states"),
    _oip("GET", "/v2/models/{name}", "oip_model", READ, "Model metadata"),
    _oip("GET", f"/v2/models/{{name}}{_V}", "oip_model", READ, "Metadata of one version"),
    _oip("GET", "/v2/models/{name}/ready", "oip_model_ready", READ, "Whether a model is ready"),
    _oip(
        "GET", f"/v2/models/{{name}}{_V}/ready", "oip_model_ready", READ,
        "Whether one version is ready",
    ),
    _oip("POST", "/v2/models/{name}/infer", "oip_infer", INFER, "Ask a model"),
    _oip("POST", f"/v2/models/{{name}}{_V}/infer", "oip_infer", INFER, "Ask one version"),
    _triton(
        "/v2/models/{name}/generate", "generate", INFER,
        "Ask a model for one example, as a flat object",
    ),
    _triton(f"/v2/models/{{name}}{_V}/generate", "generate", INFER, "The same of one version"),
    _triton(
        "/v2/models/{name}/generate_stream", "generate_stream", INFER,
        "The same, answered in server-sent events",
    ),
    _triton(
        f"/v2/models/{{name}}{_V}/generate_stream", "generate_stream", INFER,
        "The same of one version",
    ),
    _oip("GET", "/v2/models/{name}/config", "triton_config", READ, "Configuration of a model"),
    _oip(
        "GET", f"/v2/models/{{name}}{_V}/config", "triton_config", READ,
        "Configuration of one version",
    ),
    _oip("GET", "/v2/models/stats", "triton_statistics", READ, "Statistics of all models"),
    _oip("GET", "/v2/models/{name}/stats", "triton_statistics", READ, "Statistics of a model"),
    _oip(
        "GET", f"/v2/models/{{name}}{_V}/stats", "triton_statistics", READ,
        "Statistics of one version",
    ),
    _triton("/v2/repository/index", "triton_index", READ, "Versions served and their states"),
    _triton(
        "/v2/repository/models/{name}/load", "triton_load", ADMIN,
        "Load a model, where that is allowed",
    ),
    _triton(
        "/v2/repository/models/{name}/unload", "triton_unload", ADMIN,
        "Unload a model, where that is allowed",
    ),
    *_tfserving(),
    *_sagemaker(),
    *_openai(),
    _control("/", "page", READ, "This server's models and routes, as a page"),
    _control("/docs", "page", READ, "The same page"),
    _control("/openapi.json", "openapi", READ, "OpenAPI 3.1 document of both planes"),
    _control("/models", "models", READ, "Models and the state of their versions"),
    _control("/models/{name}", "model", READ, "Full description of a model's versions"),
    _control(f"/models/{{name}}{_V}", "version", READ, "Full description of one version"),
    Route(
        "GET", "/metrics", "metrics", SCRAPE, "none", SIMPLE, (CONTROL, METRICS),
        "Metrics for Prometheus",
    ),
)  # fmt: skip


PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"/v2", OIP),
    (b"/v1/models", TFSERVING),
    (b"/invocations", SAGEMAKER),
    (b"/endpoints", SAGEMAKER_RUNTIME),
    (b"/v1", OPENAI),
    (b"/openai", OPENAI),
)
"""Where a path leads that no route has: its beginning, and the dialect of the refusal. The first counts."""


def dialect_of(raw_path: bytes) -> str:
    """Return the dialect in which a path that has no route is refused."""
    for prefix, dialect in PREFIXES:
        if raw_path == prefix or raw_path.startswith(prefix + b"/"):
            return dialect
    return SIMPLE


FOLDED: tuple[str, ...] = ("/v1/models",)
"""Beginnings of the paths whose fixed parts are matched in any case, as their protocol wants it."""


def routes_of(plane: str) -> tuple[Route, ...]:
    """Return the routes of one plane."""
    return tuple(route for route in ROUTES if plane in route.planes)


def simple_table() -> str:
    """Return the routes of the simple dialect and of health as Markdown (``docs/api.md``)."""
    return _table(r for r in ROUTES if DATA in r.planes and r.dialect == SIMPLE)


def oip_table() -> str:
    """Return the routes of the Open Inference Protocol as Markdown."""
    return _table(r for r in ROUTES if r.dialect == OIP)


def tfserving_table() -> str:
    """Return the routes of TensorFlow Serving and KServe V1 as Markdown."""
    return _table(r for r in ROUTES if r.dialect == TFSERVING)


def openai_table() -> str:
    """Return the routes of the OpenAI-compatible dialect as Markdown."""
    return _table(r for r in ROUTES if r.dialect == OPENAI)


def sagemaker_table() -> str:
    """Return the routes of SageMaker as Markdown."""
    return _table(r for r in ROUTES if r.dialect in (SAGEMAKER, SAGEMAKER_RUNTIME))


def control_table() -> str:
    """Return the routes of the control plane as Markdown."""
    return _table(r for r in ROUTES if CONTROL in r.planes)


def _table(routes: Iterable[Route]) -> str:
    lines = ["| route | answers | permission |", "|---|---|---|"]
    lines += [f"| `{r.method} {r.template}` | {r.summary} | {r.permission} |" for r in routes]
    return "\n".join(lines) + "\n"
