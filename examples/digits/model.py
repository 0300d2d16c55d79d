"""A small convolutional network for 28x28 digits: 290,080 MACs, 9,098 parameters."""

from __future__ import annotations

import torch
from torch import nn


class DigitsNet(nn.Module):
    """N x 1 x 28 x 28, pixels 0..1, to N x 10 logits.

    Two stages of 3x3 convolution, ReLU and 2x2 max pool, then a dense layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits; the class is the largest."""
        logits: torch.Tensor = self.classifier(self.features(x).flatten(1))
        return logits
