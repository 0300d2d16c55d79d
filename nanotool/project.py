"""What `nanotool quantize` starts from: a Python file or a saved torch program, with real data.

Only this module and the front end import torch.
"""

from __future__ import annotations

import sys
import traceback
import types
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._pytree import tree_map

from nanotool.errors import NanoError, NanoWarning
from nanotool.files import read_array, read_arrays
from nanotool.frontends import onnx
from nanotool.frontends.torch import capture, capture_program, check_model, load_program
from nanotool.frontends.torch.ends import Parameters, arguments, leaves, parameters_of
from nanotool.frontends.torch.memory import States
from nanotool.identifiers import model_identifier
from nanotool.inputs import as_array, clipping, to_device
from nanotool.ir import Graph, QGraph
from nanotool.passes import canonicalize
from nanotool.progress import Progress
from nanotool.quantization import quantize
from nanotool.quantization.aware.module import QuantizationAware, aware, refuse_steps
from nanotool.quantization.doubts import doubts, forgetful, noisy
from nanotool.quantization.quantizer import made_of

BATCH = 64  # samples of one calibration batch, where the data come as one array
EXAMPLES = 4  # samples to trace with
ACCEPTED = (
    "A source is a Python file that defines `model` (an nn.Module) and `calibration` (real "
    "inputs), or a program saved by torch.export (.pt2) or a model as ONNX (.onnx) together with "
    "--calibration FILE.npy."
)


# One array an input, N x input shape, the forward's tensors in order; with states N steps.
Arrays: TypeAlias = "tuple[NDArray[np.float32], ...]"


@dataclass(frozen=True, slots=True)
class Source:
    """A float model and what quantizing it needs."""

    model: Any  # nn.Module or torch.export.ExportedProgram
    batches: Sequence[Arrays]  # as the model takes them
    example: Mapping[str, Any]  # one batch to trace with: the forward's arguments by name
    name: str  # a C identifier
    labels: tuple[str, ...] = ()
    evaluation: Arrays | None = None  # what the model will meet
    targets: NDArray[np.int64] | None = None  # the right class of each calibration input
    states: States = None  # what it remembers: `memory_of`
    reset_every: int = 0  # steps of the data from one reset to the next; 0: batch by batch


_QUANTIZED = (
    "is a model in integers already",
    "It goes wherever a model goes: `nanotool info`, `run`, `bench`, `export`.",
)
_WEIGHTS = (
    "holds weights, or pickled objects, no program",
    "Write a Python file that makes the module, loads them (model.load_state_dict(torch.load(PATH, "
    "weights_only=True))) and defines `model` and `calibration`; or save the program by "
    "torch.export.save as .pt2.",
)
_OTHERS = {  # what people give, by its suffix
    ".nano": _QUANTIZED,
    ".tflite": _QUANTIZED,
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors"), _WEIGHTS),
}


def load_source(
    path: Path,
    calibration: Path | None = None,
    name: str = "",
    *,
    evaluation: Path | None = None,
    states: States = None,
    reset_every: int | None = None,
    trust: bool = False,
) -> Source:
    """The model and calibration data that ``path`` names.

    ``calibration`` and ``evaluation`` (.npy; several inputs .npz), ``states`` and ``reset_every``
    replace the file's own, ``name`` the model's name. A .py file is run; a .pt2 file may bring code
    only with ``trust``. Raises `NanoError` for what is missing; an error inside the user's file is
    shown with its line.
    """
    if path.is_dir() or not path.exists():
        raise NanoError(f"{path} {_missing(path)}.", ACCEPTED)
    if path.suffix not in {".py", ".pt2", ".onnx"}:
        what, way = _OTHERS.get(path.suffix, ("is no .py, .pt2 or .onnx file", ACCEPTED))
        raise NanoError(f"{path} {what}.", way)
    data = None if calibration is None else _read(calibration)
    if path.suffix == ".py":
        source = _from_script(path, data, name, states, reset_every)
    elif data is None:
        raise NanoError(f"{path} holds no calibration data.", "Give --calibration FILE.npy.")
    else:
        program = load_saved(path, trust=trust)
        source = _from_program(path, program, data, name, states)
        source = replace(source, reset_every=reset_every or 0)
    if evaluation is None:
        return source
    takes = takes_of(source.model, source.states)
    return replace(source, evaluation=to_arrays(_read(evaluation), takes, "evaluation"))


def _read(path: Path) -> Any:
    """The one array of a .npy file, or those of a .npz by name."""
    arrays = read_arrays(path)
    return arrays["0"] if list(arrays) == ["0"] else arrays


def parse_states(text: str) -> dict[str, Any]:
    """The states of `--states h,c=c0.npy`: by name, with an initial value or None."""
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, file = part.partition("=")
        found[name.strip()] = read_array(Path(file.strip())) if file else None
    return found


def load_saved(path: Path, *, trust: bool = False) -> torch.export.ExportedProgram | nn.Module:
    """The program in the .pt2 file ``path``, or the module of an .onnx file; `NanoError` as
    `load_source` gives."""
    if path.is_dir() or not path.exists():
        raise NanoError(f"{path} {_missing(path)}.", "Give a module, or a .pt2 or .onnx file.")
    if path.suffix == ".onnx":
        return onnx.load(path)
    if path.suffix != ".pt2":
        raise NanoError(f"{path} is no .pt2 or .onnx file.", "Give the module itself.")
    return load_program(path, trust=trust)


def _missing(path: Path) -> str:
    return "is a folder" if path.is_dir() else "does not exist"


def check(model: Any) -> None:
    """`NanoError` for what is neither a module nor an exported program."""
    if not isinstance(model, torch.export.ExportedProgram):
        check_model(model)


def float_graph(source: Source) -> Graph:
    """The source's model as captured, before any pass."""
    if isinstance(source.model, torch.export.ExportedProgram):
        return capture_program(source.model, source.name, states=source.states)
    return capture(source.model, source.example, source.name, states=source.states)


def quantize_source(
    source: Source,
    observer: str = "auto",
    progress: Progress | None = None,
    int16: Collection[str] | None = (),
    allow: Collection[str] = (),
    *,
    int4: Collection[str] | None = (),
) -> QGraph:
    """Capture, canonicalize, calibrate, quantize; warns of what the data are hardly meant to be.
    ``int16``, ``allow``, ``int4``: as `nanotool.quantization.quantize` takes them."""
    trained = source.model if isinstance(source.model, QuantizationAware) else None
    if trained is not None:
        int16 = trained.int16 if int16 is not None and not int16 else int16
    graph = float_graph(source) if trained is None else trained.graph
    for doubt in doubts(graph, source.batches):
        warnings.warn(doubt, NanoWarning, stacklevel=3)
    quantized = quantize(
        canonicalize(graph),
        source.batches,
        reset_every=source.reset_every,
        given=None if trained is None else trained.ranges,
        observer=observer,
        classes=_checked(source),
        labels=source.labels,
        progress=progress,
        int16=int16,
        allow=allow,
        int4=int4,
    )
    for doubt in (*forgetful(quantized), *noisy(quantized)):
        warnings.warn(doubt, NanoWarning, stacklevel=3)
    for number, array in enumerate(source.evaluation or ()):
        to_device(quantized, array, number)  # NanoError for another shape
        beyond = clipping(quantized, array, number)
        if beyond is not None and beyond.serious:
            of = f" of {quantized.inputs[number]}" if len(quantized.inputs) > 1 else ""
            told = f"The evaluation data{of} are unlike the calibration data. {beyond}"
            warnings.warn(told, NanoWarning, stacklevel=3)
    return quantized


def _checked(source: Source) -> NDArray[np.int64] | None:
    """The targets, one an input."""
    count = sum(len(batch[0]) for batch in source.batches)
    if source.targets is not None and len(source.targets) != count:
        raise NanoError(
            f"There are {len(source.targets)} targets for {count} calibration inputs.",
            "Give the right class of each input, in their order.",
        )
    return source.targets


def aware_source(
    source: Source,
    observer: str,
    progress: Progress | None,
    *,
    learned: bool,
    int16: Collection[str] | None = (),
    allow: Collection[str] = (),
) -> QuantizationAware:
    """The source's model to be trained as int8, or with ``int16`` tensors of 16 bits, with the
    ranges, and the tensors of 16 bits, that ``observer`` chose as far as they are in ``allow``."""
    graph = canonicalize(float_graph(source))
    refuse_steps(graph)
    made = made_of(
        graph,
        source.batches,
        observer=observer,
        classes=_checked(source),
        progress=progress,
        int16=int16,
        allow=allow,
    )
    taken = next((trial.int16 for trial in made.int8.trials if trial.chosen), None)
    if taken is not None:
        int16 = taken.tensors or None
    return aware(made.graph, made.int8, learned=learned, int16=int16)


# --- A Python file --------------------------------------------------------------------------------


def _from_script(
    path: Path, data: Any, name: str, states: States, reset_every: int | None
) -> Source:
    values = _run(path)
    model = values.get("model")
    if isinstance(model, types.FunctionType):
        model = _call(path, "model", model)
    if model is None:
        raise NanoError(f"{path}: defines no `model`.", ACCEPTED)
    if not isinstance(model, torch.export.ExportedProgram):
        check_model(model, f"{path}: `model`")
    if data is None:
        data = values.get("calibration")
        if callable(data) and not isinstance(data, (np.ndarray, torch.Tensor)):
            data = _call(path, "calibration", data)
    if data is None:
        raise NanoError(
            f"{path} defines no `calibration`.", "Add it, or give --calibration FILE.npy."
        )
    if states is None:
        states = values.get("states")
    takes = takes_of(model, states)
    batches, first = to_batches(_iterate(path, data, takes), takes, steps=bool(states))
    example, evaluation = values.get("example"), values.get("evaluation")
    return Source(
        model=model,
        batches=batches,
        example=first if example is None else to_example(arguments(takes, example), "example"),
        name=model_identifier(name or str(values.get("name") or path.stem)),
        labels=_labels(path, values.get("labels")),
        evaluation=None if evaluation is None else to_arrays(evaluation, takes, "evaluation"),
        targets=None if values.get("targets") is None else to_classes(values["targets"]),
        states=states,
        reset_every=int(values.get("reset_every") or 0) if reset_every is None else reset_every,
    )


def _labels(path: Path, labels: Any) -> tuple[str, ...]:
    """The classes' names; none if there is no `labels`."""
    if labels is None:
        return ()
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise NanoError(
            f"{path}: `labels` is {type(labels).__name__}.",
            "It must be a list of names, one for each output of the model.",
        )
    return tuple(str(label) for label in labels)


def _run(path: Path) -> dict[str, Any]:
    """The names that the file ``path`` defines."""
    module = types.ModuleType("nanotool_source")
    module.__file__ = str(path)
    with _user_code(path), _importable(path.resolve().parent, module):
        code = compile(path.read_bytes(), str(path), "exec")
        exec(code, module.__dict__)  # nosec B102 # the user's own file, which the docs say is run
    return module.__dict__


def _call(path: Path, what: str, function: Callable[[], Any]) -> Any:
    with _user_code(path):
        return function()


@contextmanager
def _importable(folder: Path, module: types.ModuleType) -> Iterator[None]:
    """The file's neighbours can be imported, and classes it defines find their module.

    The module stays in `sys.modules`: functions that run later look there.
    """
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _user_code(path: Path) -> Iterator[None]:
    """What fails in the user's file becomes one paragraph that names its line."""
    try:
        yield
    except NanoError:
        raise
    except SyntaxError as error:
        raise NanoError(
            f"{path}, line {error.lineno}: {error.msg}.", "Correct the file."
        ) from error
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)
        where = f"{path}, line {line}" if line else str(path)
        text = " ".join(str(error).split())
        raise NanoError(
            f"{where}: {type(error).__name__}: {text}", f"`python {path}` shows more."
        ) from error


def _iterate(path: Path, data: Any, takes: Parameters) -> Any:
    """Batches one by one, errors of the user's generator with their line; or all in one."""
    if is_whole(data, takes):
        return data
    if isinstance(data, (str, bytes, Path)) or not isinstance(data, Iterable):
        raise NanoError(
            f"{path}: `calibration` is {type(data).__name__}.",
            "It must be an array, a tensor, an iterable of batches, or a function returning one.",
        )
    return _guarded(path, data)


def _guarded(path: Path, data: Iterable[Any]) -> Iterator[Any]:
    with _user_code(path):
        yield from data


# --- A saved program ------------------------------------------------------------------------------


def _from_program(
    path: Path,
    program: torch.export.ExportedProgram | nn.Module,
    data: Any,
    name: str,
    states: States,
) -> Source:
    batches, example = to_batches(data, takes_of(program, states), steps=bool(states))
    identifier = model_identifier(name or path.stem)
    return Source(program, batches, example, identifier, states=states)


# --- Data -----------------------------------------------------------------------------------------


def takes_of(model: Any, states: States) -> Parameters:
    """The parameters for which the data hold tensors."""
    if isinstance(model, QuantizationAware):
        return Parameters(model.inputs, model.inputs)
    names = (states,) if isinstance(states, str) else tuple(states or ())
    return parameters_of(model).without(names)


def is_whole(data: Any, takes: Parameters) -> bool:
    """Whether ``data`` are all there are, not batches: an array, arrays by name, or a tuple of one
    an input."""
    if _is_array(data) or isinstance(data, Mapping):
        return True
    several = len(takes.required) > 1 or bool(takes.rest)
    return several and isinstance(data, (tuple, list)) and bool(data) and all(map(_is_array, data))


def _is_array(data: Any) -> bool:
    return isinstance(data, np.ndarray) or hasattr(data, "detach")


def to_batches(
    data: Any, takes: Parameters, *, steps: bool = False
) -> tuple[list[Arrays], dict[str, Any]]:
    """(float batches, the arguments of the first samples) of what a user gives for the parameters
    ``takes``: all in one (split, but for consecutive ``steps``), or batches; of (input, target)
    pairs the inputs."""
    if is_whole(data, takes):
        given = arguments(takes, data)
        arrays = _arrays(given, "calibration")
        if any(array.ndim < (2 if len(arrays) == 1 else 1) or not len(array) for array in arrays):
            told = " and ".join(str(array.shape) for array in arrays)
            raise NanoError(
                f"The calibration data have shape {told}.",
                "They must be N x input shape, N at least 1: hundreds of real inputs serve well.",
            )
        size = len(arrays[0]) if steps else BATCH
        starts = range(0, len(arrays[0]), size)
        batches = [tuple(array[start : start + size] for array in arrays) for start in starts]
        return batches, to_example(given, "calibration")
    every = [arguments(takes, item) for item in data]
    filled = [(given, _arrays(given, "calibration")) for given in every]
    filled = [(given, arrays) for given, arrays in filled if len(arrays[0])]
    if not filled:
        raise NanoError(
            "The calibration data are empty.", "Give real inputs, some hundred of them."
        )
    shapes = {tuple(array.shape[1:] for array in arrays) for _, arrays in filled}
    if len(shapes) > 1 or any(array.ndim < 2 for array in filled[0][1][:1]):
        listed = sorted(one[0] if len(one) == 1 else one for one in shapes)
        raise NanoError(
            f"The calibration batches have samples of shapes {listed}.",
            "Every batch must be N x input shape, with the same input shape.",
        )
    return [arrays for _, arrays in filled], to_example(filled[0][0], "calibration")


def to_arrays(data: Any, takes: Parameters, what: str = "evaluation_data") -> Arrays:
    """All of ``data``, N samples, as float arrays: one an input, in the forward's order."""
    return _arrays(arguments(takes, data), what)


def _arrays(given: Mapping[str, Any], what: str) -> Arrays:
    found = {name: leaf for name, leaf in leaves(given).items() if _is_data(leaf)}
    arrays = {name: to_floats(leaf, what) for name, leaf in found.items()}
    if not arrays:
        raise NanoError(f"`{what}` holds no array.", "Give arrays N x what one input has.")
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise NanoError(
            f"`{what}` holds inputs of different numbers of samples ({told}).",
            "Each input needs as many.",
        )
    return tuple(arrays.values())


def _is_data(leaf: Any) -> bool:
    """Whether a leaf of the data is an input; None and plain numbers stay what they are."""
    return not (leaf is None or isinstance(leaf, (bool, int, float, str)))


def to_example(given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The first samples of a forward's arguments, as tensors."""

    def cut(leaf: Any) -> Any:
        return torch.tensor(to_floats(leaf, what)[:EXAMPLES]) if _is_data(leaf) else leaf

    example: dict[str, Any] = tree_map(cut, dict(given))
    return example


def to_classes(data: Any) -> NDArray[np.int64]:
    """``data`` as class numbers [n]."""
    try:
        classes = np.asarray(as_array(data))
    except (TypeError, ValueError) as error:
        raise NanoError(f"`targets` cannot become numbers: {error}.", "Give integers.") from error
    if classes.ndim != 1 or classes.dtype.kind not in "iu":
        raise NanoError(
            f"`targets` have shape {classes.shape} and type {classes.dtype}.",
            "Give the number of the right class for each calibration input.",
        )
    return classes.astype(np.int64)


def to_floats(data: Any, what: str = "evaluation_data") -> NDArray[np.float32]:
    """``data`` as a float32 array, detached from any device."""
    try:
        floats = np.ascontiguousarray(as_array(data), np.float32)
    except (TypeError, ValueError) as error:
        raise NanoError(
            f"`{what}` cannot become numbers: {error}.", "Give float arrays."
        ) from error
    if not np.isfinite(floats).all():
        raise NanoError(f"`{what}` holds NaN or infinity.", "Leave those inputs out.")
    return floats
