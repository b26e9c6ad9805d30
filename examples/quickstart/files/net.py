"""The network of the wine model; ``model.yaml`` names it as its factory."""

import torch


class Net(torch.nn.Module):
    """13 measurements of a wine -> scores of 3 cultivars.

    Mean and spread of the training data are buffers, so they travel in the state dict.
    """

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(13))
        self.register_buffer("spread", torch.ones(13))
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(13, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return unnormalised scores, ``[batch, 3]``."""
        return self.layers((x - self.mean) / self.spread)
