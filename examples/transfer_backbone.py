"""The backbone of examples.transfer: it sees 0 to 7 only, and its features shall serve for digits
that it has never seen.

Trained to tell eight digits apart it would keep what tells just these apart. So half of the
images it sees are put together from two digits, the top of one and the bottom of another, or left
and right, and it has to name both: features become those of parts. All are turned, scaled, sheared
and moved a little.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from examples.flow import Show

OLD, FEATURES = 8, 64
EPOCHS, BATCH, RATE, SEED = 4, 128, 4e-3, 1
TURN, SCALE, SHEAR, MOVE = 0.35, 0.2, 0.25, 0.15  # radians, share, share, half images


def network() -> nn.Sequential:
    """N x 1 x 28 x 28, pixels 0..1, to N x 8 logits; 64 features before the layer `head`."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 8, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            features=nn.Linear(784, FEATURES),
            relu3=nn.ReLU(),
            head=nn.Linear(FEATURES, OLD),
        )
    )


def fit(x: NDArray[Any], y: NDArray[Any], epochs: int, show: Show) -> nn.Sequential:
    """The network trained on ``x`` [n, 1, 28, 28] with labels 0 to 7, in eval mode. The same seed
    gives the same weights on the same machine."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        torch.set_num_threads(1)
        try:
            return _fit(torch.tensor(x), torch.tensor(y), epochs, show)
        finally:
            torch.set_num_threads(threads)


def _fit(x: torch.Tensor, y: torch.Tensor, epochs: int, show: Show) -> nn.Sequential:
    model, parts = network().train(), nn.Linear(FEATURES, 4 * OLD)
    weights = [*model.parameters(), *parts.parameters()]
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=1e-2)
    total, step = epochs * -(-len(x) // BATCH), 0
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=total)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(x)), BATCH):
            optimizer.zero_grad()
            _loss(model, parts, _varied(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
            step += 1
            show(step, total)
    return model.eval()


def _loss(model: nn.Sequential, parts: nn.Linear, x: torch.Tensor, y: torch.Tensor) -> Any:
    """Half of the batch becomes composed images; ``parts`` names their top, bottom, left, right."""
    half = len(x) // 2
    mates = torch.randperm(half)
    edge = torch.randint(10, 19, (half, 1, 1, 1))
    upright = torch.rand(half, 1, 1, 1) < 0.5
    pixels = torch.arange(28)
    above = (pixels.view(1, 1, 28, 1) < edge).expand(half, 1, 28, 28)
    before = (pixels.view(1, 1, 1, 28) < edge).expand(half, 1, 28, 28)
    mask = torch.where(upright, above, before)
    images = torch.cat([torch.where(mask, x[:half], x[:half][mates]), x[half:]])
    second = torch.cat([y[:half][mates], y[half:]])
    features = model[:-1](images)
    whole = torch.ones(len(x) - half, dtype=torch.bool)
    top_bottom = torch.cat([upright.view(-1), whole])
    left_right = torch.cat([~upright.view(-1), whole])
    loss = 0.5 * cross_entropy(model[-1](features[half:]), y[half:])
    named = parts(features).split(OLD, dim=1)
    for logits, which, label in zip(
        named, (top_bottom, top_bottom, left_right, left_right), (y, second, y, second), strict=True
    ):
        loss = loss + 0.5 * cross_entropy(logits[which], label[which])
    return loss


def _varied(x: torch.Tensor) -> torch.Tensor:
    """Each image turned, scaled, sheared and moved by chance."""
    count = len(x)

    def chance(reach: float) -> torch.Tensor:
        return (torch.rand(count) * 2 - 1) * reach

    angle, scale, wide = chance(TURN), 1 + chance(SCALE), 1 + chance(SCALE / 2)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [
        torch.stack([cosine * wide, chance(SHEAR) - sine, chance(MOVE)], 1),
        torch.stack([sine * wide, cosine, chance(MOVE)], 1),
    ]
    grid = affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return grid_sample(x, grid, align_corners=False)
