"""What `nanotool quantize` starts from: a Python file or a saved torch program, with real data.

Only this module and the front end import torch.
"""

from __future__ import annotations

import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nanotool.errors import NanoError, NanoWarning
from nanotool.files import read_array
from nanotool.frontends.torch import capture, capture_program, check_model, load_program
from nanotool.identifiers import model_identifier
from nanotool.inputs import as_array, clipping, to_device
from nanotool.ir import Graph, QGraph
from nanotool.passes import canonicalize
from nanotool.progress import Progress
from nanotool.quantization import quantize
from nanotool.quantization.doubts import doubts

BATCH = 64  # samples of one calibration batch, where the data come as one array
ACCEPTED = (
    "A source is a Python file that defines `model` (an nn.Module) and `calibration` (real "
    "inputs), or a program saved by torch.export (.pt2) together with --calibration FILE.npy."
)


@dataclass(frozen=True, slots=True)
class Source:
    """A float model and what quantizing it needs."""

    model: Any  # nn.Module or torch.export.ExportedProgram
    batches: Sequence[NDArray[np.float32]]  # each N x input shape, as the model takes them
    example: NDArray[np.float32]  # one batch to trace with
    name: str  # a C identifier
    labels: tuple[str, ...] = ()
    evaluation: NDArray[np.float32] | None = None  # N x input shape: what the model will meet
    targets: NDArray[np.int64] | None = None  # the right class of each calibration input


def load_source(
    path: Path,
    calibration: Path | None = None,
    name: str = "",
    *,
    evaluation: Path | None = None,
    trust: bool = False,
) -> Source:
    """The model and calibration data that ``path`` names.

    ``calibration`` and ``evaluation`` (.npy) replace the file's own, ``name`` the
    model's name. A .py file is run; a .pt2 file may bring code only with ``trust``. Raises
    `NanoError` for what is missing; an error inside the user's file is shown with its line.
    """
    if path.is_dir() or not path.exists():
        raise NanoError(f"{path} {_missing(path)}.", ACCEPTED)
    if path.suffix not in {".py", ".pt2"}:
        raise NanoError(f"{path} is neither a .py nor a .pt2 file.", ACCEPTED)
    data = None if calibration is None else read_array(calibration)
    if path.suffix == ".py":
        source = _from_script(path, data, name)
    else:
        source = _from_program(path, data, name, trust)
    if evaluation is None:
        return source
    return replace(source, evaluation=to_floats(read_array(evaluation), "evaluation"))


def load_saved(path: Path, *, trust: bool = False) -> torch.export.ExportedProgram:
    """The program in the .pt2 file ``path``; `NanoError` as `load_source` gives."""
    if path.is_dir() or not path.exists():
        raise NanoError(f"{path} {_missing(path)}.", "Give a module, or a program's .pt2 file.")
    if path.suffix != ".pt2":
        raise NanoError(f"{path} is no .pt2 file.", "Give the module itself.")
    return load_program(path, trust=trust)


def _missing(path: Path) -> str:
    return "is a folder" if path.is_dir() else "does not exist"


def float_graph(source: Source) -> Graph:
    """The source's model as captured, before any pass."""
    if isinstance(source.model, torch.export.ExportedProgram):
        return capture_program(source.model, source.name)
    return capture(source.model, torch.tensor(source.example), source.name)


def quantize_source(
    source: Source, observer: str = "auto", progress: Progress | None = None
) -> QGraph:
    """Capture, canonicalize, calibrate, quantize; warns of what the data are hardly meant to be."""
    graph = float_graph(source)
    for doubt in doubts(graph, source.batches):
        warnings.warn(doubt, NanoWarning, stacklevel=3)
    quantized = quantize(
        canonicalize(graph),
        source.batches,
        observer=observer,
        classes=_checked(source),
        labels=source.labels,
        progress=progress,
    )
    if source.evaluation is not None:
        to_device(quantized, source.evaluation)  # NanoError for another shape
        beyond = clipping(quantized, source.evaluation)
        if beyond is not None and beyond.serious:
            told = f"The evaluation data are unlike the calibration data. {beyond}"
            warnings.warn(told, NanoWarning, stacklevel=3)
    return quantized


def _checked(source: Source) -> NDArray[np.int64] | None:
    """The targets, one an input."""
    count = sum(map(len, source.batches))
    if source.targets is not None and len(source.targets) != count:
        raise NanoError(
            f"There are {len(source.targets)} targets for {count} calibration inputs.",
            "Give the right class of each input, in their order.",
        )
    return source.targets


# --- A Python file --------------------------------------------------------------------------------


def _from_script(path: Path, data: NDArray[Any] | None, name: str) -> Source:
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
    batches = to_batches(_iterate(path, data))
    example = values.get("example")
    return Source(
        model=model,
        batches=batches,
        example=batches[0][:2] if example is None else to_floats(example, "example"),
        name=model_identifier(name or str(values.get("name") or path.stem)),
        labels=_labels(path, values.get("labels")),
        evaluation=_evaluation(values.get("evaluation")),
        targets=None if values.get("targets") is None else to_classes(values["targets"]),
    )


def _evaluation(data: Any) -> NDArray[np.float32] | None:
    return None if data is None else to_floats(data, "evaluation")


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


def _iterate(path: Path, data: Any) -> Iterator[Any] | NDArray[Any]:
    """Batches one by one, errors of the user's generator with their line; or one array."""
    if isinstance(data, (np.ndarray, torch.Tensor)):
        return to_floats(data, "calibration")
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


def _from_program(path: Path, data: NDArray[Any] | None, name: str, trust: bool) -> Source:
    if data is None:
        raise NanoError(f"{path} holds no calibration data.", "Give --calibration FILE.npy.")
    program = load_program(path, trust=trust)
    batches = to_batches(to_floats(data, "calibration"))
    return Source(program, batches, batches[0][:2], model_identifier(name or path.stem))


# --- Data -----------------------------------------------------------------------------------------


def to_batches(data: Iterable[Any]) -> list[NDArray[np.float32]]:
    """Float batches from one array (split) or from batches; of (input, target) pairs the inputs."""
    if isinstance(data, np.ndarray):
        array = to_floats(data, "calibration")
        if array.ndim < 2 or not len(array):
            raise NanoError(
                f"The calibration data have shape {array.shape}.",
                "They must be N x input shape, N at least 1: hundreds of real inputs serve well.",
            )
        return [array[start : start + BATCH] for start in range(0, len(array), BATCH)]
    batches = [
        to_floats(item[0] if isinstance(item, (tuple, list)) else item, "calibration")
        for item in data
    ]
    batches = [batch for batch in batches if len(batch)]
    if not batches:
        raise NanoError(
            "The calibration data are empty.", "Give real inputs, some hundred of them."
        )
    shapes = {batch.shape[1:] for batch in batches}
    if len(shapes) > 1 or batches[0].ndim < 2:
        raise NanoError(
            f"The calibration batches have samples of shapes {sorted(shapes)}.",
            "Every batch must be N x input shape, with the same input shape.",
        )
    return batches


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
