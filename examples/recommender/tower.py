"""The two towers: behaviour becomes an interest vector, each film a vector; their product is affinity.

Trained on parts of each person's history to tell the rest of it. Exported as three ONNX files: interest,
retrieval among all vectors, and the ranking of what was retrieved by item weights and affinity.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from examples.kit.prepare import progress

WIDTH = 64
"""Numbers in a vector. The last is the film's bias, and 1 in the interest vector."""

EPOCHS, PEOPLE_AT_ONCE, RATE, DECAY, DROPOUT = 40, 64, 6e-3, 1e-4, 0.3
SHOWN = (0.03, 0.9)
"""Which share of a history is shown in training, small ones as often as large: few films are enough then."""

OPSET = 17
CLOSE = 1e-4
"""The most that an exported file may differ."""


class Towers(nn.Module):
    """Both towers. ``genres``: FP32 [films + 1, genres]."""

    def __init__(self, genres: torch.Tensor) -> None:
        super().__init__()
        size, inner = len(genres), WIDTH - 1
        self.seen = nn.Embedding(size, inner, padding_idx=0)
        self.offered = nn.Embedding(size, inner)
        self.kinds = nn.Linear(genres.shape[1], inner, bias=False)
        self.bias = nn.Parameter(torch.zeros(size))
        self.deeper = nn.Sequential(
            nn.Linear(inner, 2 * inner), nn.Tanh(), nn.Dropout(DROPOUT), nn.Linear(2 * inner, inner)
        )
        self.register_buffer("genres", genres)
        for table in (self.seen, self.offered):
            nn.init.normal_(table.weight, std=0.05)
        nn.init.normal_(self.kinds.weight, std=0.01)

    def forward(self, history: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return interest vectors [N, WIDTH] of histories [N, L]; what weighs 0 is filling."""
        pooled = (self.seen(history) * weights[:, :, None]).sum(1)
        return self._interest(pooled, weights)

    def _interest(self, pooled: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        pooled = pooled / (weights.square().sum(1, keepdim=True).sqrt() + 1e-6)
        return torch.cat([pooled + self.deeper(pooled), torch.ones_like(pooled[:, :1])], 1)

    def vectors(self) -> torch.Tensor:
        """Return the films' vectors [films + 1, WIDTH]."""
        return torch.cat([self.offered.weight + self.kinds(self.genres), self.bias[:, None]], 1)

    def scores(self, counts: torch.Tensor) -> torch.Tensor:
        """Return the affinity to all films of people whose histories are rows [N, films + 1]."""
        return self._interest(counts @ self.seen.weight, counts) @ self.vectors().T

    def affinity(self, counts: np.ndarray) -> np.ndarray:
        """Return ``scores`` as ``Retrieve`` gives them."""
        with torch.inference_mode():
            return spread(self.scores(torch.from_numpy(counts))).numpy()


def spread(scores: torch.Tensor) -> torch.Tensor:
    """Return scores [N, films + 1] less their mean, over their deviation; place 0 is no film."""
    middle = scores[:, 1:].mean(1, keepdim=True)
    wide = (scores[:, 1:] - middle).square().mean(1, keepdim=True).sqrt()
    return (scores - middle) / wide


def train(counts: np.ndarray, genres: np.ndarray, seed: int = 0) -> Towers:
    """Train the towers on a table of people and films that holds how much each rating counts."""
    torch.set_num_threads(1)  # these are small tables: more threads wait for each other
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    rows = torch.from_numpy(counts[counts.any(axis=1)])
    towers = Towers(torch.from_numpy(genres))
    with torch.no_grad():
        towers.bias.copy_(torch.log1p(rows.sum(0)))
    optimizer = torch.optim.AdamW(towers.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(rows) // PEOPLE_AT_ONCE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in progress(range(EPOCHS), "training"):
        for part in torch.randperm(len(rows), generator=chance).split(PEOPLE_AT_ONCE):
            loss = _loss(towers, rows[part], chance)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return towers.eval()


def _loss(towers: Towers, rows: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Show a part of each history; the rest of it should be likelier than all other films."""
    low, high = SHOWN
    share = low * (high / low) ** torch.rand(len(rows), 1, generator=chance)
    shown = torch.rand(rows.shape, generator=chance) < share
    scores = towers.scores(rows * shown).masked_fill(shown & (rows > 0), -30.0)
    rest = rows * ~shown
    likely = torch.log_softmax(scores, 1)
    return (-(rest * likely).sum(1) / (rest.sum(1) + 1)).mean()


class Retrieve(nn.Module):
    """Interest vector -> the films of largest affinity among those allowed, in its spread over all films."""

    def __init__(self, vectors: torch.Tensor, candidates: int) -> None:
        super().__init__()
        self.candidates = candidates
        self.register_buffer("vectors", vectors)

    def forward(
        self, interest: torch.Tensor, allowed: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores = spread(interest @ self.vectors.T)
        best = torch.where(allowed, scores, -1000.0).topk(self.candidates, dim=1)
        return best.indices, best.values


class Rank(nn.Module):
    """Candidates -> score, 0 to 1, and the film of the history that speaks most for each, 0 for none."""

    def __init__(self, weights: torch.Tensor, blend: Sequence[float]) -> None:
        super().__init__()
        self.size = len(weights)
        self.register_buffer("weights", weights.reshape(-1))
        self.mix, self.slope, self.constant = (float(x) for x in blend)

    def forward(
        self,
        history: torch.Tensor,
        weights: torch.Tensor,
        candidates: torch.Tensor,
        affinity: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = self.weights[history[:, :, None] * self.size + candidates[:, None, :]]
        said = pairs * weights[:, :, None]
        score = self.slope * (said.sum(1) + self.mix * affinity) + self.constant
        most, place = said.max(1)
        return torch.sigmoid(score), torch.where(most > 0, history.gather(1, place), 0)


@dataclass(frozen=True, slots=True)
class Export:
    """A module to export: names of its inputs and outputs, and the names of their free axes."""

    name: str
    module: nn.Module
    inputs: dict[str, tuple[str | int, ...]]
    outputs: tuple[str, ...]
    example: tuple[torch.Tensor, ...]


def exports(
    towers: Towers, weights: np.ndarray, blend: Sequence[float], candidates: int
) -> list[Export]:
    """Return the three models of the pipeline."""
    size = len(weights)
    chance = torch.Generator().manual_seed(1)
    history = torch.randint(1, size, (3, 17), generator=chance)
    counts = torch.rand(3, 17, generator=chance)
    allowed = torch.rand(3, size, generator=chance) < 0.9
    retrieve = Retrieve(towers.vectors().detach(), candidates)
    interest = towers(history, counts).detach()
    past = {"history": ("batch", "films"), "weights": ("batch", "films")}
    return [
        Export("interest", towers, past, ("interest",), (history, counts)),
        Export(
            "retrieve", retrieve, {"interest": ("batch",), "allowed": ("batch",)},
            ("candidates", "affinity"), (interest, allowed),
        ),
        Export(
            "rank", Rank(torch.from_numpy(weights), blend),
            {**past, "candidates": ("batch",), "affinity": ("batch",)},
            ("score", "because"), (history, counts, *retrieve(interest, allowed)),
        ),
    ]  # fmt: skip


def export(one: Export, file: Path, answer: Callable[[Path, dict], Sequence[np.ndarray]]) -> None:
    """Write an ONNX file; ``answer(file, inputs)`` runs it, and must give what the module gives."""
    axes = {name: dict(enumerate(free)) for name, free in one.inputs.items()}
    axes |= {name: {0: "batch"} for name in one.outputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that needs no further package
        torch.onnx.export(
            one.module, one.example, str(file), input_names=[*one.inputs], dynamo=False,
            output_names=[*one.outputs], dynamic_axes=axes, opset_version=OPSET,
        )  # fmt: skip
    with torch.inference_mode():
        expected = one.module(*one.example)
    expected = expected if isinstance(expected, tuple) else (expected,)
    given = {k: v.numpy() for k, v in zip(one.inputs, one.example, strict=True)}
    for name, ours, theirs in zip(one.outputs, answer(file, given), expected, strict=True):
        apart = float(np.abs(ours - theirs.numpy()).max())
        if not apart <= CLOSE:
            raise SystemExit(f"{one.name}: {name} of the exported file differs by {apart}")
