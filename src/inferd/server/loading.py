"""Loading models at the platform's request: the multi-model container's side of the control plane.

A path comes from the network, so it is confined: it must lie below one directory, links followed, and
hold one model. A model whose files are larger than the memory that is left is refused before anything
is started; one whose load fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from inferd.api.loading import AlreadyLoaded, NoMemory, Present
from inferd.control.models import Models
from inferd.core.errors import (
    ConfigError,
    InferdError,
    InvalidInput,
    ModelFileError,
    NotFound,
    Overloaded,
)
from inferd.repository.layout import LEGAL
from inferd.repository.spec import PIPELINE, ModelSpec
from inferd.telemetry.memory import available_memory

AT_ONCE = 8
"""Models that are loaded at a time; more are refused and may come again."""

GRACE = 10.0
"""Seconds that a model's requests have to finish when it is unloaded."""

NO_MEMORY = "not enough memory"


class ModelLoading:
    """Loads below ``base``. Implements ``api.loading.Loading``.

    ``scan`` reads the models at a path.
    """

    def __init__(
        self, loader: Models, base: Path, scan: Callable[[str], list[ModelSpec]],
        available: Callable[[], int | None] = available_memory,
    ) -> None:  # fmt: skip
        self._loader = loader
        self._base = base
        self._scan = scan
        self._available = available
        self._loaded: dict[str, Present] = {}
        self._busy: set[str] = set()

    def present(self) -> list[Present]:
        return [self._loaded[name] for name in sorted(self._loaded)]

    async def load(self, name: str, path: str) -> None:
        if not LEGAL.fullmatch(name):
            raise InvalidInput(
                f"{name[:80]!r} is not a legal model name",
                help="letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128",
            )
        if name in self._busy or name in self._loader.table.names():
            raise AlreadyLoaded
        if len(self._busy) >= AT_ONCE:
            raise Overloaded(f"{len(self._busy)} models are being loaded", retry_after=1.0)
        self._busy.add(name)
        try:
            await self._load(name, path)
        finally:
            self._busy.discard(name)

    async def _load(self, name: str, path: str) -> None:
        loop = asyncio.get_running_loop()
        spec, size = await loop.run_in_executor(None, self._find, name, path)
        left = self._available()
        if left is not None and size > left:
            raise NoMemory(f"its files are {size} bytes, and {left} bytes of memory are left")
        try:
            await self._loader.load(spec)
        except InferdError as error:
            await self._loader.unload(spec.name, spec.version, 0.0)
            if NO_MEMORY in error.message:
                raise NoMemory(error.message) from None
            raise _client_side(error) from None
        except BaseException:
            await self._loader.unload(spec.name, spec.version, 0.0)
            raise
        self._loaded[name] = Present(name, path)

    def _find(self, name: str, path: str) -> tuple[ModelSpec, int]:
        """Return the one model at a path, and the bytes of its files."""
        place = self.confined(path)
        try:
            specs = self._scan(str(place))
        except InferdError as error:
            raise _client_side(error) from None
        pipelines = [spec for spec in specs if spec.runtime == PIPELINE]
        if len(specs) != 1 and pipelines:
            raise _application(path, pipelines[0], specs)
        if len(specs) != 1:
            told = ", ".join(spec.name for spec in specs)
            raise InvalidInput(f"{path}: holds {len(specs)} models: {told}")
        spec = specs[0]
        files = (p for p in (spec.artifact or place, spec.directory) if p.exists())
        return replace(spec, name=name), max(map(_size, files), default=0)

    def confined(self, path: str) -> Path:
        """Return the place a client names; raises where it is not below ``base``, or not there."""
        try:
            base = self._base.resolve(strict=True)
            place = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise NotFound(f"{path[:200]}: no such file or directory") from None
        if not Path(path).is_absolute() or not place.is_relative_to(base) or place == base:
            raise InvalidInput(
                f"{path[:200]}: lies not below {self._base}",
                help="models are loaded from there only",
            )
        return place

    async def unload(self, name: str) -> None:
        if self._loaded.pop(name, None) is None:
            raise NotFound(f"no model named {name!r} is loaded")
        for version in self._loader.table.versions(name):
            await self._loader.unload(name, version.version, GRACE)


def _application(path: str, pipeline: ModelSpec, specs: list[ModelSpec]) -> InvalidInput:
    """Return the refusal of a pipeline that brings its models: the platform gives one name, for one model.

    Under names of their own its models would answer to clients, and meet those of other applications.
    """
    models = ", ".join(sorted({spec.name for spec in specs} - {pipeline.name}))
    return InvalidInput(
        f"{path}: holds the pipeline {pipeline.name!r} and models of its own ({models}), and one model is "
        "loaded at a time",
        help="serve it in a container of its own, without SAGEMAKER_MULTI_MODEL; or load its models under the "
        "names that its steps give, then a directory that holds its pipeline.yaml alone",
    )


def _client_side(error: InferdError) -> InferdError:
    """Return an error of a model's files as one of the request that named them."""
    if isinstance(error, (ConfigError, ModelFileError)):
        return InvalidInput(error.message, help=error.help)
    return error


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            total += 0 if file.is_symlink() else file.stat().st_size
    return total
