"""How far an output may lie over an input: what lowering states is what the kernel bears, exactly.

The kernels are called here on memory of the test's own, with the output at one place and one input
at the stated distance above it, then one byte closer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from operators import OPERATORS, inputs_of, operator_graph
from random_graphs import KINDS, random_graph, random_inputs

from nanotool.ir import Lowered, LoweredOp, QGraph
from nanotool.lower import lower
from nanotool.plan import overlaps, plan
from nanotool.runtime import Runtime, load
from nanotool.simulate import simulate_all

IN_PLACE = {  # kernels whose output may always lie exactly over the input
    *("table", "requantize", "to_uint8", "from_float", "softmax", "log_softmax", "slice", "mean"),
    *("prelu", "cumsum", "own_table", "reduction", "layer_norm", "group_norm"),
}

# What the buffers that kernels update in their place hold at first, and what all hold at last.
Sample = tuple[dict[str, bytes], dict[str, bytes]]


class Memory:
    """Buffers at chosen places, and the kernels of one model to call on them."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.runtime = Runtime(lowered, plan(lowered))
        self.ffi = load().ffi

    def call(
        self, calls: list[int], offsets: dict[str, int], content: dict[str, bytes]
    ) -> dict[str, bytes]:
        """Run the ops ``calls`` with buffers at ``offsets``: what they leave in those that they
        write."""
        ends = (offset + self.lowered.buffers[name] for name, offset in offsets.items())
        room = self.ffi.new("double[]", max(ends) // 8 + 1)
        scratch = self.ffi.new("double[]", 1 + max(self.lowered.ops[i].scratch for i in calls))
        memory = self.ffi.buffer(room)
        for name, data in content.items():
            memory[offsets[name] : offsets[name] + len(data)] = data
        base = self.ffi.cast("int8_t *", room)
        output = self.lowered.ops[calls[-1]].output
        for index in calls:
            op = self.runtime._model.ops[index]
            inputs = [base + offsets[name] for name in given(self.lowered.ops[index])]
            io = self.ffi.new(
                "nano_io *", {"in": inputs, "out": base + offsets[output], "scratch": scratch}
            )
            op.run(op.params, io)
        written = {output, *(name for index in calls for name in self.lowered.ops[index].more)}
        return {
            name: bytes(memory[offsets[name] :][: self.lowered.buffers[name]]) for name in written
        }

    def samples(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> list[Sample]:
        """Of what all tensors hold [n, *shape] when the model has run."""
        names = self.lowered.buffers
        last = [
            {name: tensors[name][i].tobytes() for name in names}
            for i in range(len(tensors[self.lowered.input]))
        ]
        return [(self.before(sample), sample) for sample in last]

    def before(self, sample: dict[str, bytes]) -> dict[str, bytes]:
        """What the buffers that kernels update in their place hold at first: what is copied there,
        else any bytes, which those kernels overwrite."""
        updated = {name for op in self.lowered.ops for name in op.more}
        result = {name: b"\x55" * self.lowered.buffers[name] for name in updated}
        for calls in groups(self.lowered):
            output = self.lowered.ops[calls[-1]].output
            if output in updated:
                offsets = self.places(calls, {output: 0})
                content = {name: sample[name] for name in offsets if name != output}
                result |= self.call(calls, offsets, content)
        return result

    def places(self, calls: list[int], chosen: dict[str, int]) -> dict[str, int]:
        """``chosen`` and, behind them, those of all other buffers of ``calls``."""
        offsets = dict(chosen)
        end = max(offset + self.lowered.buffers[name] for name, offset in chosen.items())
        for name in (name for index in calls for name in given(self.lowered.ops[index])):
            if name not in offsets:
                offsets[name] = -(-end // 8) * 8
                end = offsets[name] + self.lowered.buffers[name]
        return offsets


def given(op: LoweredOp) -> tuple[str, ...]:
    """The buffers that a kernel gets beside its output."""
    return (*op.inputs, *op.more)


def groups(lowered: Lowered) -> list[list[int]]:
    """The numbers of the ops that write one buffer together."""
    result: list[list[int]] = []
    for index, op in enumerate(lowered.ops):
        if index and lowered.ops[index - 1].output == op.output:
            result[-1].append(index)
        else:
            result.append([index])
    return result


def stated(ops: list[LoweredOp]) -> dict[str, int | None]:
    """How far above the output each input of ``ops``, which write one buffer, has to lie: what the
    last one that reads it says."""
    result: dict[str, int | None] = {}
    for op in ops:
        result |= {name: overlaps(op).get(name) for name in op.inputs}
    return result


def wrong_at(
    memory: Memory, calls: list[int], source: str, distance: int, samples: list[Sample]
) -> bool:
    """Whether any of ``samples`` comes out wrong with ``source`` that far above the output."""
    ops = [memory.lowered.ops[index] for index in calls]
    output, updated = ops[-1].output, {name for op in ops for name in op.more}
    offsets = memory.places(calls, {output: 0, source: distance})
    for first, last in samples:
        content = {name: (first if name in updated else last)[name] for name in offsets}
        del content[output]
        expected = first if output in first else last
        left = memory.call(calls, offsets, content)
        if any(data != expected[name] for name, data in left.items()):
            return True
    return False


def check(graph: QGraph, x: np.ndarray[Any, Any], target: str = "portable") -> tuple[int, int]:
    """(overlaps above 0, those that fail if one byte closer); fails where a stated one does."""
    lowered = lower(graph, target, "speed")
    memory = Memory(lowered)
    samples = memory.samples(simulate_all(graph, x))
    tight = wrong = 0
    for calls in groups(lowered):
        for source, gap in stated([lowered.ops[index] for index in calls]).items():
            if gap is None:
                continue
            assert 0 <= gap < lowered.buffers[lowered.ops[calls[-1]].output]
            assert not wrong_at(memory, calls, source, gap, samples), (graph.name, source, gap)
            if gap:
                tight += 1
                wrong += wrong_at(memory, calls, source, gap - 1, samples)
    return tight, wrong


@pytest.mark.parametrize("kind", OPERATORS)
def test_the_overlap_is_what_the_kernel_bears_and_no_more(kind: str) -> None:
    """One byte closer it is wrong for some input, in most nets: weights can be 0, maxima can hide
    what is lost, a copy of a byte onto itself harms nothing."""
    tight = wrong = 0
    for seed in range(60):
        graph = operator_graph(kind, seed)
        # Where there are but two answers, a wrong byte changes half of them.
        counts = check(graph, inputs_of(graph, 40 if kind == "compare" else 8, seed))
        tight, wrong = tight + counts[0], wrong + counts[1]
        if kind in IN_PLACE:
            gaps = {gap for op in lower(graph, "portable").ops for gap in op.overlaps}
            assert gaps <= {0}, graph.name
    if kind in IN_PLACE:
        return
    assert tight >= 8
    assert wrong >= 0.5 * tight, f"{wrong} of {tight}"


@pytest.mark.parametrize("target", ["portable", "armv7em", "armv81m", "scalar", "mac16", "pie"])
@pytest.mark.parametrize("block", range(4))
def test_the_overlaps_in_random_graphs(block: int, target: str) -> None:
    for seed in range(25 * block, 25 * block + 25):
        graph = random_graph(seed, kinds=KINDS)
        check(graph, random_inputs(graph, 4, seed), target)
