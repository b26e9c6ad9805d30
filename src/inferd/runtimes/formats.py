"""Every artifact format that is known, as data: served ones, and ones to refuse with a reason.

A format is recognised by content (``probe``); its endings are what such files are called. A file
whose ending belongs to another format is refused, for one of the two is a mistake or a trick.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """One format. ``runtime`` is ``None`` where it is not served; ``help`` then says the way out.

    ``note`` is the documentation of a served format. ``marker``: the format is a directory, which holds a file
    of that name; ``begins``: what is in its first bytes.
    """

    id: str
    title: str
    runtime: str | None
    endings: tuple[str, ...] = ()
    help: str = ""
    note: str = ""
    marker: str = ""
    begins: bytes = b""


_TO_ONNX = "convert it to ONNX and serve the .onnx file"
_UNPACK = "unpack it and serve the model file in it"
_AGAIN = "fetch the model file again"
_GENERATES = (
    "build a directory of onnxruntime-genai from the weights it was made from, or serve it with "
    "llama.cpp and name that under `services` (docs/generation.md)"
)

FORMATS: tuple[Format, ...] = (
    Format("onnx", "ONNX", "onnx", (".onnx",), note="Signature read from the file. External data "
           "must lie beside it."),
    Format("torchscript", "TorchScript", "torch", (".pt", ".pth", ".ts", ".jit", ".torchscript"),
           note="`torch.jit.save`. Needs a signature in model.yaml."),
    Format("torch-export", "torch.export program", "torch", (".pt2", ".pt"),
           note="`torch.export.save`. Signature read from the file."),
    Format("torch-state-dict", "PyTorch state dict", "torch", (".pth", ".pt", ".ckpt"),
           note="`torch.save(model.state_dict())`, read with `weights_only=True`. Needs `factory` "
           "and a signature in model.yaml."),
    Format("torch-pickle", "pickled PyTorch module", "torch", (".pth", ".pt", ".ckpt"),
           note="`torch.save(model)`. Refused unless started with `--trust-pickle MODEL`."),
    Format("genai", "text generator of onnxruntime-genai", "genai", marker="genai_config.json", begins=b"{",
           note="As the library's model builder writes it for `-e cpu`. See [generation](generation.md)."),
    Format("python", "Python source", "python", (".py",),
           note="One class derived from `inferd.Model`, or `class: module:Class`."),
    Format("whisper", "Whisper model of CTranslate2", "whisper", marker="model.bin", begins=b"WhisperSpec",
           note="As `ct2-transformers-converter --copy_files tokenizer.json` writes it. See [speech](speech.md)."),
    Format("torch-tar", "PyTorch file of before 2018", None, (),
           "load it with an old PyTorch and save its state dict again"),
    Format("pickle", "Python pickle", None, (".pkl", ".pickle"),
           "a pickle runs code when it is loaded: load it in a class of your own "
           "(`runtime: python`), or convert the model to ONNX (scikit-learn: skl2onnx)"),
    Format("joblib", "joblib file", None, (".joblib",),
           "it holds a pickle, which runs code when it is loaded: convert the model to ONNX "
           "(scikit-learn: skl2onnx)"),
    Format("safetensors", "safetensors weights", None, (".safetensors",),
           "it holds weights and no model: export the model to ONNX or torch.export"),
    Format("keras", "Keras archive", None, (".keras",), _TO_ONNX + " (tf2onnx)"),
    Format("hdf5", "HDF5 file (Keras weights)", None, (".h5", ".hdf5"), _TO_ONNX + " (tf2onnx)"),
    Format("tflite", "TensorFlow Lite model", None, (".tflite",), _TO_ONNX + " (tf2onnx)"),
    Format("tensorflow", "TensorFlow graph", None, (".pb",), _TO_ONNX + " (tf2onnx)"),
    Format("ort", "ONNX Runtime format", None, (".ort",), "serve the ONNX file it was made from"),
    Format("gguf", "GGUF model", None, (".gguf",), _GENERATES),
    Format("ggml", "GGML model", None, (".ggml",), _GENERATES),
    Format("numpy", "NumPy array", None, (".npy",), "it holds numbers and no model"),
    Format("npz", "NumPy archive", None, (".npz",), "it holds numbers and no model"),
    Format("coreml", "Core ML model", None, (".mlmodel",), _TO_ONNX),
    Format("lightgbm", "LightGBM text model", None, (), _TO_ONNX + " (onnxmltools)"),
    Format("xgboost", "XGBoost model", None, (".ubj",), _TO_ONNX + " (onnxmltools)"),
    Format("openvino", "OpenVINO model", None, (), "serve the ONNX file it was made from"),
    Format("lfs", "Git LFS pointer, not the file itself", None, (), "run `git lfs pull`"),
    Format("html", "web page, perhaps an error page saved under the model's name", None,
           (".html",), _AGAIN),
    Format("json", "JSON text", None, (".json",), "serve the model file, not its description"),
    Format("xml", "XML text", None, (".xml",), _AGAIN),
    Format("text", "text", None, (".txt", ".yaml", ".yml"), _AGAIN),
    Format("zip", "zip archive without a model this version serves", None, (".zip",), _UNPACK),
    Format("gzip", "gzip-compressed file", None, (".gz", ".tgz"), _UNPACK),
    Format("compressed", "compressed file", None, (".xz", ".bz2", ".zst", ".7z"), _UNPACK),
    Format("tar", "tar archive", None, (".tar",), _UNPACK),
    Format("image", "image", None, (".png", ".jpg", ".jpeg", ".gif"), _AGAIN),
    Format("pdf", "PDF document", None, (".pdf",), _AGAIN),
    Format("program", "program or library", None, (".so", ".exe", ".dll"), _AGAIN),
    Format("zeros", "file of zero bytes, as an interrupted copy leaves it", None, (), _AGAIN),
    Format("unknown", "unknown binary format", None, (),
           "served are: ONNX, TorchScript, torch.export, state dicts, Python classes"),
)  # fmt: skip

BY_ID: dict[str, Format] = {f.id: f for f in FORMATS}

BY_ENDING: dict[str, tuple[Format, ...]] = {
    ending: tuple(f for f in FORMATS if ending in f.endings)
    for ending in sorted({e for f in FORMATS for e in f.endings})
}
"""Ending, lower case with its dot, to the formats that use it."""

SERVED_ENDINGS: frozenset[str] = frozenset(
    e for f in FORMATS if f.runtime is not None for e in f.endings
)

MARKERS: dict[str, Format] = {f.marker: f for f in FORMATS if f.marker}
"""Name of a file to the format of the directory that it lies in."""

PREFIXES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "hdf5"),
    (4, b"TFL3", "tflite"),
    (4, b"ORTM", "ort"),
    (0, b"GGUF", "gguf"),
    (0, b"lmgg", "ggml"),
    (0, b"tjgg", "ggml"),
    (0, b"\x93NUMPY", "numpy"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\x00", "compressed"),
    (0, b"BZh", "compressed"),
    (0, b"\x28\xb5\x2f\xfd", "compressed"),
    (0, b"7z\xbc\xaf\x27\x1c", "compressed"),
    (257, b"ustar", "tar"),
    (0, b"\x89PNG\r\n\x1a\n", "image"),
    (0, b"\xff\xd8\xff", "image"),
    (0, b"GIF8", "image"),
    (0, b"%PDF-", "pdf"),
    (0, b"\x7fELF", "program"),
    (0, b"MZ\x90", "program"),
    (0, b"binf", "xgboost"),
    (0, b"{L\x00\x00", "xgboost"),
)
"""(offset, bytes, format id) of formats that say what they are."""

TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "lfs"),
    (b"<!doctype html", "html"),
    (b"<html", "html"),
    (b"<head", "html"),
    (b'<?xml version="1.0"?>\n<net ', "openvino"),
    (b"<?xml", "xml"),
    (b"<net ", "openvino"),
    (b"tree\nversion=v", "lightgbm"),
    (b"{", "json"),
    (b"[", "json"),
)
"""(beginning in lower case, after blanks; format id) of texts."""


def table() -> str:
    """Return the Markdown table of served formats, as shown in docs/models.md."""
    rows = ["| format | endings | runtime | |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {f.title} | {_names(f)} | `{f.runtime}` | {f.note} |"
        for f in FORMATS
        if f.runtime is not None
    ]
    return "\n".join(rows) + "\n"


def _names(format: Format) -> str:
    if format.marker:
        return f"a directory with `{format.marker}`"
    return " ".join(f"`{e}`" for e in format.endings)
