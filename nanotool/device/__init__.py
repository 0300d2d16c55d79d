"""The board side: the serial client, and emulated boards to talk to."""

from nanotool.device.client import (
    Crcs,
    Device,
    DeviceGarbled,
    DeviceRefused,
    Info,
    Layers,
    LayerTicks,
    Memory,
)
from nanotool.device.emulators import open_board
from nanotool.device.tensors import DbInfo, TensorInfo
from nanotool.device.training import Trainer

__all__ = [
    "Crcs",
    "DbInfo",
    "Device",
    "DeviceGarbled",
    "DeviceRefused",
    "Info",
    "LayerTicks",
    "Layers",
    "Memory",
    "TensorInfo",
    "Trainer",
    "open_board",
]
