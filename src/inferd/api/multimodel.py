"""Doors of SageMaker's multi-model containers: load, list, unload, and ask a model by its name.

The platform unpacks an archive and names the directory; the container loads what is in it. Only a
server that was told to be such a container is given a ``Loading``; on all others these doors answer 403.
A list comes in pages of ``PAGE`` models; the token of the next page is the name that came last.

Source: SageMaker developer guide, "Custom containers contract for multi-model endpoints".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from inferd.api.call import Call
from inferd.api.coding import expanded
from inferd.api.errors import failure
from inferd.api.loading import AlreadyLoaded, Loading, NoMemory, Present
from inferd.api.routes import SAGEMAKER
from inferd.codecs import json
from inferd.core.errors import InvalidInput, NotAllowed, NotFound
from inferd.transport.message import HTTPRequest, HTTPResponse

PAGE = 100


class MultiModelDoors:
    """``/models`` of a multi-model container."""

    def __init__(self, loading: Loading | None) -> None:
        self._loading = loading

    def allowed(self) -> Loading:
        """Return who loads; raises ``NotAllowed`` where nobody may."""
        if self._loading is None:
            raise NotAllowed(
                "this server is no multi-model container",
                help="start it with --sagemaker and SAGEMAKER_MULTI_MODEL=true",
            )
        return self._loading

    def check(self, call: Call) -> None:
        """Refuse to invoke a model that is not loaded here."""
        self.allowed()

    async def models(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List what is loaded, a page at a time."""
        after = parse_qs(request.query.decode("latin-1")).get("next_page_token", [""])[0]
        found = [p for p in self.allowed().present() if p.name > after]
        told: dict[str, Any] = {"models": [_shown(present) for present in found[:PAGE]]}
        if len(found) > PAGE:
            told["nextPageToken"] = found[PAGE - 1].name
        return HTTPResponse(200, json.dumps(told), headers=call.headers)

    async def model(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether a model is loaded, and from where."""
        name = call.values[0]
        for present in self.allowed().present():
            if present.name == name:
                return HTTPResponse(200, json.dumps(_shown(present)), headers=call.headers)
        raise NotFound(f"no model named {name!r} is loaded")

    async def load(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Load a model: 409 where it is loaded, 507 where memory does not suffice for it."""
        loading = self.allowed()
        body, terms = request.body, call.terms
        if terms.coding is not None:
            body = await expanded(body, terms.coding, terms.limit)
        name, path = _order(body)
        try:
            await loading.load(name, path)
        except AlreadyLoaded:
            return _refused(409, "invalid_input", f"the model {name!r} is loaded already", call)
        except NoMemory as error:
            return _refused(507, "overloaded", f"the model {name!r} is not loaded: {error}", call)
        return HTTPResponse(200, json.dumps({"status": f"loaded {name}"}), headers=call.headers)

    async def unload(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Unload a model."""
        name = call.values[0]
        await self.allowed().unload(name)
        return HTTPResponse(200, json.dumps({"status": f"unloaded {name}"}), headers=call.headers)


def _order(body: bytes) -> tuple[str, str]:
    """Return name and path out of ``{"model_name": ..., "url": ...}``."""
    request = json.loads(body)
    if type(request) is not dict:
        raise InvalidInput("the body must be an object", help=_EXAMPLE)
    found = []
    for key in ("model_name", "url"):
        value = request.get(key)
        if type(value) is not str or not value:
            raise InvalidInput(f'the body has no text "{key}"', help=_EXAMPLE)
        found.append(value)
    return found[0], found[1]


_EXAMPLE = 'send {"model_name": "iris", "url": "/opt/ml/models/iris/model"}'


def _shown(present: Present) -> dict[str, str]:
    return {"modelName": present.name, "modelUrl": present.path}


def _refused(status: int, kind: str, text: str, call: Call) -> HTTPResponse:
    return failure(status, kind, text, None, SAGEMAKER, call)
