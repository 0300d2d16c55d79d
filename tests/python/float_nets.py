"""Small PyTorch networks and helpers for the tests of capture, passes and quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from nanotool.frontends.torch import capture
from nanotool.ir import FloatArray, Graph
from nanotool.passes import canonicalize
from nanotool.quantization import evaluate

TOLERANCE = 1e-5  # of the largest output, between two orders of summation in float32


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """``model`` in eval mode; batch norms get statistics and weights that are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            if module.running_mean is not None and module.running_var is not None:
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                nn.init.normal_(module.weight, 1, 0.5, generator=generator)
                nn.init.normal_(module.bias, 0, 0.5, generator=generator)
    return model.eval()


def random_input(*shape: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(model: nn.Module, x: NDArray[Any]) -> FloatArray:
    with torch.no_grad():
        result: FloatArray = model(torch.tensor(x)).numpy()
    return result


def device_order(x: NDArray[Any]) -> NDArray[Any]:
    """A batch of images as the device lays them out; anything else as it is."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def assert_close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert found.shape == expected.shape
    limit = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
    assert float(np.abs(found - expected).max(initial=0)) <= limit


def check(model: nn.Module, *shape: int, seed: int = 0) -> tuple[Graph, Graph]:
    """Capture and canonicalize ``model``; both graphs must compute what it does. Returns both."""
    x = random_input(5, *shape, seed=seed)
    expected = reference(model, x)
    captured = capture(model, torch.zeros(1, *shape))
    assert_close(evaluate(captured, x)[captured.output], expected)
    prepared = canonicalize(captured)
    assert prepared.channels_last
    assert_close(evaluate(prepared, x)[prepared.output], device_order(expected))
    return captured, prepared


class Block(nn.Module):
    """A nested module with functional calls."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)


class Functional(nn.Module):
    """Nested modules, functions and methods mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Block(2, 6)
        self.two = Block(6, 5)
        self.drop = nn.Dropout(0.3)
        self.hidden = nn.Linear(5 * 3 * 4, 12)
        self.out = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.two(self.one(x))
        x = F.dropout(self.drop(x), training=self.training)
        x = x.view(x.size(0), -1)
        x = self.hidden(x).clamp(-1.5, 2.5)
        return F.softmax(self.out(x), dim=1)
