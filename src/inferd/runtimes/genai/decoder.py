"""The model itself: an ONNX session whose cache grows in place, bound to rows of ``Cache``.

A run reads the same number of new tokens for each of some neighbouring rows, behind what the rows hold;
every row has its own length, which the attention mask tells (the operator is GroupQueryAttention).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while the library is imported

import onnxruntime as ort

from inferd.core.errors import ModelFailed, ModelFileError
from inferd.runtimes.genai.cache import Cache, room
from inferd.runtimes.genai.config import NAME, Config

_FATAL = 4
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Decoder:
    """One loaded model. ``rows`` sequences of at most ``context`` tokens fit into its cache."""

    def __init__(self, config: Config, rows: int, context: int, threads: int) -> None:
        self._config = config
        self._session = _session(config, threads)
        inputs = {node.name: node for node in self._session.get_inputs()}
        self._logits = _logits(config, self._session).type
        self._positions = config.positions in inputs
        self._names = _cache_names(config, inputs, self._session)
        shape = (rows, config.heads, context, config.size)
        types = [_TYPES[inputs[name].type] for name, _ in self._names]
        self.cache = _cache(config.model, shape, types)
        self.vocabulary = config.vocabulary
        self._bindings: dict[int, Any] = {}

    def run(self, tokens: np.ndarray, first: int) -> np.ndarray:
        """Read ``tokens`` ([rows, new]) for the rows from ``first`` on; return logits [rows, new, vocabulary].

        Raises ``ModelFailed``; the cache cannot be relied on then.
        """
        rows, new = tokens.shape
        held = np.array([self.cache.held(first + row) for row in range(rows)], np.int64)
        total = held + new
        mask = (np.arange(int(total.max()))[None, :] < total[:, None]).astype(np.int64)
        logits = np.empty((rows, new, self._config.vocabulary), _TYPES[self._logits])
        binding = self._binding(first, rows)
        feeds = {self._config.ids: np.ascontiguousarray(tokens, np.int64), self._config.mask: mask}
        if self._positions:
            feeds[self._config.positions] = held[:, None] + np.arange(new)[None, :]
        for (
            name,
            array,
        ) in feeds.items():  # the arrays must outlive the run: nothing else holds them
            binding.bind_cpu_input(name, array)
        output = ort.OrtValue.ortvalue_from_numpy(logits)
        binding.bind_ortvalue_output(self._config.logits, output)
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # the library's own types, all of them Exception
            raise ModelFailed(f"the model failed: {_told(error)}") from None
        for row in range(rows):
            self.cache.add(first + row, tokens[row])
        return logits

    def _binding(self, first: int, rows: int) -> Any:
        """Return a binding of the cache's rows; those of the usual batches are kept."""
        if first == 0 and rows in self._bindings:
            return self._bindings[rows]
        binding = self._session.io_binding()
        for (past, present), array in zip(self._names, self.cache.arrays, strict=True):
            value = ort.OrtValue.ortvalue_from_numpy(array[first : first + rows])
            binding.bind_ortvalue_input(past, value)
            binding.bind_ortvalue_output(present, value)
        if first == 0:
            self._bindings[rows] = binding
        return binding

    def close(self) -> None:
        """Let go of the session and its memory."""
        self._bindings.clear()
        self._session = None
        self.cache.arrays.clear()


def _session(config: Config, threads: int) -> Any:
    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            str(config.model.resolve()),
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,
        )
    except Exception as error:  # as above
        raise ModelFileError(
            f"{config.model}: ONNX Runtime {ort.__version__} cannot load it: {_told(error)}",
            help="build it again with the builder of an onnxruntime-genai of the same time",
        ) from None


def _cache(model: Path, shape: tuple[int, ...], types: Sequence[type]) -> Cache:
    try:
        return Cache([room(shape, dtype) for dtype in types], shape[0])
    except (OSError, MemoryError, OverflowError, ValueError):
        size = sum(math.prod(shape) * np.dtype(dtype).itemsize for dtype in types)
        raise ModelFileError(
            f"{model}: there is no memory for {shape[0]} sequences of {shape[2]} tokens: {size / 1e9:.1f} GB",
            help="set a smaller parameters.context or batching.max_size in model.yaml",
        ) from None


def _logits(config: Config, session: Any) -> Any:
    """Return the output that holds the likelihoods of tokens. Raises ``ModelFileError``."""
    found = {node.name: node for node in session.get_outputs()}.get(config.logits)
    if found is None or found.type not in _TYPES:
        raise ModelFileError(
            f"{config.model}: has no output {config.logits!r} of FP32 or FP16",
            help="build it for `-e cpu`",
        )
    _same(config.model, "tokens", found.shape[-1:], (config.vocabulary,))
    return found


def _same(model: Path, what: str, shape: Sequence[Any], said: tuple[int, ...]) -> None:
    """Refuse a model whose fixed sizes are other than ``genai_config.json`` says."""
    if any(isinstance(n, int) and n != wanted for n, wanted in zip(shape, said, strict=True)):
        raise ModelFileError(
            f"{model}: has {' x '.join(map(str, shape))} {what}, and {NAME} says "
            f"{' x '.join(map(str, said))}: they are not of one model",
            help="copy the whole directory again",
        )


def _cache_names(config: Config, inputs: dict[str, Any], session: Any) -> list[tuple[str, str]]:
    """Return the names of the cache's tensors, in and out. Raises ``ModelFileError`` where others are needed."""
    outputs = {node.name for node in session.get_outputs()}
    names = [
        pair
        for layer in range(config.layers)
        for pair in (
            (config.key.replace("%d", str(layer)), config.present_key.replace("%d", str(layer))),
            (
                config.value.replace("%d", str(layer)),
                config.present_value.replace("%d", str(layer)),
            ),
        )
    ]
    wanted = {config.ids, config.mask, *(past for past, _ in names)}
    made = {present for _, present in names}
    missing = sorted(wanted - set(inputs)) + sorted(made - outputs)
    other = sorted(set(inputs) - wanted - {config.positions})
    if missing or other:
        what = f"lacks {missing[0]!r}" if missing else f"needs {other[0]!r}"
        raise ModelFileError(
            f"{config.model}: {what}, and a decoder takes {config.ids}, {config.mask} and its cache",
            help="serve it with an engine that knows it, and name that under `services`",
        )
    odd = next(
        (n for n in names if inputs[n[0]].type not in _TYPES or len(inputs[n[0]].shape) != 4), None
    )
    if odd is not None:
        raise ModelFileError(
            f"{config.model}: its cache is neither FP32 nor FP16 of the usual shape",
            help="build it for `-e cpu`",
        )
    for past, _ in names:
        sizes = inputs[past].shape
        _same(config.model, "heads and sizes", (sizes[1], sizes[3]), (config.heads, config.size))
    return names


def _told(error: Exception) -> str:
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", str(error))
    text = re.sub(r"/\S+/(\w+\.(?:cc|h))(:\d+)?", r"\1", text)
    return re.sub(r"\s+", " ", text).strip()[:500] or type(error).__name__
