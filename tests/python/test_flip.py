"""One flipped byte in the built firmware, for each layer in turn: that layer is named."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_graphs
from handmade import GraphBuilder

from nanotool import elf, simulate
from nanotool.boards import BOARDS
from nanotool.build import BuildResult, build
from nanotool.compare import Difference, first_difference
from nanotool.device import Device, open_board
from nanotool.ir import (
    Array,
    Conv2D,
    ConvTranspose2D,
    Int8Array,
    Lowered,
    LoweredOp,
    QGraph,
    QOp,
    Struct,
    Unary,
    Window,
)
from nanotool.pipeline import prepare
from nanotool.run import run

# The calls in which weights or tables stand, on a board without fast kernels.
KERNELS = [
    *("nano_conv2d_max_pool", "nano_depthwise_conv2d", "nano_table"),
    *("nano_conv_transpose2d", "nano_conv2d", "nano_dense"),
]
CANDIDATES = 8  # bytes tried until one shows in the layer's output


def model() -> QGraph:
    b = GraphBuilder("flipped", (8, 8, 2))
    b.conv2d("conv", 4, relu=False)
    b.max_pool("pool")
    depthwise = Conv2D(Window((3, 3)), groups=4)
    b.weighted("depthwise", depthwise, (2, 2, 8), (8, 3, 3, 1), relu=False)
    b.tensors["magnitude"] = replace(b.tensor, name="magnitude", zero_point=-128)
    b.ops.append(QOp("magnitude", Unary("abs"), ("depthwise",)))
    b.end = "magnitude"
    larger = ConvTranspose2D(Window((2, 2), (2, 2)))
    b.weighted("larger", larger, (4, 4, 3), (3, 2, 2, 8), relu=False)
    b.conv2d("mixed", 4, 1, relu=False)
    b.flatten("flat")
    b.dense("answer", 6)
    return b.graph()


GRAPH = model()


def test_the_model_has_weights_in_every_kind_of_call() -> None:
    assert [op.kernel for op in prepare(GRAPH)[0].ops] == KERNELS


@pytest.fixture(scope="module", params=["native", "stm32"])
def firmware(request: pytest.FixtureRequest) -> BuildResult:
    board = BOARDS[request.param]
    command = board.emulator.command[0]
    if command != "{elf}" and shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    return build(GRAPH, board)


def arrays(op: LoweredOp) -> list[Array]:
    """The op's numeric arrays, those inside nested structs too."""
    found: list[Array] = []
    stack = [op.params]
    while stack:
        for _, value in stack.pop().fields:
            if isinstance(value, Array):
                found.append(value)
            elif isinstance(value, Struct):
                stack.append(value)
    return found


def visible_flips(lowered: Lowered, op: LoweredOp, x: Int8Array) -> Iterator[tuple[Array, int]]:
    """Bytes of the op's weights or table whose flip ought to show in its output for `x`."""
    graph = lowered.graph
    layers = [graph.op(name) for name in op.source]
    tensors = simulate.simulate_all(graph, x[None])
    for array in arrays(op):
        if array.name.endswith("_table"):
            yield array, int(tensors[layers[0].inputs[0]].reshape(-1)[0]) + 128
        if not array.name.endswith("_weights"):
            continue
        (weighted,) = [layer for layer in layers if layer.weight is not None]
        assert weighted.weight is not None
        rng = np.random.default_rng(1)
        for place in rng.permutation(weighted.weight.size):
            flipped = weighted.weight.copy()
            flipped.reshape(-1)[place] ^= -128
            ops = tuple(replace(o, weight=flipped) if o is weighted else o for o in graph.ops)
            after = simulate.simulate_all(replace(graph, ops=ops), x[None])[op.output]
            if np.any(after != tensors[op.output]):
                yield array, int(place)  # packed weights may hold another one there: try several


def difference_after_flip(
    firmware: BuildResult, folder: Path, array: Array, offset: int, x: Int8Array
) -> Difference | None:
    copy = folder / "flipped.elf"
    elf.flip(firmware.elf, copy, f"{GRAPH.name}_{array.name}", offset)
    with open_board(firmware.board, copy) as port, Device(port) as device:
        return first_difference(device, firmware.lowered.graph, firmware.lowered, x)


def named_after_flip(firmware: BuildResult, folder: Path, op: LoweredOp) -> Difference | None:
    """What is found once a byte of ``op`` is flipped and shows."""
    lowered = firmware.lowered
    for x in random_graphs.random_inputs(GRAPH, 4, 3):
        flips = itertools.islice(visible_flips(lowered, op, x), CANDIDATES)
        for array, offset in flips:
            found = difference_after_flip(firmware, folder, array, offset, x)
            if found is not None:
                return found
    return None


def test_the_layer_of_a_flipped_byte_is_named(firmware: BuildResult, tmp_path: Path) -> None:
    """Each layer that has weights or a table, in turn."""
    flippable = [
        (index, op)
        for index, op in enumerate(firmware.lowered.ops)
        if any(array.name.endswith(("_table", "_weights")) for array in arrays(op))
    ]
    assert len(flippable) >= len(KERNELS)
    weighted = {op.name for op in firmware.lowered.graph.ops if op.weight is not None}
    assert weighted <= {name for _, op in flippable for name in op.source}
    for index, op in flippable:
        found = named_after_flip(firmware, tmp_path, op)
        assert found is not None, f"no flipped byte of {op.name} shows"
        assert (found.index, found.layer) == (index, op.name)
        assert 0 < found.mismatches <= found.size
        assert op.name in str(found)


def test_an_untouched_firmware_agrees(firmware: BuildResult) -> None:
    lowered = firmware.lowered
    with open_board(firmware.board, firmware.elf) as port, Device(port) as device:
        for x in random_graphs.random_inputs(GRAPH, 8, 4):
            assert first_difference(device, lowered.graph, lowered, x) is None


def test_run_counts_and_names(firmware: BuildResult, tmp_path: Path) -> None:
    """The last weights' sign bits flipped: `run` sees wrong outputs and names the layer."""
    lowered = firmware.lowered
    op = [op for op in lowered.ops if any(a.name.endswith("_weights") for a in arrays(op))][-1]
    inputs = random_graphs.random_inputs(GRAPH, 6, 5)
    expected = simulate.simulate(GRAPH, inputs)
    for array, offset in (flip for x in inputs for flip in visible_flips(lowered, op, x)):
        copy = tmp_path / "flipped.elf"
        elf.flip(firmware.elf, copy, f"{GRAPH.name}_{array.name}", offset)
        with open_board(firmware.board, copy) as port, Device(port) as device:
            result = run(device, GRAPH, lowered, inputs)
        assert result.mismatches == np.count_nonzero(result.outputs != expected)
        if result.mismatches:
            assert result.first is not None
            assert result.first.layer == op.name
            return
    pytest.fail(f"no flipped byte of {op.name} reaches the output")
