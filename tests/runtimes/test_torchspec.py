from __future__ import annotations

import numpy as np
import pytest

from inferd.core.errors import ModelFailed

torch = pytest.importorskip("torch")

from inferd.runtimes.torchspec import arguments, forward_names, named_outputs  # noqa: E402


def test_arguments_are_shared_where_they_can_be():
    x = np.ones((2, 2), np.float32)
    (got,), _ = arguments({"x": x}, ["x"], by_keyword=False)
    assert got.data_ptr() == x.ctypes.data
    _, given = arguments({"x": x[:, ::-1]}, ["x"], by_keyword=True)
    assert given["x"].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("returned", "names", "want"),
    [
        pytest.param(torch.ones(1), None, ["output"], id="one"),
        pytest.param((torch.ones(1), torch.ones(1)), None, ["output_0", "output_1"], id="tuple"),
        pytest.param({"a": torch.ones(1), "n": 3}, None, ["a"], id="dict"),
        pytest.param({"a": torch.ones(1), "b": torch.ones(1)}, ["b"], ["b"], id="chosen"),
        pytest.param({"a": torch.ones(1)}, ["y"], ["y"], id="renamed"),
        pytest.param([torch.ones(1), torch.ones(1)], ["y"], ["y"], id="fewer"),
    ],
)
def test_outputs_by_name(returned, names, want):
    assert list(named_outputs(returned, names)) == want


def test_what_is_no_tensor():
    with pytest.raises(ModelFailed, match="returned str"):
        named_outputs("a", None)
    with pytest.raises(ModelFailed, match="1 tensors for 2 outputs"):
        named_outputs(torch.ones(1), ["a", "b"])


def test_unusual_tensors_become_arrays():
    odd = {"half": torch.ones(1, dtype=torch.bfloat16), "grad": torch.ones(1, requires_grad=True) * 2,
           "sparse": torch.ones(2).to_sparse()}  # fmt: skip
    got = named_outputs(odd, None)
    assert got["half"].dtype == np.float32 and got["grad"].tolist() == [2]
    assert got["sparse"].tolist() == [1, 1]


def test_names_of_forward():
    class Net(torch.nn.Module):
        def forward(self, ids, *, mask=None, **rest):
            return ids

    assert forward_names(Net()) == ("ids", "mask")
    traced = torch.jit.trace(torch.nn.Linear(2, 1), torch.ones(1, 2))
    assert forward_names(traced) == ("input",)
