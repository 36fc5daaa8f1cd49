"""A backbone of a few thousand parameters, so that tests run the whole bench in moments."""

import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """Five stages of convolution, ReLU and (but for the first) stride 2; 8 channels each."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(3 if index == 0 else 8, 8, 3, stride=1 if index == 0 else 2, padding=1),
                nn.ReLU(),
            )
            for index in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, 8, H/16, W/16)."""
        for stage in self.stages:
            x = stage(x)
        return x


def tiny() -> Tiny:
    """Return the network, randomly initialised; its maps neither vanish nor grow with depth."""
    model = Tiny()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(torch.as_tensor(module.bias))
    return model
