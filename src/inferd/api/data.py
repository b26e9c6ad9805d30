"""The data plane: the doors that use models, put together."""

from __future__ import annotations

from collections.abc import Sequence

from inferd.api.call import Call, RequestIds
from inferd.api.cors import Cors
from inferd.api.guard import Authorize, Guard, allow_anonymous
from inferd.api.health import HealthDoors, Readiness
from inferd.api.inference import Inference, resolve
from inferd.api.invocation import sagemaker_doors
from inferd.api.loading import Loading
from inferd.api.modelpages import model_page_doors
from inferd.api.offload import Offload
from inferd.api.openai import openai_doors
from inferd.api.openai_audio import audio_doors
from inferd.api.pieces import PiecesDoor
from inferd.api.plane import Door, Observer, Plane, observe_nothing
from inferd.api.reply import PredictingDoor
from inferd.api.routes import DATA, routes_of
from inferd.api.settings import ApiSettings
from inferd.api.simple import SimpleDoors
from inferd.api.tfserving import tfserving_doors
from inferd.api.triton import Account, Repository, no_account, oip_doors
from inferd.codecs.media import MEDIA, accepts
from inferd.core.clock import Clock, monotonic
from inferd.core.errors import InferdError
from inferd.routing.table import RouteTable
from inferd.telemetry.sampling import PASSED_ON, Traces

Predicting = dict[str, PredictingDoor | PiecesDoor]


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
    account: Account = no_account,
    repository: Repository | None = None,
    loading: Loading | None = None,
    traces: Traces = PASSED_ON,
) -> Plane:
    """Return the application of the data plane.

    ``ids`` begins the ids of requests that bring none; give each start of a server its own.
    ``product``: name and version told to clients. ``account``: what versions did until now.
    ``repository``: loads and unloads models at a client's request, where that is allowed;
    ``loading`` does so for the platform of a multi-model container. ``traces`` joins and begins traces.
    """
    readiness = readiness or Readiness(table)
    inference = Inference(table, settings, clock, offload)
    simple = SimpleDoors(table, inference).predict
    oip, oip_predicting = oip_doors(inference, readiness, product, account, repository, clock)
    health = HealthDoors(readiness)
    sagemaker, invoking = sagemaker_doors(inference, readiness, settings, clock, loading)
    tfserving, tf_predicting = tfserving_doors(inference, clock)
    predict = PiecesDoor(simple, inference, PredictingDoor(simple, inference, clock))
    predicting: Predicting = {"predict": predict, **oip_predicting, **tf_predicting}
    doors: dict[str, Door] = {
        **oip, **sagemaker, **tfserving, **model_page_doors(table, tfserving["kserve_alive"]),
        **openai_doors(inference, clock), **audio_doors(inference, clock),
        "healthz": health.live,
        "readyz": health.ready,
        **{name: door.answer for name, door in predicting.items()},
    }  # fmt: skip
    return Plane(
        routes_of(DATA),
        doors,
        Guard(settings, clock, authorize, lambda call: taken(table, call)),
        RequestIds(ids),
        starts={name: door.start for name, door in (predicting | invoking).items()},
        observer=observer,
        cors=Cors(settings.cors_origins),
        traces=traces,
    )


def taken(table: RouteTable, call: Call) -> Sequence[str]:
    """Return the content types that the model which a call's path names takes; all if none does."""
    try:
        signature = resolve(table, call).signature
    except InferdError:
        return MEDIA
    return accepts(signature) if signature is not None else MEDIA
