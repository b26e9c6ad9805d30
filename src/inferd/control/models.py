"""All that is served from files: models by the loader, and the pipelines over them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from inferd.control.loader import LoadedModel, Loader
from inferd.control.pipeline.loaded import LoadedPipeline
from inferd.control.pipeline.loader import Pipelines
from inferd.core.errors import InferdError
from inferd.repository.spec import PIPELINE, ModelSpec
from inferd.routing.table import RouteTable


class Models:
    """Loads, replaces and unloads whatever a spec is."""

    def __init__(self, loader: Loader, pipelines: Pipelines) -> None:
        self.loader = loader
        self.pipelines = pipelines
        self.table: RouteTable = loader.table

    @property
    def versions(self) -> set[tuple[str, str]]:
        """Name and version of all that is loaded or being loaded."""
        return {*self.loader.models, *self.pipelines.loaded}

    def workers(self) -> Iterable[LoadedModel]:
        """Yield all that has workers, those of pipelines' own steps too."""
        yield from list(self.loader.models.values())
        for pipeline in list(self.pipelines.loaded.values()):
            if pipeline.worker is not None:
                yield pipeline.worker

    async def load(self, spec: ModelSpec) -> LoadedModel | LoadedPipeline:
        """Load one version; raises ``InferdError`` and leaves a ``failed`` row saying why."""
        if spec.runtime == PIPELINE:
            (pipeline,) = await self.pipelines.announce([spec])
            await self.pipelines.bring_up([pipeline])
            return pipeline
        return await self.loader.load(spec)

    async def load_all(self, specs: Sequence[ModelSpec]) -> list[BaseException]:
        """Load models, then the pipelines over them; returns what went wrong.

        Pipelines are not begun where a model failed: they could only say so again.
        """
        models, pipelines = apart(specs)
        announced: list[LoadedPipeline] = []
        try:
            announced = await self.pipelines.announce(pipelines)
        except InferdError as error:
            return [error]
        loading = (self.loader.load(spec) for spec in models)
        results = await asyncio.gather(*loading, return_exceptions=True)
        failures = [r for r in results if isinstance(r, BaseException)]
        if not failures:
            try:
                await self.pipelines.bring_up(announced)
            except InferdError as error:
                failures.append(error)
        return failures

    async def replace(self, spec: ModelSpec, grace: float = 30.0) -> None:
        """Load a version beside the one of the same number and let it take over once it is ready.

        Raises ``InferdError`` where it cannot be loaded; the old one serves on.
        """
        if spec.runtime == PIPELINE:
            await self.pipelines.replace(spec, grace)
        else:
            await self.loader.replace(spec, grace)

    async def unload(self, name: str, version: str, grace: float) -> None:
        """Take a version out of the table, let it finish within ``grace`` seconds, end it."""
        if (name, version) in self.pipelines.loaded:
            await self.pipelines.unload(name, version, grace)
        else:
            await self.loader.unload(name, version, grace)

    async def stop(self, grace: float) -> None:
        """End everything: pipelines first, whose requests still ask models."""
        await self.pipelines.stop(grace)
        await self.loader.stop(grace)


def apart(specs: Sequence[ModelSpec]) -> tuple[list[ModelSpec], list[ModelSpec]]:
    """Return the models and the pipelines among ``specs``."""
    models = [spec for spec in specs if spec.runtime != PIPELINE]
    return models, [spec for spec in specs if spec.runtime == PIPELINE]
