"""C programs that count instructions by themselves, on a bare emulated board, and their records.

Compiled with gcc -O2, run in QEMU, which counts exactly; they print lines of a name and numbers,
`end` last. A run that differs from its record fails; with another compiler the counts
differ, and nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotool.boards import BOARDS

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "lib" / "nano"
_BOARDS = ROOT / "firmware" / "boards"
GCC = "arm-none-eabi-gcc"
_FLAGS = ("-std=c99", "-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections")


@dataclass(frozen=True, slots=True)
class Machine:
    """How a program for an emulated board is made."""

    board: str  # of nanotool.boards; its folder in firmware/boards has the linker script
    gcc: str
    core: tuple[str, ...]  # options for compiler and linker
    parts: tuple[str, ...]  # folders of firmware/boards, or files in them
    folder: str = ""  # if it is not called as the board is


_CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
_CORTEX_M55 = ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard")
_RV32 = ("-march=rv32imc", "-mabi=ilp32", "-mcmodel=medany")
_LX106 = ("-mlongcalls", "-mtext-section-literals")
STM32 = Machine(
    "stm32", GCC, _CORTEX_M4, ("stm32f405", "cortex_m", "bare", "common/startup.c"), "stm32f405"
)
OTHERS = (
    Machine("mps3_an547", GCC, _CORTEX_M55, ("mps", "cortex_m", "bare", "common")),
    Machine("riscv_virt", "riscv64-unknown-elf-gcc", _RV32, ("riscv_virt", "bare", "common")),
    Machine("xtensa_sim", "xtensa-lx106-elf-gcc", _LX106, ("lx60", "xtensa", "bare", "common")),
)
_TIMEOUT = 900  # seconds

Lines = list[tuple[str, list[int]]]  # a name and its numbers


def front_end_sources() -> list[Path]:
    """The library's, that front ends are made of."""
    source = LIBRARY / "src"
    signal = sorted((source / "signal").glob("*.c"))
    ends = sorted((source / "stream").glob("*_front_end.c"))
    return [*signal, source / "arena.c", source / "status.c", *ends]


def _build(
    machine: Machine, program: Path, library: Sequence[Path], folder: Path, flags: Sequence[str]
) -> Path:
    """``program`` and these sources of the library; headers in ``folder`` come first."""
    own = _BOARDS / (machine.folder or machine.board)
    parts = [_BOARDS / name for name in machine.parts]
    sources = [program, *(path for part in parts for path in _sources(part)), *library]
    includes = [folder, _BOARDS / "bare" / "include", ROOT / "firmware", _BOARDS, *parts, own]
    elf = folder / "program.elf"
    command = [
        *(machine.gcc, *machine.core, *_FLAGS, "-DCHECK_EMBEDDED"),
        *(f"-I{path}" for path in (*includes, LIBRARY / "include") if path.is_dir()),
        *flags,
        *map(str, sources),
        *("-nostartfiles", "-nostdlib", "-Wl,--gc-sections", f"-L{_BOARDS}"),
        *(f"-T{own / 'link.ld'}", "-lgcc", "-o", str(elf)),
    ]
    subprocess.run(command, check=True)
    return elf


def _sources(part: Path) -> list[Path]:
    """The C and assembler files of a folder, or the file."""
    return sorted(part.glob("*.[cS]")) if part.is_dir() else [part]


def run(
    program: Path,
    library: Sequence[Path],
    header: tuple[str, str] | None = None,
    flags: Sequence[str] = (),
    machine: Machine = STM32,
) -> Lines:
    """What ``program`` counts. ``header``: name and text of a file that it includes; ``flags``:
    more for the compiler."""
    emulator = BOARDS[machine.board].emulator.command
    with tempfile.TemporaryDirectory() as folder:
        if header is not None:
            (Path(folder) / header[0]).write_text(header[1], "utf-8")
        elf = str(_build(machine, program, library, Path(folder), flags))
        command = [part.format(elf=elf) for part in emulator]
        command[command.index("pty")] = "stdio"
        printed = _until_end([*command, "-no-reboot"])
    lines = [line.split() for line in printed]
    if ["end"] not in lines:
        sys.exit("The benchmark broke off:\n" + "".join(printed))
    return [
        (name, list(map(int, numbers)))
        for name, *numbers in filter(None, lines)
        if numbers and all(number.isdigit() for number in numbers)
    ]


def _until_end(command: Sequence[str]) -> list[str]:
    """The lines that a board prints, up to `end`: some then start over."""
    lines = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        clock = threading.Timer(_TIMEOUT, process.kill)
        clock.start()
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.split() == ["end"]:
                break
        clock.cancel()
        process.kill()
    return lines


def compiler(name: str = GCC) -> str:
    """Name and version of the compiler ``name``."""
    command = [name, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def compare(
    description: str,
    path: Path,
    measure: Callable[[], dict[str, Any]],
    show: Callable[[Any], None],
    gcc: str = GCC,
) -> int:
    """The command: show what ``measure`` finds, compare it with the record at ``path`` or, with
    --record, keep it there. The exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--record", action="store_true", help="write the record anew")
    arguments = parser.parse_args()
    found = {"compiler": compiler(gcc), **measure()}
    show(found)
    if arguments.record:
        path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        return 0
    recorded = json.loads(path.read_text("utf-8"))
    if recorded["compiler"] != found["compiler"]:
        print(f"recorded with {recorded['compiler']}: not compared")
        return 0
    if recorded != found:
        print("differs from the recorded counts", file=sys.stderr)
        return 1
    return 0
