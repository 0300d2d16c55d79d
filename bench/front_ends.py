"""What the front ends cost on the device: instructions of an FFT, and of a frame, on the emulated
STM32.

    python -m bench.front_ends [--record]

Compiles bench/front_ends.c with arm-none-eabi-gcc -O2 and runs it in QEMU, which counts exactly. A
run that differs from bench/front_ends.json fails; --record writes it anew. With another compiler
the counts differ: then only the table is printed. docs/signal.md has the figures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.training import CORE, FLAGS, QEMU, ROOT, compiler
from nanotool.backends.c.tables import initializer, static_arrays
from nanotool.ir import Array, Struct
from nanotool.sensing.description import FrontEnd, MelSettings, MicroFrontendSettings
from nanotool.signal.fft import fft_tables
from nanotool.signal.fft32 import fft32_table
from nanotool.signal.frontend import as_struct, kind_of

RECORD = ROOT / "bench" / "front_ends.json"
SIZES = (64, 128, 256, 512, 1024)
FRONT_ENDS: dict[str, FrontEnd] = {
    "micro_frontend": MicroFrontendSettings(),
    "log_mel": MelSettings(),
    "mfcc_13": MelSettings(coefficients=13),
}


def tables() -> str:
    """front_ends.h: const tables, and the calls that measure each."""
    lines, calls = [], []
    for size in SIZES:
        narrow, wide = fft_tables(size), fft32_table(size)
        arrays = (
            ("twiddles", narrow.twiddles.reshape(-1)),
            ("unpacking", narrow.unpacking.reshape(-1)),
        )
        fields = tuple((name, Array(name, data, "Q15")) for name, data in arrays)
        structs = {
            f"fft_{size}": Struct("nano_fft", (("size", size), *fields)),
            f"fft32_{size}": Struct(
                "nano_fft32", (("size", size), ("turns", Array("turns", wide.reshape(-1), "Q31")))
            ),
        }
        for name, struct in structs.items():
            lines += _definition(name, struct)
            call = "transform32" if "32_" in name else "transform"
            calls.append(f'{call}("{name}", &{name});')
    for name, settings in FRONT_ENDS.items():
        lines += _definition(name, as_struct(settings))
        kind = kind_of(settings)
        lines.insert(0, f'#include "nano/signal/{kind.header}.h"')
        calls.append(f'frame("{name}", &{kind.symbol}, &{name}, {settings.step}u);')
    return "\n".join([*lines, f"#define MEASURE_ALL {' '.join(calls)}", ""])


def _definition(name: str, struct: Struct) -> list[str]:
    arrays = static_arrays(struct, name)
    return [*arrays, f"static const {struct.ctype} {name} = {initializer(struct, name)};", ""]


def build(folder: Path) -> Path:
    """The benchmark for the STM32F405."""
    boards, library = ROOT / "firmware" / "boards", ROOT / "lib" / "nano"
    port = [boards / name for name in ("stm32f405", "cortex_m", "bare")]
    sources = [path for part in port for path in sorted(part.glob("*.c"))]
    sources += [boards / "common" / "startup.c", *sorted((library / "src/signal").glob("*.c"))]
    sources += [library / "src" / name for name in ("arena.c", "status.c")]
    sources += sorted((library / "src/stream").glob("*_front_end.c"))
    includes = [folder, boards / "bare" / "include", ROOT / "firmware", boards]
    (folder / "front_ends.h").write_text(tables())
    program = folder / "front_ends.elf"
    command = [
        *("arm-none-eabi-gcc", *CORE, *FLAGS, "-DCHECK_EMBEDDED"),
        *(f"-I{path}" for path in (*includes, library / "include")),
        *(str(ROOT / "bench" / "front_ends.c"), *map(str, sources)),
        *("-nostartfiles", "-nostdlib", "-Wl,--gc-sections", f"-L{boards}"),
        *(f"-T{boards / 'stm32f405' / 'link.ld'}", "-lgcc", "-o", str(program)),
    ]
    subprocess.run(command, check=True)
    return program


def measure() -> dict[str, int]:
    """Instructions by name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*QEMU, str(build(Path(folder)))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    lines = [line.split() for line in done.stdout.splitlines()]
    if ["end"] not in lines:
        sys.exit(f"The benchmark broke off:\n{done.stdout}{done.stderr}")
    return {name: int(number) for name, number in (line for line in lines if len(line) == 2)}


def main() -> int:
    """Measure, print, compare or record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the record anew")
    arguments = parser.parse_args()
    counts = measure()
    found = {"compiler": compiler(), "unit": "instructions", "counts": counts}
    for name, count in counts.items():
        print(f"{name:16}{count:>10,}")
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
