"""Corrupt, truncated, disguised, empty and hostile model files; nothing is ever unpickled."""

import json
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import time
import zipfile

import pytest
from onnx import TensorProto, helper, save
from tests.system import models
from tests.system.serving import command, environment, serving

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


class Strikes:
    """What a hostile pickle runs."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def good(folder):
    return models.affine(folder / "good.onnx").read_bytes()


def truncated(folder):
    return "m.onnx", good(folder)[:-20]


def corrupt(folder):
    data = bytearray(good(folder))
    data[40:80] = bytes(255 - b for b in data[40:80])
    return "m.onnx", bytes(data)


def empty(folder):
    return "m.onnx", b""


def zeros(folder):
    return "m.onnx", b"\0" * 4096


def text(folder):
    return "m.onnx", b"this is not a model, but somebody renamed it\n" * 10


def image(folder):
    return "m.onnx", PNG


def huge_length(folder):
    return "m.onnx", b"\x08\x08\x3a" + b"\xff\xff\xff\xff\x7f" + b"x" * 50


def onnx_as_pt(folder):
    return "m.pt", good(folder)


def pickle_as_onnx(folder):
    return "m.onnx", pickle.dumps(Strikes(folder / "struck"))


def pickle_as_pt(folder):
    return "m.pt", pickle.dumps(Strikes(folder / "struck"))


def pickle_as_pth(folder):
    return "m.pth", pickle.dumps(Strikes(folder / "struck"), protocol=2)


def pickled_archive(folder):
    path = folder / "archive.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(Strikes(folder / "struck"), protocol=2))
        archive.writestr("m/version", "3\n")
    return "m.pt", path.read_bytes()


def bomb(folder):
    path = folder / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\0" * (64 << 20))
        archive.writestr("m/version", "3\n")
    return "m.pt", path.read_bytes()


def joblib_as_onnx(folder):
    return "m.joblib", pickle.dumps({"a": 1})


def escaping(folder):
    """An ONNX file whose weights lie outside of its directory."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../../../../../etc/passwd"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])], [tensor],
    )  # fmt: skip
    path = folder / "escaping.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return "m.onnx", path.read_bytes()


def unknown_operator(folder):
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    )  # fmt: skip
    path = folder / "unknown.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return "m.onnx", path.read_bytes()


def safetensors_nonsense(folder):
    return "m.safetensors", struct.pack("<Q", 1 << 60) + b"{}"


CASES = [
    truncated, corrupt, empty, zeros, text, image, huge_length, onnx_as_pt, pickle_as_onnx,
    pickle_as_pt, pickle_as_pth, pickled_archive, bomb, joblib_as_onnx, escaping, unknown_operator,
    safetensors_nonsense,
]  # fmt: skip


def refused(verb, path, folder):
    """Run a verb on a bad file; return what it said, after the checks common to all."""
    arguments = ["--port", 0, "--admin-port", 0, "--grpc-port", 0, "--state-dir", folder / "state"]
    begin = time.monotonic()
    done = subprocess.run(
        command(verb, path, *(arguments if verb == "serve" else ())), env=environment(),
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), (done.returncode, said)
    assert str(path) in said, said
    assert "Traceback" not in said, said
    assert "error" in said.lower()
    assert "This is a bug" not in said
    assert time.monotonic() - begin < 30
    assert not (folder / "struck").exists(), "code in the file was run"
    return said


@pytest.mark.parametrize("verb", ["serve", "check"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_a_bad_file_is_refused(tmp_path, case, verb):
    name, data = case(tmp_path)
    (tmp_path / "given").mkdir()
    path = tmp_path / "given" / name
    path.write_bytes(data)

    said = refused(verb, path, tmp_path)
    print("\n" + "\n".join(line for line in said.splitlines() if not line.startswith("{")))


@pytest.mark.parametrize("verb", ["serve", "check"])
@pytest.mark.parametrize("kind", ["missing", "directory", "loop", "fifo", "device"])
def test_what_is_no_file_is_refused(tmp_path, kind, verb):
    path = tmp_path / "m.onnx"
    if kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")

    said = refused(verb, path, tmp_path)
    print("\n" + "\n".join(line for line in said.splitlines() if not line.startswith("{")))


def test_a_bad_model_beside_good_ones_is_named(tmp_path):
    folder = tmp_path / "models"
    models.acts(folder)
    (folder / "rotten" / "1").mkdir(parents=True)
    bad = folder / "rotten" / "1" / "model.onnx"
    bad.write_bytes(b"\x08\x08" + b"rotten")

    said = subprocess.run(
        command("serve", folder, "--port", 0, "--admin-port", 0, "--grpc-port", 0, "--state-dir", tmp_path / "state"),
        env=environment(), capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip

    assert said.returncode == 1
    assert str(bad) in said.stderr
    assert "Traceback" not in said.stderr


SCRIPT = """\
signature:
  inputs:  [{name: x, dtype: float32, shape: [-1, 4]}]
  outputs: [{name: y, dtype: float32, shape: [-1, 2]}]
"""

HOOK = textwrap.dedent(
    """
    import os, sys
    _folder = os.environ.get("WATCHED")
    if _folder:
        _file = open(os.path.join(_folder, f"{os.getpid()}.txt"), "a", buffering=1)
        def _hook(event, arguments):
            if event == "pickle.find_class":
                _file.write(f"unpickled {arguments}\\n")
            elif event == "import":
                _file.write(f"import {arguments[0]}\\n")
        sys.addaudithook(_hook)
    """
)


def watched(folder):
    """Return the environment of processes that write down what they import and unpickle."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    (folder / "seen").mkdir()
    path = os.pathsep.join([str(folder / "hook"), environment()["PYTHONPATH"]])
    return {"PYTHONPATH": path, "WATCHED": str(folder / "seen")}


def seen(folder, pid):
    lines = (folder / "seen" / f"{pid}.txt").read_text().splitlines()
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith("import ")}
    return imported, [line for line in lines if line.startswith("unpickled")]


def test_the_hook_sees_unpickling(tmp_path):
    env = environment(**watched(tmp_path))
    code = "import pickle; pickle.loads(pickle.dumps(print))"
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    assert process.wait() == 0

    imported, unpickled = seen(tmp_path, process.pid)

    assert "pickle" in imported
    assert unpickled


def test_no_process_of_a_server_unpickles_and_the_front_imports_no_framework(tmp_path):
    torch = pytest.importorskip("torch")
    from examples.article.build import build

    folder = tmp_path / "models"
    build(folder)
    models.acts(folder)
    (folder / "affine" / "1").mkdir(parents=True)
    models.affine(folder / "affine" / "1" / "affine.onnx")
    (folder / "script" / "1").mkdir(parents=True)
    torch.jit.script(torch.nn.Linear(4, 2)).save(folder / "script" / "1" / "script.pt")
    (folder / "script" / "model.yaml").write_text(SCRIPT)

    with serving(tmp_path / "server", folder, env=watched(tmp_path)) as server:
        rows = [[0.5, 1.0, 1.5, 2.0]] * 20_000  # large: through the codec worker
        for name in ("affine", "acts", "script"):
            assert server.ask(f"/models/{name}/predict", [1.0, 2.0, 3.0, 4.0]).status == 200
        assert server.ask("/models/article/predict", [0.1, 0.2, 0.3]).result == 0.5
        assert server.ask("/models/affine/predict", rows).status == 200
        for body in (b"\x80\x04.", pickle.dumps(print)):
            for kind in ("application/octet-stream", "application/x-npy", "application/json"):
                answer = server.ask(
                    "/models/affine/predict",
                    method="POST",
                    body=body,
                    headers={"Content-Type": kind},
                )
                assert 400 <= answer.status < 500
        object_array = (
            b"\x93NUMPY\x01\x00v\x00"
            + (b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n")
            + pickle.dumps([print])
        )
        answer = server.ask(
            "/models/affine/predict", method="POST", body=object_array,
            headers={"Content-Type": "application/x-npy"},
        )  # fmt: skip
        assert 400 <= answer.status < 500
        processes = server.processes()
        told = {p.pid: seen(tmp_path, p.pid) for p in processes}

        front, _ = told[server.pid]
        frameworks = {"onnxruntime", "torch", "tensorflow", "sklearn", "xgboost", "openvino"}
        everywhere = set().union(*(imported for imported, _ in told.values()))
        print(f"\n{len(processes)} processes, the front imported {len(front)} packages")

        assert len(processes) >= 6
        assert {"onnxruntime", "torch"} <= everywhere
        assert not front & frameworks
        assert [unpickled for _, unpickled in told.values() if unpickled] == []
        assert json.loads(answer.body)["error"]["kind"]
