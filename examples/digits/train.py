"""Train the digits network on MNIST.

    python -m examples.digits.train --output digits.pt

The same seed gives the same weights on the same machine: data order, initial weights and the
number of threads are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from examples.digits.model import DigitsNet
from nanotool.datasets import Dataset, load_mnist

EPOCHS, SEED, BATCH, THREADS = 5, 1, 128, 2
LEARNING_RATE = 4e-3

Report: TypeAlias = Callable[[int, int], None]  # (batches done, batches in all)


def train(
    epochs: int = EPOCHS,
    seed: int = SEED,
    progress: Report | None = None,
    data: Dataset | None = None,
) -> tuple[DigitsNet, float]:
    """A trained network in eval mode, and its accuracy on the test images (0..1).

    Adam under a one-cycle learning rate. Torch's global random state and thread count are as before
    afterwards.
    """
    data = data or load_mnist()
    images, digits = torch.tensor(data.train_x), torch.tensor(data.train_y)
    with _reproducible(seed):
        model = DigitsNet().train()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        per_epoch = -(-len(images) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=max(1, epochs * per_epoch)
        )
        loss_of = nn.CrossEntropyLoss()
        for step, chosen in enumerate(_batches(len(images), epochs)):
            optimizer.zero_grad()
            loss_of(model(images[chosen]), digits[chosen]).backward()
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, epochs * per_epoch)
        return model.eval(), evaluate(model, data)


def evaluate(model: nn.Module, data: Dataset | None = None) -> float:
    """Share of the test images (0..1) that ``model`` gets right in eval mode."""
    data = data or load_mnist()
    was_training = model.training
    model.eval()
    with torch.no_grad():
        pieces = torch.split(torch.tensor(data.test_x), 1000)
        answers = torch.cat([model(piece).argmax(dim=1) for piece in pieces])
    model.train(was_training)
    return float((answers == torch.tensor(data.test_y)).double().mean())


def _batches(count: int, epochs: int) -> Iterator[torch.Tensor]:
    for _ in range(epochs):
        yield from torch.split(torch.randperm(count), BATCH)


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Fixed random numbers and threads inside; as before afterwards."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(THREADS)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def main() -> None:
    """Train and save the state dict."""
    parser = argparse.ArgumentParser(description="Train the digits network on MNIST.")
    parser.add_argument(
        "--output", type=Path, default=Path("digits.pt"), help="state dict to write"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("Training", total=None)
        model, accuracy = train(
            arguments.epochs,
            arguments.seed,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    temporary = arguments.output.with_suffix(".part")
    torch.save(model.state_dict(), temporary)
    temporary.replace(arguments.output)
    print(f"{accuracy:.2%} of the test images right; weights in {arguments.output}")


if __name__ == "__main__":
    main()
