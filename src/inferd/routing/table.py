"""The route table: which servable answers for a model name and version.

Every door asks ``resolve``. Entries are swapped whole by ``control``; a request keeps the version
it resolved. Versions are ordered numerically; the latest *ready* one answers where none is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inferd.core.errors import InvalidInput, NotFound, Unavailable, nearest
from inferd.core.plan import BatchPlan
from inferd.core.servable import Servable
from inferd.core.signature import Signature
from inferd.repository.page import PageFile

LOADING = "loading"
READY = "ready"
FAILED = "failed"


@dataclass(slots=True)
class Version:
    """One served version of a model.

    ``signature`` (external), ``plan`` and ``servable`` are set once loaded. ``state`` is one of
    the constants above; ``reason`` says why it is not ready. ``streams``: its
    answers come in pieces. ``describe`` gives the live
    description of the control plane (costs, instances, memory). ``labels``: the versions of the model
    that have a name, by that name. ``created``: Unix seconds. ``classes``: the labels of its classes,
    by number, where they are known. ``explainer``: the model that explains its answers. ``parts``:
    the models that a pipeline asks. ``page``: the files of its page by name.
    """

    model: str
    version: str
    state: str = LOADING
    reason: str = "loading"
    signature: Signature | None = None
    plan: BatchPlan = field(default_factory=BatchPlan)
    servable: Servable | None = None
    runtime: str = ""
    platform: str = ""
    task: str | None = None
    streams: bool = False
    describe: Callable[[], Mapping[str, Any]] = dict
    labels: Mapping[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    classes: tuple[str, ...] = ()
    explainer: str | None = None
    parts: tuple[str, ...] = ()
    page: Mapping[str, PageFile] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether requests are answered now."""
        return self.state == READY


def _order(version: str) -> tuple[int, int, str]:
    return (1, int(version), "") if version.isdecimal() else (0, 0, version)


class RouteTable:
    """Models by name; each holds versions by their text.

    ``generation`` grows with every change, for who remembers what was found.
    """

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Version]] = {}
        self.generation = 0
        self._default: dict[str, Version] = {}
        self._labels: dict[str, Mapping[str, str]] = {}
        self._only: Version | None = None
        self._watchers: list[Callable[[str], None]] = []

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Have ``watcher`` called with the name of a model whenever something of it changed."""
        self._watchers.append(watcher)

    def put(self, version: Version) -> None:
        """Add or replace one version."""
        self._models.setdefault(version.model, {})[version.version] = version
        self._labels[version.model] = version.labels
        self.changed(version.model)

    def remove(self, model: str, version: str) -> None:
        """Forget one version; unknown ones are ignored."""
        versions = self._models.get(model, {})
        versions.pop(version, None)
        if not versions:
            self._models.pop(model, None)
            self._labels.pop(model, None)
        self.changed(model)

    def changed(self, model: str) -> None:
        """Work out anew which version answers by default; call after a state changed."""
        self.generation += 1
        versions = sorted(self._models.get(model, {}).values(), key=lambda v: _order(v.version))
        ready = [v for v in versions if v.ready]
        if versions:
            self._default[model] = (ready or versions)[-1]
        else:
            self._default.pop(model, None)
        parts = {name for version in self._default.values() for name in version.parts}
        whole = [version for name, version in self._default.items() if name not in parts]
        self._only = whole[0] if len(whole) == 1 else None
        for watcher in self._watchers:
            watcher(model)

    @property
    def only(self) -> str | None:
        """The model that answers who names none, ``None`` where there are several."""
        return None if self._only is None else self._only.model

    def names(self) -> list[str]:
        """Return all model names, sorted."""
        return sorted(self._models)

    def versions(self, model: str) -> list[Version]:
        """Return the versions of a model, oldest first; raises ``NotFound``."""
        if model not in self._models:
            raise self._unknown(model)
        return sorted(self._models[model].values(), key=lambda v: _order(v.version))

    def all(self) -> list[Version]:
        """Return every version of every model."""
        return [v for name in self.names() for v in self.versions(name)]

    def find(self, model: str | None, version: str | None = None) -> Version:
        """Return the version asked for by its text or by a label, whatever its state.

        ``model=None`` means the only model served, not counting those that are parts of a pipeline. Raises ``NotFound``, or ``InvalidInput`` when
        several models are served and none was named.
        """
        if model is None:
            if self._only is None:
                raise self._ambiguous()
            return self._only
        if version is None:
            found = self._default.get(model)
            if found is None:
                raise self._unknown(model)
            return found
        versions = self._models.get(model)
        if versions is None:
            raise self._unknown(model)
        if version not in versions:
            version = self._labels[model].get(version, version)
        if version not in versions:
            known = ", ".join(sorted(versions, key=_order))
            raise NotFound(f"model {model!r} has no version {version!r}", help=f"versions: {known}")
        return versions[version]

    def labelled(self, model: str, label: str) -> str:
        """Return the version that a label stands for, served or not; raises ``NotFound``."""
        if model not in self._models:
            raise self._unknown(model)
        labels = self._labels[model]
        if label not in labels:
            known = ", ".join(f"{name} (version {labels[name]})" for name in sorted(labels))
            raise NotFound(
                f"model {model!r} has no version labelled {label[:80]!r}",
                help=f"labels: {known}" if known else "its model.yaml gives no version_labels",
            )
        return labels[label]

    def resolve(self, model: str | None, version: str | None = None) -> Version:
        """Return a version that answers now; raises also ``Unavailable`` with the reason."""
        found = self.find(model, version)
        if found.servable is None or found.state != READY:
            raise Unavailable(
                f"model {found.model!r} version {found.version} is {found.state}: {found.reason}",
                retry_after=1.0,
            )
        return found

    def _unknown(self, model: str) -> NotFound:
        return NotFound(f"no model named {model!r}", help=nearest(model, self._models))

    def _ambiguous(self) -> InvalidInput | NotFound:
        if not self._default:
            return NotFound("no model is served")
        names = ", ".join(self.names())
        return InvalidInput(
            f"{len(self._default)} models are served and the request names none",
            help=f"POST /models/NAME/predict with one of: {names}",
        )
