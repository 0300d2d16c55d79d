"""PyTorch modules of every kind that is captured, small: name -> (module, input shape).

`FINE` are those whose int8 output is within a few steps of the float one; `ROUGH` are right, too,
but a function of theirs is steep near 0, or they chain several roundings.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from float_nets import settle
from torch import nn

IMAGE, SIGNAL, VECTOR = (4, 6, 8), (4, 12), (12,)
torch.manual_seed(0)  # of the weights below


class Forward(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function: Callable[..., torch.Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.layers)


def conv(inputs: int = 4, outputs: int = 4, **more: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)  # type: ignore[arg-type]


class Residual(nn.Module):
    """A block with a shortcut, its own 1x1 convolution where channels change."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class SqueezeExcite(nn.Module):
    """Channels weighted by a gate that sees them all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, channels // 2)
        self.up = nn.Linear(channels // 2, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.up(torch.relu(self.down(x.mean((2, 3)))))
        return x * torch.sigmoid(gate).view(-1, x.shape[1], 1, 1).expand_as(x)


class Dense(nn.Module):
    """Each layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = conv(4, 3), conv(7, 2)
        self.norm = nn.BatchNorm2d(9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([x, self.one(x)], 1)
        x = torch.cat([x, self.two(x)], 1)
        return torch.relu(self.norm(x))


class UNet(nn.Module):
    """Down, up again, and across."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle, self.last = conv(4, 6), conv(6, 6), conv(10, 3)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = F.max_pool2d(torch.relu(self.down(x)), 2)
        return self.last(torch.cat([x, self.up(torch.relu(self.middle(low)))], 1))  # type: ignore


class WithParameters(nn.Module):
    """Constants of every shape in arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator))

        self.plane, self.channel = parameter(6, 8), parameter(4, 1, 1)
        self.whole, self.row = parameter(1, 4, 6, 8), parameter(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.plane + self.channel
        return torch.maximum(self.whole - x, self.row)


FINE: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    # Signals
    "conv1d": (nn.Conv1d(4, 5, 3, stride=2, padding=1), SIGNAL),
    "conv1d same": (nn.Conv1d(4, 6, 4, padding="same", dilation=2, groups=2), SIGNAL),
    "conv1d net": (
        nn.Sequential(
            *(nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(6, 8, 3), nn.ReLU6(), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
            nn.Linear(8, 3),
        ),
        SIGNAL,
    ),
    "max pool 1d": (nn.MaxPool1d(3, 2, padding=1), SIGNAL),
    "avg pool 1d": (nn.AvgPool1d(3, 2, padding=1), SIGNAL),
    "adaptive avg pool 1d": (nn.AdaptiveAvgPool1d(4), SIGNAL),
    "adaptive max pool 1d": (nn.AdaptiveMaxPool1d(3), SIGNAL),
    "batch norm 1d": (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4)), SIGNAL),
    "upsample 1d": (nn.Upsample(scale_factor=3), SIGNAL),
    "upsample linear": (nn.Upsample(scale_factor=2, mode="linear"), SIGNAL),
    "conv transpose 1d": (nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1), SIGNAL),
    # Transposed convolution, groups
    "conv transpose": (nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "conv transpose plain": (nn.ConvTranspose2d(4, 3, (2, 3), bias=False), IMAGE),
    "conv transpose gap": (nn.ConvTranspose2d(4, 3, 2, stride=3, output_padding=2), IMAGE),
    "conv transpose net": (
        nn.Sequential(
            *(nn.ConvTranspose2d(4, 5, 4, 2, 1), nn.BatchNorm2d(5), nn.ReLU(), conv(5, 2)),
        ),
        IMAGE,
    ),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), IMAGE),
    "depthwise separable": (nn.Sequential(conv(4, 8, groups=4), nn.Conv2d(8, 5, 1)), IMAGE),
    # Batch norm and affine functions
    "batch norm": (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)), IMAGE),
    "normalized input": (Forward(lambda x, c: c((x - 0.5) / 0.25), conv()), IMAGE),
    "scaled input": (Forward(lambda x, c: c(x / 255), conv()), IMAGE),
    "scaled vector": (Forward(lambda x, f: f(x.flatten(1) / 255 - 1), nn.Linear(192, 3)), IMAGE),
    "scaled twice": (Forward(lambda x: (2 * x - 1) * 0.5), IMAGE),
    "negated": (Forward(lambda x: -x), IMAGE),
    "number": (Forward(lambda x: 1 - x), VECTOR),
    "scale behind pool": (Forward(lambda x, c: F.avg_pool2d(c(x), 2) * 3 + 1, conv()), IMAGE),
    "temperature": (Forward(lambda x, f: (f(x) / 3).softmax(1), nn.Linear(12, 5)), VECTOR),
    "softmax of scaled": (Forward(lambda x: (x * 0.5).softmax(1)), VECTOR),
    # Pools and means
    "global average": (nn.AdaptiveAvgPool2d(1), IMAGE),
    "adaptive average": (nn.AdaptiveAvgPool2d((3, 4)), IMAGE),
    "adaptive maximum": (nn.AdaptiveMaxPool2d((2, 1)), IMAGE),
    "avg pool counts padding": (nn.AvgPool2d(3, 2, padding=1), IMAGE),
    "avg pool ceil": (nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), (4, 6, 7)),
    "avg pool divisor": (nn.AvgPool2d(2, divisor_override=3), IMAGE),
    "mean rows": (Forward(lambda x: x.mean(3)), IMAGE),
    "mean channels": (Forward(lambda x: x.mean(1, keepdim=True)), IMAGE),
    "mean all": (Forward(lambda x: x.mean((1, 2, 3))), IMAGE),
    "mean of a vector": (Forward(lambda x: x.flatten(1).mean(1)), IMAGE),
    "sum": (Forward(lambda x: x.sum((2, 3))), IMAGE),
    "global maximum": (Forward(lambda x: x.amax((2, 3))), IMAGE),
    # Resizing
    "upsample": (nn.Upsample(scale_factor=2), IMAGE),
    "upsample size": (nn.Upsample(size=(7, 5)), IMAGE),
    "upsample exact": (nn.Upsample(size=(7, 5), mode="nearest-exact"), IMAGE),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "bilinear down": (Forward(lambda x: F.interpolate(x, (3, 5), mode="bilinear")), IMAGE),
    "bilinear corners": (nn.Upsample(size=(9, 11), mode="bilinear", align_corners=True), IMAGE),
    "pixel shuffle": (nn.PixelShuffle(2), IMAGE),
    "pixel unshuffle": (nn.PixelUnshuffle(2), IMAGE),
    "channel shuffle": (nn.Sequential(conv(), nn.ChannelShuffle(2), conv()), IMAGE),
    # Two tensors
    "add": (Forward(lambda x, a, b: a(x) + b(x), conv(), conv()), IMAGE),
    "add in place": (Forward(lambda x, a, b: a(x).add_(b(x), alpha=0.5), conv(), conv()), IMAGE),
    "subtract": (Forward(lambda x, a: a(x) - x, conv()), IMAGE),
    "multiply": (Forward(lambda x, a: a(x) * x, conv()), IMAGE),
    "twice": (Forward(lambda x, a: a(x + x), conv()), IMAGE),
    "maximum": (Forward(lambda x, a, b: torch.maximum(a(x), b(x)), conv(), conv()), IMAGE),
    "minimum": (Forward(lambda x, a: torch.min(a(x), x), conv()), IMAGE),
    "outer sum": (
        Forward(lambda x: x.mean(3, keepdim=True) + x.mean((1, 2), keepdim=True)),
        IMAGE,
    ),
    "bounds": (
        Forward(lambda x: x.clamp(min=torch.tensor(-0.25), max=torch.linspace(0.5, 1, 8))),
        IMAGE,
    ),
    "gate": (SqueezeExcite(4), IMAGE),
    "parameters": (WithParameters(), IMAGE),
    "positional": (Forward(lambda x: x + torch.linspace(0, 1, 48).view(1, 4, 12)), SIGNAL),
    "vector product": (
        Forward(lambda x, f: f(x.flatten(1)) * x.flatten(1), nn.Linear(48, 48)),
        SIGNAL,
    ),
    # Joining and cutting
    "cat": (Forward(lambda x, a: torch.cat([a(x), x, a(x).relu()], 1), conv()), IMAGE),
    "cat rows": (Forward(lambda x, a: torch.cat([a(x), x], 2), conv()), IMAGE),
    "cat constant": (
        Forward(lambda x: torch.cat([x, torch.ones(1, 3).expand(len(x), -1)], 1)),
        VECTOR,
    ),
    "cat sigmoids": (Forward(lambda x: torch.cat([x.sigmoid(), (-x).sigmoid()], 1)), VECTOR),
    "cat mixed": (Forward(lambda x: torch.cat([x.sigmoid(), x], 1)), VECTOR),
    "cat vectors": (
        Forward(
            lambda x, a, f: f(torch.cat([x.flatten(1), a(x).flatten(1)], 1)),
            *(conv(), nn.Linear(384, 5)),
        ),
        IMAGE,
    ),
    "stack": (Forward(lambda x: torch.stack([x, x.relu()], 2)), SIGNAL),
    "chunk": (Forward(lambda x: x.chunk(2, 1)[1] - x.chunk(2, 1)[0]), IMAGE),
    "split": (Forward(lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1)), IMAGE),
    "glu": (Forward(lambda x, a: _glu(a(x)), conv(4, 8)), IMAGE),
    "slice": (Forward(lambda x: x[:, 1:3]), IMAGE),
    "slice all": (Forward(lambda x: x[:, ::2, 1:-1, 1::3]), IMAGE),
    "select": (Forward(lambda x: x[:, -1]), IMAGE),
    "unbind": (Forward(lambda x: x.unbind(2)[0] + x.unbind(2)[5]), IMAGE),
    "narrow": (Forward(lambda x: x.narrow(-1, 2, 3)), IMAGE),
    "slice of a vector": (Forward(lambda x: x.flatten(1)[:, 5:50:4]), IMAGE),
    "zero pad": (nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "constant pad": (nn.ConstantPad2d(1, 1.5), IMAGE),
    "constant pad of a sigmoid": (nn.Sequential(nn.Sigmoid(), nn.ConstantPad1d(2, 3.0)), SIGNAL),
    "crop": (Forward(lambda x: F.pad(x, (-1, 2, -2, 0))), IMAGE),
    "pad and convolve": (nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 3, 3, 2)), IMAGE),
    "repeat": (Forward(lambda x: x.repeat(1, 2, 1, 3)), IMAGE),
    "expand": (Forward(lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 6, 8)), IMAGE),
    "movedim": (Forward(lambda x: x.movedim(1, -1).relu()), IMAGE),
    # Functions
    "prelu": (nn.PReLU(), IMAGE),
    "prelu channels": (nn.PReLU(4, init=-0.3), IMAGE),
    "leaky relu": (nn.LeakyReLU(0.2), IMAGE),
    "rrelu": (nn.RReLU(), IMAGE),
    "hardswish": (nn.Hardswish(), IMAGE),
    "hardsigmoid": (nn.Hardsigmoid(), IMAGE),
    "silu": (nn.SiLU(), IMAGE),
    "gelu": (nn.GELU(), IMAGE),
    "gelu tanh": (nn.GELU(approximate="tanh"), IMAGE),
    "elu": (nn.ELU(), IMAGE),
    "elu alpha": (nn.ELU(0.5), IMAGE),
    "selu": (nn.SELU(), IMAGE),
    "celu": (nn.CELU(0.7), IMAGE),
    "exp": (Forward(lambda x: torch.exp(x * 0.5)), IMAGE),
    "abs": (Forward(torch.abs), IMAGE),
    "mish": (nn.Mish(), IMAGE),
    "layer norm of images": (nn.LayerNorm((4, 6, 8)), IMAGE),
    "rms norm": (nn.RMSNorm(12), SIGNAL),
    "group norm": (nn.GroupNorm(2, 4), IMAGE),
    "instance norm": (nn.InstanceNorm1d(4, affine=True), SIGNAL),
    "product": (Forward(lambda x, f: f(x) @ x.transpose(1, 2), nn.Linear(12, 12)), SIGNAL),
    "einsum": (
        Forward(lambda x, f: torch.einsum("bcl,bdl->bdc", x, f(x)), nn.Linear(12, 12)),
        SIGNAL,
    ),
    "maximum of channels": (Forward(lambda x, a: a(x).amax(1, keepdim=True), conv()), IMAGE),
    "smallest": (Forward(lambda x: x.min(2).values), IMAGE),
    "reflect": (nn.ReflectionPad2d((1, 2, 3, 0)), IMAGE),
    "circular": (nn.Conv1d(4, 3, 3, padding=2, padding_mode="circular"), SIGNAL),
    "replicate": (nn.ReplicationPad1d(3), SIGNAL),
    "flip": (Forward(lambda x: x.flip(1, 3)), IMAGE),
    "einsum of rows": (Forward(lambda x: torch.einsum("bcl,bcl->bc", x, x)), SIGNAL),
    "einsum of three": (
        Forward(lambda x: torch.einsum("bcl,bdl,bc->bd", x, x, x.mean(2))),
        SIGNAL,
    ),
    "index of two axes": (
        Forward(lambda x: x[:, :, torch.tensor([[0], [3], [5]]), torch.tensor([7, 1])]),
        IMAGE,
    ),
    "joined axes by one of them": (
        Forward(lambda x: x.flatten(2).flip(2).view(x.shape) * torch.linspace(-1, 2, 6)[:, None]),
        IMAGE,
    ),
    "unfold": (Forward(lambda x: x.unfold(2, 5, 3)), SIGNAL),
    "var_mean": (Forward(lambda x: torch.add(*torch.var_mean(x, 2))), SIGNAL),
    "broadcast_to": (Forward(lambda x: x[:, :1].broadcast_to(x.shape)), SIGNAL),
    "decomposed": (
        Forward(lambda x: torch.hstack([x.tril(), torch.lerp(x, x.fliplr(), 0.3)]).logsumexp(1)),
        SIGNAL,
    ),
    "causal attention": (
        Forward(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
        SIGNAL,
    ),
    "index": (Forward(lambda x: x[:, [2, 0, 0]][:, :, [1, -1]]), IMAGE),
    "uneven adaptive average": (nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    "uneven adaptive maximum": (nn.AdaptiveMaxPool2d((5, 3)), IMAGE),
    "glu module": (nn.GLU(1), IMAGE),
    "conv transpose groups": (nn.ConvTranspose2d(4, 6, 3, 2, groups=2, dilation=2), IMAGE),
    "softplus": (nn.Softplus(2), IMAGE),
    "sine": (Forward(torch.sin), IMAGE),
    "power": (Forward(lambda x: 2 ** x.abs().pow(1.5)), IMAGE),
    "reciprocal": (Forward(lambda x: 3 / (x.abs() + 2)), IMAGE),
    "choice": (Forward(lambda x, a: torch.where((y := a(x)) > x, y, x), conv()), IMAGE),
    "choice of one": (Forward(lambda x: torch.where(x > 0, x, 0.1 * x)), IMAGE),
    "masked": (Forward(lambda x: x.masked_fill(torch.eye(6, 8) > 0, 2.0)), IMAGE),
    "square": (Forward(lambda x: x**2), IMAGE),
    "product with itself": (Forward(lambda x: x * x), IMAGE),
    "log softmax": (nn.LogSoftmax(1), VECTOR),
    "cumulative sum": (Forward(lambda x: x.cumsum(1)), VECTOR),
    "cumulative sum of rows": (nn.Sequential(conv(), Forward(lambda x: x.cumsum(-2))), IMAGE),
    "log softmax of channels": (nn.Sequential(conv(), nn.LogSoftmax(1)), IMAGE),
    "matrix": (Forward(lambda x: x @ torch.linspace(-1, 1, 36).view(12, 3)), VECTOR),
    # Transposes that cost nothing
    "time steps": (
        Forward(lambda x, f: f(x.transpose(1, 2)).transpose(1, 2), nn.Linear(4, 5)),
        SIGNAL,
    ),
    "channels last": (Forward(lambda x, a: a(x.permute(0, 3, 1, 2)), conv(4, 3)), (6, 8, 4)),
    # Whole nets
    "residual": (Residual(4, 4), IMAGE),
    "residual stride": (nn.Sequential(Residual(4, 6, 2), Residual(6, 6)), IMAGE),
    "dense net": (Dense(), IMAGE),
    "u-net": (UNet(), IMAGE),
    "shared module": (Forward(lambda x, a: a(a(x).relu()), conv()), IMAGE),
}

ROUGH: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "logic": (Forward(lambda x: ((x > 0) & ~(x > 2)).float() * (2 * x - x * x)), IMAGE),
    "layer norm": (nn.Sequential(nn.Linear(12, 8), nn.LayerNorm(8)), SIGNAL),
    "layer norm of channels": (
        Forward(lambda x, n: n(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.LayerNorm(4)),
        IMAGE,
    ),
    "attention": (nn.Sequential(nn.TransformerEncoderLayer(12, 2, 16, batch_first=True)), SIGNAL),
    "deviation": (Forward(lambda x: x.std(2)), SIGNAL),
    "normalized": (Forward(lambda x: F.normalize(x, dim=1)), SIGNAL),
    "quotient": (Forward(lambda x, a: x / (a(x).abs() + 1), conv()), IMAGE),
    "sqrt": (Forward(lambda x: torch.sqrt(x.abs())), IMAGE),
    "rsqrt": (Forward(lambda x: torch.rsqrt(x.square() + 0.5)), IMAGE),
    "log": (Forward(lambda x: torch.log(x.abs() + 0.25)), IMAGE),
    "norm": (Forward(lambda x: x * torch.rsqrt((x * x).mean((1, 2, 3), True) + 0.1)), IMAGE),
}

EVERY = {**FINE, **ROUGH}
for _model, _shape in EVERY.values():
    settle(_model)


def _glu(x: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, 1)
    return a * b.sigmoid()
