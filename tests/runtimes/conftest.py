"""Real artifacts, built once per session; PyTorch (3 s to import) only where a test asks for it."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SIGNATURE = {
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 3]}],
}
NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.layer = torch.nn.Linear(4, classes)

    def forward(self, x):
        return torch.softmax(self.layer(x), -1)
"""


def onnx_bytes(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any] = (), **meta: Any
) -> bytes:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **meta)
    model.ir_version = 8
    return model.SerializeToString()


def value(name: str, shape: Any, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def linear_onnx(**meta: Any) -> bytes:
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
    return onnx_bytes(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Softmax", ["h"], ["y"], axis=-1),
        ],
        [value("x", ["batch", 4])],
        [value("y", ["batch", 3])],
        [numpy_helper.from_array(weights, "w")],
        **meta,
    )


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "linear.onnx"
    path.write_bytes(linear_onnx())
    return path


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Write a Python module into a directory of the test's own; returns its path."""

    def write(text: str, name: str = "code.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture(scope="session")
def torch_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every kind of PyTorch file of one small network, and the module ``net.py`` it is made of."""
    import importlib.util

    import torch

    folder = tmp_path_factory.mktemp("torch")
    source = folder / "net.py"
    source.write_text(NET)
    spec = importlib.util.spec_from_file_location("net", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["net"] = module
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    net = module.Net().eval()
    files = {
        n: folder / n
        for n in (
            "state.pth",
            "legacy.pth",
            "checkpoint.pt",
            "module.pth",
            "script.pt",
            "program.pt2",
        )
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(net.state_dict(), files["state.pth"])
        torch.save(net.state_dict(), files["legacy.pth"], _use_new_zipfile_serialization=False)
        torch.save({"epoch": 3, "state_dict": net.state_dict()}, files["checkpoint.pt"])
        torch.save(net, files["module.pth"])
        torch.jit.trace(net, torch.zeros(2, 4)).save(str(files["script.pt"]))
        program = torch.export.export(
            net, (torch.zeros(2, 4),), dynamic_shapes={"x": {0: torch.export.Dim("n", max=64)}}
        )
        torch.export.save(program, files["program.pt2"])
    del sys.modules["net"]
    files["net.py"] = source
    return files


__all__ = ["SIGNATURE", "onnx"]
