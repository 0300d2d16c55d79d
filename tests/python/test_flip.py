"""One flipped byte in the built firmware, for each layer in turn: that layer is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_graphs

from nanotool import elf, simulate
from nanotool.boards import BOARDS, Board
from nanotool.build import BuildResult, build
from nanotool.compare import Difference, first_difference
from nanotool.device import Device, open_board
from nanotool.ir import Array, Int8Array, LoweredOp, QGraph, Struct
from nanotool.run import run

# Two convolutions, a pool, a table and two dense layers.
SEED = 2
KINDS = ("conv2d", "max_pool", "unary", "dense")
CANDIDATES = 8  # bytes tried until one shows in the layer's output


def model() -> QGraph:
    seed = SEED
    while True:
        graph = random_graphs.random_graph(seed, 6, KINDS)
        kinds = [type(op.op).__name__ for op in graph.ops]
        if kinds.count("Conv2D") >= 2 and {"Dense", "Unary", "MaxPool2D"} <= set(kinds):
            return graph
        seed += 1


GRAPH = model()


@pytest.fixture(scope="module", params=sorted(BOARDS))
def firmware(request: pytest.FixtureRequest) -> BuildResult:
    board: Board = BOARDS[request.param]
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


def visible_flips(op: LoweredOp, x: Int8Array) -> Iterator[tuple[Array, int]]:
    """Bytes of the op's weights or table whose flip ought to show in its output for `x`."""
    tensors = simulate.simulate_all(GRAPH, x[None])
    qop = GRAPH.op(op.source[-1])
    before = tensors[qop.name]
    for array in arrays(op):
        if array.name.endswith("_table"):
            yield array, int(tensors[qop.inputs[0]].reshape(-1)[0]) + 128
        if not array.name.endswith("_weights"):
            continue
        assert qop.weight is not None
        rng = np.random.default_rng(1)
        for place in rng.permutation(array.nbytes):
            flipped = qop.weight.copy()
            flipped.reshape(-1)[place] ^= -128
            ops = tuple(replace(o, weight=flipped) if o is qop else o for o in GRAPH.ops)
            after = simulate.simulate_all(replace(GRAPH, ops=ops), x[None])[qop.name]
            if np.any(after != before):
                yield array, int(place)


def difference_after_flip(
    firmware: BuildResult, folder: Path, array: Array, offset: int, x: Int8Array
) -> Difference | None:
    copy = folder / "flipped.elf"
    elf.flip(firmware.elf, copy, f"{GRAPH.name}_{array.name}", offset)
    with open_board(firmware.board, copy) as port, Device(port) as device:
        return first_difference(device, GRAPH, firmware.lowered, x)


LAYERS = [op.name for op in GRAPH.ops if op.weight is not None or "Unary" in type(op.op).__name__]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_of_a_flipped_byte_is_named(
    firmware: BuildResult, layer: str, tmp_path: Path
) -> None:
    (index,) = [i for i, op in enumerate(firmware.lowered.ops) if op.name == layer]
    op = firmware.lowered.ops[index]
    for x in random_graphs.random_inputs(GRAPH, 4, 3):
        for _, (array, offset) in zip(range(CANDIDATES), visible_flips(op, x), strict=False):
            found = difference_after_flip(firmware, tmp_path, array, offset, x)
            if found is not None:
                assert (found.index, found.layer) == (index, layer)
                assert 0 < found.mismatches <= found.size
                assert layer in str(found)
                return
    pytest.fail(f"no flipped byte of {layer} shows")


def test_an_untouched_firmware_agrees(firmware: BuildResult) -> None:
    with open_board(firmware.board, firmware.elf) as port, Device(port) as device:
        for x in random_graphs.random_inputs(GRAPH, 8, 4):
            assert first_difference(device, GRAPH, firmware.lowered, x) is None


def test_run_counts_and_names(firmware: BuildResult, tmp_path: Path) -> None:
    """The last dense layer's sign bits flipped: `run` sees wrong outputs and names the layer."""
    op = firmware.lowered.ops[-1]
    inputs = random_graphs.random_inputs(GRAPH, 6, 5)
    array, offset = next(flip for x in inputs for flip in visible_flips(op, x))
    copy = tmp_path / "flipped.elf"
    elf.flip(firmware.elf, copy, f"{GRAPH.name}_{array.name}", offset)
    with open_board(firmware.board, copy) as port, Device(port) as device:
        result = run(device, GRAPH, firmware.lowered, inputs)
    expected = simulate.simulate(GRAPH, inputs)
    assert result.mismatches == np.count_nonzero(result.outputs != expected) > 0
    assert result.first is not None
    assert result.first.layer == op.name
