"""Train a task's network.

The same seed gives the same weights on the same machine: data order, initial weights and the
number of threads are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from examples.task import Recipe
from nanotool.datasets import Dataset
from nanotool.ir import FloatArray
from nanotool.progress import Progress

THREADS = 2


def fit(
    network: Callable[[], nn.Module],
    data: Dataset,
    recipe: Recipe,
    progress: Progress | None = None,
    threads: int = THREADS,
) -> nn.Module:
    """A trained network in eval mode. Torch's global random state and thread count are as before
    afterwards; ``progress`` counts batches."""
    x, y = torch.tensor(data.train_x), torch.tensor(data.train_y)
    with _reproducible(recipe.seed, threads):
        model = network().train()
        optimizer = torch.optim.AdamW(
            model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        total = recipe.epochs * -(-len(x) // recipe.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=max(1, total)
        )
        loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        for step, chosen in enumerate(_batches(len(x), recipe)):
            samples = x[chosen] if recipe.augment is None else recipe.augment(x[chosen])
            optimizer.zero_grad()
            loss_of(model(samples), y[chosen]).backward()
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, total)
        return model.eval()


def predict(model: nn.Module, x: FloatArray) -> NDArray[np.int64]:
    """The class that ``model``, in eval mode, gives each of ``x``."""
    with torch.no_grad():
        answers = [model(part).argmax(dim=1) for part in torch.split(torch.tensor(x), 1000)]
    return np.asarray(torch.cat(answers).numpy(), np.int64)


def _batches(count: int, recipe: Recipe) -> Iterator[torch.Tensor]:
    for _ in range(recipe.epochs):
        yield from torch.split(torch.randperm(count), recipe.batch)


@contextmanager
def _reproducible(seed: int, threads: int) -> Iterator[None]:
    """Fixed random numbers and threads inside; as before afterwards."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
