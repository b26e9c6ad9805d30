"""The page of the control plane: what is served, how to ask it, and every route.

Written on the server, without scripts and without anything fetched: it works with any browser, and
its content security policy allows one inline style sheet and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

from inferd.api.describe import describe
from inferd.api.routes import ROUTES
from inferd.codecs import json
from inferd.codecs.values import show_shape
from inferd.routing.table import RouteTable, Version
from inferd.transport.message import Headers

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem } h3 { margin-bottom: .3rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; border-radius: .3rem }
.state { padding: 0 .5rem; border-radius: 1rem; background: var(--soft) }
.ready { background: #2a83 } .failed { background: #d333 }
summary { cursor: pointer }
"""

POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS: Headers = [
    (b"Content-Security-Policy", POLICY.encode()),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cache-Control", b"no-store"),
]


def page(table: RouteTable, *, version: str, data_url: str) -> str:
    """Return the page as HTML; every name in it is escaped."""
    models = "".join(_model(table, name, data_url) for name in table.names())
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>inferd</title>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body>"
        f"<h1>inferd</h1><p>{escape(version)} · <a href=/openapi.json>OpenAPI</a>"
        " · <a href=/metrics>metrics</a> · <a href=/models>models as JSON</a>"
        " · <a href=/readyz>readiness</a></p>"
        f"<h2>Models</h2>{models or '<p>No model is loaded.</p>'}"
        f"<h2>Routes</h2>{_routes()}</body></html>"
    )


def _model(table: RouteTable, name: str, data_url: str) -> str:
    default = table.find(name)
    versions = "".join(
        _version(version, data_url, is_default=version is default)
        for version in reversed(table.versions(name))
    )
    return f"<section><h3>{escape(name)}</h3>{versions}</section>"


def _version(version: Version, data_url: str, *, is_default: bool) -> str:
    state = escape(version.state)
    reason = "" if version.ready else f" {escape(version.reason)}"
    note = " · answers by default" if is_default else ""
    runtime = escape(version.platform or version.runtime)
    signature = version.signature
    parts = [
        (
            f'<p>version {escape(version.version)} <span class="state {state}">{state}</span>'
            f"{reason}{note}{' · ' + runtime if runtime else ''}</p>"
        )
    ]
    if signature is not None:
        rows = "".join(
            f"<tr><td>{kind}<td><code>{escape(spec.name)}</code><td>{spec.dtype.name}"
            f"<td><code>{escape(show_shape(spec.shape))}</code><td>{escape(spec.content or '')}</tr>"
            for kind, specs in (("input", signature.inputs), ("output", signature.outputs))
            for spec in specs
        )
        parts.append(f"<table><tr><th><th>name<th>datatype<th>shape<th>content</tr>{rows}</table>")
        parts.append(f"<pre>{escape(_curl(version, data_url))}</pre>")
    details = escape(_pretty(describe(version)))
    parts.append(f"<details><summary>Everything known</summary><pre>{details}</pre></details>")
    return "".join(parts)


def _curl(version: Version, data_url: str) -> str:
    from urllib.parse import quote

    url = f"{data_url}/models/{quote(version.model, safe='')}"
    url += f"/versions/{quote(version.version, safe='')}/predict"
    return f"curl {url} -H 'Content-Type: application/json' -d '{{\"data\": ...}}'"


def _pretty(value: Any) -> str:
    import json as stdlib

    return stdlib.dumps(stdlib.loads(json.dumps(value)), indent=2, ensure_ascii=False)


def _routes() -> str:
    rows = "".join(
        f"<tr><td>{', '.join(route.planes)}<td>{route.method}<td><code>{escape(route.template)}"
        f"</code><td>{escape(route.summary)}<td>{route.permission}</tr>"
        for route in ROUTES
    )
    return f"<table><tr><th>plane<th>method<th>path<th>answers<th>permission</tr>{rows}</table>"
