"""`nanotool.quantize` and what it returns: one object from PyTorch to the board."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from nanotool import models, qfile
from nanotool.errors import DeviceError, MissingTool, NanoError, NanoWarning
from nanotool.files import write_atomic
from nanotool.identifiers import model_identifier
from nanotool.inputs import as_array, clipping, ends_by_name, in_order, to_device, user_shape
from nanotool.ir import QGraph, Trial
from nanotool.progress import ignore_progress

if TYPE_CHECKING:
    from nanotool.project import Source
    from nanotool.quantization.aware.module import QuantizationAware
    from nanotool.runtime import Runtime
    from nanotool.training import HeadOptions, Trainable

Arrays: TypeAlias = "tuple[NDArray[Any], ...]"


def quantize(
    model: Any,
    calibration_data: Any,
    *,
    states: Mapping[str, Any] | Sequence[str] | str | None = None,
    reset_every: int = 0,
    name: str = "model",
    observer: str = "auto",
    activations: str = "int8",
    int16: Iterable[str] = (),
    allow: Iterable[str] = (),
    weights: str = "int8",
    int4: Iterable[str] = (),
    targets: Any = None,
    labels: Iterable[str] = (),
    progress: Callable[[int, int], None] | None = None,
    trust: bool = False,
    evaluation_data: Any = None,
) -> QuantizedModel:
    """The int8 form of a PyTorch ``model``.

        >>> quantized = nanotool.quantize(model, images, name="digits")
        >>> quantized.run(images[:3]).argmax(-1)
        array([7, 2, 1])

    ``model``: an nn.Module, a torch.export.ExportedProgram, or the path of a .pt2 or .onnx file;
    one that would run code it brings is refused without ``trust``. ``calibration_data``: real
    inputs as the model gets them in use, an array or a tensor N x input shape, or an iterable of
    batches; of (input, target) pairs, as a DataLoader gives, the inputs are taken. Some hundred
    serve well. Of a forward with several inputs a tuple of arrays, arrays by the names of its
    parameters (a dictionary, an open .npz), or an iterable of batches that are such. ``states``:
    what the forward remembers from step to step, docs/states.md: arguments with their initial
    value, {"h": torch.zeros(1, 8)}, and buffers, ["past"]. The data are then consecutive steps from
    a reset: one array one sequence, with a reset before every ``reset_every``-th step, of an
    iterable each item one. ``name`` becomes the name in C. ``observer``: how ranges are chosen.
    "auto" tries several ways on three quarters of the data, keeps the one whose output is best on
    the rest, and tells in ``trials`` (with states it is "minmax"); with ``targets``, the right
    class of each calibration input, it also minds the accuracy. "minmax", "percentile" and "mse"
    are one way each. ``activations="int16"``: 16 bits instead of 8 wherever an operator has them
    (docs/operators.md); ``int16``: only for these tensors, called like the layers that write them,
    and what reads them; ranges are then those of one observer, of "minmax" for "auto". ``allow``:
    what "auto" may take, ["int16"]: the tensors of 16 bits that it only tells of otherwise, in
    ``trials`` and in ``proposal``. ``weights="int4"``: those of convolutions and dense layers have
    4 bits; ``int4``: only these layers'. ``labels``: names of the output's classes.
    ``progress(done, total)`` is called now and then. ``evaluation_data``, N x input shape: what the
    model will be judged by, or meet in use; a warning tells if the calibration data are of another
    range.

    Raises `UnsupportedOp` for a module that has no int8 form, with what to use instead;
    `NanoError` for unfit data; `MissingTool` without PyTorch.
    """
    source = _source(
        model,
        calibration_data,
        targets,
        name=name,
        labels=labels,
        evaluation=evaluation_data,
        states=states,
        reset_every=reset_every,
        trust=trust,
    )
    widened = _widened(activations, int16)
    from nanotool import project  # noqa: PLC0415

    if weights not in ("int8", "int4"):
        raise NanoError(f"There are no weights {weights!r}.", "Known are: int8, int4.")
    narrowed = None if weights == "int4" else tuple(int4)
    allowed = _allowed(allow)
    graph = project.quantize_source(source, observer, progress, widened, allowed, int4=narrowed)
    return QuantizedModel(graph)


def _source(
    model: Any,
    data: Any,
    targets: Any,
    *,
    name: str = "model",
    labels: Iterable[str] = (),
    evaluation: Any = None,
    states: Mapping[str, Any] | Sequence[str] | str | None = None,
    reset_every: int = 0,
    trust: bool = False,
) -> Source:
    """A model and its data as `quantize` takes them."""
    try:
        from nanotool import project  # noqa: PLC0415
    except ImportError as error:
        raise MissingTool(
            "nanotool.quantize needs PyTorch, which is not installed.",
            "Run: pip install 'nanotool[torch]'",
        ) from error
    if hasattr(data, "detach"):
        data = as_array(data)
    if not isinstance(data, Iterable):
        raise NanoError(
            f"The calibration data are {type(data).__name__}.",
            "Give real inputs: an array, a tensor or an iterable of batches.",
        )
    if isinstance(model, (str, Path)):
        model = project.load_saved(Path(model), trust=trust)
    project.check(model)
    takes = project.takes_of(model, states)
    batches, example = project.to_batches(data, takes, steps=bool(states))
    return project.Source(
        model=model,
        batches=batches,
        example=example,
        name=model_identifier(name),
        labels=tuple(labels),
        targets=None if targets is None else project.to_classes(targets),
        evaluation=None if evaluation is None else project.to_arrays(evaluation, takes),
        states=states,
        reset_every=reset_every,
    )


def prepare_qat(
    model: Any,
    data: Any,
    *,
    observer: str = "auto",
    ranges: str = "learned",
    activations: str = "int8",
    int16: Iterable[str] = (),
    allow: Iterable[str] = (),
    targets: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> QuantizationAware:
    """A module that computes what the int8 model of ``model`` will, to be trained as usual.

        >>> aware = nanotool.prepare_qat(model, images)
        >>> train(aware)  # the same loop as for the model, at a tenth of its rate, say
        >>> quantized = nanotool.quantize(aware, images)

    ``model``, ``data``, ``observer``, ``activations``, ``int16``, ``allow`` and ``targets`` are as
    for `quantize`, by which it begins: with batch norm in the weights, which are parameters of
    their own. The forward pass is the
    device's arithmetic, so that its outputs are the int8 model's; the backward pass goes straight
    through roundings. ``ranges``: "learned", which moves every tensor's range, too, or "observed",
    which leaves them as ``observer`` chose them. `quantize` of the module keeps its ranges and its
    tensors of 16 bits.

    Raises what `quantize` raises, and `NanoError` for a model with states.
    """
    if ranges not in {"learned", "observed"}:
        raise NanoError(f"There are no {ranges!r} ranges.", "Known are: learned, observed.")
    source = _source(model, data, targets)
    widened = _widened(activations, int16)
    from nanotool import project  # noqa: PLC0415

    return project.aware_source(
        source,
        observer,
        progress,
        learned=ranges == "learned",
        int16=widened,
        allow=_allowed(allow),
    )


def _allowed(allow: Iterable[str]) -> tuple[str, ...]:
    return (allow,) if isinstance(allow, str) else tuple(allow)


def _widened(activations: str, int16: Iterable[str]) -> tuple[str, ...] | None:
    """The tensors of 16 bits; None: all that can."""
    if activations not in ("int8", "int16"):
        raise NanoError(f"There are no activations {activations!r}.", "Known are: int8, int16.")
    return None if activations == "int16" else tuple(int16)


def stream(
    model: QuantizedModel | QGraph,
    axis: int | Mapping[str, int],
    step: int | None = None,
    *,
    delay: int = 0,
    name: str = "",
) -> QuantizedModel:
    """A model of windows as a model of steps, which takes the new frames only and computes only
    what is new.

        >>> steps = nanotool.stream(quantized, axis=-1, step=2)
        >>> steps.run(frames)  # [n, channels, 2]: consecutive steps, from a reset

    ``model``: an int8 model without states, `QuantizedModel` or its graph (`SequentialModel.graph`
    gives one). ``axis``: the input's axis of time, as the user's inputs have it, without the batch;
    of several inputs {name: axis}, and those that are not named are held. ``step``: new frames that
    a step takes, by default those by which the model listens (docs/streams.md), or else as few as
    can be; a multiple of the product of the strides along time. ``delay``: input frames that an
    answer may be late, for layers that look ahead. ``name``: in C, by default the model's with
    _stream.

    As soon as as many frames were taken as the window has, the outputs are the window model's on
    the last ones, byte for byte; an output along time has its newest frames. docs/states.md says
    more. Raises `NanoError` with the layer that looks ahead, or whose padding is seen.
    """
    from nanotool.streaming import stream_graph  # noqa: PLC0415

    graph = model.graph if isinstance(model, QuantizedModel) else model
    if not isinstance(graph, QGraph):
        raise NanoError(
            f"A {type(model).__name__} cannot be streamed.",
            "Quantize it first: nanotool.stream(nanotool.quantize(model, data), axis=-1).",
        )
    made = stream_graph(graph, axis, step, delay=delay, name=name)
    if made.dropped:
        warnings.warn(made.dropped, NanoWarning, stacklevel=2)
    return QuantizedModel(made.graph)


def load(path: Path | str) -> QuantizedModel:
    """The model in a .nano file, an int8 .tflite file, or an exported model folder.

    Raises `NanoError` where there is none, `InvalidModel` where it contradicts itself.
    """
    return QuantizedModel(models.load_model(Path(path)))


class Outputs(tuple["NDArray[Any]", ...]):
    """What a model with several outputs answers: arrays [n, *shape] in its order, which `[]` also
    gives by name; `dict(outputs)` and `numpy.savez(file, **outputs)` do what they say."""

    names: tuple[str, ...]

    def __new__(cls, arrays: Iterable[NDArray[Any]], names: Sequence[str]) -> Outputs:
        """One of ``names`` an array."""
        made = super().__new__(cls, arrays)
        made.names = tuple(names)
        return made

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(key)
            key = self.names.index(key)
        return super().__getitem__(key)

    def keys(self) -> tuple[str, ...]:
        """The outputs' names."""
        return self.names

    def __repr__(self) -> str:
        shapes = (f"{name}: {list(y.shape)}" for name, y in zip(self.names, self, strict=True))
        return f"<Outputs {', '.join(shapes)}>"


class QuantizedModel:
    """An int8 model: simulate it, run it here or on a board, export it, report on it, save it.

    Inputs are n x the shape that the PyTorch model takes (C, H, W), or the device's (H, W, C); of a
    model with several a tuple of arrays, or a dictionary of them by name. Floats are real values,
    as in training, and give real values; int8 is taken as it is, already quantized, and gives int8.
    Outputs have the device's shape: one array, of several `Outputs`. A model with states takes the
    n as consecutive steps from a reset. ``str`` is a table of its layers.
    """

    def __init__(self, graph: QGraph) -> None:
        self.graph = graph  # the integers: tensors, scales, weights, quality by layer
        self._runtime: Runtime | None = None

    @staticmethod
    def load(path: Path | str) -> QuantizedModel:
        """`nanotool.load`."""
        return load(path)

    # --- What it is -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name in C."""
        return self.graph.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the one input, as PyTorch has it; `InvalidModel` where there are several."""
        return user_shape(self.graph)

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every input by name, as PyTorch has it."""
        return {name: user_shape(self.graph, i) for i, name in enumerate(self.graph.inputs)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the one output, on the device; `InvalidModel` where there are several."""
        return self.graph.output_tensor.shape

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every output by name, on the device."""
        return {tensor.name: tensor.shape for tensor in self.graph.output_tensors}

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every state by name, on the device."""
        return {state.name: state.initial.shape for state in self.graph.states}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the output's classes, if any."""
        return self.graph.labels

    @property
    def hash(self) -> str:
        """The digest that generated sources and the board tell: 16 hex digits."""
        return qfile.graph_hash(self.graph)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """What the automatic observer tried, min-max first: how good the output was on calibration
        data held back."""
        return self.graph.trials

    @property
    def proposal(self) -> str:
        """What tensors of 16 bits would bring and cost, in a sentence; "" if nothing was found."""
        from nanotool.describe import proposal  # noqa: PLC0415

        return proposal(self.graph)

    def arena_size(self, target: str = "portable", optimize: str = "balanced") -> int:
        """Bytes of RAM that the exported model works in, for one of `nanotool.targets`."""
        from nanotool.pipeline import prepare  # noqa: PLC0415

        return prepare(self.graph, target, optimize)[1].arena_size

    def memory_plan(self, target: str = "portable", optimize: str = "balanced") -> str:
        """A picture, in text, of what lies where in the arena while the model runs."""
        from nanotool.pipeline import prepare  # noqa: PLC0415
        from nanotool.plan import draw  # noqa: PLC0415

        return draw(*prepare(self.graph, target, optimize))

    def __repr__(self) -> str:
        ends = [self.input_shapes, self.output_shapes]
        if self.graph.states:
            ends = [one | self.state_shapes for one in ends]
        single = all(len(shapes) == 1 for shapes in ends)
        shapes = " -> ".join(
            ", ".join(f"{list(s)}" if single else f"{n} {list(s)}" for n, s in one.items())
            for one in ends
        )
        return f"<QuantizedModel {self.name} {shapes}, {len(self.graph.ops)} int8 ops, {self.hash}>"

    def __str__(self) -> str:
        """A table of the layers: shape, multiply-accumulates, weights, quantization noise."""
        from nanotool.pipeline import prepare  # noqa: PLC0415
        from nanotool.report import layer_rows  # noqa: PLC0415
        from nanotool.report.text import decibel  # noqa: PLC0415

        lowered, plan = prepare(self.graph)
        lines = [repr(self)]
        for row in layer_rows(lowered, plan):
            shape = "x".join(map(str, row.shape))
            noise = "" if row.sqnr_db is None else decibel(row.sqnr_db)
            work = f"{row.macs:>12,} MAC {row.weight_bytes:>9,} B"
            lines.append(f"  {row.name:<24} {shape:<12} {work} {noise:>10}")
        total = f"{lowered.macs:,} MAC, {lowered.weight_bytes:,} B weights"
        lines.append(f"  {total}, {plan.arena_size:,} B arena")
        return "\n".join(lines)

    # --- Running ----------------------------------------------------------------------------------

    def simulate(self, x: Any, *, reset_every: int = 0) -> Any:
        """Outputs [n, *output shape] from the NumPy reference, byte for byte as a board's: an
        array, of several `Outputs`. A model with states begins anew before every
        ``reset_every``-th step (0: none)."""
        from nanotool.simulate import simulate_steps  # noqa: PLC0415

        data, real = self._inputs(x)
        return self._answers(simulate_steps(self.graph, data, reset_every=reset_every)[0], real)

    def simulate_layers(self, x: Any, *, reset_every: int = 0) -> dict[str, NDArray[Any]]:
        """What every layer gives, by its name, [n, *shape on the device] each, inputs and states
        among them: the names are those of ``graph.tensors``, most of them of the PyTorch modules.
        Where ``trials`` say that equalized channels were chosen, some layers' channels are those
        of the modules but for a factor each."""
        from nanotool.simulate import simulate_all  # noqa: PLC0415

        data, real = self._inputs(x)
        every = simulate_all(self.graph, data, reset_every=reset_every)
        tensors = self.graph.tensors
        return {name: tensors[name].dequantize(q) if real else q for name, q in every.items()}

    def run(
        self,
        x: Any,
        board: str | None = None,
        port: str | None = None,
        *,
        optimize: str = "balanced",
        reset_every: int = 0,
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> Any:
        """Outputs [n, *output shape] from the C library, in this process or on a board: an array,
        of several `Outputs`.

        ``board``: a name of `nanotool boards`. Its firmware is built and runs in an emulator, or on
        the real board at ``port``, which must have been flashed with it. Every byte is compared
        with the simulator's: `DeviceError` if any differs, with the layer that differs first.
        ``reset_every``: as in `simulate`. ``progress``: hears of the inputs that are done. In this
        process many inputs are shared out among all cores.
        """
        data, real = self._inputs(x)
        if board is None:
            if self._runtime is None:
                self._runtime = self._make_runtime()
            ends = self._runtime.run_steps(data, reset_every=reset_every, progress=progress)
        else:
            ends = self._on_board(
                data, board, port, optimize=optimize, reset_every=reset_every, progress=progress
            )
        return self._answers(ends, real)

    def _make_runtime(self) -> Runtime:
        from nanotool.pipeline import prepare  # noqa: PLC0415
        from nanotool.runtime import Runtime  # noqa: PLC0415

        return Runtime(*prepare(self.graph), fast=True)

    def _on_board(
        self,
        data: Arrays,
        board: str,
        port: str | None,
        *,
        optimize: str,
        reset_every: int,
        progress: Callable[[int, int], None],
    ) -> Arrays:
        from nanotool import run  # noqa: PLC0415
        from nanotool.bench import connect  # noqa: PLC0415
        from nanotool.boards import find_board  # noqa: PLC0415
        from nanotool.build import build  # noqa: PLC0415
        from nanotool.pipeline import prepare  # noqa: PLC0415

        found = find_board(board)
        firmware = Path() if port else build(self.graph, found, optimize=optimize).elf
        lowered, _ = prepare(self.graph, found.target, optimize)
        with connect(found, firmware, port) as device:
            result = run.run(device, self.graph, lowered, data, progress, reset_every=reset_every)
        if result.mismatches:
            raise DeviceError(run.verdict(result), "`nanotool bisect` looks into it.")
        return result.ends

    def _inputs(self, x: Any) -> tuple[Arrays, bool]:
        """``x`` on the device, one array an input, and whether answers are wanted as real
        values."""
        arrays = in_order(self.graph, ends_by_name(self.graph, x))
        for number, array in enumerate(arrays):
            beyond = clipping(self.graph, array, number)
            if beyond is not None and beyond.serious:
                which = f"{self.graph.inputs[number]}: " if len(arrays) > 1 else ""
                warnings.warn(f"{which}{beyond}", NanoWarning, stacklevel=3)
        data = tuple(to_device(self.graph, array, i) for i, array in enumerate(arrays))
        return data, any(array.dtype.kind == "f" for array in arrays)

    def _answers(self, ends: Arrays, real: bool) -> Any:
        tensors = self.graph.output_tensors
        if real:
            ends = tuple(t.dequantize(y) for t, y in zip(tensors, ends, strict=True))
        return ends[0] if len(ends) == 1 else Outputs(ends, [tensor.name for tensor in tensors])

    # --- Leaving ----------------------------------------------------------------------------------

    def export(
        self,
        folder: Path | str,
        *,
        targets: Sequence[str] = (),
        optimize: str = "balanced",
        golden: int = 4,
        trainable: Sequence[str] = (),
        head: HeadOptions | None = None,
        kind: str = "",
        weights: str = "c",
        loadable: bool = False,
    ) -> None:
        """Write it as C sources, as ``nanotool export`` does.

        ``kind``: a package for a build system (c, arduino, idf-component, zephyr, platformio,
        cmake) with the library and an example, in a new folder or a .zip. ``targets``: kernels to
        use, default all. ``golden``: vectors of real inputs with their outputs. ``trainable``: the
        last dense layers, which then learn on the device as ``head`` says (docs/training.md).
        ``weights``: "c", or "bin" for a binary file a target that the assembler brings in.
        ``loadable``: weights may be brought at run time (docs/esp32.md). The model's folder is
        replaced as a whole; `NanoError` where it holds other files, or where a layer cannot learn.
        """
        from nanotool.backends import c  # noqa: PLC0415
        from nanotool.pipeline import prepare  # noqa: PLC0415
        from nanotool.targets import TARGETS  # noqa: PLC0415

        if kind:
            if trainable:
                raise NanoError("A package holds no head that learns.", "Leave `kind` out.")
            if loadable:
                raise NanoError("A package's kind says what is loadable.", "Leave `loadable` out.")
            from nanotool.kinds import find_kind  # noqa: PLC0415
            from nanotool.scaffold import export_package  # noqa: PLC0415

            export_package(
                (self.graph,),
                Path(folder),
                find_kind(kind, package=True),
                targets=targets,
                optimize=optimize,
                golden=golden,
                weights=weights,
            )
            return
        if models.output_kind(Path(folder)) != "c":
            raise NanoError(f"{folder} is a file's name.", "Use save() or to_tflite().")
        parts = self.trainable(trainable, head) if trainable else None
        graph = self.graph if parts is None else parts.backbone
        pairs = [prepare(graph, target, optimize) for target in targets or TARGETS]
        c.export(pairs, Path(folder), golden=golden, head=parts, loadable=loadable, weights=weights)

    def trainable(self, layers: Sequence[str], head: HeadOptions | None = None) -> Trainable:
        """The model cut in two: a frozen backbone, and its last dense ``layers`` as a head that
        learns on the device. `NanoError` for a layer that cannot, with the way out."""
        from nanotool.training import cut  # noqa: PLC0415

        return cut(self.graph, layers, head)

    def report(self, path: Path | str, board: str | None = None, port: str | None = None) -> None:
        """Write one self-contained HTML page, as ``nanotool report`` does; with a ``board``,
        measured on it where it is emulated here or attached to ``port``."""
        from nanotool.boards import find_board  # noqa: PLC0415
        from nanotool.build import build  # noqa: PLC0415
        from nanotool.report import render  # noqa: PLC0415
        from nanotool.report.about import about_firmware, about_model  # noqa: PLC0415

        if board is None:
            data = about_model(self.graph)
        else:
            data = about_firmware(self.graph, build(self.graph, find_board(board)), port)
        write_atomic(Path(path), render(data))

    def page(self, path: Path | str) -> None:
        """Write one HTML file in which the model itself runs, as ``nanotool page`` does.
        `MissingTool` without clang and lld."""
        from nanotool.page import render  # noqa: PLC0415

        write_atomic(Path(path), render(self.graph))

    def save(self, path: Path | str) -> None:
        """Write a .nano file, which every command and `nanotool.load` read."""
        models.check_output(Path(path))
        qfile.save(self.graph, path)

    def to_tflite(self, path: Path | str | None = None) -> bytes:
        """The model as an int8 .tflite file's content, also written to ``path`` if one is given.

        TensorFlow Lite Micro computes the same bytes from it. Raises `UnsupportedOp` for what its
        format has no operator for.
        """
        from nanotool.backends.tflite import write  # noqa: PLC0415

        content = write(self.graph)
        if path is not None:
            if Path(path).suffix != models.TFLITE:
                raise NanoError(f"{path} does not end in .tflite.", "Name it so.")
            write_atomic(Path(path), content)
        return content
