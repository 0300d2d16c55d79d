"""Count single layers on emulated cores, beside what others take for the same shapes.

    python -m bench.layers                          all layers on Cortex-M4, M55 and RV32IMC
    python -m bench.layers --board mps2_an386 d576_3 dw3_m4_8_16      some, on one core
    python -m bench.layers --record                 keep them: layers.json, layers.md
    python -m bench.layers --gate                   the quick part (nox -s gate): a few of each kind

Fails where a layer takes more instructions than recorded, or where a byte is not the simulator's.
Counted is the kernel alone. The others' counts (layer_peers.csv) are of the same shapes in one ELF
under the same counter, gcc 12.2 -O2, 2026-11-29: CMSIS-NN 99f736a6, muRISCV-NN 4eb6a1f (scalar),
esp-nn d45b843 (its C).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import suite
from bench.layer_shapes import LAYERS, WIDE, layers_graph
from nanotool.bench import bench_inputs, connect
from nanotool.boards import Board, find_board
from nanotool.build import build
from nanotool.compare import expected_outputs
from nanotool.errors import NanoError
from nanotool.files import write_atomic

HERE = Path(__file__).parent
RECORD = HERE / "layers.json"
TOLERANCE = 0.01
# Boards and the columns of layer_peers.csv that are theirs; the first one is the one to beat.
PEERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mps2_an386": ("m4_cmsis_nn",),
        "mps3_an547": ("m55_cmsis_nn",),
        "riscv_virt": ("rv32_muriscv_nn", "rv32_esp_nn"),
    }
)
TITLES = MappingProxyType(
    {
        "m4_cmsis_nn": "CMSIS-NN",
        "m55_cmsis_nn": "CMSIS-NN",
        "rv32_muriscv_nn": "muRISCV-NN",
        "rv32_esp_nn": "esp-nn",
    }
)
# Small layers, of each way that kernels go: what the gate measures.
SHORT = (
    *("d16_16", "d576_3", "d333_5", "d2000_9", "pw32_2_12_lin", "pw17_3_10_lin", "pw64_64_g8_9"),
    *("c3_5_7_s2_21", "c3_77_5_9", "c3_12_18_g6_11", "t3_8_5_s3_7", "t5_12_6_s2_9", "dw3_336_3"),
    *("dw3_m3_7_13", "dw5_m2_12_s2_17", "dw4_20_s3_19", "dw3_18_d3_15", "1d16_1_8_256"),
    *("avg3_6_p1_14", "max3_5_s1_15", "max2_2_17", "sub_9x11x5", "mul_bias_12x12x10"),
    *(name + WIDE for name in ("d576_3", "c3_5_7_s2_21", "pw64_64_g8_9", "dw4_20_s3_19")),
)
_MOST_WEIGHTS = 200_000  # bytes of a model: what the smallest board has room for
_LARGE = 30_000  # bytes of inputs, from which on a layer gets a model of its own


@dataclass(frozen=True, slots=True)
class Count:
    """One layer on one board."""

    kernel: str
    macs: int
    instructions: int


Counts = dict[str, Count]  # by layer


def models(names: Sequence[str]) -> Iterator[list[str]]:
    """``names`` in models that fit every board, those of similar inputs together."""
    group: list[str] = []
    for name in sorted(names, key=lambda one: LAYERS[one].input_size):
        together = sum(LAYERS[one].weight_size for one in (*group, name))
        if group and (together > _MOST_WEIGHTS or LAYERS[name].input_size > _LARGE):
            yield group
            group = []
        group.append(name)
    yield group


def measure(board: Board, names: Sequence[str]) -> Counts:
    """``names`` on ``board``. Raises NanoError where a byte differs from the simulator's."""
    counts: Counts = {}
    for group in models(names):
        graph = layers_graph(group)
        firmware = build(graph, board, optimize=suite.GOAL)
        lowered = firmware.lowered
        x = bench_inputs(graph)[:1]
        expected = expected_outputs(firmware.graph, lowered, x)
        with connect(board, firmware.elf) as device:
            device.load([x[0]])
            ticks = device.layers().layers
        for op, layer, wanted in zip(lowered.ops, ticks, expected, strict=True):
            if wanted.size and layer.crc != zlib.crc32(wanted.tobytes()):
                raise NanoError(f"{op.name} on {board.name}: its bytes differ.", "")
            if op.name in group:
                counts[op.name] = Count(op.kernel, op.macs, layer.ticks)
    return {name: counts[name] for name in names}


def peers() -> dict[str, dict[str, int]]:
    """Column -> layer -> instructions, of others."""
    with (HERE / "layer_peers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name != "layer"]
    return {name: {row["layer"]: int(row[name]) for row in rows if row[name]} for name in columns}


def geometric_mean(ratios: Sequence[float]) -> float:
    """Their geometric mean; 1 if there are none."""
    return math.exp(sum(map(math.log, ratios)) / max(len(ratios), 1))


def _ratios(
    board: str, counts: Counts, others: dict[str, dict[str, int]]
) -> dict[str, list[float]]:
    """Column -> theirs / ours, of each layer that they have."""
    return {
        column: [
            others[column][name] / count.instructions
            for name, count in counts.items()
            if name in others[column]
        ]
        for column in PEERS.get(board, ())
    }


def _rows(board: str, counts: Counts) -> Iterator[tuple[str, ...]]:
    """Cells: layer, kernel, MACs, instructions, a MAC, and of each peer its count and the ratio."""
    others = peers()
    for name, count in counts.items():
        each = f"{count.instructions / count.macs:.2f}" if count.macs else ""
        cells = [name, count.kernel.removeprefix("nano_"), f"{count.macs:,}"]
        cells += [f"{count.instructions:,}", each]
        for column in PEERS.get(board, ()):
            theirs = others[column].get(name)
            cells.append(f"{theirs:,}" if theirs else "")
            cells.append(f"{theirs / count.instructions:.2f}" if theirs else "")
        yield tuple(cells)


def _head(board: str) -> list[str]:
    columns = (f"{TITLES[column]}|ratio" for column in PEERS.get(board, ()))
    return ["layer", "kernel", "MACs", "instructions", "a MAC", *"|".join(columns).split("|")]


def _summary(board: str, counts: Counts) -> list[str]:
    """A line a peer: how many layers, the geometric mean, how many below 1."""
    lines = []
    for column, ratios in _ratios(board, counts, peers()).items():
        if ratios:
            below = sum(ratio < 1 for ratio in ratios)
            lines.append(
                f"{find_board(board).title}: {len(ratios)} layers that {TITLES[column]} has,"
                f" geometric mean {geometric_mean(ratios):.2f}, {below} below 1,"
                f" worst {min(ratios):.2f}."
            )
    wide = [
        count.instructions / counts[name.removesuffix(WIDE)].instructions
        for name, count in counts.items()
        if name.endswith(WIDE) and name.removesuffix(WIDE) in counts
    ]
    if wide:
        lines.append(
            f"{find_board(board).title}: {len(wide)} layers in int16 take"
            f" {geometric_mean(wide):.2f} times the instructions of int8 (geometric mean),"
            f" at most {max(wide):.2f}."
        )
    return lines


def show(board: str, counts: Counts, console: Console) -> None:
    """The table of one board, and what it comes to."""
    head = _head(board)
    table = Table(*head[:2], box=None, title=find_board(board).title)
    for title in head[2:]:
        table.add_column(title, justify="right")
    for row in _rows(board, counts):
        low = any(cell and float(cell) < 1 for cell in row[6::2])
        table.add_row(*row, style="red" if low else "")
    console.print(table)
    for line in _summary(board, counts):
        console.print(line, highlight=False, soft_wrap=True)


def markdown(measured: dict[str, Counts]) -> str:
    """The page: what each board's layers come to by kind, then all layers."""
    lines = ["<!-- made by python -m bench.layers --record -->", "", "# Single layers", ""]
    lines += ["Instructions, executed by emulated cores; ratio: theirs / ours.", ""]
    for board, counts in measured.items():
        lines += [f"## {find_board(board).title}", ""]
        others = peers()
        kinds = sorted(counts, key=lambda name: LAYERS[name].kind)
        lines += ["| kind | layers | " + " | ".join(TITLES[c] for c in PEERS[board]) + " | worst |"]
        lines += ["|---|" + "---:|" * (len(PEERS[board]) + 2)]
        for kind, group in groupby(kinds, key=lambda name: LAYERS[name].kind):
            part = {name: counts[name] for name in group}
            ratios = _ratios(board, part, others)
            means = [f"{geometric_mean(r):.2f}" if r else "" for r in ratios.values()]
            worst = min((min(r) for r in ratios.values() if r), default=0)
            lines.append(f"| {kind} | {len(part)} | {' | '.join(means)} | {worst:.2f} |")
        lines += ["", *_summary(board, counts), "", f"| {' | '.join(_head(board))} |"]
        lines.append("|---|---|" + "---:|" * (len(_head(board)) - 2))
        lines += [f"| {' | '.join(row)} |" for row in _rows(board, counts)]
        lines.append("")
    return "\n".join(lines)


def compare(board: str, counts: Counts, recorded: Mapping[str, Any]) -> list[str]:
    """The layers that take more than recorded."""
    before = recorded.get(board, {})
    worse = []
    for name, count in counts.items():
        was = before.get(name, {}).get("instructions")
        if was is not None and count.instructions > was * (1 + TOLERANCE):
            worse.append(f"{board}, {name}: {was:,} -> {count.instructions:,} instructions")
    return worse


def keep(recorded: Mapping[str, Any], measured: dict[str, Counts]) -> None:
    """Write both files; what was not measured now stays as it was recorded."""
    before = {b: {n: Count(**c) for n, c in counts.items()} for b, counts in recorded.items()}
    whole = {board: {**before.get(board, {}), **measured.get(board, {})} for board in PEERS}
    kept = {b: {n: asdict(c) for n, c in counts.items()} for b, counts in whole.items()}
    write_atomic(RECORD, json.dumps(kept, indent=1) + "\n")
    write_atomic(RECORD.with_suffix(".md"), markdown(whole))


def main(arguments: list[str] | None = None) -> int:
    """Measure and compare, or record; 1 if a layer takes more than it did."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.layers", description=__doc__, formatter_class=plain)
    parser.add_argument("layers", nargs="*", metavar="LAYER", help="only these, or this kind")
    parser.add_argument("--board", action="append", help=f"of {', '.join(PEERS)}; all of them")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--gate", action="store_true", help="a few layers of each kind")
    which.add_argument("--record", action="store_true", help="keep what is measured")
    chosen = parser.parse_args(arguments)
    wanted = SHORT if chosen.gate else chosen.layers
    names = [n for n in LAYERS if not wanted or n in wanted or LAYERS[n].kind in wanted]
    boards = chosen.board or list(PEERS)
    console = Console(emoji=False, width=None if sys.stdout.isatty() else 150)
    try:
        with ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda board: measure(find_board(board), names), boards)
            measured = dict(zip(boards, found, strict=True))
    except NanoError as error:
        console.print(f"BENCH FAILED: {error}", markup=False, highlight=False)
        return 1
    recorded = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    worse = [line for board in boards for line in compare(board, measured[board], recorded)]
    for board in boards if not chosen.gate else ():
        show(board, measured[board], console)
    if chosen.record:
        keep(recorded, measured)
    elif worse:
        console.print("\n".join(["BENCH FAILED:", *worse]), markup=False, highlight=False)
        return 1
    if chosen.gate:
        console.print(f"{len(names)} layers on {len(boards)} cores: none takes more than recorded.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
