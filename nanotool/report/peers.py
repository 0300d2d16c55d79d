"""What others need for networks that everybody knows: bench/peers.json, to stand beside ours.

A network is known by the shapes of its layers, so one trained anew is found, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from nanotool.ir import QGraph
from nanotool.sources import project_dir

Counts: TypeAlias = Mapping[str, int]  # by network


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is in the file, which says how each was got."""

    board: str  # whose figures may be compared with these
    instructions: Mapping[str, Counts]  # by engine
    arena_bytes: Mapping[str, Counts]  # by engine
    published_cycles: Counts  # core cycles, another unit
    model_cycles: Counts  # ours in that unit
    networks: Mapping[str, str]  # by `fingerprint`


@cache
def figures() -> Figures:
    """The file's."""
    known = json.loads((project_dir() / "bench" / "peers.json").read_text(encoding="utf-8"))
    return Figures(known.pop("board"), **{name: table["of"] for name, table in known.items()})


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer's figures for one network; None where they are not known."""

    engine: str
    instructions: int | None = None
    cycles: int | None = None  # another unit, on other hardware
    model_cycles: int | None = None  # ours to compare with `cycles`
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
    known = figures()
    model = known.networks.get(fingerprint(graph))
    if model is None:
        return ()
    found = [
        Peer(engine, counts[model], arena_bytes=known.arena_bytes.get(engine, {}).get(model))
        for engine, counts in known.instructions.items()
        if model in counts
    ]
    if cycles := known.published_cycles.get(model):
        ours = known.model_cycles[model]
        found.append(Peer("best published (MLPerf Tiny)", cycles=cycles, model_cycles=ours))
    return tuple(found)
