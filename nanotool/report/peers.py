"""What others need for networks that everybody knows: figures to stand beside ours.

A network is known by the shapes of its layers, so one trained anew is found, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nanotool.ir import QGraph

# The board whose figures may be compared with these.
BOARD = "stm32"

# Instructions on a Cortex-M4 (Armv7E-M) under QEMU, gcc 12.2 -O2, measured in 2026 with the peers'
# own sources: TFLM with CMSIS-NN on mps2-an386, TinyEngine's and NANO-RUST's kernels likewise.
INSTRUCTIONS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "TFLM + CMSIS-NN": MappingProxyType(
            {
                "ad": 582_950,
                "kws": 7_699_319,
                "ic": 29_864_390,
                "vww": 24_101_962,
                "mlp": 128_600,
                "digits": 1_570_300,
            }
        ),
        "TinyEngine": MappingProxyType({"ad": 770_353, "vww": 19_725_799, "mlp": 177_246}),
        "NANO-RUST": MappingProxyType({"mlp": 753_040, "digits": 5_936_840}),
    }
)

# Core cycles, not instructions: the best of MLPerf Tiny v1.1 to v1.3 (2023 to 2025) on a
# NUCLEO-L4R5ZI at 120 MHz.
PUBLISHED_CYCLES: Mapping[str, int] = MappingProxyType(
    {"ad": 486_000, "kws": 5_180_000, "ic": 19_800_000, "vww": 10_700_000}
)

# Ours in the same unit, from a model of the core, 2026: the executed instructions of goal
# `balanced`, each with Arm's cycles for a Cortex-M4 whose memory never waits. Flash does wait.
MODEL_CYCLES: Mapping[str, int] = MappingProxyType(
    {"ad": 361_598, "kws": 3_991_320, "ic": 16_272_237, "vww": 7_804_301}
)

# Bytes of arena, measured in 2026 with the peers' own planners.
ARENAS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "TFLM + CMSIS-NN": MappingProxyType(
            {"ad": 2_580, "kws": 22_820, "ic": 54_996, "vww": 100_708, "digits": 9_236}
        ),
        "TinyEngine": MappingProxyType({"vww": 60_728}),
    }
)

# `fingerprint` of each network.
NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "7e5b09c6deb5c9ed": "ad",
        "0a42a7a2724e7db6": "kws",
        "0f256aa2e80166b7": "ic",
        "bc568af39962b76b": "vww",
        "0fb904f232e6cb7e": "mlp",
        "fd5937d5629c82c8": "digits",
    }
)


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer's figures for one network; None where they are not known."""

    engine: str
    instructions: int | None = None
    cycles: int | None = None  # another unit, on other hardware
    model_cycles: int | None = None  # ours to compare with `cycles`: MODEL_CYCLES
    arena_bytes: int | None = None


def fingerprint(graph: QGraph) -> str:
    """A digest of the layers that have weights: their kinds, shapes and outputs' shapes."""
    lines = [str(graph.input_tensors[0].shape)]
    for op in graph.ops:
        if op.weight is not None:
            output = graph.tensors[op.name].shape
            lines.append(f"{type(op.op).__name__} {op.weight.shape} {output}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def peers_of(graph: QGraph) -> tuple[Peer, ...]:
    """The peers' figures for ``graph``'s network; empty for one that nobody has measured."""
    model = NETWORKS.get(fingerprint(graph))
    if model is None:
        return ()
    found = [
        Peer(engine, figures[model], arena_bytes=ARENAS.get(engine, {}).get(model))
        for engine, figures in INSTRUCTIONS.items()
        if model in figures
    ]
    if cycles := PUBLISHED_CYCLES.get(model):
        found.append(
            Peer("best published (MLPerf Tiny)", cycles=cycles, model_cycles=MODEL_CYCLES[model])
        )
    return tuple(found)
