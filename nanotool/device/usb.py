"""Which serial port is the board's: told by its USB id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from nanotool.boards import Board, Port
from nanotool.errors import DeviceError

# Vendor and product of what sits between USB and a board's UART; "" stands for every product.
KNOWN: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("0483", "374a"): "ST-Link",
        ("0483", "374b"): "ST-Link",
        ("0483", "374d"): "ST-Link",
        ("0483", "374e"): "ST-Link",
        ("0483", "374f"): "ST-Link",
        ("0483", "3752"): "ST-Link",
        ("0483", "3753"): "ST-Link",
        ("0483", "3754"): "ST-Link",
        ("0483", "5740"): "STM32 USB",
        ("0d28", "0204"): "DAPLink",
        ("1366", ""): "J-Link",
        ("303a", ""): "Espressif USB",
        ("10c4", "ea60"): "CP210x",
        ("10c4", "ea70"): "CP2105",
        ("10c4", "ea71"): "CP2108",
        ("1a86", "7523"): "CH340",
        ("1a86", "5523"): "CH341",
        ("1a86", "55d3"): "CH343",
        ("1a86", "55d4"): "CH9102",
        ("0403", "6001"): "FT232",
        ("0403", "6010"): "FT2232",
        ("0403", "6011"): "FT4232",
        ("0403", "6014"): "FT232H",
        ("0403", "6015"): "FT231X",
        ("067b", "2303"): "PL2303",
        ("067b", "23a3"): "PL2303",
        ("2341", ""): "Arduino",
        ("239a", ""): "Adafruit",
        ("2e8a", ""): "Raspberry Pi",
    }
)
# What only boards of one maker have; the others are bridges that can stand in front of any.
_OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"stm32": ("ST-Link", "STM32 USB", "DAPLink", "J-Link"), "esp32": ("Espressif USB",)}
)


def chip(port: Port) -> str:
    """What is at the USB end of ``port``; "" if it is not known to serve boards."""
    vendor, _, product = port.usb_id.lower().partition(":")
    return KNOWN.get((vendor, product)) or KNOWN.get((vendor, "")) or ""


def board_port(board: Board, ports: Sequence[Port]) -> str:
    """The one of ``ports`` that ``board`` is at. `DeviceError` if none fits, or several do."""
    own = next((chips for maker, chips in _OWN.items() if board.name.startswith(maker)), ())
    foreign = {chip for chips in _OWN.values() for chip in chips} - set(own)
    fitting = [port for port in ports if chip(port) and chip(port) not in foreign]
    fitting = [port for port in fitting if chip(port) in own] or fitting
    if len(fitting) == 1:
        return fitting[0].device
    if not fitting:
        seen = ", ".join(f"{port.device} ({port.usb_id or 'not USB'})" for port in ports)
        raise DeviceError(
            f"No port has the USB id of a board or a bridge that {board.name} could be behind"
            f"{f': {seen}' if seen else ''}.",
            "Plug the board in, or name its port: --port PORT.",
        )
    named = ", ".join(f"{port.device} ({chip(port)})" for port in fitting)
    raise DeviceError(
        f"{board.name} could be at each of {len(fitting)} ports: {named}.",
        "Name one: --port PORT.",
    )
