"""How far an output may lie over an input: what lowering states is what the kernel bears, exactly.

The kernels are called here on memory of the test's own, with the output at one place and one input
at the stated distance above it, then one byte closer.
"""

from __future__ import annotations

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
    *("max_pool", "average_pool", "prelu", "cumsum"),
}


class Memory:
    """Buffers at chosen places, and the kernels of one model to call on them."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.runtime = Runtime(lowered, plan(lowered))
        self.ffi = load().ffi

    def call(self, calls: list[int], offsets: dict[str, int], content: dict[str, bytes]) -> bytes:
        """Run the ops ``calls`` with buffers at ``offsets``: what the last one's output holds."""
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
            inputs = [base + offsets[name] for name in self.lowered.ops[index].inputs]
            io = self.ffi.new(
                "nano_io *", {"in": inputs, "out": base + offsets[output], "scratch": scratch}
            )
            op.run(op.params, io)
        begin = offsets[output]
        return bytes(memory[begin : begin + self.lowered.buffers[output]])


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
    memory: Memory, calls: list[int], source: str, distance: int, samples: list[dict[str, bytes]]
) -> bool:
    """Whether any of ``samples`` comes out wrong with ``source`` that far above the output."""
    ops = [memory.lowered.ops[index] for index in calls]
    output, buffers = ops[-1].output, memory.lowered.buffers
    offsets = {output: 0, source: distance}
    end = max(buffers[output], distance + buffers[source])
    for name in (name for op in ops for name in op.inputs):
        if name not in offsets:
            offsets[name] = -(-end // 8) * 8
            end = offsets[name] + buffers[name]
    names = {name for op in ops for name in op.inputs}
    return any(
        memory.call(calls, offsets, {name: sample[name] for name in names}) != sample[output]
        for sample in samples
    )


def check(graph: QGraph, x: np.ndarray[Any, Any], target: str = "portable") -> tuple[int, int]:
    """(overlaps above 0, those that fail if one byte closer); fails where a stated one does."""
    lowered = lower(graph, target)
    memory = Memory(lowered)
    tensors = simulate_all(graph, x)
    samples = [
        {name: tensors[name][i].tobytes() for name in lowered.buffers} for i in range(len(x))
    ]
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
        counts = check(graph, inputs_of(graph, 8, seed))
        tight, wrong = tight + counts[0], wrong + counts[1]
    if kind in IN_PLACE:
        return
    assert tight >= 8
    assert wrong >= 0.5 * tight, f"{wrong} of {tight}"


@pytest.mark.parametrize("target", ["portable", "armv7em", "armv81m", "scalar"])
@pytest.mark.parametrize("block", range(4))
def test_the_overlaps_in_random_graphs(block: int, target: str) -> None:
    for seed in range(25 * block, 25 * block + 25):
        graph = random_graph(seed, kinds=KINDS)
        check(graph, random_inputs(graph, 4, seed), target)
