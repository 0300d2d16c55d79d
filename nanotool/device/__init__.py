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
    TensorInfo,
)
from nanotool.device.emulators import open_board

__all__ = [
    "Crcs",
    "Device",
    "DeviceGarbled",
    "DeviceRefused",
    "Info",
    "LayerTicks",
    "Layers",
    "Memory",
    "TensorInfo",
    "open_board",
]
