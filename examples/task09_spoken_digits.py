"""Spoken digits: 13 MFCC over 40 frames to ten classes.

    python -m examples.task09_spoken_digits

Convolutions along time, then the mean over time.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from examples.flow import main
from examples.layers import conv1d_stage
from examples.task import Recipe, Task
from nanotool.datasets import load_spoken_digits

EARLIER, LATER = -4, 4  # frames
NOISE, GAIN = 0.1, 0.1  # standard deviations


def network() -> nn.Module:
    """N x 13 x 40 (coefficients, frames) to N x 10 logits."""
    return nn.Sequential(
        *conv1d_stage(13, 32, 5, 1),
        *conv1d_stage(32, 48, 5, 2),
        *conv1d_stage(48, 48, 3, 2),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(48, 10),
    )


def spoken_otherwise(recordings: torch.Tensor) -> torch.Tensor:
    """A batch a little earlier or later, each coefficient louder or softer, with noise."""
    shift = int(torch.randint(EARLIER, LATER + 1, ()))
    gain = 1 + GAIN * torch.randn(len(recordings), recordings.shape[1], 1)
    return recordings.roll(shift, dims=2) * gain + NOISE * torch.randn_like(recordings)


TASK = Task(
    name="spoken_digits",
    title="Spoken digits (FSDD)",
    load=load_spoken_digits,
    network=network,
    recipe=Recipe(
        epochs=30,
        learning_rate=6e-3,
        batch=64,
        weight_decay=0.02,
        label_smoothing=0.05,
        augment=spoken_otherwise,
    ),
    goal=0.97,
    most_lost=0.005,
    remark="The six speakers are in both parts of the data: strangers are recognized less well.",
    short_epochs=4,
    short_goal=0.5,
)

if __name__ == "__main__":
    sys.exit(main(TASK))
