"""The boards: what each is, how it is emulated, what its ticks count, what memory it has.

A board is a PlatformIO environment plus the facts that no environment states. Nothing here starts
a process or opens a port: `nanotool.device.emulators` and `nanotool.build` do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from serial.tools import list_ports

from nanotool.errors import NanoError, did_you_mean

TickUnit = Literal["instructions", "cycles", "nanoseconds", "ticks"]

# What the firmware's tick sources (docs/console.md, `info`) count on silicon.
_REAL_UNITS: Mapping[str, TickUnit] = MappingProxyType(
    {"dwt": "cycles", "ccount": "cycles", "ns": "nanoseconds"}
)


@dataclass(frozen=True, slots=True)
class Emulator:
    """A program that runs a board's firmware and opens a pseudo-terminal as its serial line."""

    command: tuple[str, ...]  # "{elf}" stands for the firmware; command[0] may be "{elf}" itself
    pty_pattern: str  # regular expression whose group 1 is the pty's path in the program's output
    tick_units: Mapping[str, TickUnit]  # tick source -> what it counts here
    package: str = ""  # Debian package that brings command[0]; "" if it needs none
    exact_ticks: bool = False  # the same ticks on every run and every host
    variable: str = ""  # of the environment: names the program that "{emulator}" stands for
    # A board that boots from flash gets "{flash}", a file of flash_size bytes that has the image
    # at image_offset; 0: it is given the ELF.
    flash_size: int = 0
    image_offset: int = 0
    # What plays a file, "{sensor}", as the board's sensor: more of the command; (): nothing does.
    sensor: tuple[str, ...] = ()

    def program(self) -> str:
        """The program to run; "" if there is none, or the environment should name it and does
        not."""
        return os.environ.get(self.variable, "") if self.variable else self.command[0]


# Of a board that only exists in hardware; its program is "".
NO_EMULATOR = Emulator(command=("",), pty_pattern="", tick_units=MappingProxyType({}))


def _qemu(
    program: str,
    *machine: str,
    tick_units: Mapping[str, TickUnit],
    icount: str = "shift=0,sleep=off",
    boot: tuple[str, ...] = ("-kernel", "{elf}"),
    **facts: Any,
) -> Emulator:
    """QEMU's `program` as the emulator of its `machine` (a name, and options). `icount`: by
    default one instruction a virtual nanosecond, without waiting for the host's clock. `facts`:
    more of the `Emulator`."""
    quiet = ("-nic", "none", "-display", "none", "-monitor", "none", "-serial", "pty")
    return Emulator(
        command=(program, "-M", *machine, *quiet, "-icount", icount, *boot),
        pty_pattern=r"char device redirected to (/dev/\S+)",
        tick_units=MappingProxyType(tick_units),
        **facts,
    )


_REGION_TITLES = {
    **{"FLASH": "flash", "DROM": "flash", "factory": "app partition", "dram0_0_seg": "RAM"},
    **{"IRAM": "RAM for code", "DRAM": "RAM for constants", "DRAM2": "RAM for data"},
}
Content = Literal["code", "weights", "stack", "data"]


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a board's memory, as its linker script (or partition table) has it."""

    name: str  # there
    size: int  # bytes
    holds: tuple[Content, ...]  # "data": arena, input buffer, head, what the app itself keeps
    weights: str = ""  # holds the weights only where they are in this one of `Board.weights`
    system: int = 0  # bytes that an operating system and its drivers keep of it, about

    @property
    def title(self) -> str:
        """For people."""
        return _REGION_TITLES.get(self.name, self.name)

    def contents(self, place: str) -> tuple[Content, ...]:
        """What it holds, the weights being in ``place``."""
        wanted = self.weights in ("", place)
        return tuple(what for what in self.holds if wanted or what != "weights")


@dataclass(frozen=True, slots=True)
class Board:
    """One board that firmware can be built for."""

    name: str  # as --board takes it
    title: str  # for people
    env: str  # PlatformIO environment
    firmware_name: str  # what `info` answers as m-info-board
    target: str  # key of nanotool.targets.TARGETS for which models are lowered
    flash_size: int  # bytes; 0: no limit that matters
    ram_size: int  # bytes; 0: no limit that matters
    emulator: Emulator
    real: bool  # exists in hardware: can be flashed and reached through a port
    baud: int = 115200
    weights: tuple[str, ...] = ()  # where weights can be at run time, if that can be chosen
    loaded_code: bool = False  # code runs from RAM, and takes of it
    registry: bool = False  # its platform is in PlatformIO's registry and nowhere else
    parts: tuple[Region, ...] = ()  # of its memory, where it is not one flash and one RAM
    # The same where PlatformIO's registry, and so ESP-IDF, is in reach; (): no other.
    registry_parts: tuple[Region, ...] = ()
    marker: str = ""  # the pin that can be high during every timed inference

    @property
    def esp_chip(self) -> str:
        """The chip's name for ESP-IDF ("esp32s3"); "" where it is none of Espressif's."""
        return self.firmware_name if self.firmware_name.startswith("esp") else ""

    def regions(self, *, registry: bool = False) -> tuple[Region, ...]:
        """What its linker script has to fill; () for a board whose memory is no limit.
        ``registry``: built with what PlatformIO's registry has, not with the stand-ins."""
        if registry and self.registry_parts:
            return self.registry_parts
        if self.parts or not self.flash_size:
            return self.parts
        return (
            Region("FLASH", self.flash_size, ("code", "weights")),
            Region("RAM", self.ram_size, ("stack", "data")),
        )

    def tick_unit(self, source: str, *, emulated: bool) -> TickUnit:
        """What a tick of `source` (``info().tick_source``) is.

        An emulated board's counter may count instructions; those are never called cycles. A
        source that counts neither is plain "ticks".
        """
        if emulated:
            return self.emulator.tick_units.get(source, "ticks")
        return _REAL_UNITS.get(source, "ticks")


NATIVE = Board(
    name="native",
    title="this computer",
    env="native",
    firmware_name="native",
    target="portable",
    flash_size=0,
    ram_size=0,
    emulator=Emulator(
        command=("{elf}",),
        pty_pattern=r"serial: (/dev/\S+)",
        tick_units=MappingProxyType({"ns": "nanoseconds"}),
        sensor=("--sensor", "{sensor}"),
    ),
    real=False,
    marker="--pins FILE",
)

# The STM32F405RG: 1 MiB of flash, 128 KiB of RAM (the other 64 KiB, the CCM, are left alone).
STM32 = Board(
    name="stm32",
    title="STM32F405 (Cortex-M4, 168 MHz)",
    env="stm32",
    firmware_name="stm32f405",
    target="armv7em",
    flash_size=1024 * 1024,
    ram_size=128 * 1024,
    emulator=_qemu(
        *("qemu-system-arm", "netduinoplus2"),
        tick_units={"tim2": "instructions"},  # counts virtual nanoseconds
        exact_ticks=True,
        package="qemu-system-arm",
        sensor=("-semihosting-config", "enable=on,target=native,arg={sensor}"),
    ),
    real=True,
    marker="PB9",
)


def _simulated(name: str, title: str, flash: int, ram: int, emulator: Emulator) -> Board:
    """A board that only QEMU has, without SIMD: all its names are one. `flash`, `ram`: KiB."""
    return Board(
        name=name,
        title=title,
        env=name,
        firmware_name=name,
        target="scalar",
        flash_size=flash * 1024,
        ram_size=ram * 1024,
        emulator=emulator,
        real=False,
    )


def _lx60(*machine: str) -> Emulator:
    """QEMU's lx60 board. The firmware makes instructions of CCOUNT with the shift."""
    return _qemu(
        *("qemu-system-xtensa", *machine),
        tick_units={"icount": "instructions"},
        icount="shift=5,sleep=off",
        exact_ticks=True,
        package="qemu-system-misc",
    )


# QEMU's lx60 with an LX106 core, which nobody ever made: Xtensa code without hardware.
XTENSA_SIM = _simulated(
    "xtensa_sim",
    "emulated Xtensa LX106 (QEMU lx60)",
    flash=1024,
    ram=512,
    emulator=_lx60("lx60", "-cpu", "lx106"),
)

# QEMU's lx60-nommu with a core that has an ESP32's MAC16, whose registers QEMU keeps twice: with
# blocks of one instruction it computes right.
XTENSA_LX6 = replace(
    _simulated(
        "xtensa_lx6",
        "emulated Xtensa with an ESP32's MAC16 (QEMU lx60-nommu, de212)",
        flash=4096,
        ram=512,
        emulator=_lx60("lx60-nommu", "-cpu", "de212", "-singlestep"),
    ),
    target="mac16",
)

# QEMU's riscv32 virt board; the linker script gives it an ESP32-C3's memory.
RISCV_VIRT = _simulated(
    "riscv_virt",
    "emulated RISC-V RV32IMC (QEMU virt)",
    flash=4096,
    ram=400,
    emulator=_qemu(
        *("qemu-system-riscv32", "virt", "-bios", "none"),
        tick_units={"minstret": "instructions"},
        exact_ticks=True,
        package="qemu-system-misc",
    ),
)


# QEMU's BBC micro:bit, an nRF51; the last 16 KiB of its flash are the store's. The firmware makes
# instructions of a timer with the shift.
MICROBIT = _simulated(
    "microbit",
    "emulated Cortex-M0 (QEMU microbit)",
    flash=240,
    ram=16,
    emulator=_qemu(
        *("qemu-system-arm", "microbit"),
        tick_units={"icount": "instructions"},
        icount="shift=7,sleep=off",
        exact_ticks=True,
        package="qemu-system-arm",
    ),
)


def _mps(machine: str) -> Emulator:
    """One of Arm's FPGA boards. The firmware makes instructions of a counter with the shift."""
    return _qemu(
        *("qemu-system-arm", machine),
        tick_units={"icount": "instructions"},
        icount="shift=6,sleep=off",
        exact_ticks=True,
        package="qemu-system-arm",
    )


def _fpga(machine: str, core: str, target: str, flash: int, ram: int) -> Board:
    """The board of QEMU's ``machine``, one of Arm's. `flash`, `ram`: KiB."""
    title = f"emulated {core} (QEMU {machine})"
    board = _simulated(machine.replace("-", "_"), title, flash, ram, _mps(machine))
    return replace(board, target=target)


MPS2_AN385 = _fpga("mps2-an385", "Cortex-M3", "scalar", flash=4096, ram=4096)
MPS2_AN386 = _fpga("mps2-an386", "Cortex-M4", "armv7em", flash=4096, ram=4096)
MPS2_AN500 = _fpga("mps2-an500", "Cortex-M7", "armv7em", flash=4096, ram=4096)
MPS2_AN505 = _fpga("mps2-an505", "Cortex-M33", "armv7em", flash=4096, ram=2048)
MPS3_AN547 = _fpga("mps3-an547", "Cortex-M55", "armv81m", flash=512, ram=512)

# With ESP-IDF: the partition that a program has (partitions.csv), and what the linker gives static
# data at most; tasks have their stacks from the heap. What the system keeps is an estimate.
_IDF = 32 * 1024
_CACHES = 96 * 1024  # and code in RAM
_FACTORY = Region("factory", 0x180000, ("code", "weights"))


def _static_data(size: int, system: int) -> tuple[Region, ...]:
    """What ESP-IDF's linker gives static data, `size` bytes."""
    return (Region("dram0_0_seg", size, ("data", "weights"), weights="dram", system=system),)


# Any ESP32 with 4 MB of flash, without ESP-IDF. Stock QEMU has no ESP32, Espressif's has.
ESP32_BARE = Board(
    name="esp32_bare",
    title="ESP32 (Xtensa LX6), bare metal",
    env="esp32_bare",
    firmware_name="esp32",
    target="mac16",
    flash_size=4096 * 1024,
    ram_size=520 * 1024,
    emulator=_qemu(
        *("{emulator}", "esp32"),
        tick_units={"ccount": "ticks"},
        icount="shift=3",
        boot=("-drive", "file={flash},if=mtd,format=raw"),
        variable="QEMU_ESP32",
        flash_size=4096 * 1024,
        image_offset=0x1000,
    ),
    real=True,
    weights=("dram", "flash"),
    loaded_code=True,
    parts=(
        Region("IRAM", 0x1FC00, ("code",)),
        Region("DRAM", 0x30000, ("stack", "weights"), weights="dram"),
        Region("DRAM2", 0x1B000, ("data",)),
        Region("DROM", 4032 * 1024, ("weights",), weights="flash"),
    ),
)

# With ESP-IDF; where PlatformIO's registry is out of reach, env:esp32 is the bare one, too.
ESP32 = replace(
    ESP32_BARE,
    name="esp32",
    title="ESP32 (Xtensa LX6)",
    env="esp32",
    registry_parts=(_FACTORY, *_static_data(0x2C200, _IDF)),
)


def _esp_idf(chip: str, title: str, ram: int, target: str) -> Board:
    """A chip with ESP-IDF and 4 MB of flash. `ram`: KiB."""
    return Board(
        name=chip,
        title=title,
        env=chip,
        firmware_name=chip,
        target=target,
        flash_size=4096 * 1024,
        ram_size=ram * 1024,
        emulator=NO_EMULATOR,
        real=True,
        registry=True,
        weights=("flash", "dram"),
        parts=(_FACTORY, *_static_data(ram * 1024, _CACHES + _IDF)),
    )


ESP32S3 = _esp_idf("esp32s3", "ESP32-S3 (Xtensa LX7)", ram=512, target="pie")
ESP32C3 = _esp_idf("esp32c3", "ESP32-C3 (RISC-V RV32IMC)", ram=400, target="scalar")

BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        board.name: board
        for board in (
            *(NATIVE, STM32, ESP32, ESP32_BARE, ESP32S3, ESP32C3),
            *(XTENSA_SIM, XTENSA_LX6, RISCV_VIRT, MICROBIT),
            *(MPS2_AN385, MPS2_AN386, MPS2_AN500, MPS2_AN505, MPS3_AN547),
        )
    }
)


def find_board(name: str) -> Board:
    """The board called `name`; `NanoError` names those there are."""
    try:
        return BOARDS[name]
    except KeyError:
        raise NanoError(
            f"There is no board {name!r}.{did_you_mean(name, BOARDS)}",
            f"Boards: {', '.join(sorted(BOARDS))}.",
        ) from None


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port of this computer."""

    device: str  # "/dev/ttyUSB0"
    description: str  # what the system says about it
    usb_id: str  # "0483:374b", "" if it is not on USB


def check_flashable(board: Board, port: str = "") -> None:
    """`NanoError` if ``board`` is only emulated, or if there is no ``port`` (a device, a URL, or ""
    for the programmer's own way)."""
    if not board.real:
        raise NanoError(
            f"{board.name} is {board.title}: there is nothing to flash.", "Use `nanotool run`."
        )
    if not port or "://" in port or Path(port).exists():
        return
    attached = [one.device for one in attached_ports()]
    if port not in attached:  # a system's ports need not be files
        raise NanoError(
            f"There is no port {port}.",
            f"Attached: {', '.join(attached)}." if attached else "No board is attached here.",
        )


def attached_ports() -> tuple[Port, ...]:
    """The serial ports that something is plugged into, by name. Built-in ports without a
    device behind them are left out."""
    ports = []
    for port in sorted(list_ports.comports(), key=lambda port: str(port.device)):
        usb_id = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None else ""
        if usb_id or port.hwid not in (None, "", "n/a"):
            ports.append(Port(port.device, port.description or "", usb_id))
    return tuple(ports)
