"""What training on the device costs: instructions a call, bytes of arena, on the emulated STM32.

    python -m bench.training [--record]

Compiles bench/training.c with arm-none-eabi-gcc -O2 and runs it in QEMU, which counts exactly. A
run that differs from bench/reference/training_stm32.json fails; --record writes it anew. With
another compiler the counts differ: then only the table is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "bench" / "reference" / "training_stm32.json"
CALLS = ("sample", "step", "quantize", "infer", "nearest_mean", "arena")
CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
FLAGS = ("-std=c99", "-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
QEMU = (
    *("qemu-system-arm", "-machine", "netduinoplus2", "-display", "none", "-monitor", "none"),
    *("-serial", "file:/dev/stdout", "-no-reboot", "-icount", "shift=0,sleep=off", "-kernel"),
)


def build(folder: Path) -> Path:
    """The benchmark for the STM32F405."""
    boards = ROOT / "firmware" / "boards"
    port = [boards / name for name in ("stm32f405", "cortex_m", "bare")]
    sources = [path for part in port for path in sorted(part.glob("*.c"))]
    sources.append(boards / "common" / "startup.c")
    sources += sorted((ROOT / "lib" / "nano" / "src").rglob("*.c"))
    includes = [boards / "bare" / "include", ROOT / "firmware", boards, ROOT / "lib/nano/include"]
    program = folder / "training.elf"
    command = [
        *("arm-none-eabi-gcc", *CORE, *FLAGS, "-DCHECK_EMBEDDED"),
        *(f"-I{path}" for path in includes),
        *(str(ROOT / "bench" / "training.c"), *map(str, sources)),
        *("-nostartfiles", "-nostdlib", "-Wl,--gc-sections", f"-L{boards}"),
        *(f"-T{boards / 'stm32f405' / 'link.ld'}", "-lgcc", "-o", str(program)),
    ]
    subprocess.run(command, check=True)
    return program


def measure() -> dict[str, dict[str, int]]:
    """The benchmark's lines."""
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        done = subprocess.run(
            [*QEMU, str(program)], capture_output=True, text=True, check=False, timeout=120
        )
    lines = [line.split() for line in done.stdout.splitlines()]
    if ["end"] not in lines:
        sys.exit(f"The benchmark broke off:\n{done.stdout}{done.stderr}")
    return {
        name: dict(zip(CALLS, map(int, numbers), strict=True))
        for name, *numbers in lines
        if len(numbers) == len(CALLS)
    }


def compiler() -> str:
    """Name and version of the compiler."""
    command = ["arm-none-eabi-gcc", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def main() -> int:
    """Measure, print, compare or record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the reference anew")
    arguments = parser.parse_args()
    heads = measure()
    found = {"compiler": compiler(), "unit": "instructions; arena: bytes", "heads": heads}
    print(f"{'':28}" + "".join(f"{call:>14}" for call in CALLS))
    for name, counts in heads.items():
        print(f"{name:28}" + "".join(f"{counts[call]:>14,}" for call in CALLS))
    if arguments.record:
        RECORD.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        return 0
    recorded = json.loads(RECORD.read_text("utf-8"))
    if recorded["compiler"] != found["compiler"]:
        print(f"recorded with {recorded['compiler']}: not compared")
        return 0
    if recorded != found:
        print("differs from the recorded counts", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
