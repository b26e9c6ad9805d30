"""Doors of TensorFlow Serving (REST) and of KServe's first protocol, which share their paths.

A version is named by its number or by a label that ``model.yaml`` gives it. An explainer is another
model, named by ``model.yaml`` too: it gets the body of an explain request as its own. The status of a model is
503 where it is not ready, as KServe's clients ask it; that of one version is always 200, as TensorFlow
Serving's are told the state in the body.

Sources: tensorflow/serving, ``g3doc/api_rest.md``; KServe, ``predict-api/v1``.
"""

from __future__ import annotations

from typing import Any

from inferd.api.call import Call
from inferd.api.inference import Inference, Target, resolve
from inferd.api.modelslist import model_card, models_list, status
from inferd.api.plane import Door
from inferd.api.reply import PredictingDoor
from inferd.codecs import json
from inferd.codecs.registry import TF_CLASSIFY, TF_EXPLAIN, TF_REGRESS, TFSERVING
from inferd.codecs.tfmetadata import metadata
from inferd.core.clock import Clock
from inferd.core.errors import NotFound, Unavailable, Unsupported
from inferd.routing.table import RouteTable, Version
from inferd.transport.message import HTTPRequest, HTTPResponse


class TFServingDoors:
    """Everything under ``/v1/models``."""

    def __init__(self, table: RouteTable, inference: Inference) -> None:
        self._table = table
        self._inference = inference

    def predict(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that a predict request asks."""
        return self._target(self._asked(call), TFSERVING)

    def classify(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that a classify request asks."""
        return self._target(self._asked(call), TF_CLASSIFY)

    def regress(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the version that a regress request asks."""
        return self._target(self._asked(call), TF_REGRESS)

    def explain(self, request: HTTPRequest, call: Call) -> Target:
        """Aim at the explainer of the version that an explain request names.

        Raises ``Unsupported`` where it has none, ``NotFound`` or ``Unavailable`` where that does not
        serve.
        """
        explainer = self._explainer(self._asked(call))
        call.model, call.version = explainer.model, explainer.version
        return self._target(explainer, TF_EXPLAIN)

    def _asked(self, call: Call) -> Version:
        """Return the version that a path names, which answers now."""
        if not _by_label(call):
            return resolve(self._table, call)
        version = self._find(call)
        return self._table.resolve(version.model, version.version)

    def _explainer(self, version: Version) -> Version:
        name = version.explainer
        if name is None:
            raise Unsupported(
                f"model {version.model!r} offers no explanations",
                help="ask with :predict; `explainer: NAME` in its model.yaml names a model that explains",
            )
        try:
            return self._table.resolve(name)
        except NotFound as error:
            raise NotFound(
                f"the explainer {name!r} of model {version.model!r} is not served", help=error.help
            ) from None
        except Unavailable as error:
            raise Unavailable(
                f"the explainer of model {version.model!r} does not answer: {error.message}",
                retry_after=error.retry_after,
            ) from None

    def _target(self, version: Version, dialect: str) -> Target:
        codec = self._inference.codecs(version).dialect(dialect)
        return Target(version, dialect, codec, codec)

    async def alive(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say that the server lives."""
        return _json({"status": "alive"}, call)

    async def models(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """List the models."""
        return _json(models_list(self._table), call)

    async def model(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say whether a model answers now, and the states of its versions."""
        card, version = model_card(self._table, call.values[0])
        call.model, call.version = version.model, version.version
        return _json(card, call, 200 if version.ready else 503)

    async def status(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Say the state of one version."""
        return _json(status([self._find(call)]), call)

    async def metadata(self, request: HTTPRequest, call: Call) -> HTTPResponse:
        """Describe the tensors of a model."""
        version = self._find(call)
        if version.signature is None:
            raise Unavailable(
                f"model {version.model!r} version {version.version} is {version.state}: "
                f"{version.reason}",
                retry_after=1.0,
            )
        return _json(metadata(version.model, version.version, version.signature), call)

    def _find(self, call: Call) -> Version:
        """Return the version that a path names, in any state; raises ``NotFound``."""
        name, *named = call.values
        number = named[0] if named else None
        if number is not None and _by_label(call):
            number = self._table.labelled(name, number)
        version = self._table.find(name, number)
        call.model, call.version = version.model, version.version
        return version


def tfserving_doors(
    inference: Inference, clock: Clock
) -> tuple[dict[str, Door], dict[str, PredictingDoor]]:
    """Return the doors of these protocols by name: the plain ones, and those that predict."""
    doors = TFServingDoors(inference.table, inference)
    plain: dict[str, Door] = {
        "kserve_alive": doors.alive,
        "tfs_models": doors.models,
        "tfs_model": doors.model,
        "tfs_status": doors.status,
        "tfs_metadata": doors.metadata,
    }
    # What a door remembers goes by the values of the path: labels and versions are doors of their own.
    predicting = {
        f"tfs_{name}": PredictingDoor(aim, inference, clock)
        for verb, aim in (
            ("predict", doors.predict), ("classify", doors.classify), ("regress", doors.regress),
            ("explain", doors.explain),
        )
        for name in (verb, f"{verb}_label")
    }  # fmt: skip
    return plain, predicting


def _by_label(call: Call) -> bool:
    return call.route is not None and "{label}" in call.route.template


def _json(value: dict[str, Any], call: Call, code: int = 200) -> HTTPResponse:
    headers = call.headers if code < 500 else [*call.headers, (b"Retry-After", b"1")]
    return HTTPResponse(code, json.dumps(value), headers=headers)
