"""Two minutes of sound through the front ends on emulated boards: every feature as it should be.

    python -m bench.front_end_proof [--seconds 120]

The board makes the sound by itself (noise of any loudness, silence, sweeps, clipping, clicks) and
tells a checksum of all features. It is to be that of the PyPI package pymicro-features for the
micro frontend, and of the twins in NumPy for log-mel and MFCC, which have computed the same sound.
Compiled for Cortex-M4, with its DSP instructions, for Cortex-M3, without any, for Cortex-M55, RV32
and Xtensa. An ESP32's LX6 runs the same code as xtensa_sim: MAC16 is for models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench import bare
from bench.front_ends import FRONT_ENDS, definition
from nanotool.sensing.description import FrontEnd, MicroFrontendSettings
from nanotool.signal.frontend import as_struct, front_end, kind_of

_NO_DSP = ("-mcpu=cortex-m3", "-mfloat-abi=soft", "-mfpu=auto")
CORES: dict[str, tuple[str, tuple[str, ...]]] = {
    "cortex-m4": (bare.STM32, ()),
    "cortex-m3": (bare.STM32, _NO_DSP),
    **{board: (board, ()) for board in bare.OTHERS},
}
RATE, PIECE = 16000, 4000
UNIT, FRAME = 0.0390625, 160  # of pymicro-features


def sound(count: int) -> NDArray[np.int16]:
    """What front_end_proof.c makes."""
    random, level, made = 1, 0, np.zeros(count, np.int64)
    for at in range(count):
        random = (random * 1664525 + 1013904223) % 2**32
        kind, phase, noise = at // PIECE % 6, at % PIECE, (random >> 16) - 32768
        if phase == 0:
            level = 1 << (random >> 28)
        if kind == 0:
            value = int(noise * level / 32768)
        elif kind == 1:
            value = 0 if level > 128 else noise >> 15
        elif kind == 2:
            value = int(((at + 1) * (1 + phase // 64) % 256 * 256 - 32768) * level / 32768)
        elif kind == 3:
            value = noise * 8
        elif kind == 4:
            value = 32767 if phase % 997 == 0 else 0
        else:
            value = -32768 if phase & 64 else 32767
        made[at] = value
    return np.clip(made, -32768, 32767).astype(np.int16)


def expected(settings: FrontEnd, samples: NDArray[np.int16]) -> NDArray[np.uint16]:
    """The features [windows, features] that others compute, as 16 bits."""
    if not isinstance(settings, MicroFrontendSettings):
        return front_end(settings, engine="numpy").process(samples).astype(np.uint16)
    return np.array(list(_reference(samples)))


def _reference(samples: NDArray[np.int16]) -> Iterator[NDArray[np.uint16]]:
    from pymicro_features import MicroFrontend  # noqa: PLC0415

    reference = MicroFrontend()
    for begin in range(0, len(samples) - FRAME + 1, FRAME):
        found = reference.process_samples(samples[begin : begin + FRAME].tobytes()).features
        if found:
            yield (np.array(found) / UNIT).astype(np.uint16)


def checksum(features: NDArray[np.uint16]) -> int:
    """FNV-1a of the features' bytes, without its lowest bit."""
    value = 2166136261
    for byte in features.astype("<u2").tobytes():
        value = (value ^ byte) * 16777619 % 2**32
    return value >> 1


def tables(count: int) -> str:
    """front_ends.h."""
    lines = [f"#define SAMPLES {count}u", f"#define PIECE {PIECE}u"]
    calls = []
    for name, settings in FRONT_ENDS.items():
        kind = kind_of(settings)
        lines += [f'#include "nano/signal/{kind.header}.h"']
        lines += definition(name, as_struct(settings))
        calls.append(f'prove("{name}", &{kind.symbol}, &{name}, {settings.features}u);')
    return "\n".join([*lines, f"#define PROVE_ALL {' '.join(calls)}", ""])


def main() -> int:
    """The command: 0 if every checksum is the expected one."""
    parser = argparse.ArgumentParser("front_end_proof", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="of sound (120)")
    count = parser.parse_args().seconds * RATE
    samples = sound(count)
    right = {name: expected(settings, samples) for name, settings in FRONT_ENDS.items()}
    program = bare.ROOT / "bench" / "front_end_proof.c"
    wrong = 0
    header, sources = ("front_ends.h", tables(count)), bare.front_end_sources()
    for core, (board, flags) in CORES.items():
        told = dict(bare.run(program, sources, header, flags, board))
        for name, features in right.items():
            good = told.get(name) == [len(features), checksum(features)]
            wrong += not good
            print(
                f"{core:12}{name:16}{features.size:>10,} values{'' if good else '  DIFFER'}",
                flush=True,
            )
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
