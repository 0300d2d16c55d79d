# ruff: noqa: D102, N812, PLR0917  (forward is forward; blocks as papers write them)
"""Seventy PyTorch nets as people deploy them, small: which are captured, and how well int8 does.

    python -m bench.nets [--only WORD] [--record]

Each is written as its paper, or the code that people copy, writes it; weights are random (seeded),
batch norms have statistics. SQNR: float outputs against int8 ones over inputs that calibration did
not see. "same bytes": the simulator's and the C library's. bench/nets.json keeps the figures;
docs/operators.md quotes them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nanotool
from nanotool.errors import NanoError, NanoWarning

RECORD = Path(__file__).parent / "nets.json"
CALIBRATION, JUDGED, COMPARED = 256, 128, 4  # inputs
IMAGE, GRAY, SERIES, VECTOR = (3, 32, 32), (1, 28, 28), (6, 64), (24,)

Shapes = tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """One of them."""

    number: int
    name: str
    make: Callable[[], nn.Module]
    shape: Shapes


NETS: list[Net] = []


def net(name: str, shape: Shapes) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Register a function, or a class, that makes a net for inputs of ``shape``."""

    def register(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        NETS.append(Net(len(NETS) + 1, name, make, shape))
        return make

    return register


# --- Blocks ---------------------------------------------------------------------------------------


class Sum(nn.Module):
    """A block and its shortcut."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)  # type: ignore[no-any-return]


def conv(i: int, o: int, k: int = 3, s: int = 1, g: int = 1, act: type | None = nn.ReLU) -> Any:
    """Convolution, batch norm, activation."""
    layers = [nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act()] if act else []))


def conv1(i: int, o: int, k: int = 3, s: int = 1, d: int = 1, g: int = 1, act: bool = True) -> Any:
    """The same for signals."""
    layers = [nn.Conv1d(i, o, k, s, d * (k // 2), d, g, bias=False), nn.BatchNorm1d(o)]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))


def head(channels: int, classes: int = 10) -> list[nn.Module]:
    """Global average pool and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def head1(channels: int, classes: int = 10) -> list[nn.Module]:
    """The same for signals."""
    return [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, classes)]


class SqueezeExcite(nn.Module):
    """Channels weighted by a gate that sees them all."""

    def __init__(self, channels: int, gate: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__()
        self.gate = gate
        self.down = nn.Conv2d(channels, max(4, channels // 4), 1)
        self.up = nn.Conv2d(max(4, channels // 4), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.up(F.relu(self.down(pooled))))


def inverted(
    i: int, o: int, s: int = 1, t: int = 4, k: int = 3, act: type = nn.ReLU6, se: Any = None
) -> nn.Module:
    """An inverted residual block."""
    layers = [
        conv(i, i * t, 1, act=act),
        conv(i * t, i * t, k, s, i * t, act=act),
        *([SqueezeExcite(i * t, se)] if se else []),
        conv(i * t, o, 1, act=None),
    ]
    body = nn.Sequential(*layers)
    return Sum(body) if s == 1 and i == o else body


# --- Images ---------------------------------------------------------------------------------------


@net("DS-CNN (keyword spotting)", (1, 49, 10))
def _ds_cnn() -> nn.Module:
    first = [nn.Conv2d(1, 24, (10, 4), 2, (4, 1)), nn.BatchNorm2d(24), nn.ReLU()]
    blocks = [b for _ in range(3) for b in (conv(24, 24, 3, 1, 24), conv(24, 24, 1))]
    return nn.Sequential(*first, *blocks, *head(24, 12))


class BasicBlock(nn.Module):
    """ResNet's, with a 1x1 convolution or a padded shortcut (option A)."""

    def __init__(self, i: int, o: int, s: int = 1, pad: bool = False) -> None:
        super().__init__()
        self.a, self.b = conv(i, o, 3, s), conv(o, o, act=None)
        self.extra = o - i if pad else 0
        self.s = s
        self.down = None if pad or i == o else conv(i, o, 1, s, act=None)

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.down is None else self.down(x)
        if self.extra:
            half = self.extra // 2
            short = F.pad(x[:, :, :: self.s, :: self.s], (0, 0, 0, 0, half, self.extra - half))
        return F.relu(self.b(self.a(x)) + short)


@net("ResNet-8", IMAGE)
def _resnet8() -> nn.Module:
    blocks = (BasicBlock(8, 8), BasicBlock(8, 16, 2), BasicBlock(16, 32, 2))
    return nn.Sequential(conv(3, 8), *blocks, *head(32))


@net("ResNet-20, padded shortcuts", IMAGE)
def _resnet20() -> nn.Module:
    blocks = [BasicBlock(8, 8) for _ in range(3)]
    for i, o in ((8, 16), (16, 32)):
        blocks += [BasicBlock(i, o, 2, pad=True), BasicBlock(o, o), BasicBlock(o, o)]
    return nn.Sequential(conv(3, 8), *blocks, *head(32))


@net("MobileNetV2", IMAGE)
def _mobilenet_v2() -> nn.Module:
    blocks = (inverted(8, 8), inverted(8, 12, 2), inverted(12, 12), inverted(12, 16, 2))
    return nn.Sequential(conv(3, 8, 3, 2, act=nn.ReLU6), *blocks, conv(16, 48, 1), *head(48))


def _v3(i: int, o: int, s: int, k: int, act: type) -> nn.Module:
    return inverted(i, o, s, 3, k, act, F.hardsigmoid)


@net("MobileNetV3, squeeze-excite, hard-swish", IMAGE)
def _mobilenet_v3() -> nn.Module:
    swish = nn.Hardswish
    blocks = (_v3(8, 8, 2, 3, nn.ReLU), _v3(8, 12, 2, 5, swish), _v3(12, 12, 1, 5, swish))
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(36, 32), swish(), nn.Linear(32, 10)]
    return nn.Sequential(conv(3, 8, act=swish), *blocks, conv(12, 36, 1, act=swish), *last)


@net("MobileNetV3 small, deep", IMAGE)
def _mobilenet_v3_deep() -> nn.Module:
    swish = nn.Hardswish
    blocks = [_v3(8, 8, 2, 3, nn.ReLU)]
    blocks += [_v3(8, 8, 1, 5, swish) for _ in range(7)]
    last = [nn.Linear(24, 64), swish(), nn.Dropout(), nn.Linear(64, 10)]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(conv(3, 8, 3, 2, act=swish), *blocks, conv(8, 24, 1), *pool, *last)


@net("MobileNetV2, deep", IMAGE)
def _mobilenet_v2_deep() -> nn.Module:
    blocks = [inverted(8, 8, t=6) for _ in range(7)]
    return nn.Sequential(conv(3, 8, 3, 2, act=nn.ReLU6), *blocks, conv(8, 64, 1), *head(64))


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv(half, half, 1), conv(half, half, 3, 1, half, act=None), conv(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        one, two = x.chunk(2, dim=1)
        out = torch.cat((one, self.branch(two)), dim=1)
        n, c, h, w = out.size()
        out = out.view(n, 2, c // 2, h, w)
        return torch.transpose(out, 1, 2).contiguous().view(n, c, h, w)


@net("ShuffleNetV2", IMAGE)
def _shufflenet() -> nn.Module:
    units = [ShuffleUnit(16) for _ in range(3)]
    return nn.Sequential(conv(3, 16, 3, 2), nn.MaxPool2d(3, 2, 1), *units, *head(16))


class Fire(nn.Module):
    """SqueezeNet's."""

    def __init__(self, i: int, s: int, e: int) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = (
            nn.Conv2d(i, s, 1),
            nn.Conv2d(s, e, 1),
            nn.Conv2d(s, e, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


@net("SqueezeNet 1.1", IMAGE)
def _squeezenet() -> nn.Module:
    body = [nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 4, 8)]
    body += [Fire(16, 4, 8), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 8, 16), nn.Dropout()]
    last = [nn.Conv2d(32, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*body, *last)


@net("EfficientNet lite", IMAGE)
def _efficientnet() -> nn.Module:
    blocks = [inverted(8, 8, 1, 1), inverted(8, 12, 2, 6), inverted(12, 12, 1, 6, 5)]
    return nn.Sequential(conv(3, 8, 3, 2, act=nn.ReLU6), *blocks, conv(12, 48, 1), *head(48))


@net("TinyNet (SiLU, squeeze-excite)", IMAGE)
def _tinynet() -> nn.Module:
    blocks = [inverted(8, 8, 1, 1, 3, nn.SiLU, torch.sigmoid)]
    blocks += [inverted(8, 12, 2, 6, 3, nn.SiLU, torch.sigmoid), inverted(12, 12, act=nn.SiLU)]
    return nn.Sequential(conv(3, 8, 3, 2, act=nn.SiLU), *blocks, *head(12))


class Ghost(nn.Module):
    """GhostNet's module: half of the channels are cheap ones."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.main, self.cheap = conv(i, o // 2, 1), conv(o // 2, o // 2, 3, 1, o // 2)
        self.channels = o

    def forward(self, x: Tensor) -> Tensor:
        one = self.main(x)
        return torch.cat([one, self.cheap(one)], dim=1)[:, : self.channels]


@net("GhostNet", IMAGE)
def _ghostnet() -> nn.Module:
    blocks = [nn.Sequential(Ghost(8, 32), SqueezeExcite(32, F.hardsigmoid), Ghost(32, 8))]
    return nn.Sequential(conv(3, 8, 3, 2), *(Sum(b) for b in blocks), Ghost(8, 24), *head(24))


@net("MobileNetV4 (universal inverted bottleneck)", IMAGE)
def _mobilenet_v4() -> nn.Module:
    def block() -> nn.Module:
        return Sum(
            nn.Sequential(
                conv(8, 8, 3, 1, 8, act=None),
                conv(8, 32, 1),
                conv(32, 32, 5, 1, 32),
                conv(32, 8, 1, act=None),
            )
        )

    return nn.Sequential(conv(3, 8, 3, 2), *(block() for _ in range(4)), conv(8, 48, 1), *head(48))


@net("MCUNet-like, kernels of 5 and 7", IMAGE)
def _mcunet() -> nn.Module:
    blocks = (inverted(8, 8, 2, 3, 7), inverted(8, 8, 1, 4, 5), inverted(8, 16, 2, 5, 7))
    return nn.Sequential(conv(3, 8), *blocks, *head(16))


class Eca(nn.Module):
    """Efficient channel attention: a convolution over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.conv = nn.AdaptiveAvgPool2d(1), nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.pool(x).squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * y.sigmoid().expand_as(x)  # type: ignore[no-any-return]


@net("ECA net", IMAGE)
def _eca() -> nn.Module:
    return nn.Sequential(conv(3, 16, 3, 2), Eca(), conv(16, 24, 3, 2), Eca(), *head(24))


class Cbam(nn.Module):
    """Channel and spatial attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // 4, channels, 1, bias=False),
        )
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        average, largest = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
        x = x * torch.sigmoid(self.mlp(average) + self.mlp(largest))
        most, _ = torch.max(x, dim=1, keepdim=True)
        maps = torch.cat([torch.mean(x, dim=1, keepdim=True), most], dim=1)
        return x * torch.sigmoid(self.conv(maps))


@net("CBAM (mean and max over channels)", IMAGE)
def _cbam() -> nn.Module:
    return nn.Sequential(conv(3, 16, 3, 2), Cbam(16), conv(16, 16, 3, 2), Cbam(16), *head(16))


@net("FOMO head", IMAGE)
def _fomo() -> nn.Module:
    body = (conv(3, 8, 3, 2), inverted(8, 8, 1), inverted(8, 16, 2))
    last = (nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 3, 1), nn.Softmax2d())
    return nn.Sequential(*body, *last)


class Yolo(nn.Module):
    """Boxes, objectness and classes of one map."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 16, 3, 2))
        self.head = nn.Conv2d(16, 3 * 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.body(x))
        n, _, h, w = y.shape
        y = y.view(n, 3, 8, h, w).permute(0, 1, 3, 4, 2).reshape(n, -1, 8)
        return torch.cat([y[..., :2].sigmoid(), y[..., 2:4].exp(), y[..., 4:].sigmoid()], -1)


NETS.append(Net(18, "YOLO head, one map", Yolo, IMAGE))


@net("YOLO, two maps", IMAGE)
class _YoloTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2)), conv(16, 16, 3, 2)
        self.heads = nn.ModuleList([nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1)])

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.one(x)
        coarse = self.two(fine)
        return [head(part) for head, part in zip(self.heads, (fine, coarse), strict=True)]


class C2f(nn.Module):
    """YOLOv8's block."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.first, self.last = conv(c, c, 1, act=nn.SiLU), conv(3 * c // 2, c, 1, act=nn.SiLU)
        half = c // 2
        self.m = Sum(nn.Sequential(conv(half, half, act=nn.SiLU), conv(half, half, act=nn.SiLU)))

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.first(x).chunk(2, 1))
        y.append(self.m(y[-1]))
        return self.last(torch.cat(y, 1))  # type: ignore[no-any-return]


class Sppf(nn.Module):
    """Three max pools in a row, side by side."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.first, self.last = conv(c, c // 2, 1, act=nn.SiLU), conv(2 * c, c, 1, act=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = [self.first(x)]
        y.extend(self.pool(y[-1]) for _ in range(3))
        return self.last(torch.cat(y, 1))  # type: ignore[no-any-return]


@net("YOLOv8-like (C2f, SPPF, upsample)", IMAGE)
class _Yolo8(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(conv(3, 8, 3, 2, act=nn.SiLU), C2f(8))
        self.two = nn.Sequential(conv(8, 16, 3, 2, act=nn.SiLU), C2f(16), Sppf(16))
        self.up, self.join = nn.Upsample(scale_factor=2), C2f(24)
        self.head = nn.Conv2d(24, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.one(x)
        joined = self.join(torch.cat([self.up(self.two(fine)), fine], 1))
        return self.head(joined)  # type: ignore[no-any-return]


@net("U-Net (transposed convolutions)", GRAY)
class _UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(1, 8), conv(8, 16), conv(16, 16)
        self.up1, self.up2 = nn.ConvTranspose2d(16, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.d, self.e, self.last = conv(32, 16), conv(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        y = self.d(torch.cat([self.up1(self.c(F.max_pool2d(b, 2))), b], 1))
        return self.last(self.e(torch.cat([self.up2(y), a], 1)))  # type: ignore[no-any-return]


@net("ESPCN super-resolution", (1, 16, 16))
def _espcn() -> nn.Module:
    body = (nn.Conv2d(1, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 8, 3, padding=1), nn.Tanh())
    return nn.Sequential(*body, nn.Conv2d(8, 9, 3, padding=1), nn.PixelShuffle(3))


@net("segmentation, bilinear upsampling", IMAGE)
class _Segmentation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 16))
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.body(x))
        return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)


@net("convolutional autoencoder", GRAY)
def _autoencoder() -> nn.Module:
    down = (nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
    up = (nn.ConvTranspose2d(16, 8, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 3, 2, 1, 1))
    return nn.Sequential(*down, *up, nn.Sigmoid())


@net("face net (PReLU, global depthwise)", IMAGE)
def _face() -> nn.Module:
    def block(i: int, o: int, s: int, g: int = 1) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(i, o, 3, s, 1, groups=g, bias=False), nn.BatchNorm2d(o), nn.PReLU(o)
        )

    last = (nn.Conv2d(16, 16, 8, groups=16), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 32))
    return nn.Sequential(block(3, 8, 2), block(8, 8, 1, 8), block(8, 16, 2), *last)


class ConvNeXt(nn.Module):
    """Depthwise 7x7, a layer norm over channels, an MLP, layer scale."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)  # type: ignore[no-any-return]


@net("ConvNeXt", IMAGE)
def _convnext() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 4, 4), ConvNeXt(16), ConvNeXt(16), *head(16))


class GroupBlock(nn.Module):
    """A residual block with group norms."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)
        self.n, self.m = nn.GroupNorm(4, c), nn.GroupNorm(4, c)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.m(self.b(F.relu(self.n(self.a(x))))))


@net("ResNet with GroupNorm", IMAGE)
def _group_norm() -> nn.Module:
    first = (nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.ReLU())
    return nn.Sequential(*first, GroupBlock(16), GroupBlock(16), *head(16))


@net("InstanceNorm sensor net", SERIES)
def _instance_norm() -> nn.Module:
    first = (nn.InstanceNorm1d(6, affine=True), nn.Conv1d(6, 16, 5, 2), nn.InstanceNorm1d(16))
    return nn.Sequential(*first, nn.ReLU(), nn.Conv1d(16, 16, 5, 2), nn.ReLU(), *head1(16))


@net("embedding, L2-normalized", IMAGE)
class _Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), *head(16, 32))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.body(x), p=2, dim=1)


@net("two heads (class and box)", IMAGE)
class _TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), *head(16, 32), nn.ReLU())
        self.classes, self.box = nn.Linear(32, 5), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(x)
        return self.classes(y), self.box(y).sigmoid()


@net("reflection padding", GRAY)
def _reflect() -> nn.Module:
    body = (nn.ReflectionPad2d(2), nn.Conv2d(1, 8, 5), nn.ReLU())
    more = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
    return nn.Sequential(*body, more, nn.ReLU(), nn.ReplicationPad2d(1), nn.Conv2d(8, 1, 3))


@net("uneven adaptive pool", (3, 28, 28))
def _uneven() -> nn.Module:
    body = (conv(3, 8, 3, 2), conv(8, 16, 3, 2), nn.AdaptiveAvgPool2d(3), nn.Flatten())
    return nn.Sequential(*body, nn.Linear(144, 10))


# --- Signals --------------------------------------------------------------------------------------


class SubSpectral(nn.Module):
    """BC-ResNet's block: a branch over frequencies, one over time that is broadcast."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.frequency = nn.Sequential(
            nn.Conv2d(c, c, (3, 1), padding=(1, 0), groups=c), nn.BatchNorm2d(c)
        )
        self.time = nn.Sequential(
            nn.Conv2d(c, c, (1, 3), padding=(0, 1), groups=c), nn.BatchNorm2d(c), nn.SiLU()
        )
        self.last = nn.Conv2d(c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.frequency(x)
        z = self.last(self.time(y.mean(2, keepdim=True)))
        return F.relu(x + y + z)


@net("BC-ResNet", (1, 40, 32))
def _bc_resnet() -> nn.Module:
    return nn.Sequential(conv(1, 12, 5, 2), SubSpectral(12), SubSpectral(12), *head(12, 12))


class TcBlock(nn.Module):
    """TC-ResNet's: kernels of 9 over time."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv1(i, o, 9, 2), conv1(o, o, 9, act=False))
        self.short = conv1(i, o, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.short(x))


@net("TC-ResNet", (40, 64))
def _tc_resnet() -> nn.Module:
    blocks = (nn.Conv1d(40, 16, 3, padding=1), TcBlock(16, 24), TcBlock(24, 32))
    return nn.Sequential(*blocks, *head1(32))


@net("MatchboxNet", (40, 64))
def _matchbox() -> nn.Module:
    def separable(c: int, k: int, d: int = 1) -> nn.Module:
        depth = nn.Conv1d(c, c, k, padding=d * (k // 2), dilation=d, groups=c)
        return nn.Sequential(depth, nn.Conv1d(c, c, 1), nn.BatchNorm1d(c), nn.ReLU())

    blocks = (Sum(separable(24, 11)), Sum(separable(24, 13)), separable(24, 17, 2))
    return nn.Sequential(conv1(40, 24, 11), *blocks, *head1(24, 12))


@net("M5, raw audio", (1, 2000))
def _m5() -> nn.Module:
    first = (nn.Conv1d(1, 16, 80, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(4))
    second = (nn.Conv1d(16, 32, 3), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(4))
    return nn.Sequential(*first, *second, *head1(32), nn.LogSoftmax(1))


class Chomp(nn.Module):
    """Cuts off what a causal convolution may not see."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


@net("TCN (chomp, weight norm)", SERIES)
def _tcn() -> nn.Module:
    def block(i: int, o: int, d: int) -> nn.Module:
        layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(i, o, 3, padding=2 * d, dilation=d))
        body = nn.Sequential(layer, Chomp(2 * d), nn.ReLU(), nn.Dropout(0.2))
        return nn.Sequential(Sum(body, nn.Conv1d(i, o, 1) if i != o else None), nn.ReLU())

    return nn.Sequential(block(6, 16, 1), block(16, 16, 2), block(16, 16, 4), *head1(16))


@net("WaveNet (gates, skip sums)", (1, 128))
class _WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 12, 2, padding=1)
        self.filters, self.gates, self.skips, self.rests = (
            nn.ModuleList(nn.Conv1d(12, 12, k, padding=p * d, dilation=d) for d in (1, 2, 4))
            for k, p in ((3, 1), (3, 1), (1, 0), (1, 0))
        )
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(12, 16, 1), nn.ReLU(), nn.Conv1d(16, 8, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.first(x)[..., :-1], torch.zeros(())
        for f, g, s, r in zip(self.filters, self.gates, self.skips, self.rests, strict=True):
            y = torch.tanh(f(x)) * torch.sigmoid(g(x))
            total, x = total + s(y), x + r(y)
        return self.last(total)  # type: ignore[no-any-return]


@net("GLU convolutions", SERIES)
def _glu() -> nn.Module:
    body = (nn.Conv1d(6, 32, 3, padding=1), nn.GLU(1), nn.Conv1d(16, 32, 3, padding=1), nn.GLU(1))
    return nn.Sequential(*body, *head1(16))


@net("1-D U-Net denoiser", (1, 128))
class _Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv1(1, 8, 9), conv1(8, 16, 9, 2)
        self.up, self.last = nn.ConvTranspose1d(16, 8, 4, 2, 1), nn.Conv1d(16, 1, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        return x - self.last(torch.cat([F.relu(self.up(self.b(a))), a], 1))  # type: ignore


# --- Recurrent ------------------------------------------------------------------------------------


@net("GRU, last step", (32, 6))
class _Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(6, 16, batch_first=True), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0][:, -1])  # type: ignore[no-any-return]


@net("LSTM, last h", (32, 6))
class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])  # type: ignore[no-any-return]


@net("CRNN (convolutions, both ways GRU)", (1, 20, 32))
class _Crnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(1, 8), nn.MaxPool2d(2), conv(8, 8), nn.MaxPool2d((2, 1)))
        self.gru = nn.GRU(40, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x).permute(0, 3, 1, 2).flatten(2)
        return self.head(self.gru(y)[0].mean(1))  # type: ignore[no-any-return]


@net("LSTM autoencoder", (24, 4))
class _LstmAutoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = (
            nn.LSTM(4, 12, batch_first=True),
            nn.LSTM(12, 12, batch_first=True),
        )
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.encoder(x)
        repeated = h[-1].unsqueeze(1).repeat(1, x.shape[1], 1)
        return self.head(self.decoder(repeated)[0])  # type: ignore[no-any-return]


@net("GRU cell in a loop", (12, 6))
class _GruCell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(6, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], 12)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.head(h)  # type: ignore[no-any-return]


@net("FastGRNN by hand", (12, 6))
class _FastGrnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.u, self.head = nn.Linear(6, 12), nn.Linear(12, 12, False), nn.Linear(12, 4)
        self.zeta, self.nu = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(-4.0))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 12, device=x.device)
        for t in range(x.shape[1]):
            both = self.w(x[:, t]) + self.u(h)
            z, c = torch.sigmoid(both), torch.tanh(both)
            h = z * h + (torch.sigmoid(self.zeta) * (1 - z) + torch.sigmoid(self.nu)) * c
        return self.head(h)  # type: ignore[no-any-return]


# --- Vectors --------------------------------------------------------------------------------------


@net("activity MLP, batch norm behind ReLU", VECTOR)
def _mlp() -> nn.Module:
    layers = (nn.Linear(24, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Dropout(), nn.Linear(32, 16))
    return nn.Sequential(*layers, nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 6))


@net("regression, squeezed", VECTOR)
class _Squeezed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).squeeze(-1)  # type: ignore[no-any-return]


@net("regression, one output", VECTOR)
def _regression() -> nn.Module:
    layers = (nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 1))
    return nn.Sequential(*layers)


class Sine(nn.Module):
    """SIREN's layer."""

    def __init__(self, i: int, o: int, first: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(i, o)
        bound = 1 / i if first else math.sqrt(6 / i) / 30
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30.0 * self.linear(x))


@net("SIREN", (2,))
def _siren() -> nn.Module:
    return nn.Sequential(Sine(2, 24, first=True), Sine(24, 24), nn.Linear(24, 1))


@net("dense autoencoder (anomalies)", (64,))
def _anomaly() -> nn.Module:
    sizes = (64, 32, 32, 4, 32, 32)
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 64))


@net("VAE encoder (eval: the mean)", (1, 16, 16))
class _Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU())
        self.mu, self.logvar = nn.Linear(32, 8), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return z, mu, logvar


@net("MLP on steps x features", (20, 6))
class _Window(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(120, 32), nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(self.a(x.view(x.size(0), -1))))  # type: ignore[no-any-return]


@net("KAN-like (radial bases)", (4,))
class _Kan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Buffer(torch.linspace(-2, 2, 8))
        self.a, self.b = nn.Linear(32, 6), nn.Linear(48, 2)

    def basis(self, x: Tensor) -> Tensor:
        return torch.exp(-(((x.unsqueeze(-1) - self.grid) / 0.5) ** 2)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.basis(self.a(self.basis(x))))  # type: ignore[no-any-return]


# --- Attention, norms -----------------------------------------------------------------------------


class Attention(nn.Module):
    """By hand: softmax(q k^T / sqrt d) v, several heads."""

    def __init__(self, dim: int, heads: int, fused: bool = False) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        qkv = self.qkv(x).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = (q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5
            y = scores.softmax(dim=-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, c))  # type: ignore[no-any-return]


@net("attention by hand", (16, 12))
class _ByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(12, 16), nn.Linear(12, 16), nn.Linear(12, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        weights = torch.softmax(torch.matmul(q, k.transpose(1, 2)) / 4, dim=-1)
        return self.head(torch.matmul(weights, v).mean(dim=1))  # type: ignore[no-any-return]


@net("MultiheadAttention and LayerNorm", (16, 16))
class _Multihead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.attention(x, x, x)
        return self.head(self.norm(x + y).mean(1))  # type: ignore[no-any-return]


@net("TransformerEncoderLayer", (16, 16))
class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[:, 0])  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, fused=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Vit(nn.Module):
    """A tiny vision transformer: class token, position embedding, two blocks, two heads."""

    def __init__(self, size: int = 28, patch: int = 7, dim: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, dim, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, dim) * 0.5)
        self.places = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim) * 0.5)
        self.blocks = nn.Sequential(Block(dim, 2), Block(dim, 2))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), dim=1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])  # type: ignore[no-any-return]


NETS.append(Net(58, "ViT (class token, SDPA)", Vit, GRAY))


class Mixer(nn.Module):
    """MLP-Mixer's block."""

    def __init__(self, tokens: int, dim: int, norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.n, self.m = norm(), norm()
        self.over_tokens = nn.Sequential(nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens))
        self.over_channels = nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.over_tokens(self.n(x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_channels(self.m(x))  # type: ignore[no-any-return]


class MixerNet(nn.Module):
    """Patches, two blocks, a mean."""

    def __init__(self, norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 7, 7)
        self.blocks = nn.Sequential(Mixer(16, 16, norm), Mixer(16, 16, norm))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.patches(x).flatten(2).transpose(1, 2))
        return self.head(x.mean(1))  # type: ignore[no-any-return]


NETS.append(Net(59, "MLP-Mixer", lambda: MixerNet(lambda: nn.LayerNorm(16)), GRAY))
NETS.append(Net(60, "MLP-Mixer, batch norm", lambda: MixerNet(lambda: nn.BatchNorm1d(16)), GRAY))


@net("attention pooling over time", (32, 12))
class _AttentionPool(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 24), nn.ReLU())
        self.score, self.head = nn.Linear(24, 1), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        weights = torch.softmax(torch.tanh(self.score(h)), dim=1)
        return self.head((h * weights).sum(dim=1))  # type: ignore[no-any-return]


@net("einsum", (16, 12))
class _Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 12, 8) * 0.3)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(torch.einsum("btc,hcd->bthd", x, self.w)).flatten(2)
        return self.head(torch.einsum("bth->bh", y) / 16)  # type: ignore[no-any-return]


class RmsNorm(nn.Module):
    """Llama's."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


@net("RMSNorm and SwiGLU", (16, 24))
class _SwiGlu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.n, self.m, self.w1, self.w2, self.w3 = (
            RmsNorm(24),
            nn.RMSNorm(24),
            *(nn.Linear(24, 48, bias=False) for _ in range(2)),
            nn.Linear(48, 24, bias=False),
        )
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.n(x)
        x = x + self.w3(F.silu(self.w1(y)) * self.w2(y))
        return self.head(self.m(x)[:, -1])  # type: ignore[no-any-return]


@net("statistics pooling (mean and std)", (12, 48))
class _Statistics(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv1(12, 24, 5), conv1(24, 24, 3, d=2))
        self.head = nn.Linear(48, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return self.head(torch.cat([y.mean(dim=2), y.std(dim=2)], dim=1))  # type: ignore


@net("Mish and Softplus", VECTOR)
def _mish() -> nn.Module:
    layers = (nn.Linear(24, 32), nn.Mish(), nn.Linear(32, 16), nn.Softplus(), nn.Linear(16, 5))
    return nn.Sequential(*layers)


@net("GeM pooling", IMAGE)
class _Gem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2))
        self.p, self.head = nn.Parameter(torch.tensor(3.0)), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x).clamp(min=1e-6).pow(self.p)
        return self.head(y.mean((2, 3)).pow(1.0 / self.p))  # type: ignore[no-any-return]


@net("normalization inside forward", SERIES)
class _Inside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv1(6, 16, 5, 2), conv1(16, 16, 5, 2), *head1(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.mean(dim=2, keepdim=True)) / (x.std(dim=2, keepdim=True) + 1e-5)
        return self.body(x)  # type: ignore[no-any-return]


@net("Conv3d gestures", (1, 8, 12, 12))
def _conv3d() -> nn.Module:
    body = (nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2))
    more = (nn.Conv3d(8, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    return nn.Sequential(*body, *more, nn.Linear(12, 5))


@net("grouped convolutions, channel shuffle", IMAGE)
class _Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.a, self.b = conv(3, 16, 3, 2), conv(16, 32, 1, g=4), conv(32, 32, 3, 2, 32)
        self.c, self.last = conv(32, 16, 1, g=4), nn.Sequential(*head(16))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.first(x))
        n, c, h, w = x.shape
        x = x.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.last(self.c(self.b(x)))  # type: ignore[no-any-return]


@net("spectrogram in the graph (DFT, power, log)", (1, 512))
class _Spectrogram(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        t, k = np.arange(64), np.arange(16)[:, None] + 1
        window = np.hanning(64)
        basis = np.concatenate([np.cos(2 * np.pi * k * t / 64), -np.sin(2 * np.pi * k * t / 64)])
        self.register_buffer("basis", torch.tensor(basis * window, dtype=torch.float32)[:, None])
        self.body = nn.Sequential(conv1(16, 16, 3), conv1(16, 16, 3), *head1(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        real, imaginary = F.conv1d(x, self.basis, stride=32).chunk(2, 1)  # type: ignore[arg-type]
        return self.body(torch.log(real**2 + imaginary**2 + 1e-2))  # type: ignore[no-any-return]


# --- The table ------------------------------------------------------------------------------------


def settled(one: Net) -> nn.Module:
    """The net in eval mode, seeded; batch norms get statistics, norms weights."""
    torch.manual_seed(one.number)
    model = one.make().eval()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.normal_(module.running_mean, 0, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


def inputs(one: Net, count: int, seed: int) -> Tensor:
    """``count`` inputs: smooth signals of several amplitudes, with noise."""
    rng = np.random.default_rng([one.number, seed])
    noise = rng.normal(size=(count, *one.shape))
    each = (count, *(1,) * len(one.shape))
    if len(one.shape) > 1:
        step, phase = rng.uniform(0.1, 0.6, each), rng.uniform(0, 6, each)
        noise += 2 * np.sin(step * np.arange(one.shape[-1]) + phase)
    gain = rng.uniform(0.5, 1.5, each)
    return torch.tensor(noise * gain, dtype=torch.float32)


@dataclass(frozen=True)
class Result:
    """What became of a net."""

    net: Net
    refused: str = ""
    sqnr: float = math.nan  # dB
    same: bool = False  # simulator and C library
    warned: str = ""


def _outputs(value: Any) -> list[np.ndarray[Any, Any]]:
    parts = list(value.values()) if isinstance(value, dict) else value
    parts = parts if isinstance(parts, (list, tuple)) else [parts]
    return [np.asarray(part.detach() if isinstance(part, Tensor) else part) for part in parts]


def judge(one: Net) -> Result:
    """Capture, quantize, compare."""
    model = settled(one)
    x = inputs(one, JUDGED, 1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            quantized = nanotool.quantize(model, inputs(one, CALIBRATION, 0), name="net")
    except NanoError as error:
        return Result(one, refused=error.message)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inputs beyond those of the calibration
        expected, found = _outputs(model(x)), _outputs(quantized.run(x.numpy()))
    signal = noise = 0.0
    for given, ours in zip(expected, found, strict=True):
        real = np.moveaxis(given, 1, -1) if given.ndim == 4 else given  # images: H, W, C
        power = float((real.astype(np.float64) ** 2).mean()) or 1.0
        signal += 1.0
        noise += float(((ours - real.astype(np.float64)) ** 2).mean()) / power
    sqnr = 10 * math.log10(signal / noise) if noise else math.inf
    simulated = _outputs(quantized.simulate(x.numpy()[:COMPARED]))
    same = all(np.array_equal(a[:COMPARED], b) for a, b in zip(found, simulated, strict=True))
    warned = "; ".join(str(one.message) for one in caught if issubclass(one.category, NanoWarning))
    return Result(one, sqnr=sqnr, same=same, warned=warned)


def record(results: list[Result]) -> None:
    """Put ``results`` in the place of those that were recorded of the same nets."""
    rows = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    for one in results:
        row: dict[str, Any] = {"name": one.net.name}
        if one.refused:
            row["refused"] = one.refused
        else:
            row |= {"sqnr_db": round(one.sqnr, 1), "same_bytes": one.same, "warned": one.warned}
        rows[str(one.net.number)] = row
    ordered = {number: rows[number] for number in sorted(rows, key=int)}
    RECORD.write_text(json.dumps(ordered, indent=1) + "\n")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="nets with this in their names, or a number")
    parser.add_argument("--record", action="store_true", help="keep the figures")
    options = parser.parse_args()
    chosen, results = options.only, []
    for one in NETS:
        if chosen and chosen != str(one.number) and chosen.lower() not in one.name.lower():
            continue
        result = judge(one)
        results.append(result)
        text = f"refused: {result.refused[:110]}" if result.refused else f"{result.sqnr:5.1f} dB"
        note = "" if result.refused or result.same else "  THE BYTES DIFFER"
        print(f"{one.number:2} {one.name:44} {text}{note} {result.warned[:160]}", flush=True)
    if options.record:
        record(results)
    captured = [result for result in results if not result.refused]
    if captured:
        decibels = [result.sqnr for result in captured]
        print(
            f"{len(captured)} of {len(results)} captured; SQNR median "
            f"{statistics.median(decibels):.1f} dB, least {min(decibels):.1f} dB"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
