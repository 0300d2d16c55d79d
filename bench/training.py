"""What training on the device costs: instructions a call, bytes of arena, on the emulated STM32.

    python -m bench.training [--record]

Compiles bench/training.c with arm-none-eabi-gcc -O2 and runs it in QEMU, which counts exactly. A
run that differs from bench/reference/training_stm32.json fails; --record writes it anew. With
another compiler the counts differ: then only the table is printed.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import bare

RECORD = bare.ROOT / "bench" / "reference" / "training_stm32.json"
CALLS = ("sample", "step", "quantize", "infer", "nearest_mean", "arena")
SCORES = ("learn", "score", "calibrate", "arena")


def measure() -> dict[str, Any]:
    """The benchmark's lines."""
    library = sorted((bare.LIBRARY / "src").rglob("*.c"))
    lines = bare.run(bare.ROOT / "bench" / "training.c", library)
    heads, scores = (
        {name: dict(zip(calls, told, strict=True)) for name, told in lines if len(told) == count}
        for calls, count in ((CALLS, len(CALLS)), (SCORES, len(SCORES)))
    )
    return {"unit": "instructions; arena: bytes", "heads": heads, "scores": scores}


def show(found: dict[str, Any]) -> None:
    """A row a head."""
    for kind, calls in (("heads", CALLS), ("scores", SCORES)):
        print(f"{'':28}" + "".join(f"{call:>14}" for call in calls))
        for name, counts in found[kind].items():
            print(f"{name:28}" + "".join(f"{counts[call]:>14,}" for call in calls))


if __name__ == "__main__":
    sys.exit(bare.compare(__doc__.splitlines()[0], RECORD, measure, show))
