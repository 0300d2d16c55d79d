"""Handwritten digits: MNIST's 28x28 pixels to ten classes, 290,080 MACs.

    python -m examples.task06_digits      (./dev demo is the same)

Two stages of 3x3 convolution, ReLU and 2x2 max pool, then a dense layer.
"""

from __future__ import annotations

import sys

from torch import nn

from examples.flow import main
from examples.task import Recipe, Task
from nanotool.datasets import load_mnist


def network() -> nn.Module:
    """N x 1 x 28 x 28, pixels 0..1, to N x 10 logits."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 10),
    )


TASK = Task(
    name="digits",
    title="Handwritten digits (MNIST)",
    load=load_mnist,
    network=network,
    recipe=Recipe(epochs=5, learning_rate=4e-3),
    goal=0.988,
    most_lost=0.002,
    short_epochs=2,
    short_goal=0.8,
)

if __name__ == "__main__":
    sys.exit(main(TASK))
