"""wine: a PyTorch state dict and the factory that builds its module.

The file holds weights only; ``files/net.py`` lies beside it and says what they belong to.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

YAML = """\
# 13 measurements of a wine -> the probability of each of three cultivars.
runtime: torch
factory: net:Net
parameters: {hidden: 16}
signature:
  inputs:  [{name: x, dtype: float32, shape: [-1, 13]}]
  outputs: [{name: scores, dtype: float32, shape: [-1, 3]}]
postprocess:
  - softmax
  - round: 4
warmup: samples.json
"""

STEPS = 300


def build(folder: Path) -> str:
    """Train, and write state dict and ``model.yaml``; returns a line that sums it up."""
    data = load_wine()
    x, y = data.data.astype(np.float32), data.target
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.2, random_state=0, stratify=y
    )
    net = _net(folder / "1" / "net.py")
    _train(net, torch.from_numpy(train_x), torch.from_numpy(train_y))
    with torch.inference_mode():
        right = net(torch.from_numpy(test_x)).argmax(1).numpy() == test_y
    torch.save(net.state_dict(), folder / "1" / "wine.pth")
    (folder / "model.yaml").write_text(YAML)
    sample = [round(float(v), 2) for v in x[0]]
    (folder / "1" / "samples.json").write_text(json.dumps([{"data": sample}]))
    return f"cultivars of wine, held-out accuracy {right.mean():.3f}"


def _net(source: Path) -> torch.nn.Module:
    spec = importlib.util.spec_from_file_location("quickstart_net", source)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    net: torch.nn.Module = module.Net(hidden=16)
    return net


def _train(net: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    net.mean.copy_(x.mean(0))
    net.spread.copy_(x.std(0))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    net.eval()
