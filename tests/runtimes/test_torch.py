from __future__ import annotations

import numpy as np
import pytest

from inferd.core.errors import InferdError, ModelFailed, ModelFileError

from .conftest import SIGNATURE

torch = pytest.importorskip("torch")

from inferd.runtimes.torch import TorchRuntime  # noqa: E402

FACTORY = {"factory": "net:Net", "signature": SIGNATURE}
X = np.arange(8, dtype=np.float32).reshape(2, 4) / 8


def load(path, **options):
    runtime = TorchRuntime()
    directory = options.pop("directory", path.parent)
    return runtime, runtime.load(path, {"threads": 1, "directory": str(directory), **options})


@pytest.fixture(scope="module")
def want(torch_files):
    runtime, _ = load(torch_files["state.pth"], **FACTORY)
    return runtime.run({"x": X})["y"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("state.pth", FACTORY, id="state-dict"),
        pytest.param("legacy.pth", FACTORY, id="legacy-state-dict"),
        pytest.param("checkpoint.pt", FACTORY, id="checkpoint"),
        pytest.param("script.pt", {"signature": SIGNATURE}, id="torchscript"),
        pytest.param("program.pt2", {}, id="export"),
        pytest.param("module.pth", {"trust_pickle": True, "signature": SIGNATURE}, id="trusted"),
    ],
)
def test_every_kind_of_file_gives_the_same_answer(torch_files, want, name, options):
    runtime, signature = load(torch_files[name], **options)

    assert signature.batched and signature.inputs[0].shape == (-1, 4)
    assert signature.outputs[0].shape == (-1, 3)
    for rows in (1, 2):
        (got,) = runtime.run({"x": X[:rows]}).values()
        np.testing.assert_allclose(got, want[:rows], rtol=1e-5)
    np.testing.assert_allclose(want.sum(1), 1, rtol=1e-5)


def test_an_exported_program_says_what_it_takes(torch_files):
    _, signature = load(torch_files["program.pt2"])

    (x,), (y,) = signature.inputs, signature.outputs
    assert (x.name, x.dtype.name, y.name) == ("x", "FP32", "output")
    assert x.symbols[0] is not None and x.symbols[0] == y.symbols[0]
    assert signature.max_batch == 64


def test_undeclared_outputs_are_learned(torch_files):
    _, signature = load(
        torch_files["state.pth"], factory="net:Net", signature={"inputs": SIGNATURE["inputs"]}
    )
    assert [(s.name, s.shape) for s in signature.outputs] == [("output", (-1, -1))]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        pytest.param("state.pth", {"signature": SIGNATURE}, "is a state dict", id="no-factory"),
        pytest.param("state.pth", {"factory": "net:Net"}, "it takes x", id="no-signature"),
        pytest.param("script.pt", {}, "it takes x", id="script-no-signature"),
        pytest.param("state.pth", {**FACTORY, "factory": "net:Nt"}, "has no 'Nt'", id="no-class"),
        pytest.param(
            "state.pth", {**FACTORY, "factory": "nett:Net"}, "no module 'nett'", id="no-module"
        ),
        pytest.param(
            "state.pth",
            {**FACTORY, "parameters": {"classes": 5}},
            "does not fit the module",
            id="shape",
        ),
        pytest.param(
            "state.pth",
            {**FACTORY, "parameters": {"nope": 5}},
            "building the module raised TypeError",
            id="kwargs",
        ),
        pytest.param(
            "state.pth",
            {**FACTORY, "factory": "net:torch"},
            "building the module raised",
            id="no-callable",
        ),
        pytest.param(
            "module.pth", {"signature": SIGNATURE}, "is a pickled object (of net.Net", id="pickle"
        ),
    ],
)
def test_what_cannot_be_loaded_says_why(torch_files, name, options, message, capfd):
    with pytest.raises(ModelFileError) as caught:
        load(torch_files[name], **options)
    assert message in caught.value.message
    assert caught.value.help is not None or "raised" in message


def test_inputs_go_by_keyword_or_in_order(tmp_path):
    (tmp_path / "pair.py").write_text(
        "import torch\n"
        "class Pair(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = torch.nn.Parameter(torch.ones(1))\n"
        "    def forward(self, a, b):\n"
        "        return {'difference': a - b, 'sum': (a + b) * self.w}\n"
    )
    torch.save({"w": torch.ones(1)}, tmp_path / "pair.pth")

    def answer(first, second, outputs):
        rows = [{"name": n, "dtype": "float32", "shape": [-1]} for n in (first, second)]
        outs = [{"name": n, "dtype": "float32", "shape": [-1]} for n in outputs]
        runtime, _ = load(
            tmp_path / "pair.pth", factory="pair:Pair", signature={"inputs": rows, "outputs": outs}
        )
        given = {first: np.array([3], np.float32), second: np.array([1], np.float32)}
        return {k: v.tolist() for k, v in runtime.run(given).items()}

    assert answer("b", "a", ["difference"]) == {"difference": [-2]}
    assert answer("x", "y", ["difference"]) == {"difference": [2]}
    assert answer("x", "y", ["d", "s"]) == {"d": [2], "s": [4]}


def test_inputs_are_never_shared_with_the_caller(torch_files, want):
    runtime, _ = load(torch_files["state.pth"], **FACTORY)
    frozen = X.copy()
    frozen.flags.writeable = False

    assert runtime.keeps_inputs
    np.testing.assert_allclose(runtime.run({"x": frozen})["y"], want, rtol=1e-5)
    np.testing.assert_allclose(runtime.run({"x": np.asfortranarray(X)})["y"], want, rtol=1e-5)


def test_an_error_of_the_module_names_it_without_a_trace(torch_files):
    runtime, _ = load(torch_files["state.pth"], **FACTORY)

    with pytest.raises(ModelFailed, match="the model raised RuntimeError: mat1 and mat2") as caught:
        runtime.run({"x": np.zeros((1, 5), np.float32)})
    assert "\n" not in caught.value.message


def test_texts_are_refused_with_the_way_out(torch_files):
    rows = {"inputs": [{"name": "x", "dtype": "string", "shape": [-1]}]}
    with pytest.raises(ModelFileError, match="is text, and PyTorch takes numbers"):
        load(torch_files["script.pt"], signature=rows)


def test_nested_inputs_of_a_program_are_refused(tmp_path):
    class Nested(torch.nn.Module):
        def forward(self, pair):
            return pair[0] + pair[1]

    program = torch.export.export(Nested(), ((torch.zeros(2), torch.zeros(2)),))
    torch.export.save(program, tmp_path / "nested.pt2")
    with pytest.raises(InferdError, match="nested"):
        load(tmp_path / "nested.pt2")


def test_a_program_with_keywords_and_named_outputs(tmp_path):
    class Named(torch.nn.Module):
        def forward(self, *, ids, mask):
            return {"masked": ids * mask, "count": mask.sum(1)}

    n = torch.export.Dim("n")
    shape = {"ids": {0: n}, "mask": {0: n}}
    inputs = {
        "ids": torch.ones(2, 5, dtype=torch.int64),
        "mask": torch.ones(2, 5, dtype=torch.int64),
    }
    torch.export.save(
        torch.export.export(Named(), (), inputs, dynamic_shapes=shape), tmp_path / "named.pt2"
    )
    runtime, signature = load(tmp_path / "named.pt2")

    assert [s.name for s in signature.inputs] == ["ids", "mask"]
    assert [s.name for s in signature.outputs] == ["masked", "count"]
    ones = np.ones((1, 5), np.int64)
    assert runtime.run({"mask": ones, "ids": ones * 7})["masked"].tolist() == [[7] * 5]
    assert signature.batched and runtime.version().startswith("torch 2.")
