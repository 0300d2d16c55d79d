"""What the front ends cost on the device: instructions of an FFT, and of a frame, on the emulated
STM32.

    python -m bench.front_ends [--record]

Compiles bench/front_ends.c with arm-none-eabi-gcc -O2 and runs it in QEMU, which counts exactly. A
run that differs from bench/front_ends.json fails; --record writes it anew. With another compiler
the counts differ: then only the table is printed. docs/signal.md has the figures.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import bare
from nanotool.backends.c.tables import initializer, static_arrays
from nanotool.ir import Array, Struct
from nanotool.sensing.description import FrontEnd, MelSettings, MicroFrontendSettings
from nanotool.signal.fft import fft_tables
from nanotool.signal.fft32 import fft32_table
from nanotool.signal.frontend import as_struct, kind_of

RECORD = bare.ROOT / "bench" / "front_ends.json"
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
            lines += definition(name, struct)
            call = "transform32" if "32_" in name else "transform"
            calls.append(f'{call}("{name}", &{name});')
    for name, settings in FRONT_ENDS.items():
        lines += definition(name, as_struct(settings))
        kind = kind_of(settings)
        lines.insert(0, f'#include "nano/signal/{kind.header}.h"')
        calls.append(f'frame("{name}", &{kind.symbol}, &{name}, {settings.step}u);')
    return "\n".join([*lines, f"#define MEASURE_ALL {' '.join(calls)}", ""])


def definition(name: str, struct: Struct) -> list[str]:
    """``struct`` and its arrays as C."""
    arrays = static_arrays(struct, name)
    return [*arrays, f"static const {struct.ctype} {name} = {initializer(struct, name)};", ""]


def measure() -> dict[str, Any]:
    """Instructions by name."""
    program = bare.ROOT / "bench" / "front_ends.c"
    lines = bare.run(program, bare.front_end_sources(), ("front_ends.h", tables()))
    return {"unit": "instructions", "counts": {name: count for name, (count,) in lines}}


def show(found: dict[str, Any]) -> None:
    """A line each."""
    for name, count in found["counts"].items():
        print(f"{name:16}{count:>10,}")


if __name__ == "__main__":
    sys.exit(bare.compare(__doc__.splitlines()[0], RECORD, measure, show))
