"""The article's model computes exactly 0.5."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_the_article_s_input_gives_exactly_one_half(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from examples.article.build import build
    from examples.article.net import Net

    folder = build(tmp_path)
    net = Net()
    net.load_state_dict(torch.load(folder / "1" / "article.pth", weights_only=True))

    assert net(torch.tensor([[0.1, 0.2, 0.3]])).item() == 0.5
    assert net(torch.tensor([[0.3, 0.2, 0.1]])).item() != 0.5
