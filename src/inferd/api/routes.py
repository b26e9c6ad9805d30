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
OPENAI = "openai"


BODIES: dict[str, tuple[str, ...]] = {
    "none": (),
    "json": (JSON,),
    "media": MEDIA,
    "tensors": (JSON, OCTETS),
    "any": (),
}
"""The content types that each class of body takes; none listed: whatever it is called."""


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


def _control(template: str, door: str, permission: str, summary: str) -> Route:
    return Route("GET", template, door, permission, "none", SIMPLE, (CONTROL,), summary)


_BOTH = (DATA, CONTROL)
_V = "/versions/{version}"

ROUTES: tuple[Route, ...] = (
    _simple("POST", "/predict", "predict", INFER, "Ask the only model served"),
    _simple("POST", "/models/{name}/predict", "predict", INFER, "Ask a model"),
    _simple("POST", f"/models/{{name}}{_V}/predict", "predict", INFER, "Ask one version of a model"),
    Route("GET", "/healthz", "healthz", PUBLIC, "none", SIMPLE, _BOTH, "Whether the server lives"),
    Route(
        "GET", "/readyz", "readyz", PUBLIC, "none", SIMPLE, _BOTH,
        "Whether the server is ready, and why not",
    ),
    _oip("GET", "/v2", "oip_server", READ, "Server metadata"),
    _oip("GET", "/v2/health/live", "oip_live", PUBLIC, "Whether the server lives"),
    _oip("GET", "/v2/health/ready", "oip_ready", PUBLIC, "Whether the server is ready"),
    _oip("GET", "/v2/models", "oip_models", READ, "Names of the models served"),
    _oip("GET", "/v2/models/{name}", "oip_model", READ, "Model metadata"),
    _oip("GET", f"/v2/models/{{name}}{_V}", "oip_model", READ, "Metadata of one version"),
    _oip("GET", "/v2/models/{name}/ready", "oip_model_ready", READ, "Whether a model is ready"),
    _oip(
        "GET", f"/v2/models/{{name}}{_V}/ready", "oip_model_ready", READ,
        "Whether one version is ready",
    ),
    _oip("POST", "/v2/models/{name}/infer", "oip_infer", INFER, "Ask a model"),
    _oip("POST", f"/v2/models/{{name}}{_V}/infer", "oip_infer", INFER, "Ask one version"),
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


PREFIXES: tuple[tuple[bytes, str], ...] = ((b"/v2", OIP),)
"""Where a path leads that no route has: its beginning, and the dialect of the refusal."""


def dialect_of(raw_path: bytes) -> str:
    """Return the dialect in which a path that has no route is refused."""
    for prefix, dialect in PREFIXES:
        if raw_path == prefix or raw_path.startswith(prefix + b"/"):
            return dialect
    return SIMPLE


def routes_of(plane: str) -> tuple[Route, ...]:
    """Return the routes of one plane."""
    return tuple(route for route in ROUTES if plane in route.planes)


def simple_table() -> str:
    """Return the routes of the simple dialect and of health as Markdown (``docs/api.md``)."""
    return _table(r for r in ROUTES if DATA in r.planes and r.dialect == SIMPLE)


def oip_table() -> str:
    """Return the routes of the Open Inference Protocol as Markdown."""
    return _table(r for r in ROUTES if r.dialect == OIP)


def control_table() -> str:
    """Return the routes of the control plane as Markdown."""
    return _table(r for r in ROUTES if CONTROL in r.planes)


def _table(routes: Iterable[Route]) -> str:
    lines = ["| route | answers | permission |", "|---|---|---|"]
    lines += [f"| `{r.method} {r.template}` | {r.summary} | {r.permission} |" for r in routes]
    return "\n".join(lines) + "\n"
