"""PyTorch models: TorchScript, ``torch.export`` programs, and state dicts with a factory.

The file's content decides which. State dicts are read with ``weights_only=True``, and
``TORCH_FORCE_WEIGHTS_ONLY_LOAD`` holds every other read in this process to the same, so that a
pickle hidden in an archive cannot run code. Only ``trust_pickle`` (the operator's flag, for this
model's worker) lifts that.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from inferd.core.errors import InferdError, ModelFailed, ModelFileError
from inferd.core.runtime import Options
from inferd.core.signature import Signature
from inferd.core.tensor import BYTES, Tensors
from inferd.runtimes.code import failed, load_object
from inferd.runtimes.detect import check_policy, identify
from inferd.runtimes.signatures import EXAMPLE, declared, learn_outputs, reconcile, settle
from inferd.runtimes.torchspec import arguments, forward_names, named_outputs, program_signature

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


class TorchRuntime:
    """One PyTorch model.

    ``keeps_inputs``: a module may change its inputs in place or give back a view of them.
    """

    name = "torch"
    releases_gil = True
    keeps_inputs = True
    streams = False

    def __init__(self) -> None:
        self._module: Callable[..., Any] | None = None
        self._inputs: tuple[str, ...] = ()
        self._outputs: tuple[str, ...] | None = None
        self._by_keyword = False

    def load(self, artifact: Path, options: Options) -> Signature:
        found = identify(artifact)
        if not found.format.startswith("torch"):
            raise ModelFileError(f"{artifact}: is not a PyTorch file")
        check_policy(artifact, found, model=artifact.stem, options=options)
        _set_threads(int(options.get("threads") or 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations that only the library can act on
            if found.format == "torch-export":
                return self._load_program(artifact, options)
            self._module = _load(artifact, found.format, options)
            return self._sign(artifact, options)

    def _load_program(self, artifact: Path, options: Options) -> Signature:
        try:
            program = _guarded(lambda: torch.export.load(artifact))
            module = program.module()
            read = program_signature(program)
        except InferdError:
            raise
        except Exception as error:  # the library raises its own and Python's own types
            raise _broken(artifact, "torch.export program", error) from None
        self._module = module
        self._inputs = tuple(s.name for s in read.signature.inputs)
        self._by_keyword = read.by_keyword
        found = read.signature
        if read.outputs is None:
            learned = learn_outputs(self.run, found, str(artifact))
            found = replace(found, outputs=learned)
        self._outputs = tuple(s.name for s in found.outputs)
        settled = reconcile(found, options, str(artifact))
        rows = {s.symbols[0] for s in (*found.inputs, *found.outputs) if s.symbols}
        if len(rows - {None}) > 1:  # exact, unlike ONNX's: axis 0 is no common batch
            settled = replace(settled, batched=False, max_batch=None)
        return settled

    def _sign(self, artifact: Path, options: Options) -> Signature:
        assert self._module is not None
        wanted = declared(options, str(artifact))
        names = forward_names(self._module)
        if wanted is None or not wanted.inputs:
            takes = f" (it takes {', '.join(names)})" if names else ""
            raise ModelFileError(
                f"{artifact}: a file of this format does not say what the model takes{takes}",
                help=EXAMPLE,
            )
        text = next((s.name for s in wanted.inputs if s.dtype is BYTES), None)
        if text is not None:
            raise ModelFileError(
                f"{artifact}: the input {text!r} is text, and PyTorch takes numbers",
                help="turn text into numbers in `preprocess`, for example with `tokenize`",
            )
        self._inputs = tuple(s.name for s in wanted.inputs)
        self._by_keyword = bool(names) and set(self._inputs) <= set(names)
        outputs = wanted.outputs or learn_outputs(self.run, wanted, str(artifact))
        self._outputs = tuple(s.name for s in outputs)
        return settle(Signature(wanted.inputs, outputs), options)

    def run(self, inputs: Tensors) -> Tensors:
        assert self._module is not None, "run before load. This is a bug."
        args, kwargs = arguments(inputs, self._inputs, by_keyword=self._by_keyword)
        with torch.inference_mode():
            try:
                returned = self._module(*args, **kwargs)
            except Exception as error:  # whatever the module raises
                raise ModelFailed(f"the model raised {_told(error)}") from error
        return named_outputs(returned, self._outputs)

    def close(self) -> None:
        self._module = None

    def version(self) -> str:
        return f"torch {torch.__version__}"


def _set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:  # too late once any ran; it only costs memory
            return


def _guarded(load: Callable[[], Any]) -> Any:
    """Run ``load`` with every ``torch.load`` in it held to ``weights_only=True``."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    log = logging.getLogger("torch")  # it logs what it raises as well, with traces
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        return load()
    finally:
        log.setLevel(level)
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _load(artifact: Path, kind: str, options: Options) -> Callable[..., Any]:
    if kind == "torchscript":
        try:
            module = _guarded(lambda: torch.jit.load(str(artifact), map_location="cpu"))
        except Exception as error:  # as above
            raise _broken(artifact, "TorchScript file", error) from None
        return _ready(module)
    directory = Path(str(options.get("directory") or artifact.parent))
    content = _content(artifact, directory, options)
    if isinstance(content, torch.nn.Module):
        return _ready(content)
    return _ready(_build(artifact, content, directory, options))


def _content(artifact: Path, directory: Path, options: Options) -> Any:
    if not options.get("trust_pickle"):
        try:
            return _guarded(lambda: torch.load(artifact, map_location="cpu", weights_only=True))
        except Exception as error:  # as above
            raise _broken(artifact, "PyTorch file", error) from None
    if str(directory) not in sys.path:  # a pickled module names its class by module
        sys.path.insert(0, str(directory))
    if options.get("factory"):
        _as_main(load_object(str(options["factory"]), directory))
    try:
        return torch.load(artifact, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise ModelFileError(
            f"{artifact}: the pickle names code that is not found: {_told(error)}",
            help="put the module it names into the version's directory; for a class of a script "
            "(`__main__`), name it as `factory: module:Class`",
        ) from None
    except Exception as error:  # as above
        raise _broken(artifact, "PyTorch file", error) from None


def _as_main(factory: Any) -> None:
    """Let a pickle made by a script find its class, which it names as ``__main__.Class``."""
    main = sys.modules["__main__"]
    if isinstance(factory, type) and not hasattr(main, factory.__name__):
        setattr(main, factory.__name__, factory)


def _build(artifact: Path, content: Any, directory: Path, options: Options) -> torch.nn.Module:
    reference = options.get("factory")
    if not reference:
        raise ModelFileError(
            f"{artifact}: holds a {type(content).__name__}, and nothing says what module it is for",
            help="write `factory: module:Class` into model.yaml",
        )
    factory = load_object(str(reference), directory)
    parameters = dict(options.get("parameters") or {})
    try:
        module = factory(**parameters)
    except InferdError:
        raise
    except (Exception, SystemExit) as error:
        raise failed(f"{reference}: building the module raised", error) from error
    if not isinstance(module, torch.nn.Module):
        raise ModelFileError(f"{reference}: gave a {type(module).__name__}, not a torch.nn.Module")
    try:
        module.load_state_dict(_state(artifact, content))
    except RuntimeError as error:
        told = " ".join(str(error).split())[:600]
        raise ModelFileError(
            f"{artifact}: does not fit the module that {reference} builds: {told}",
            help="use the class and `parameters` the weights were trained with",
        ) from None
    return module


def _state(artifact: Path, content: Any) -> Mapping[str, Any]:
    """Return the state dict itself, also out of a checkpoint that holds it under a usual key."""
    found = content
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            found = content[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(k, str) for k in found):
        raise ModelFileError(
            f"{artifact}: holds a {type(content).__name__}, not a state dict",
            help="save it with `torch.save(model.state_dict(), ...)`",
        )
    return found


def _ready(module: Any) -> Callable[..., Any]:
    module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(requires_grad=False)
    ready: Callable[..., Any] = module
    return ready


def _broken(artifact: Path, what: str, error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{artifact}: PyTorch {torch.__version__} cannot load it as a {what}: {_told(error)}",
        help="save it again with this version of PyTorch, or check that the file is whole",
    )


def _told(error: Exception) -> str:
    """Return type and first lines of a message, without the library's C++ traces."""
    text = str(error).partition("Exception raised from")[0]
    text = " ".join(text.split())[:400]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
