"""Random PyTorch networks with branches, residuals, joins and moves, by a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from float_nets import settle
from torch import nn

Step = tuple[Callable[..., torch.Tensor], tuple[int, ...]]  # function, the tensors that it reads
MAX_ELEMENTS = 600  # of one tensor


class RandomNet(nn.Module):
    """Steps that each read some of the tensors before; the last one is the output."""

    def __init__(self, seed: int, count: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.shape = (int(self.rng.integers(1, 5)), *map(int, self.rng.integers(3, 8, 2)))
        self.layers = nn.ModuleList()
        self.steps: list[Step] = []
        self.probes = [torch.randn(8, *self.shape)]
        while len(self.steps) < count:
            self._grow()
        self._finish()
        settle(self, seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tensors = [x]
        for function, inputs in self.steps:
            tensors.append(function(*(tensors[i] for i in inputs)))
        return tensors[-1]

    # --- Growing ---------------------------------------------------------------------------------

    def _add(self, function: Callable[..., torch.Tensor], *inputs: int) -> int:
        """One more step; the number of its tensor."""
        if isinstance(function, nn.Module):
            self.layers.append(settle(function))
        with torch.no_grad():
            self.probes.append(function(*(self.probes[i] for i in inputs)))
        self.steps.append((function, inputs))
        return len(self.probes) - 1

    def _pick(self) -> int:
        """A tensor, rather a late one."""
        count = len(self.probes)
        return int(count - 1 - min(self.rng.geometric(0.5) - 1, count - 1))

    def _grow(self) -> None:
        source = self._pick()
        x = self.probes[source]
        choices = (IMAGE_STEPS if x.ndim == 4 else ROW_STEPS) + ANY_STEPS + BINARY_STEPS
        name, make = choices[self.rng.integers(len(choices))]
        if make is None:
            self._join(name, source)
            return
        function = make(self.rng, x)
        if function is None:
            return
        with torch.no_grad():
            y = function(x)
        if 0 < y[0].numel() <= MAX_ELEMENTS and float(y.abs().max()) < 1e3 and y.ndim <= 4:
            self._add(function, source)

    def _join(self, name: str, source: int) -> None:
        """Two tensors of one shape: an older one, if there is one, or a layer of the same."""
        shape = self.probes[source].shape
        same = [i for i, x in enumerate(self.probes[:-1]) if x.shape == shape and i != source]
        other = int(self.rng.choice(same)) if same else self._add(_same_shape(shape), source)
        if name == "cat":
            axis = int(self.rng.integers(1, len(shape)))
            if 2 * shape[1:].numel() <= MAX_ELEMENTS:
                self._add(lambda a, b: torch.cat([a, b], axis), source, other)
            return
        functions: dict[str, Callable[..., torch.Tensor]] = {
            "add": torch.add,
            "sub": torch.sub,
            "mul": torch.mul,
            "maximum": torch.maximum,
            "minimum": torch.minimum,
        }
        self._add(functions[name], source, other)

    def _finish(self) -> None:
        """Half of the nets end in a classifier."""
        if self.rng.random() < 0.5:
            flat = self._add(lambda x: x.flatten(1), len(self.probes) - 1)
            self._add(nn.Linear(self.probes[flat].shape[1], 5), flat)


def _same_shape(shape: torch.Size) -> nn.Module:
    if len(shape) == 4:
        return nn.Conv2d(shape[1], shape[1], 3, padding=1)
    return nn.Linear(shape[-1], shape[-1])


Maker = Callable[[np.random.Generator, torch.Tensor], Any]


def _permuted(rng: np.random.Generator, x: torch.Tensor) -> Any:
    order = (0, *(1 + int(axis) for axis in rng.permutation(x.ndim - 1)))
    return lambda x: x.permute(order)


def _reshaped(rng: np.random.Generator, x: torch.Tensor) -> Any:
    sizes = list(x.shape[1:])
    if len(sizes) > 1 and rng.random() < 0.6:
        axis = int(rng.integers(len(sizes) - 1))
        sizes[axis : axis + 2] = [sizes[axis] * sizes[axis + 1]]
    else:
        axis = int(rng.integers(len(sizes)))
        divisors = [d for d in range(1, sizes[axis] + 1) if sizes[axis] % d == 0]
        first = int(rng.choice(divisors))
        sizes[axis : axis + 1] = [first, sizes[axis] // first]
    return lambda x: x.reshape(x.shape[0], *sizes)


def _sliced(rng: np.random.Generator, x: torch.Tensor) -> Any:
    axis = int(rng.integers(1, x.ndim))
    begin = int(rng.integers(x.shape[axis]))
    end, step = int(rng.integers(begin, x.shape[axis])) + 1, int(rng.integers(1, 3))
    index = (slice(None),) * axis + (slice(begin, end, step),)
    return lambda x: x[index]


def _padded(rng: np.random.Generator, x: torch.Tensor) -> Any:
    amounts = [int(amount) for amount in rng.integers(0, 3, 2 * int(rng.integers(1, x.ndim)))]
    value = float(rng.choice([0.0, 0.5]))
    return lambda x: F.pad(x, amounts, value=value)


def _meaned(rng: np.random.Generator, x: torch.Tensor) -> Any:
    axis = int(rng.integers(1, x.ndim))
    keep = x.ndim == 2 or bool(rng.random() < 0.5)
    return lambda x: x.mean(axis, keepdim=keep)


def _affine(rng: np.random.Generator, x: torch.Tensor) -> Any:
    kind = rng.integers(3)
    gain, offset = float(rng.uniform(-1.5, 1.5)), float(rng.choice([0.0, 0.25]))
    if kind == 0:
        return lambda x: gain * x + offset
    shape = (x.shape[1], *(1,) * (x.ndim - 2)) if kind == 1 else tuple(x.shape[1:])
    constant = torch.randn(shape)
    return lambda x: x * constant


def _layer(build: Callable[[torch.Tensor], nn.Module]) -> Maker:
    return lambda rng, x: build(x)


def _window(kind: type[nn.Module]) -> Maker:
    def make(rng: np.random.Generator, x: torch.Tensor) -> nn.Module | None:
        kernel = int(rng.integers(1, 4))
        if kernel > min(x.shape[2:]):
            return None
        return kind(
            kernel, stride=int(rng.integers(1, 3)), padding=int(rng.integers(0, kernel // 2 + 1))
        )

    return make


def _conv(rng: np.random.Generator, x: torch.Tensor) -> nn.Module | None:
    channels = x.shape[1]
    groups = int(rng.choice([1, 1, channels]))
    kernel = int(rng.integers(1, 4))
    if kernel > min(x.shape[2:]):
        return None
    outputs = groups * int(rng.integers(1, 3)) if groups > 1 else int(rng.integers(1, 7))
    padding = int(rng.integers(0, kernel))
    return nn.Conv2d(channels, outputs, kernel, int(rng.integers(1, 3)), padding, groups=groups)


def _gate(x: torch.Tensor) -> nn.Module:
    channels = x.shape[1]
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid()
    )


IMAGE_STEPS: list[tuple[str, Maker | None]] = [
    ("conv", _conv),
    ("conv", _conv),
    ("conv", _conv),
    ("norm", _layer(lambda x: nn.BatchNorm2d(x.shape[1]))),
    ("max pool", _window(nn.MaxPool2d)),
    ("avg pool", _window(nn.AvgPool2d)),
    ("up", _layer(lambda x: nn.Upsample(scale_factor=2))),
    ("up", _layer(lambda x: nn.Upsample(scale_factor=2, mode="bilinear"))),
    ("transposed", _layer(lambda x: nn.ConvTranspose2d(x.shape[1], 3, 2, stride=2))),
    ("prelu", _layer(lambda x: nn.PReLU(x.shape[1]))),
    ("shuffle", _layer(lambda x: nn.ChannelShuffle(2) if x.shape[1] % 2 == 0 else nn.ReLU())),
    ("gate", lambda rng, x: _gated(_gate(x))),
]
ROW_STEPS: list[tuple[str, Maker | None]] = [
    ("linear", _layer(lambda x: nn.Linear(x.shape[-1], 6))),
    ("linear", _layer(lambda x: nn.Linear(x.shape[-1], 9))),
    ("signal", _layer(lambda x: nn.Conv1d(x.shape[1], 4, 1) if x.ndim == 3 else nn.ReLU())),
    ("softmax", lambda rng, x: nn.Softmax(int(rng.integers(1, x.ndim)))),
]
FUNCTIONS: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.GELU, nn.LeakyReLU, nn.ELU),
)
ANY_STEPS: list[tuple[str, Maker | None]] = [
    *[("function", lambda rng, x: rng.choice(np.array(FUNCTIONS))())] * 8,
    ("permute", _permuted),
    ("reshape", _reshaped),
    ("slice", _sliced),
    ("pad", _padded),
    ("mean", _meaned),
    ("affine", _affine),
    ("affine", _affine),
]
BINARY_STEPS: list[tuple[str, Maker | None]] = [
    (name, None) for name in ("add", "add", "cat", "cat", "sub", "mul", "maximum", "minimum")
]


class _gated(nn.Module):
    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x * self.gate(x)
        return result
