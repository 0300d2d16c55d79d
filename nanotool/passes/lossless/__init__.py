"""Lossless passes: pure functions from a `QGraph` to another one that yields the same bytes.

`simplify` runs them until none finds anything more. A pass returns the very graph that it was given
if it has nothing to do. Every tensor that is still there under its name holds what it held before,
but for dead channels, which are gone, and for tensors between two transposes, whose elements may
stand in another order; where an op takes another one in, the tensor that is left, and its name,
is the later one's.

    dead_code    what the output does not depend on
    constants    what does not depend on the input
    data_movement  reshapes, transposes, pads, slices that do nothing or follow each other
    transposes   behind element-wise ops, to meet their inverse
    tables       functions of one int8: dropped, or two joined
    activations  tables into the op before them (requantization proves that they fit)
    padding      pads into convolutions and max pools
    dead_channels  channels that nobody needs (channel_links says which go together)
    measure      costs and ops in words, for the listings
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nanotool.intervals import channels
from nanotool.ir import QGraph
from nanotool.passes.lossless.activations import fuse_activations
from nanotool.passes.lossless.constants import constant_operands, fold_constants
from nanotool.passes.lossless.data_movement import drop_identities, merge_moves
from nanotool.passes.lossless.dead_channels import drop_dead_channels, live_channels
from nanotool.passes.lossless.dead_code import drop_dead_code
from nanotool.passes.lossless.measure import describe, macs, weight_bytes
from nanotool.passes.lossless.padding import pad_into_windows
from nanotool.passes.lossless.tables import drop_identity_tables, join_tables
from nanotool.passes.lossless.transposes import sink_transposes
from nanotool.passes.record import Change, PassRecord

__all__ = [
    "PASSES",
    "PassRecord",
    "constant_operands",
    "drop_dead_channels",
    "drop_dead_code",
    "drop_identities",
    "drop_identity_tables",
    "fold_constants",
    "fuse_activations",
    "join_tables",
    "live_channels",
    "macs",
    "merge_moves",
    "pad_into_windows",
    "simplify",
    "sink_transposes",
    "weight_bytes",
]

# What each is called in a listing, in the order in which they run.
PASSES: Mapping[str, Callable[[QGraph], QGraph]] = {
    "dead code": drop_dead_code,
    "constants": fold_constants,
    "moves that do nothing": drop_identities,
    "moves joined": merge_moves,
    "transposes cancelled": sink_transposes,
    "tables that do nothing": drop_identity_tables,
    "tables joined": join_tables,
    "activations into their producer": fuse_activations,
    "pads into windows": pad_into_windows,
    "operands that never change": constant_operands,
    "dead channels": drop_dead_channels,
}
MAX_ROUNDS = 32


def simplify(graph: QGraph, log: list[PassRecord] | None = None) -> QGraph:
    """``graph`` with less to do, and the same output to the byte for every input.

    ``graph`` is a sound one (`nanotool.validate`), and so is the result. All `PASSES` run in turn
    until none changes anything, at most `MAX_ROUNDS` times. ``log``, where given, gets a record for
    each one that did. Input and output keep their shapes, types, scales and zero points; the input
    its name, too.
    """
    for _ in range(MAX_ROUNDS):
        start = graph
        for name, step in PASSES.items():
            result = step(graph)
            if result is not graph and log is not None:
                log.append(_record(name, graph, result))
            graph = result
        if graph is start:
            break
    return graph


def _record(name: str, before: QGraph, after: QGraph) -> PassRecord:
    old, new = ({op.name: describe(graph, op) for op in graph.ops} for graph in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    return PassRecord(
        name=name,
        before=len(old),
        after=len(new),
        removed=tuple(op for op in old if op not in new),
        added=tuple(op for op in new if op not in old),
        changes=tuple(
            Change(op, old.get(op, ""), new.get(op, ""))
            for op in names
            if old.get(op) != new.get(op)
        ),
        macs=(macs(before), macs(after)),
        weight_bytes=(weight_bytes(before), weight_bytes(after)),
        kept=_kept(before) if PASSES[name] is drop_dead_channels else {},
    )


def _kept(graph: QGraph) -> dict[str, tuple[int, ...]]:
    live = live_channels(graph)
    return {
        name: tuple(int(channel) for channel in kept)
        for name, kept in live.items()
        if len(kept) < channels(graph.tensors[name])
    }
