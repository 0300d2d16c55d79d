"""What other libraries' real FFTs take on the same emulated STM32, with the same compiler and
options as ours (bench/front_ends.py): kissfft in fixed point, and CMSIS-DSP's for Cortex-M4.

    python -m bench.fft_peers --kissfft FOLDER --cmsis-dsp FOLDER --cmsis FOLDER [--record]

The folders are checkouts: mborgerding/kissfft, ARM-software/CMSIS-DSP and, for its Core headers,
ARM-software/CMSIS_6. Nothing of them is kept here but the counts, in bench/fft_peers.json, which
docs/signal.md tells. A transform is counted, not its set-up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import bare

RECORD = bare.ROOT / "bench" / "fft_peers.json"
PROGRAM = bare.ROOT / "bench" / "fft_peers.c"
# What kissfft takes of a C library, which a bare board has not: for its set-up.
STUBS = {
    "stdlib.h": "#include <stddef.h>\nvoid *malloc(size_t);\nvoid free(void *);\n",
    "stdio.h": "#define stderr 0\n#define fprintf(...) ((void)0)\n",
    "math.h": "double sin(double);\ndouble cos(double);\ndouble floor(double);\n"
    "double sqrt(double);\n#define floorf floor\n",
}
SERIES = """
void *malloc(size_t size) { (void)size; return NULL; }
void free(void *at) { (void)at; }
double floor(double x) { const double y = (double)(int)x; return y > x ? y - 1 : y; }
double sqrt(double x) { double y = x; for (int i = 0; i < 60; i++) y = (y + x / y) / 2; return y; }
static double series(double x, double term, int i) {
    double sum = 0;
    for (; i < 60; i += 2) { sum += term; term *= -x * x / ((i + 1) * (i + 2)); }
    return sum;
}
double sin(double x) { return series(x, x, 1); }
double cos(double x) { return series(x, 1, 0); }
"""


def kissfft(folder: Path, bits: int) -> bare.Lines:
    """kiss_fftr() of numbers of ``bits``."""
    lines = [f"#define KISSFFT\n#define FIXED_POINT {bits}"]
    lines += [f'#include "{folder / name}.c"' for name in ("kiss_fft", "kiss_fftr")]
    with tempfile.TemporaryDirectory() as stubs:
        for name, text in STUBS.items():
            (Path(stubs) / name).write_text(text, "utf-8")
        header = ("peer.h", "\n".join([*lines, SERIES]))
        return bare.run(PROGRAM, (), header, (f"-I{stubs}", f"-I{folder}", "-fbuiltin"))


def cmsis_dsp(folder: Path, core: Path) -> bare.Lines:
    """arm_rfft_q15() and _q31()."""
    source = folder / "Source"
    names = [f"arm_{kind}_q{bits}" for bits in (15, 31) for kind in ("rfft", "rfft_init", "cfft")]
    names += [f"arm_{kind}_q{bits}" for bits in (15, 31) for kind in ("cfft_init", "cfft_radix4")]
    sources = [source / "TransformFunctions" / f"{name}.c" for name in (*names, "arm_bitreversal2")]
    sources += [source / "CommonTables" / name for name in ("arm_common_tables.c",)]
    sources += [source / "CommonTables" / name for name in ("arm_const_structs.c",)]
    sources += [source / "BasicMathFunctions" / f"arm_shift_q{bits}.c" for bits in (15, 31)]
    with tempfile.TemporaryDirectory() as stubs:
        for name, text in STUBS.items():
            (Path(stubs) / name).write_text(text, "utf-8")
        includes = (folder / "Include", folder / "PrivateInclude", core / "CMSIS/Core/Include")
        flags = (
            f"-I{stubs}",
            *(f"-I{path}" for path in includes),
            "-D__FPU_PRESENT=1",
            "-fbuiltin",
        )
        functions = ("peer.h", '#include "dsp/transform_functions.h"\n')
        return bare.run(PROGRAM, sources, functions, flags)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser("fft_peers", description=__doc__)
    for name in ("kissfft", "cmsis-dsp", "cmsis"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--record", action="store_true", help=f"keep the counts in {RECORD.name}")
    chosen = parser.parse_args()
    folder = chosen.kissfft.resolve()
    lines = [*kissfft(folder, 16), *kissfft(folder, 32)]
    lines += cmsis_dsp(chosen.cmsis_dsp.resolve(), chosen.cmsis.resolve())
    counts = {name: count for name, (count,) in lines}
    for name, count in counts.items():
        print(f"{name:18}{count:>10,}")
    if chosen.record:
        found = {"compiler": bare.compiler(), "unit": "instructions", "counts": counts}
        RECORD.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
