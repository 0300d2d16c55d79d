"""C programs that count instructions by themselves, on the bare emulated STM32, and their records.

Compiled with arm-none-eabi-gcc -O2, run in QEMU, which counts exactly; they print lines of a name
and numbers, `end` last. A run that differs from its record fails; with another compiler the counts
differ, and nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "lib" / "nano"
_BOARDS = ROOT / "firmware" / "boards"
GCC = "arm-none-eabi-gcc"
_CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
_FLAGS = ("-std=c99", "-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
_QEMU = (
    *("qemu-system-arm", "-machine", "netduinoplus2", "-display", "none", "-monitor", "none"),
    *("-serial", "file:/dev/stdout", "-no-reboot", "-icount", "shift=0,sleep=off", "-kernel"),
)
_TIMEOUT = 300  # seconds

Lines = list[tuple[str, list[int]]]  # a name and its numbers


def front_end_sources() -> list[Path]:
    """The library's, that front ends are made of."""
    source = LIBRARY / "src"
    signal = sorted((source / "signal").glob("*.c"))
    ends = sorted((source / "stream").glob("*_front_end.c"))
    return [*signal, source / "arena.c", source / "status.c", *ends]


def _build(program: Path, library: Sequence[Path], folder: Path, flags: Sequence[str]) -> Path:
    """``program`` and these sources of the library; headers in ``folder`` come first."""
    port = [_BOARDS / name for name in ("stm32f405", "cortex_m", "bare")]
    sources = [program, *(path for part in port for path in sorted(part.glob("*.c")))]
    sources += [_BOARDS / "common" / "startup.c", *library]
    includes = [folder, _BOARDS / "bare" / "include", ROOT / "firmware", _BOARDS]
    elf = folder / "program.elf"
    command = [
        *(GCC, *_CORE, *_FLAGS, "-DCHECK_EMBEDDED"),
        *(f"-I{path}" for path in (*includes, LIBRARY / "include")),
        *flags,
        *map(str, sources),
        *("-nostartfiles", "-nostdlib", "-Wl,--gc-sections", f"-L{_BOARDS}"),
        *(f"-T{_BOARDS / 'stm32f405' / 'link.ld'}", "-lgcc", "-o", str(elf)),
    ]
    subprocess.run(command, check=True)
    return elf


def run(
    program: Path,
    library: Sequence[Path],
    header: tuple[str, str] | None = None,
    flags: Sequence[str] = (),
) -> Lines:
    """What ``program`` counts. ``header``: name and text of a file that it includes; ``flags``:
    more for the compiler."""
    with tempfile.TemporaryDirectory() as folder:
        if header is not None:
            (Path(folder) / header[0]).write_text(header[1], "utf-8")
        command = [*_QEMU, str(_build(program, library, Path(folder), flags))]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    lines = [line.split() for line in done.stdout.splitlines()]
    if ["end"] not in lines:
        sys.exit(f"The benchmark broke off:\n{done.stdout}{done.stderr}")
    return [
        (name, list(map(int, numbers)))
        for name, *numbers in filter(None, lines)
        if numbers and all(number.isdigit() for number in numbers)
    ]


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
