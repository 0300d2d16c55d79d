"""Fit what each kernel takes: the figures by which lowering weighs memory against time.

    python -m bench.costs                   fit what is recorded, print how far estimates are off
    python -m bench.costs --record          and keep it: nanotool/lower/cost_table.py
    python -m bench.costs --measure         first count portable kernels anew (portable_layers.json)

Fitted are the records of single layers (layers.json) and of models (results.json); portable kernels
where they run there, and else as a Cortex-M4 counts them (portable_layers.json). For each family of
kernels (a, b, c, d), none below 0, then minimize the squared relative error of a * MACs + b *
outputs + c * inputs that windows read + d instructions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.layer_shapes import LAYERS, layers_graph
from bench.layers import RECORD, SHORT, measure
from bench.record import RESULTS
from bench.suite import MODELS
from nanotool.boards import find_board
from nanotool.files import write_atomic
from nanotool.ir import QGraph
from nanotool.lower.cost import FEATURES, family, features
from nanotool.ops import layer_of
from nanotool.passes.lossless import simplify

TABLE = Path(__file__).parent.parent / "nanotool" / "lower" / "cost_table.py"
# Target -> the boards whose records are its kernels'.
CORES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "scalar": ("riscv_virt",),
        "mac16": ("xtensa_lx6",),
        "armv7em": ("mps2_an386", "stm32"),
        "armv81m": ("mps3_an547",),
    }
)
PORTABLE = Path(__file__).parent / "portable_layers.json"
_PORTABLE_CORE = "mps2_an386"
_MOST = (np.inf, np.inf, np.inf, 600.0)  # a call takes no more, whatever else fits well
_LEAST = 0.001
_SWEEPS = 3000  # of the coordinate descent
_HEAD = '''"""What kernels take, by target (made by python -m bench.costs --record).

Kernel -> instructions (a MAC, an output, an input of a window, a call).
"""

from collections.abc import Mapping
from types import MappingProxyType

COSTS: Mapping[str, Mapping[str, tuple[float, float, float, float]]] = MappingProxyType(
'''


@dataclass(frozen=True, slots=True)
class Row:
    """What one kernel took for one layer."""

    kernel: str
    features: Sequence[int]
    instructions: int


def fit(rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[float]:
    """Coefficients >= 0 of least squared relative error, by coordinate descent."""
    a = np.array(rows, np.float64) / np.array(counts, np.float64)[:, None]
    found = np.zeros(FEATURES)
    for _ in range(_SWEEPS):
        for k in range(FEATURES):
            column = a[:, k]
            if (square := column @ column) > 0:
                rest = 1 - a @ found + column * found[k]
                found[k] = min(max(0.0, (column @ rest) / square), _MOST[k])
    return [float(f"{one:.3g}") if one >= _LEAST else 0.0 for one in found]


def recorded() -> dict[str, list[Row]]:
    """What each target's kernels took, by board."""
    layers, models = json.loads(RECORD.read_text()), json.loads(RESULTS.read_text())
    graphs = {name: simplify(load()) for name, load in MODELS.items()}
    rows: dict[str, list[Row]] = {}
    for target, boards in CORES.items():
        found = rows.setdefault(target, [])
        for board in boards:
            found += (_of_layer(n, c) for n, c in layers.get(board, {}).items() if n in LAYERS)
            for model, counts in models.get(board, {}).get("models", {}).items():
                found += _of_model(graphs[model], counts["layers"])
    return rows


def _of_layer(name: str, count: Mapping[str, Any]) -> Row:
    graph = layers_graph([name])
    layer = layer_of(graph, graph.op(name))
    return Row(count["kernel"], features(layer), count["instructions"])


def _of_model(graph: QGraph, counts: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Of the layers that one call computes by itself."""
    names = {op.name: op for op in graph.ops}
    for count in counts:
        if count["name"] in names:
            layer = layer_of(graph, names[count["name"]])
            yield Row(count["kernel"], features(layer), count["instructions"])


def fitted(rows: Sequence[Row]) -> dict[str, list[float]]:
    """The coefficients of each family."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(family(row.kernel), []).append(row)
    return {
        name: fit([row.features for row in same], [row.instructions for row in same])
        for name, same in sorted(families.items())
    }


def errors(target: str, rows: Sequence[Row], costs: Mapping[str, Sequence[float]]) -> str:
    """A line: how far estimates are off."""
    off = []
    for row in rows:
        pairs = zip(costs[family(row.kernel)], row.features, strict=True)
        off.append(abs(sum(c * n for c, n in pairs) / row.instructions - 1))
    median = float(np.median(off))
    return f"{target}: {len(off)} counts, median error {median:.1%}, worst {max(off):.0%}"


def _measure() -> None:
    """Count portable kernels."""
    board = replace(find_board(_PORTABLE_CORE), target="portable")
    counts = measure(board, SHORT)
    kept = {name: asdict(count) for name, count in counts.items()}
    write_atomic(PORTABLE, json.dumps(kept, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Fit, print; keep if told to."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.costs", description=__doc__, formatter_class=plain)
    parser.add_argument("--record", action="store_true", help="keep the figures")
    parser.add_argument("--measure", action="store_true", help="count portable kernels first")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        _measure()
    rows = recorded()
    portable = [_of_layer(n, c) for n, c in json.loads(PORTABLE.read_text()).items()]
    table = {}
    for target, counted in rows.items():
        own = {family(row.kernel) for row in counted}
        both = [*counted, *(row for row in portable if family(row.kernel) not in own)]
        table[target] = fitted(both)
        print(errors(target, both, table[target]))
    if chosen.record:
        lines = ["    {"]
        for target, costs in table.items():
            lines.append(f'        "{target}": MappingProxyType(\n            {{')
            for kernel, found in costs.items():
                numbers = ", ".join(f"{one:g}" for one in found)
                lines.append(f'                "{kernel}": ({numbers}),')
            lines.append("            }\n        ),")
        write_atomic(TABLE, _HEAD + "\n".join([*lines, "    }", ")", ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
