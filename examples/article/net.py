"""Three inputs, one output: a weighted sum and a sigmoid."""

import torch


class Net(torch.nn.Module):
    """``[batch, 3]`` -> ``[batch, 1]``."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return values between 0 and 1."""
        return torch.sigmoid(self.layer(x))
