"""From PATHs to specs: what is served, read from disk and decided before any worker starts.

``layout`` says which directories count, ``modelfile`` what the user wrote; here the artifact is
chosen, its format is asked of the detector that is passed in (the repository knows no format), and
a ``ModelSpec`` is made. Nothing is loaded, imported or executed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from inferd.config.sources import Section
from inferd.core.errors import ConfigError, ModelFileError, nearest
from inferd.repository.layout import PIPELINE_FILE, SCRIPTS, Place, find, inside, listing, whole
from inferd.repository.modelfile import NAME, check_runtime, places, read_modelfile, spec_fields
from inferd.repository.page import FOLDER, folder_of
from inferd.repository.spec import PIPELINE, ModelSpec

PYTHON = "python"
SCRIPT = "sagemaker"
PROGRAM = "inference.py"
"""The script of a model's ``code`` directory, where nobody names another."""

SCRIPT_TIMEOUT = 60.0
"""Seconds for one request of a script: what its platform allows, and no curve tells its costs."""

_CODE = ".py"
_OF_PIPELINES = frozenset(
    [
        "executor",
        "explainer",
        "instances",
        "load_timeout",
        "recycle_after",
        "replay",
        "run_timeout",
        "runtime",
        "task",
        "version_labels",
        "warmup",
    ]
)
"""Keys of a ``model.yaml`` beside a pipeline; those of workers are about its Python steps."""

AUXILIARY = frozenset(
    [
        ".py",
        ".pyi",
        ".txt",
        ".json",
        ".jsonl",
        ".yaml",
        ".yml",
        ".toml",
        ".cfg",
        ".ini",
        ".md",
        ".rst",
        ".csv",
        ".tsv",
        ".labels",
        ".vocab",
        ".png",
        ".jpg",
        ".jpeg",
        ".html",
        ".log",
        ".lock",
        ".sha256",
        ".sig",
        ".license",
        ".data",
        ".onnx_data",
        ".weight",
        ".npy",
        ".npz",
    ]
)
"""Endings of files that lie beside an artifact; never taken for it unless ``artifact:`` says so."""


class Formats(Protocol):
    """What is known of artifact formats; ``inferd.runtimes.detect`` is the implementation."""

    @property
    def endings(self) -> Collection[str]:
        """Endings of the files that are served, in lower case, with their dot."""
        ...

    def marks(self, file: Path) -> bool:
        """Whether the directory that a file lies in is the artifact, as a whole. Never raises."""
        ...

    @property
    def tasks(self) -> Mapping[str, str]:
        """What models of a runtime are for, where ``model.yaml`` does not say."""
        ...

    @property
    def runtimes(self) -> Collection[str]:
        """Names of the runtimes there are."""
        ...

    def detect(
        self, artifact: Path, *, model: str, runtime: str | None, options: Mapping[str, Any]
    ) -> str:
        """Return the runtime for an artifact, by its content.

        ``runtime``: as declared, must agree. ``options``: as declared (``factory`` ...), with
        ``trust_pickle`` set by the operator. Raises ``ModelFileError`` naming the file.
        """
        ...


def scan(
    paths: Sequence[str | Path],
    formats: Formats,
    *,
    trust_pickle: Collection[str] = (),
    every: bool = False,
    program: str | None = None,
) -> list[ModelSpec]:
    """Return a spec for each model that the PATHs hold: the latest version, or ``every`` one.

    ``trust_pickle`` names the models whose pickles the operator trusts. ``program``: the script in
    ``code`` that goes before an artifact; without it a script serves where no artifact does. Raises ``ConfigError``
    (paths, layout, ``model.yaml``) or ``ModelFileError`` (an artifact), naming the file.
    """
    if not paths:
        raise ConfigError("no PATH given", help="for example `inferd serve iris.onnx`")
    specs: list[ModelSpec] = []
    origins: dict[str, str] = {}
    for path in paths:
        found = find(whole(path, formats.marks), formats.endings, every=every)
        specs += [_spec(place, formats, trust_pickle, program) for place in found]
        for name in dict.fromkeys(p.name for p in found):
            if name in origins:
                raise ConfigError(
                    f"two models are named {name!r}: {origins[name]} and {path}",
                    help="rename one of them",
                )
            origins[name] = str(path)
    for name in trust_pickle:
        if name not in origins:
            raise ConfigError(
                f"--trust-pickle {name}: no such model is served", help=nearest(name, origins)
            )
    return specs


def _spec(
    place: Place, formats: Formats, trust_pickle: Collection[str], program: str | None
) -> ModelSpec:
    section = read_modelfile(place.modelfile) if place.modelfile else Section({})
    pipeline = place.directory / PIPELINE_FILE
    if place.file is None and place.reference is None and pipeline.is_file():
        return _pipeline(place, inside(pipeline, place.root), section)
    return _model(place, section, formats, trust_pickle, program)


def _model(
    place: Place, section: Section, formats: Formats, trust_pickle: Collection[str], program: str | None
) -> ModelSpec:  # fmt: skip
    fields, options = spec_fields(section)
    declared = fields.pop("runtime", None)
    if declared is not None and declared not in formats.runtimes:
        raise section.error(
            "runtime", f"unknown runtime {declared!r}", help=nearest(declared, formats.runtimes)
        )
    _check_code(place, options, section)
    if place.reference:
        options["class"] = place.reference
    if "class" in options and declared is None:
        declared = PYTHON
    named = fields.pop("artifact", None)
    artifact = _script(place, named, declared, options, section, formats, program)
    if artifact is not None:
        declared = SCRIPT
        fields.setdefault("run_timeout", SCRIPT_TIMEOUT)
    else:
        artifact = _artifact(place, named, declared, options, section, formats)
    if place.name in trust_pickle:
        options["trust_pickle"] = True
    runtime = declared
    if artifact is not None and declared not in (PYTHON, SCRIPT):
        runtime = formats.detect(artifact, model=place.name, runtime=declared, options=options)
    if runtime is None:
        raise _none(place)
    check_runtime(section, runtime)
    if runtime in formats.tasks:
        fields.setdefault("task", formats.tasks[runtime])
    return _made(place, runtime, artifact, section, fields, options)


def _pipeline(place: Place, file: Path, section: Section) -> ModelSpec:
    """Return the spec of a pipeline; what it asks is read when it is loaded."""
    for key in section:
        if key not in _OF_PIPELINES:
            raise section.error(
                key, f"means nothing for a pipeline, and {file} is one",
                help="it belongs into the model.yaml of a model that the pipeline asks",
            )  # fmt: skip
    fields, options = spec_fields(section)
    declared = fields.pop("runtime", PIPELINE)
    if declared != PIPELINE:
        raise section.error(
            "runtime",
            f"{declared!r} does not run {file}",
            help="leave the key out: it is a pipeline",
        )
    return _made(place, PIPELINE, file, section, fields, options)


def _made(
    place: Place, runtime: str, artifact: Path | None, section: Section, fields: dict[str, Any],
    options: dict[str, Any],
) -> ModelSpec:  # fmt: skip
    """Return the spec of what was found; ``fields`` and ``options``: what ``model.yaml`` says."""
    warmup = fields.pop("warmup", None)
    options["directory"] = str(place.directory)
    if "signature" in fields:
        options["signature"] = fields["signature"]
    if section:
        options["places"] = places(section)
    return ModelSpec(
        name=place.name,
        version=place.version,
        runtime=runtime,
        directory=place.directory,
        artifact=artifact,
        options=options,
        warmup=_beside(place, warmup, section, "warmup") if warmup else None,
        modelfile=place.modelfile,
        page=_page(place),
        origin=place.origin,
        **fields,
    )


def _page(place: Place) -> Path | None:
    """Return the directory of the model's page; what is served by itself has one beside its ``model.yaml``."""
    if place.modelfile is None and (place.file is not None or place.reference is not None):
        return None
    numbered = (place.directory.parent.name, place.directory.name) == (place.name, place.version)
    above = place.directory.parent if numbered else place.directory
    return folder_of(place.directory, above, place.root)


def _check_code(place: Place, options: Mapping[str, Any], section: Section) -> None:
    """Refuse a ``class:`` that is another than the code which the PATH names."""
    said = options.get("class")
    if said is None:
        return
    served = place.reference
    if served is None and place.file is not None and place.file.suffix == _CODE:
        module = said.partition(":")[0].rpartition(".")[2]
        served = said if module == place.file.stem else place.file.name
    if served not in {None, said}:
        raise section.error(
            "class", f"names {said}, and {served} is served", help=_own_directory(place)
        )


def _check_file(
    place: Place, file: Path, named: Path | None, options: Mapping[str, Any], section: Section,
    formats: Formats,
) -> None:  # fmt: skip
    """Refuse a ``model.yaml`` that is, or may be, about another file than the one which is served."""
    if named is not None:
        if place.directory / named != file:
            raise section.error(
                "artifact", f"names {named}, and {file.name} is served", help=_own_directory(place)
            )
        return
    if place.modelfile is None or place.modelfile.parent != place.directory or "class" in options:
        return
    if file.suffix == _CODE and section.get("runtime") == PYTHON:
        return
    others = sorted(
        f.name for f in place.directory.iterdir()
        if f.suffix.lower() in formats.endings and f.suffix != _CODE and f.name != file.name
    )  # fmt: skip
    if others:
        raise ConfigError(
            f"{place.modelfile}: may be about {file.name} or {', '.join(others[:5])}",
            help=f"say which, for example `artifact: {file.name}`, or {_own_directory(place)}",
        )


def _own_directory(place: Place) -> str:
    return f"give each model a directory of its own, {place.name}/{NAME} and {place.name}/1/"


def _script(
    place: Place,
    named: Path | None,
    declared: str | None,
    options: Mapping[str, Any],
    section: Section,
    formats: Formats,
    program: str | None,
) -> Path | None:
    """Return the script that serves a directory, ``None`` where an artifact or a class does.

    It does where ``model.yaml`` says so, where the operator names a ``program``, and where no artifact
    lies there that could be served instead: a script beside one is not run unasked.
    """
    other = place.file is not None or place.reference is not None or "class" in options
    if other or declared not in (None, SCRIPT) or (named is not None and declared is None):
        return None
    if named is not None:
        return _beside(place, named, section, "artifact")
    script = place.directory / SCRIPTS / (program or PROGRAM)
    if not script.is_file():
        if declared is None:
            return None
        raise ModelFileError(
            f"{script}: no such file, and `runtime: {SCRIPT}` needs it",
            help="define model_fn(model_dir) there",
        )
    if declared is None and program is None:
        files = listing(place.directory, place.root).files
        if any(f.suffix.lower() in formats.endings for f in files):
            return None
    return inside(script, place.root)


def _artifact(
    place: Place,
    named: Path | None,
    declared: str | None,
    options: Mapping[str, Any],
    section: Section,
    formats: Formats,
) -> Path | None:
    code_alone = place.file is not None and place.file.suffix == _CODE and "class" in options
    if place.file is not None and not (code_alone and named is not None):
        _check_file(place, place.file, named, options, section, formats)
        return place.file
    if place.reference is not None and named is None:
        return None
    if named is not None:
        return _beside(place, named, section, "artifact")
    if declared == PYTHON and "class" in options:
        return None
    files = [f for f in listing(place.directory, place.root).files if f.name != NAME]
    code = [f for f in files if f.suffix == _CODE]
    if declared == PYTHON:
        return _one(code, place, "class", "module:Class")
    if any(map(formats.marks, files)):
        return place.directory
    servable = [f for f in files if f.suffix.lower() in formats.endings and f.suffix != _CODE]
    if servable:
        return _one(servable, place, "artifact", servable[0].name)
    if code:
        return _one(code, place, "class", f"{code[0].stem}:Class")
    other = [f for f in files if f.suffix.lower() not in AUXILIARY]
    if not other:
        raise _none(place)
    return _one(other, place, "artifact", other[0].name)


def _one(files: Sequence[Path], place: Place, key: str, example: str) -> Path:
    if not files:
        raise _none(place)
    if len(files) > 1:
        names = ", ".join(f.name for f in files[:6]) + (", ..." if len(files) > 6 else "")
        raise ModelFileError(
            f"{place.directory}: holds several candidates: {names}",
            help=f"say which in {NAME}, for example `{key}: {example}`, or give each its own "
            "directory <model>/<version>/",
        )
    return files[0]


def _none(place: Place) -> ModelFileError:
    help = f"put the artifact there, or name a Python class in {NAME}: `class: module:Class`"
    if place.directory.name == FOLDER:
        help = f"a page belongs beside the {NAME} or {PIPELINE_FILE} of its model: MODEL/{FOLDER}/"
    return ModelFileError(f"{place.directory}: holds no model file", help=help)


def _beside(place: Place, name: Path, section: Section, key: str) -> Path:
    """Look a file up in the version's directory, then beside ``model.yaml``."""
    folders = [place.directory]
    if place.modelfile is not None and place.modelfile.parent != place.directory:
        folders.append(place.modelfile.parent)
    for folder in folders:
        path = folder / name
        if path.is_file():
            return inside(path, place.root)
    beside = [f.name for f in listing(place.directory, place.root).files]
    raise section.error(
        key, f"no file {str(name)!r} in {place.directory}", help=nearest(str(name), beside)
    )
