"""The data plane: the doors that use models, put together."""

from __future__ import annotations

from collections.abc import Sequence

from inferd.api.call import Call, RequestIds
from inferd.api.cors import Cors
from inferd.api.guard import Authorize, Guard, allow_anonymous
from inferd.api.health import HealthDoors, Readiness
from inferd.api.inference import Inference, resolve
from inferd.api.offload import Offload
from inferd.api.oip import OIPDoors
from inferd.api.plane import Door, Observer, Plane, observe_nothing
from inferd.api.reply import PredictingDoor
from inferd.api.routes import DATA, routes_of
from inferd.api.settings import ApiSettings
from inferd.api.simple import SimpleDoors
from inferd.codecs.media import MEDIA, accepts
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError
from inferd.routing.table import RouteTable


def data_plane(
    table: RouteTable,
    settings: ApiSettings,
    *,
    readiness: Readiness | None = None,
    offload: Offload | None = None,
    observer: Observer = observe_nothing,
    authorize: Authorize = allow_anonymous,
    clock: Clock = monotonic,
    ids: str = "r",
    product: tuple[str, str] = ("inferd", "0"),
) -> Plane:
    """Return the application of the data plane.

    ``ids`` begins the ids of requests that bring none; give each start of a server its own.
    ``product``: name and version told to clients.
    """
    readiness = readiness or Readiness(table)
    inference = Inference(table, settings, clock, offload)
    simple = SimpleDoors(table, inference)
    oip = OIPDoors(table, inference, readiness, product)
    health = HealthDoors(readiness)
    predicting = {
        "predict": PredictingDoor(simple.predict, inference, clock),
        "oip_infer": PredictingDoor(oip.infer, inference, clock),
    }
    doors: dict[str, Door] = {
        "healthz": health.live,
        "readyz": health.ready,
        "oip_server": oip.server,
        "oip_live": oip.live,
        "oip_ready": oip.ready,
        "oip_models": oip.models,
        "oip_model": oip.model,
        "oip_model_ready": oip.model_ready,
        **{name: door.answer for name, door in predicting.items()},
    }
    return Plane(
        routes_of(DATA),
        doors,
        Guard(settings, clock, authorize, lambda call: taken(table, call)),
        RequestIds(ids),
        starts={name: door.start for name, door in predicting.items()},
        observer=observer,
        cors=Cors(settings.cors_origins),
    )


def taken(table: RouteTable, call: Call) -> Sequence[str]:
    """Return the content types that the model which a call's path names takes; all if none does."""
    try:
        signature = resolve(table, call).signature
    except InferdError:
        return MEDIA
    return accepts(signature) if signature is not None else MEDIA
