"""Where a model comes from when a command names one."""

from __future__ import annotations

import itertools
from pathlib import Path

from nanotool import qfile
from nanotool.errors import InvalidModel, NanoError
from nanotool.files import check_writable
from nanotool.ir import QGraph
from nanotool.sensing.wake_word import with_wake_word

MODEL_FILE = "model.nano"  # the QGraph inside a model folder
SUFFIX, TFLITE = ".nano", ".tflite"
_FILE_SUFFIXES = {
    *(".c", ".h", ".cc", ".cpp", ".py", ".pt", ".pt2", ".onnx", ".npy", ".npz", ".json", ".html"),
    *(".bin", ".elf", ".hex", ".zip", ".txt"),
}
ACCEPTED = (
    f"A model is a {SUFFIX} file, as `nanotool quantize` writes, an int8 {TFLITE} file, "
    "or a model folder, as `nanotool export` writes."
)


def load_model(path: Path) -> QGraph:
    """The int8 graph in ``path``: a .nano file, a .tflite file (with what a microWakeWord's .json
    beside it says) or a model folder.

    Raises `NanoError` where there is no such thing, `InvalidModel` where it contradicts itself.
    """
    file = model_file(path)
    if _kind(file) == TFLITE:
        from nanotool.frontends import tflite  # noqa: PLC0415  not every command needs it

        return with_wake_word(tflite.load(file), file)
    return _load(file)


def load_models(path: Path) -> tuple[QGraph, ...]:
    """`load_model` of ``path``; of a model folder that holds several all of them, in the order of
    their numbers."""
    return tuple(load_model(file) for file in model_files(path))


def model_files(path: Path) -> tuple[Path, ...]:
    """The files of `load_models`; of a folder without any the first is missing."""
    if not path.is_dir():
        return (model_file(path),)
    numbered = (path / f"model_{number}{SUFFIX}" for number in itertools.count(1))
    return (path / MODEL_FILE, *itertools.takewhile(Path.is_file, numbered))


def _kind(path: Path) -> str:
    """SUFFIX or TFLITE: what the file's first bytes say, whatever it is called; else its name."""
    try:
        with path.open("rb") as file:
            head = file.read(len(qfile.MAGIC))
    except OSError:
        head = b""
    if head == qfile.MAGIC:
        return SUFFIX
    return TFLITE if head[4:8] == b"TFL3" else path.suffix


def model_file(path: Path) -> Path:
    """The file that ``path`` means: itself, or the .nano file inside the model folder."""
    if path.is_dir():
        inside = path / MODEL_FILE
        if not inside.is_file():
            raise NanoError(f"The folder {path} holds no {MODEL_FILE}.", ACCEPTED)
        if len(files := model_files(path)) > 1:
            raise NanoError(
                f"The folder {path} holds {len(files)} models, and one is wanted here.",
                f"Name one of {', '.join(str(file) for file in files)}.",
            )
        return inside
    if not path.exists():
        raise NanoError(f"There is no file or folder {path}.", ACCEPTED)
    if path.suffix in {".py", ".pt2"}:
        raise NanoError(
            f"{path} is not quantized yet.", f"Run: nanotool quantize {path} -o {path.stem}{SUFFIX}"
        )
    if _kind(path) not in {SUFFIX, TFLITE}:
        raise NanoError(f"{path} is no model that nanotool knows.", ACCEPTED)
    return path


def check_output(path: Path) -> None:
    """`NanoError` unless a .nano file can be written at ``path``: said before the work begins."""
    if path.suffix != SUFFIX:
        raise NanoError(f"{path} does not end in {SUFFIX}.", f"Name it {path.stem}{SUFFIX}.")
    check_writable(path)


def output_kind(path: Path, wanted: str = "") -> str:
    """ "c", "tflite" or "nano": what an export to ``path`` writes; ``wanted``, if it is given.

    `NanoError` where the name says something else than ``wanted``, or a file of another kind.
    """
    kinds = {SUFFIX: "nano", TFLITE: "tflite"}
    found = kinds.get(path.suffix, "c")
    if found == "c" and path.suffix in _FILE_SUFFIXES:
        raise NanoError(
            f"{path} cannot be written: an export is a folder of C sources, a {TFLITE} file or a "
            f"{SUFFIX} file.",
            f"For C name a folder: -o {path.stem}.",
        )
    if wanted and wanted != found:
        ending = next((suffix for suffix, kind in kinds.items() if kind == wanted), "")
        raise NanoError(
            f"{path} is not the name of a {f'{ending} file' if ending else 'folder'}.",
            f"Name it {path.stem}{ending}, or leave --format out: the name decides.",
        )
    if found != "c":
        check_writable(path)
    return found


def _load(path: Path) -> QGraph:
    try:
        return qfile.load(path)
    except InvalidModel as error:
        if error.hint:
            raise
        raise InvalidModel(error.message, ACCEPTED) from error
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", ACCEPTED) from error
