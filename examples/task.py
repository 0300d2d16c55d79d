"""What a task says of itself: its data, its network, how to train it and what to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nanotool.datasets import Dataset
from nanotool.progress import Progress

# Batch [n, *sample shape] -> the same, varied. It draws from torch's own random numbers.
Augment = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: AdamW under a one-cycle learning rate, cross-entropy."""

    epochs: int
    learning_rate: float
    batch: int = 128
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: Augment | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Task:
    """One task, from data to device."""

    name: str  # also the model's, and the folder's in build/
    title: str
    load: Callable[[Progress], Dataset | tuple[Dataset, ...]]  # several: folds
    network: Callable[[], nn.Module]
    recipe: Recipe
    goal: float  # int8 accuracy to reach, 0..1; of folds the mean
    most_lost: float  # float accuracy minus int8 accuracy, at most
    remark: str = ""  # what to know about the figures
    samples: int = 200  # of the test part, sent to each board
    boards: tuple[str, ...] = ("native", "stm32")
    # For `--short`, where only the path is tried: epochs, and the accuracy of a path that works.
    short_epochs: int = 1
    short_goal: float = 0.5
