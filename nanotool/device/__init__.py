"""The board side: the serial client, and emulated boards to talk to."""

from nanotool.device.answers import Crcs, Info, Layers, LayerTicks, Memory
from nanotool.device.client import Device
from nanotool.device.emulators import open_board
from nanotool.device.line import Line, SerialPort
from nanotool.device.protocol import DeviceGarbled, DeviceLost, DeviceRefused, DeviceSilent
from nanotool.device.tensors import DbInfo, TensorInfo
from nanotool.device.training import Trainer

__all__ = [
    "Crcs",
    "DbInfo",
    "Device",
    "DeviceGarbled",
    "DeviceLost",
    "DeviceRefused",
    "DeviceSilent",
    "Info",
    "LayerTicks",
    "Layers",
    "Line",
    "Memory",
    "SerialPort",
    "TensorInfo",
    "Trainer",
    "open_board",
]
