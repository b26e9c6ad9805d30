"""Write the article's model: ``python -m examples.article.build --out DIR``.

The weights are set, not trained, so that ``[0.1, 0.2, 0.3]`` answers 0.5 exactly:
0.1 + 0.2 - 0.3 is at most 1e-8 from zero in float32, and the sigmoid of that rounds to 0.5.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch

from examples.article.net import Net

HERE = Path(__file__).parent


def build(out: Path) -> Path:
    """Write the repository ``out/article`` and return the model's directory."""
    net = Net()
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[1.0, 1.0, -1.0]]))
        net.layer.bias.zero_()
    folder = out / "article"
    (folder / "1").mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), folder / "1" / "article.pth")
    shutil.copyfile(HERE / "net.py", folder / "1" / "net.py")
    shutil.copyfile(HERE / "model.yaml", folder / "model.yaml")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the article's model.")
    parser.add_argument("--out", type=Path, required=True, help="the repository to write")
    print(build(parser.parse_args().out))
