"""C programs that count instructions by themselves, on a bare emulated board, and their records.

Compiled with gcc -O2, run in QEMU, which counts exactly; they print lines of a name and numbers,
`end` last. A run that differs from its record fails; with another compiler the counts
differ, and nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import re
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
_FIRMWARE = ROOT / "firmware"
_BOARDS = _FIRMWARE / "boards"
GCC = "arm-none-eabi-gcc"
_FLAGS = ("-std=c99", "-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
_TIMEOUT = 300  # seconds
STM32 = "stm32"  # boards of nanotool.boards
OTHERS = ("mps3_an547", "riscv_virt", "xtensa_sim")


@dataclass(frozen=True, slots=True)
class Machine:
    """How a program for an emulated board is made: as platformio.ini says of its firmware."""

    gcc: str
    core: tuple[str, ...]  # options for compiler and linker
    parts: tuple[Path, ...]  # folders of C and assembler, or files
    folder: Path  # it has the linker script

    @classmethod
    def of(cls, board: str) -> Machine:
        """That of a board of nanotool.boards."""
        from platformio.project.config import ProjectConfig  # noqa: PLC0415  (slow)

        config = ProjectConfig(str(ROOT / "platformio.ini"))

        def option(name: str, default: str = "") -> str:
            told = config.get(f"env:{board}", name, default)
            return " ".join(told) if isinstance(told, list) else str(told)

        parts = re.findall(r"\+<(boards/.+?)>", option("build_src_filter"))
        return cls(
            gcc=option("custom_toolchain", "arm-none-eabi-") + "gcc",
            core=tuple(option("custom_machine_flags").split()),
            parts=tuple(_FIRMWARE / part for part in parts),
            folder=_BOARDS / option("custom_board"),
        )


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
    sources = [program, *(path for part in machine.parts for path in _sources(part)), *library]
    own = (*machine.parts, machine.folder)
    includes = [folder, _BOARDS / "bare" / "include", _FIRMWARE, _BOARDS, *own]
    elf = folder / "program.elf"
    command = [
        *(machine.gcc, *machine.core, *_FLAGS, "-DCHECK_EMBEDDED"),
        *(f"-I{path}" for path in (*includes, LIBRARY / "include") if path.is_dir()),
        *flags,
        *map(str, sources),
        *("-nostartfiles", "-nostdlib", "-Wl,--gc-sections", f"-L{_BOARDS}"),
        *(f"-T{machine.folder / 'link.ld'}", "-lgcc", "-o", str(elf)),
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
    board: str = STM32,
) -> Lines:
    """What ``program`` counts on ``board``. ``header``: name and text of a file that it includes;
    ``flags``: more for the compiler."""
    emulator = BOARDS[board].emulator.command
    with tempfile.TemporaryDirectory() as folder:
        if header is not None:
            (Path(folder) / header[0]).write_text(header[1], "utf-8")
        elf = str(_build(Machine.of(board), program, library, Path(folder), flags))
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
