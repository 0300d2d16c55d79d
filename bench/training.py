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


def measure() -> dict[str, Any]:
    """The benchmark's lines."""
    library = sorted((bare.LIBRARY / "src").rglob("*.c"))
    heads = {
        name: dict(zip(CALLS, numbers, strict=True))
        for name, numbers in bare.run(bare.ROOT / "bench" / "training.c", library)
    }
    return {"unit": "instructions; arena: bytes", "heads": heads}


def show(found: dict[str, Any]) -> None:
    """A row a head."""
    print(f"{'':28}" + "".join(f"{call:>14}" for call in CALLS))
    for name, counts in found["heads"].items():
        print(f"{name:28}" + "".join(f"{counts[call]:>14,}" for call in CALLS))


if __name__ == "__main__":
    sys.exit(bare.compare(__doc__.splitlines()[0], RECORD, measure, show))
