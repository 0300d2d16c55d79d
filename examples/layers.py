"""Parts of networks that several tasks use."""

from __future__ import annotations

from torch import nn


def conv1d_stage(
    in_channels: int, out_channels: int, size: int, stride: int, padding: int | None = None
) -> list[nn.Module]:
    """A convolution along time with ``size`` taps, batch norm and ReLU; by default as long as its
    input, divided by ``stride``."""
    around = size // 2 if padding is None else padding
    convolution = nn.Conv1d(in_channels, out_channels, size, stride, padding=around)
    return [convolution, nn.BatchNorm1d(out_channels), nn.ReLU()]
