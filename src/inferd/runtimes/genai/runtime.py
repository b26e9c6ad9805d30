"""The runtime ``genai``: a directory of onnxruntime-genai, answered token by token.

The library's own engine joins requests only where a model was built for paged attention, which needs a GPU;
on a CPU it runs fixed batches of four whose rows wait for the longest. So the batching is ours
(``engine``), on the same model by ONNX Runtime, and the library gives tokenizer and chat template.
See docs/decisions/013.
"""

from __future__ import annotations

from pathlib import Path

from inferd.core.errors import ModelFailed, ModelFileError
from inferd.core.message import Parameters
from inferd.core.runtime import Engine, Options
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, dtype_named
from inferd.runtimes.genai.config import NAME, read_config
from inferd.runtimes.genai.decoder import Decoder
from inferd.runtimes.genai.engine import GenaiEngine
from inferd.runtimes.genai.parameters import NAMES, read_limits
from inferd.runtimes.genai.text import Texts, version
from inferd.runtimes.generate import answered

_BYTES, _INT64 = dtype_named("BYTES"), dtype_named("INT64")

SIGNATURE = Signature(
    (
        TensorSpec("prompt", _BYTES, (-1,), default=""),
        TensorSpec("messages", _BYTES, (-1,), default=""),
    ),
    (
        TensorSpec("text", _BYTES, (-1,)),
        TensorSpec("finish_reason", _BYTES, (-1,)),
        TensorSpec("prompt_tokens", _INT64, (-1,)),
        TensorSpec("completion_tokens", _INT64, (-1,)),
    ),
    ragged=True,
    parameters=NAMES,
)


class GenaiRuntime:
    """One model that generates text. ``trial``: the most tokens that ``run`` takes of an answer."""

    name = "genai"
    releases_gil = False
    keeps_inputs = False
    streams = True

    def __init__(self) -> None:
        self.trial: int | None = None
        self.sequences = 1
        self._decoder: Decoder | None = None
        self._engine: GenaiEngine | None = None

    def load(self, artifact: Path, options: Options) -> Signature:
        directory = artifact.parent if artifact.name == NAME else artifact
        if not directory.is_dir():
            raise ModelFileError(
                f"{artifact}: is no directory with a {NAME}", help="serve the whole directory"
            )
        if options.get("signature"):
            raise ModelFileError(
                f"{directory}: the signature of a model that generates text is given",
                help="remove `signature` from model.yaml",
            )
        config = read_config(directory)
        limits = read_limits(options, config.search, config.context, str(directory))
        threads = int(options.get("threads") or 1)
        texts = Texts(directory)
        self._decoder = Decoder(config, limits.sequences, limits.context, threads)
        self._engine = GenaiEngine(self._decoder, texts, limits, config.eos)
        self.sequences = limits.sequences
        return SIGNATURE

    def engine(self) -> Engine:
        """Return the engine that answers requests."""
        if self._engine is None:
            raise ModelFailed("the model is closed")
        return self._engine

    def run(self, inputs: Tensors) -> Tensors:
        """Answer a batch: the engine awaited. Not for use beside requests that come to the engine."""
        rows = next((a.shape[0] for a in inputs.values() if a.ndim), 1)
        parts = [{k: a[i : i + 1] for k, a in inputs.items()} for i in range(rows)]
        given: Parameters = {} if self.trial is None else {"max_tokens": self.trial}
        return answered(self.engine(), parts, parameters=given)

    def close(self) -> None:
        self._engine = None
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()

    def version(self) -> str:
        return f"onnxruntime-genai {version()}"
