"""Parts of networks that several tasks use."""

from __future__ import annotations

from torch import nn


def conv1d_stage(in_channels: int, out_channels: int, size: int, stride: int) -> list[nn.Module]:
    """A convolution along time with ``size`` taps, batch norm and ReLU; as long as its input,
    divided by ``stride``."""
    convolution = nn.Conv1d(in_channels, out_channels, size, stride, padding=size // 2)
    return [convolution, nn.BatchNorm1d(out_channels), nn.ReLU()]
