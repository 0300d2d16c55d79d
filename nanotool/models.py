"""Where a model comes from when a command names one."""

from __future__ import annotations

from pathlib import Path

from nanotool import qfile
from nanotool.errors import InvalidModel, NanoError
from nanotool.ir import QGraph

MODEL_FILE = "model.nano"  # the QGraph inside a model folder
SUFFIX, TFLITE = ".nano", ".tflite"
ACCEPTED = (
    f"A model is a {SUFFIX} file, as `nanotool quantize` writes, an int8 {TFLITE} file, "
    "or a model folder, as `nanotool export` writes."
)


def load_model(path: Path) -> QGraph:
    """The int8 graph in ``path``: a .nano file, a .tflite file or a model folder.

    Raises `NanoError` where there is no such thing, `InvalidModel` where it contradicts itself.
    """
    file = model_file(path)
    if file.suffix == TFLITE:
        from nanotool.frontends import tflite  # noqa: PLC0415  not every command needs it

        return tflite.load(file)
    return _load(file)


def model_file(path: Path) -> Path:
    """The file that ``path`` means: itself, or the .nano file inside the model folder."""
    if path.is_dir():
        inside = path / MODEL_FILE
        if not inside.is_file():
            raise NanoError(f"The folder {path} holds no {MODEL_FILE}.", ACCEPTED)
        return inside
    if not path.exists():
        raise NanoError(f"There is no file or folder {path}.", ACCEPTED)
    if path.suffix in {".py", ".pt2"}:
        raise NanoError(
            f"{path} is not quantized yet.", f"Run: nanotool quantize {path} -o {path.stem}{SUFFIX}"
        )
    if path.suffix not in {SUFFIX, TFLITE}:
        raise NanoError(f"{path} is no model that nanotool knows.", ACCEPTED)
    return path


def check_output(path: Path) -> None:
    """`NanoError` unless a .nano file can be written at ``path``: said before the work begins."""
    if path.suffix != SUFFIX:
        raise NanoError(f"{path} does not end in {SUFFIX}.", f"Name it {path.stem}{SUFFIX}.")
    if path.is_dir() or not path.parent.is_dir():
        raise NanoError(f"Cannot write {path}.", "Choose a file name in a folder that exists.")


def _load(path: Path) -> QGraph:
    try:
        return qfile.load(path)
    except InvalidModel as error:
        if error.hint:
            raise
        raise InvalidModel(error.message, ACCEPTED) from error
    except OSError as error:
        raise NanoError(f"Cannot read {path}: {error.strerror or error}.", ACCEPTED) from error
