"""The board's bytes are the simulator's: outputs, every layer, and what it says of itself."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from nanotool import bench, compare, simulate
from nanotool.boards import Board
from nanotool.build import BuildResult
from nanotool.device import Device
from nanotool.elf import heap_symbols

RANDOM_INPUTS = 8


@pytest.fixture(scope="session")
def inputs(firmware: BuildResult) -> np.ndarray[Any, np.dtype[np.int8]]:
    """The model's samples, random bytes, and the extremes."""
    shape = firmware.graph.input_tensor.shape
    rng = np.random.default_rng(1)
    random = rng.integers(-128, 128, (RANDOM_INPUTS, *shape), dtype=np.int8)
    extremes = np.stack([np.full(shape, fill, np.int8) for fill in (-128, 127)])
    return np.concatenate([bench.bench_inputs(firmware.graph), random, extremes])


def test_info_is_the_model_and_the_board(
    device: Device, board: Board, firmware: BuildResult, emulated: bool
) -> None:
    info = device.info()
    graph = firmware.graph
    compare.check_model(info, graph, firmware.lowered)
    assert (info.board, info.model) == (board.firmware_name, graph.name)
    for told, tensor in ((info.input, graph.input_tensor), (info.output, graph.output_tensor)):
        assert (told.shape, told.scale, told.zero_point) == (
            *(tensor.shape, tensor.scale),
            tensor.zero_point,
        )
    if emulated:
        assert info.tick_source in board.emulator.tick_units
    assert info.tick_hz > 0


def test_memory_adds_up(device: Device, board: Board, firmware: BuildResult) -> None:
    device.run(bench.bench_inputs(firmware.graph)[0])
    memory = device.mem()
    assert memory.arena == firmware.plan.arena_size
    assert memory.db == firmware.graph.input_tensor.size
    if board.ram_size == 0:
        assert memory.ram == memory.stack == 0  # a host process cannot know
        return
    assert (memory.ram, memory.flash) == (board.ram_size, board.flash_size)
    assert memory.arena + memory.db <= memory.static <= memory.ram
    assert 0 < memory.stack_peak < memory.stack  # the paint below it is whole
    assert abs(memory.flash_used - firmware.sizes.flash_bytes) < 64  # gaps between sections
    # `static` may count what the linker script reserves for the stack; the ELF's .bss does not.
    assert memory.static - firmware.sizes.ram_bytes in range(-16, memory.stack + 16)


def test_outputs_are_the_simulators(
    device: Device, firmware: BuildResult, inputs: np.ndarray[Any, np.dtype[np.int8]]
) -> None:
    expected = simulate.simulate(firmware.graph, inputs).reshape(len(inputs), -1)
    for x, wanted in zip(inputs, expected, strict=True):
        assert device.run(x).tobytes() == wanted.tobytes()
        real = firmware.graph.output_tensor.dequantize(wanted)
        np.testing.assert_allclose(device.results(), real, atol=0.00051)


def test_every_layer_is_the_simulators(
    device: Device, firmware: BuildResult, inputs: np.ndarray[Any, np.dtype[np.int8]]
) -> None:
    for x in inputs:
        assert compare.first_difference(device, firmware.graph, firmware.lowered, x) is None


def test_every_layer_can_be_dumped(
    device: Device, firmware: BuildResult, inputs: np.ndarray[Any, np.dtype[np.int8]]
) -> None:
    device.load(inputs[0])
    told = device.layers().layers
    expected = compare.expected_outputs(firmware.graph, firmware.lowered, inputs[0])
    for layer, wanted, op in zip(told, expected, firmware.lowered.ops, strict=True):
        assert layer.name == op.name
        assert layer.crc == zlib.crc32(wanted.tobytes())
        assert device.dump(layer.index).tobytes() == wanted.tobytes()
    assert device.output().tobytes() == expected[-1].tobytes()


def test_many_inferences_answer_as_one(
    device: Device, inputs: np.ndarray[Any, np.dtype[np.int8]]
) -> None:
    """An in-place plan overwrites its input: it must come from the buffer every time."""
    device.load(inputs[0])
    assert device.infer(1, 0) > 0
    once = device.output().tobytes()
    device.infer(10, 2)
    assert device.output().tobytes() == once
    device.layers()
    assert device.output().tobytes() == once


def test_crcs_are_those_of_the_bytes(
    device: Device, inputs: np.ndarray[Any, np.dtype[np.int8]]
) -> None:
    output = device.run(inputs[0])
    crcs = device.crc()
    assert crcs.input == zlib.crc32(inputs[0].tobytes())
    assert crcs.output == zlib.crc32(output.tobytes())
    assert device.crc() == crcs


def test_no_heap_is_linked(firmware: BuildResult) -> None:
    assert heap_symbols(firmware.elf) == ()
