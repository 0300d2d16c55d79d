"""Articles of clothing: Fashion-MNIST's 28x28 pixels to ten classes.

    python -m examples.task07_fashion

Three stages of 3x3 convolution with batch normalization, ReLU and 2x2 max pool, then a dense layer.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from examples.flow import main
from examples.task import Recipe, Task
from nanotool.datasets import load_fashion


def network() -> nn.Module:
    """N x 1 x 28 x 28, pixels 0..1, to N x 10 logits."""
    return nn.Sequential(
        *_stage(1, 12),
        *_stage(12, 24),
        *_stage(24, 48),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(48 * 3 * 3, 10),
    )


def _stage(in_channels: int, out_channels: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(), nn.MaxPool2d(2)]


def mirrored(images: torch.Tensor) -> torch.Tensor:
    """Half of the batches as seen in a mirror."""
    return images.flip(3) if torch.rand(()) < 0.5 else images


TASK = Task(
    name="fashion",
    title="Articles of clothing (Fashion-MNIST)",
    load=load_fashion,
    network=network,
    recipe=Recipe(epochs=8, learning_rate=6e-3, weight_decay=0.01, augment=mirrored),
    goal=0.90,
    most_lost=0.003,
    short_goal=0.65,
)

if __name__ == "__main__":
    sys.exit(main(TASK))
