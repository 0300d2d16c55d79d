"""Wanted or unwanted mail: 2,048 hashed words to two classes.

    python -m examples.task10_spam

Two dense layers over how often words of each bucket occur (nanotool.datasets.spam has the hash).
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from examples.flow import main
from examples.task import Recipe, Task
from nanotool.datasets import load_spam

BUCKETS = 2048


def network() -> nn.Module:
    """N x 2,048 shares of a full count to N x 2 logits."""
    return nn.Sequential(nn.Linear(BUCKETS, 24), nn.ReLU(), nn.Dropout(0.4), nn.Linear(24, 2))


def words_left_out(mails: torch.Tensor) -> torch.Tensor:
    """A fifth of the buckets emptied, so that the network does not lean on a few words."""
    return nn.functional.dropout(mails, 0.2)


TASK = Task(
    name="spam",
    title="Wanted or unwanted mail (SpamAssassin)",
    load=load_spam,
    network=network,
    recipe=Recipe(
        epochs=12,
        learning_rate=4e-3,
        batch=64,
        weight_decay=0.05,
        augment=words_left_out,
    ),
    goal=0.98,
    most_lost=0.003,
    remark="Subject and text only; a mail that the training part has, too, is not asked for.",
    short_epochs=2,
    short_goal=0.85,
)

if __name__ == "__main__":
    sys.exit(main(TASK))
