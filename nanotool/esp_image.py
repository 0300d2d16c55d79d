"""What an ESP32's flash gets, and where: the files that ESP-IDF or the bare linker made."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from nanotool.errors import NanoError

APP, BOOTLOADER, PARTITIONS = FILES = ("firmware.bin", "bootloader.bin", "partitions.bin")
_MAGIC = 0xE9  # an image's first byte (esptool's documentation, "Firmware Image Format")
_TABLE_AT = 0x8000  # CONFIG_PARTITION_TABLE_OFFSET, as sdkconfig.defaults leaves it
# Where the chip's ROM looks for the second stage. The chips after the ESP32-S2 begin at 0.
_BOOT_AT = {"esp32": 0x1000, "esp32s2": 0x1000, "esp32p4": 0x2000, "esp32c5": 0x2000}
# An entry of the table: magic, type, subtype, offset, size, label, flags.
_ENTRY = struct.Struct("<HBBII16sI")
_ENTRY_MAGIC = 0x50AA
_APP_TYPE = 0


@dataclass(frozen=True, slots=True)
class FlashPart:
    """Bytes of the flash, a multiple of four."""

    name: str  # "bootloader.bin"
    address: int
    data: bytes


def boot_address(chip: str) -> int:
    """Where ``chip`` (an ESP-IDF target: "esp32s3") boots from."""
    return _BOOT_AT.get(chip, 0)


def flash_parts(folder: Path, chip: str) -> tuple[FlashPart, ...]:
    """The parts in ``folder``, by address: bootloader, partition table and application, or the one
    image that boots by itself. `NanoError` where they are no such files."""
    app = _image(folder / APP)
    if not (folder / BOOTLOADER).is_file():
        return (FlashPart(APP, boot_address(chip), app),)
    table = (folder / PARTITIONS).read_bytes()
    parts = (
        FlashPart(BOOTLOADER, boot_address(chip), _image(folder / BOOTLOADER)),
        FlashPart(PARTITIONS, _TABLE_AT, _whole(table)),
        FlashPart(APP, app_address(table), app),
    )
    return tuple(sorted(parts, key=lambda part: part.address))


def app_address(table: bytes) -> int:
    """Where the first application of the partition table is."""
    for magic, kind, _, offset, *_ in _ENTRY.iter_unpack(table[: len(table) // 32 * 32]):
        if magic != _ENTRY_MAGIC:
            break
        if kind == _APP_TYPE:
            return int(offset)
    raise NanoError(
        "The firmware's partition table has no application.",
        "Remove firmware/partitions.csv's change, or give it a partition of type app.",
    )


def _image(path: Path) -> bytes:
    data = path.read_bytes()
    if not data or data[0] != _MAGIC:
        raise NanoError(f"{path} is no image of an ESP32.", "Build the firmware again.")
    return _whole(data)


def _whole(data: bytes) -> bytes:
    return data + b"\xff" * (-len(data) % 4)
