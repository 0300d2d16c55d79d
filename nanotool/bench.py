"""Measure a model on a board: time, memory, and whether every byte is the simulator's.

On an emulated board time is counted in instructions, on a real one in cycles; an instruction
count is never called a cycle or a millisecond. The count is that of one watched inference
(`layers`), the ops alone: the time the observer takes between them is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import compare, cycles, simulate
from nanotool.backends.c.emit import golden_inputs, noise_of_type
from nanotool.boards import Board, TickUnit
from nanotool.build import BuildResult
from nanotool.describe import label
from nanotool.device.answers import Memory
from nanotool.device.client import Device
from nanotool.device.emulators import open_board
from nanotool.device.line import SerialPort
from nanotool.device.training import Trainer
from nanotool.errors import NanoError
from nanotool.ir import DTYPES, QGraph
from nanotool.progress import Progress
from nanotool.run import step_bytes
from nanotool.simulate import Inputs
from nanotool.slow import sentences
from nanotool.training import Head, Trainable, arena_size

LAP_RUNS = 10  # inferences that share a lap on a real board
RANDOM_INPUTS = 4  # where a model brings no samples


@dataclass(frozen=True, slots=True)
class LayerBench:
    """One op on the board."""

    name: str  # the module's
    kernel: str  # C symbol
    ticks: int
    macs: int
    label: str = ""  # the name for people: that of a Sequential's layer is but a number
    model_cycles: int | None = None  # by a model of the core, where one was asked for
    declined: str = ""  # why it is a portable kernel though the target has a faster one

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)


@dataclass(frozen=True, slots=True)
class TrainingBench:
    """A head that learns on the board, from features that the model has computed."""

    gradient_ticks: int  # a sample: forward, loss, backward
    update_ticks: int  # a sample that ends a mini-batch: the same, and the weights' update
    batch: int  # samples of a mini-batch
    arena_bytes: int  # weights, optimizer, replay buffer, all of the head

    @property
    def ticks(self) -> int:
        """Of a step: all samples of a mini-batch."""
        return (self.batch - 1) * self.gradient_ticks + self.update_ticks


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One model on one board. A number is None where the board cannot know it or where another
    unit applies."""

    model: str
    hash: str
    board: str
    emulated: bool
    tick_unit: TickUnit
    ticks: int  # of one inference
    microseconds: float | None  # of one inference; None on an emulated board
    arena_bytes: int
    stack_bytes: int | None  # most ever used, measured on the board
    code_bytes: int
    weight_bytes: int
    ram_bytes: int  # static: arena and input buffer included, stack not
    macs: int
    inputs: int  # that were compared
    mismatches: int  # output bytes that differ from the simulator's, over all inputs
    layers: tuple[LayerBench, ...]
    compiler: str
    training: TrainingBench | None = None  # of a model with a head that learns
    model_cycles: int | None = None  # of one inference: nanotool.cycles' model, no measurement
    slow: tuple[str, ...] = ()  # sentences about layers on portable kernels: `nanotool.slow`

    @property
    def counted(self) -> str:
        """What the ticks are, for people: an emulator's are marked."""
        return f"{self.tick_unit}, emulated" if self.emulated else str(self.tick_unit)

    @property
    def instructions(self) -> int | None:
        """Executed instructions of one inference, on boards whose counter counts them."""
        return self.ticks if self.tick_unit == "instructions" else None

    @property
    def cycles(self) -> int | None:
        """Core cycles of one inference, on real boards."""
        return self.ticks if self.tick_unit == "cycles" else None

    @property
    def nanoseconds(self) -> int | None:
        """Host time of one inference, for the native board."""
        return self.ticks if self.tick_unit == "nanoseconds" else None

    def to_json(self) -> dict[str, Any]:
        """For `--json`: everything, numbers as numbers, null where there is none."""
        return {
            "model": self.model,
            "hash": self.hash,
            "board": self.board,
            "emulated": self.emulated,
            "tick_unit": self.tick_unit,
            "instructions": self.instructions,
            "cycles": self.cycles,
            "model_cycles": self.model_cycles,
            "nanoseconds": self.nanoseconds,
            "microseconds": self.microseconds,
            "arena_bytes": self.arena_bytes,
            "stack_bytes": self.stack_bytes,
            "code_bytes": self.code_bytes,
            "weight_bytes": self.weight_bytes,
            "ram_bytes": self.ram_bytes,
            "macs": self.macs,
            "inputs": self.inputs,
            "mismatches": self.mismatches,
            "layers": [
                {
                    "name": layer.name,
                    "kernel": layer.kernel,
                    self.tick_unit: layer.ticks,
                    "model_cycles": layer.model_cycles,
                    "macs": layer.macs,
                    "declined": layer.declined or None,
                }
                for layer in self.layers
            ],
            "compiler": self.compiler,
            "training": None
            if self.training is None
            else {
                f"gradient_{self.tick_unit}": self.training.gradient_ticks,
                f"update_{self.tick_unit}": self.training.update_ticks,
                f"step_{self.tick_unit}": self.training.ticks,
                "batch": self.training.batch,
                "arena_bytes": self.training.arena_bytes,
            },
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """The layer whose change would bring most."""

    layer: LayerBench
    share: float  # of the model's ticks, 0..1
    saved: float  # share of the model's ticks, were it as cheap a MAC as `best`
    best: LayerBench  # the cheapest layer a MAC, of those with a share of the work


def advice(result: BenchResult) -> Advice | None:
    """The layer worth changing: the one that stands furthest above what the model's cheapest
    layer takes for the same MACs. None where all take about the same, or where nothing counts."""
    least = 0.02 * result.macs
    working = [layer for layer in result.layers if layer.macs >= max(1, least)]
    if not working or not result.ticks:
        return None
    best = min(working, key=lambda layer: layer.ticks / layer.macs)

    def excess(layer: LayerBench) -> float:
        return layer.ticks - layer.macs * best.ticks / best.macs

    worst = max(result.layers, key=excess)
    saved = excess(worst) / result.ticks
    return Advice(worst, worst.ticks / result.ticks, saved, best) if saved >= 0.02 else None


@contextmanager
def connect(
    board: Board,
    firmware: Path,
    port: str | SerialPort | None = None,
    *,
    sensor: Path | None = None,
) -> Iterator[Device]:
    """A device that runs `firmware`: the real one on `port`, which must have been flashed with
    it, or else an emulated one started for the purpose, which plays `sensor` as its sensor."""
    if port is not None:
        named = SerialPort(port) if isinstance(port, str) else port
        with Device(replace(named, baud=named.baud or board.baud)) as device:
            yield device
        return
    with open_board(board, firmware, sensor=sensor) as emulated, Device(emulated) as device:
        yield device


def bench_inputs(graph: QGraph) -> NDArray[Any]:
    """The model's own samples; where it has none, random numbers that are the same every time."""
    if graph.samples:
        return graph.samples[0]
    rng = np.random.default_rng(0)
    shape = (RANDOM_INPUTS, *graph.input_tensor.shape)
    noise = rng.integers(-128, 128, shape, dtype=np.int8)
    return noise_of_type(noise, DTYPES[graph.input_tensor.dtype])


def bench_steps(graph: QGraph) -> tuple[NDArray[Any], ...]:
    """`bench_inputs`, one array an input."""
    if len(graph.inputs) == 1:
        return (bench_inputs(graph),)
    count = len(graph.samples[0]) if graph.samples else RANDOM_INPUTS
    return golden_inputs(graph, count)[0]


def bench(
    firmware: BuildResult,
    inputs: Inputs | None = None,
    port: str | SerialPort | None = None,
    *,
    progress: Progress | None = None,
    reset_every: int = 0,
    cycles_model: str = "",
    emulated: bool | None = None,
) -> BenchResult:
    """Measure `firmware` on its board with `inputs` (as `compare.device_inputs` takes them;
    `bench_steps` if None). A model with states takes them as consecutive steps from a reset, and
    from every `reset_every`-th on (0: none); its time is the first step's.

    `port`: a real board, flashed with it; None: the emulator. `cycles_model`: beside the count the
    cycles of that model (`nanotool.cycles`), of an emulated board. ``emulated``: what is at the end
    of `port`, if not a real board. `NanoError` for other inputs.
    """
    graph = firmware.graph
    emulated = port is None if emulated is None else emulated
    x = compare.device_inputs(graph, bench_steps(graph) if inputs is None else inputs)
    if not len(x[0]):
        raise NanoError("There are no inputs to measure with.", "Give at least one.")
    if cycles_model:
        cycles.check_model(cycles_model, firmware.board, emulated=emulated)
    with connect(firmware.board, firmware.elf, port) as device:
        wrong = _compare(device, firmware, x, progress, reset_every)
        result = _measure(device, firmware, x, wrong, emulated=emulated)
    return with_cycles(result, model_cycles(firmware, x)) if cycles_model else result


def model_cycles(firmware: BuildResult, x: tuple[NDArray[Any], ...]) -> list[int]:
    """Each op's cycles of one inference, the first of `x`, by the model of the board's core."""
    graph, board = firmware.graph, firmware.board
    walk = cycles.Walk([op.kernel for op in firmware.lowered.ops])
    with (
        cycles.logged(walk) as more,
        open_board(board, firmware.elf, more=more) as emulated,
        Device(emulated) as device,
    ):
        compare.choose_model(device, graph, firmware.lowered)
        if graph.states:
            device.reset_states()
        device.load([data[0] for data in x])
        device.layers()
    if not walk.runs:
        raise NanoError(
            f"The emulator of {board.name} told nothing of what it executed.",
            "Take a QEMU that has a disassembler, as Debian's.",
        )
    return [cycles.walk_cycles(steps) for steps in walk.runs[-1]]


def with_cycles(result: BenchResult, each: list[int]) -> BenchResult:
    """``result`` with `model_cycles` beside what the board counted."""
    layers = [
        replace(layer, model_cycles=taken) for layer, taken in zip(result.layers, each, strict=True)
    ]
    return replace(result, layers=tuple(layers), model_cycles=sum(each))


def _compare(
    device: Device,
    firmware: BuildResult,
    x: tuple[NDArray[Any], ...],
    progress: Progress | None,
    reset_every: int,
) -> int:
    compare.choose_model(device, firmware.graph, firmware.lowered)
    return count_mismatches(
        device, firmware.graph, x, progress, firmware.head, reset_every=reset_every
    )


def _measure(
    device: Device,
    firmware: BuildResult,
    x: tuple[NDArray[Any], ...],
    mismatches: int,
    *,
    emulated: bool,
) -> BenchResult:
    graph, lowered, board = firmware.graph, firmware.lowered, firmware.board
    info = device.info()
    if graph.states:
        device.reset_states()
    device.load([data[0] for data in x])
    layers = device.layers()
    lap = None if emulated else device.infer(LAP_RUNS, 1) / LAP_RUNS
    memory = device.mem()
    return BenchResult(
        model=info.model,
        hash=info.hash,
        board=board.name,
        emulated=emulated,
        tick_unit=board.tick_unit(info.tick_source, emulated=emulated),
        ticks=layers.total,
        microseconds=lap,
        arena_bytes=memory.arena,
        stack_bytes=_stack(memory),
        code_bytes=firmware.sizes.code_bytes,
        weight_bytes=firmware.sizes.weight_bytes,
        ram_bytes=firmware.sizes.ram_bytes,
        macs=lowered.macs,
        inputs=len(x[0]),
        mismatches=mismatches,
        layers=tuple(
            LayerBench(
                op.name,
                op.kernel,
                layer.ticks,
                op.macs,
                label=label(lowered.graph, op.name),
                declined=op.declined,
            )
            for op, layer in zip(lowered.ops, layers.layers, strict=True)
        ),
        compiler=firmware.compiler,
        slow=tuple(sentences(lowered)),
        training=None if firmware.head is None else _training(device, firmware.head, x[0][0]),
    )


def _training(device: Device, trainable: Trainable, x: NDArray[Any]) -> TrainingBench:
    """One mini-batch of `x`, with the initial weights; the head is reset afterwards."""
    trainer = Trainer(device)
    trainer.reset()
    for _ in range(batch := trainable.config.recipe.batch):
        trainer.sample(x, 0)
    gradient, update = trainer.ticks()
    trainer.reset()
    return TrainingBench(gradient, update, batch, arena_size(trainable.config))


def count_mismatches(
    device: Device,
    graph: QGraph,
    x: Inputs,
    progress: Progress | None = None,
    trainable: Trainable | None = None,
    *,
    reset_every: int = 0,
) -> int:
    """Output bytes on the board that are not the simulator's, over all of `x` (see `bench`); with
    the initial weights of a head (`trainable`) behind `graph`."""
    given = compare.one_each(x)
    count = len(given[0])
    outputs, _ = simulate.simulate_steps(graph, given, reset_every=reset_every)
    expected = [wanted.reshape(count, -1).view(np.int8) for wanted in outputs]
    if trainable is not None:
        head = Head(trainable.config)
        head.quantize()
        expected = [head.infer(expected[0])]
        Trainer(device).reset()
    sizes = [wanted.shape[1] for wanted in expected]
    mismatches = 0
    for index in range(count):
        if graph.states and (index == 0 or (reset_every and index % reset_every == 0)):
            device.reset_states()
        got = step_bytes(device, sizes, [data[index] for data in given])
        for answer, wanted in zip(got, expected, strict=True):
            mismatches += int(np.count_nonzero(answer != wanted[index]))
        if progress is not None:
            progress(index + 1, count)
    return mismatches


def _stack(memory: Memory) -> int | None:
    return memory.stack_peak if memory.stack else None
