"""Real, broken, disguised and hostile files: each gets a runtime or one clear refusal."""

from __future__ import annotations

import io
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.generators import generator

from inferd.core.errors import ModelFileError
from inferd.runtimes.detect import Detector, identify
from inferd.runtimes.pickles import TORCH_LEGACY

from .conftest import linear_onnx

TRUSTED = {"trust_pickle": True}


def detect(path, runtime=None, **options):
    return Detector().detect(path, model="m", runtime=runtime, options=options)


def refusal(path, **options):
    with pytest.raises(ModelFileError) as caught:
        detect(path, **options)
    assert str(path) in caught.value.message, "the message names the file"
    assert "\n" not in caught.value.message
    return caught.value


def verdict(path):
    """Return the refusal that names the file, or None; nothing else may be raised."""
    try:
        detect(path, factory="a:b")
    except ModelFileError as error:
        return error.message.index(str(path))
    return None


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def zipped(files, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as z:
        for name, data in files.items():
            z.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "kind", "runtime"),
    [
        pytest.param("state.pth", "torch-state-dict", "torch", id="state-dict"),
        pytest.param("legacy.pth", "torch-state-dict", "torch", id="legacy"),
        pytest.param("checkpoint.pt", "torch-state-dict", "torch", id="checkpoint"),
        pytest.param("script.pt", "torchscript", "torch", id="torchscript"),
        pytest.param("program.pt2", "torch-export", "torch", id="export"),
        pytest.param("net.py", "python", "python", id="python"),
    ],
)
def test_served_formats(torch_files, name, kind, runtime):
    assert identify(torch_files[name]).format == kind
    assert detect(torch_files[name], factory="net:Net") == runtime


def test_onnx_is_known_by_content_under_an_unknown_ending(linear, save):
    assert detect(linear) == "onnx"
    for name in ("model", "model.dat", "MODEL.ONNX"):
        assert detect(save(name, linear.read_bytes())) == "onnx"


def test_pickled_modules_are_refused_with_reason_and_way_out(torch_files):
    error = refusal(torch_files["module.pth"])
    assert "net.Net" in error.message and "runs whatever code" in error.message
    assert "--trust-pickle m" in (error.help or "") and "factory" in (error.help or "")
    assert detect(torch_files["module.pth"], **TRUSTED) == "torch"


def test_a_state_dict_needs_a_factory(torch_files):
    assert "factory" in (refusal(torch_files["state.pth"]).help or "")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        pytest.param("m.onnx", b"", "is empty (0 bytes)", id="empty"),
        pytest.param("m.onnx", b"\0" * 5000, "zero bytes", id="zeros"),
        pytest.param("m.onnx", random.Random(1).randbytes(5000), "", id="random"),
        pytest.param("m.onnx", b"hello\nworld\n", "is named .onnx (ONNX), and its content is: text", id="text"),
        pytest.param("m.onnx", b"<!DOCTYPE html><html>404</html>", "web page", id="html"),
        pytest.param("m.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer", id="lfs"),
        pytest.param("m.onnx", b'{"error": "not found"}', "JSON", id="json"),
        pytest.param("m.onnx", b"<?xml version='1.0'?><Error/>", "XML", id="xml"),
        pytest.param("m.onnx", b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5", id="hdf5"),
        pytest.param("m.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "cannot be served: HDF5", id="h5"),
        pytest.param("m.tflite", b"\x1c\0\0\0TFL3" + b"\0" * 100, "TensorFlow Lite", id="tflite"),
        pytest.param("m.onnx", b"\x1f\x8b\x08" + b"\1" * 90, "gzip", id="gzip"),
        pytest.param("m.gguf", b"GGUF\3\0\0\0" + b"\0" * 90, "GGUF", id="gguf"),
        pytest.param("m.npy", b"\x93NUMPY\1\0" + b"\1" * 90, "NumPy array", id="npy"),
        pytest.param("m.pkl", pickle.dumps({"a": 1}), "Python pickle", id="pickle"),
        pytest.param("m.onnx", pickle.dumps({"a": 1}), "is named .onnx (ONNX), and its content is: Python pickle", id="pickle-as-onnx"),
        pytest.param("m.joblib", pickle.dumps({"a": 1}), "cannot be served", id="joblib"),
        pytest.param("m.safetensors", struct.pack("<Q", 16) + b'{"a":{"b":1234}}' + b"\0" * 64, "safetensors", id="safetensors"),
        pytest.param("m.keras", zipped({"config.json": "{}", "metadata.json": "{}", "model.weights.h5": "x"}), "Keras archive", id="keras"),
        pytest.param("m.npz", zipped({"a.npy": "x"}), "NumPy archive", id="npz"),
        pytest.param("m.pt", zipped({"readme.txt": "x"}), "zip archive without a model", id="zip"),
        pytest.param("m.pb", b"\x08\x01\x12\x04abcd", "TensorFlow graph", id="saved-model"),
        pytest.param("m.txt", b"tree\nversion=v4\n", "LightGBM", id="lightgbm"),
        pytest.param("m.py", b"\0\1\2", "is named .py, and its content is no text", id="binary-py"),
        pytest.param("m.py", linear_onnx(), "is named .py", id="onnx-py"),
        pytest.param("m.pt", linear_onnx(), "and its content is: ONNX", id="onnx-as-pt"),
        pytest.param("m.safetensors", linear_onnx(), "and its content is: ONNX", id="onnx-as-safetensors"),
        pytest.param("m.onnx", zipped({"m/data.pkl": pickle.dumps(1, 2), "m/version": "3"}), "PyTorch state dict", id="torch-as-onnx"),
        pytest.param("m.exe", b"MZ\x90\0" + b"\0" * 100, "program", id="exe"),
    ],
)  # fmt: skip
def test_everything_else_is_named(save, name, data, says):
    path = save(name, data)
    assert says in refusal(path).message


def test_what_is_declared_must_agree(linear):
    with pytest.raises(ModelFileError, match="is a ONNX, and model.yaml says `runtime: torch`"):
        detect(linear, runtime="torch")
    assert detect(linear, runtime="onnx") == "onnx"


def test_what_is_no_file(tmp_path):
    refusal(tmp_path)
    refusal(tmp_path / "missing.onnx")


@pytest.mark.parametrize(
    "name", ["linear.onnx", "state.pth", "legacy.pth", "script.pt", "program.pt2"]
)
def test_truncated_anywhere_is_a_refusal_or_left_to_the_runtime(torch_files, linear, save, name):
    data = (linear if name == "linear.onnx" else torch_files[name]).read_bytes()
    step = max(1, len(data) // 40)
    for cut in [*range(1, 24), *range(24, len(data), step), len(data) - 1]:
        path = save(name, data[:cut])
        if name == "legacy.pth":  # the opcodes may be whole while tensors are cut: the runtime says
            verdict(path)
            continue
        refusal(path, factory="a:b")


@pytest.mark.parametrize(
    "name", ["linear.onnx", "state.pth", "legacy.pth", "script.pt", "program.pt2"]
)
def test_flipped_bytes_never_raise_anything_else(torch_files, linear, save, name):
    data = (linear if name == "linear.onnx" else torch_files[name]).read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(chance.choice([1, 3, 20])):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        verdict(save(name, bytes(broken)))


def test_random_bytes_behind_every_magic_never_raise_anything_else(save):
    chance = random.Random(3)
    heads = [
        b"PK\x03\x04",
        b"\x80\x02",
        b"\x80\x04\x95",
        b"\x08\x08",
        TORCH_LEGACY,
        b"PK\x05\x06",
        b"{",
    ]
    for head in heads:
        for size in (1, 30, 500):
            for name in ("m.onnx", "m.pt", "m.pkl", "m"):
                refusal(save(name, head + chance.randbytes(size)))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(zipped({"m/data.pkl": b"\0" * 50_000_000, "m/version": "3"}, compression=zipfile.ZIP_DEFLATED), id="bomb"),
        pytest.param(zipped({f"m/{i}": b"" for i in range(70_000)})[:-22] + b"PK\5\6" + b"\0" * 18, id="no-end"),
        pytest.param(zipped({"m/../../etc/passwd": "x", "m/data.pkl": "x"}), id="traversal"),
        pytest.param(zipped({"/abs": "x"}), id="absolute"),
        pytest.param(b"MZ" + zipped({"m/data.pkl": "x"}), id="prefixed"),
        pytest.param(zipped({"m/data.pkl": "x"}) + b"trailing", id="trailing"),
        pytest.param(zipped({"m/data.pkl": pickle.dumps(Bomb(Path("x")), 2)})[:-22] + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 65000, 65000, 2**31, 0, 0), id="claims"),
    ],
)  # fmt: skip
def test_hostile_zips(save, data):
    refusal(save("m.pt", data))


def test_a_name_given_twice_is_refused(save):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("m/data.pkl", pickle.dumps({}, 2))
        with pytest.warns(UserWarning, match="Duplicate"):
            z.writestr("m/data.pkl", pickle.dumps(Bomb(Path("x")), 2))
    assert "twice" in refusal(save("m.pt", out.getvalue())).message


def test_pickle_bombs_are_refused_and_never_run(save, tmp_path):
    target = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(target), 2)
    for name, data in (
        ("a.pkl", bomb),
        ("b.pth", zipped({"b/data.pkl": bomb, "b/version": "3"})),
        ("c.pth", TORCH_LEGACY + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + bomb),
        ("d.pt", pickle.dumps(Bomb(target), 4)),
        ("e.onnx", bomb),
    ):
        refusal(save(name, data), factory="a:b")
    refusal(save("f.pkl", b"\x80\x04" + b"(" * 200_000))
    assert not target.exists()


AUDITED = """
import sys
from pathlib import Path
seen = []
WATCHED = ("pickle.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.")
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(WATCHED) else None)
from inferd.core.errors import ModelFileError
from inferd.runtimes.detect import Detector
loaded = set(sys.modules)
refused = 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        Detector().detect(path, model="m", runtime=None, options={"factory": "a:b"})
    except ModelFileError:
        refused += 1
assert not seen, seen
assert not {"torch", "onnxruntime", "keras"} & set(sys.modules), "a framework was imported"
assert not {m for m in set(sys.modules) - loaded if m.startswith("hostile")}
print(refused)
"""


def test_the_front_never_unpickles_runs_or_imports(tmp_path, torch_files, linear):
    folder = tmp_path / "files"
    folder.mkdir()
    ran = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(ran), 2)
    (folder / "hostile.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (folder / "a.pkl").write_bytes(bomb)
    (folder / "b.pth").write_bytes(zipped({"b/data.pkl": bomb}))
    (folder / "c.pth").write_bytes(torch_files["module.pth"].read_bytes())
    (folder / "d.pt2").write_bytes(torch_files["program.pt2"].read_bytes())
    (folder / "e.onnx").write_bytes(linear.read_bytes())
    (folder / "f.pth").write_bytes(torch_files["state.pth"].read_bytes())

    done = subprocess.run(
        [sys.executable, "-c", AUDITED, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.strip() == "3", done.stderr
    assert not ran.exists()


WORKER = """
import os, sys
from pathlib import Path
seen = []
BAD = ("pickle.find_class", "subprocess.", "os.system", "os.exec", "os.posix_spawn")
import torch, torch.export  # whatever the library does while it is imported is its own
from inferd.runtimes.registry import create
from inferd.core.errors import ModelFileError
sys.addaudithook(lambda event, args: seen.append((event, args)) if event.startswith(BAD) else None)
SIGNATURE = {"inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}],
             "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 3]}]}
out = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    runtime = create("onnx" if path.suffix == ".onnx" else "torch")
    options = {"threads": 1, "directory": sys.argv[2], "factory": "net:Net", "signature": SIGNATURE}
    if path.suffix == ".pt2":
        del options["signature"]
    try:
        runtime.load(path, options)
        out.append("ok")
    except ModelFileError as error:
        assert path.name in error.message
        out.append("refused")
assert not seen, seen
print(" ".join(out))
"""


def test_the_worker_never_unpickles_or_runs_what_a_file_holds(tmp_path, torch_files, linear):
    folder = tmp_path / "files"
    folder.mkdir()
    ran = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(ran), 2)
    copy = {"a.onnx": linear, "b.pth": torch_files["state.pth"], "c.pth": torch_files["legacy.pth"],
            "d.pt": torch_files["script.pt"], "e.pt2": torch_files["program.pt2"],
            "f.pth": torch_files["module.pth"]}  # fmt: skip
    for name, source in copy.items():
        (folder / name).write_bytes(source.read_bytes())
    (folder / "g.pth").write_bytes(zipped({"g/data.pkl": bomb, "g/version": "3"}))
    (folder / "h.pt2").write_bytes(_with(torch_files["program.pt2"], "data/sample_inputs/model.pt",
                                        zipped({"x/data.pkl": bomb, "x/version": "3"})))  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder), str(torch_files["net.py"].parent)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.split() == ["ok"] * 5 + ["refused"] * 3, done.stderr[-3000:]
    assert not ran.exists()


def _with(path, entry, data):
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for item in source.infolist():
            replaced = item.filename.endswith(entry)
            target.writestr(item.filename, data if replaced else source.read(item))
    return out.getvalue()


def test_a_real_repository_is_scanned(tmp_path, torch_files, linear):
    from inferd.repository.store import scan

    files = {"iris/1/iris.onnx": linear, "net/1/net.pth": torch_files["state.pth"], "net/1/net.py": torch_files["net.py"],
             "program/3/m.pt2": torch_files["program.pt2"], "pickled/1/m.pth": torch_files["module.pth"]}  # fmt: skip
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "net" / "model.yaml").write_text("factory: net:Net\n")
    (tmp_path / "iris" / "1" / "weights.bin").write_bytes(b"external")

    with pytest.raises(ModelFileError, match="--trust-pickle pickled"):
        scan([tmp_path], Detector())
    specs = scan([tmp_path], Detector(), trust_pickle=["pickled"])
    assert [(s.name, s.version, s.runtime) for s in specs] == [
        ("iris", "1", "onnx"), ("net", "1", "torch"), ("pickled", "1", "torch"), ("program", "3", "torch"),
    ]  # fmt: skip


def test_a_generator_is_a_directory_and_is_checked_as_a_whole(tmp_path):
    folder = generator(tmp_path / "m")
    assert detect(folder) == "genai" == detect(folder, "genai")

    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match=r"m/tokenizer\.json: cannot be read"):
        detect(folder)
    with pytest.raises(ModelFileError, match="model.yaml says `runtime: torch`"):
        detect(generator(tmp_path / "n"), "torch")


def test_a_speech_model_is_a_directory(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0")

    assert detect(folder) == "whisper" == detect(folder, "whisper")
    with pytest.raises(ModelFileError, match="model.yaml says `runtime: onnx`"):
        detect(folder, "onnx")


def test_a_directory_of_another_kind_is_refused(tmp_path):
    assert "is not a file" in refusal(tmp_path).message
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0\x0f\0TransformerSpec\0")

    assert "is not that of a Whisper model" in refusal(tmp_path).message


def test_a_marker_is_one_by_name_and_content(tmp_path):
    marks, file = Detector().marks, tmp_path / "model.bin"
    assert not marks(file)
    file.write_bytes(b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0")
    assert marks(file)
    assert not marks(file.rename(tmp_path / "other.bin"))
    file.write_bytes(b"\0" * 64)  # the weights of another model
    assert not marks(file)
    assert not marks(tmp_path / "x\0")
    assert not marks(tmp_path)
