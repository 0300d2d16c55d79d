"""What `nanotool new` and `nanotool export --kind` write, for a build system of the user's choice.

A project or a package holds the C library, the model as `nanotool export` writes it, and a program
that runs the model's golden vectors and compares every byte. Nothing in it refers to nanotool's own
place. `nanotool.kinds` says what is where.
"""

from __future__ import annotations

import io
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from nanotool.backends import c
from nanotool.errors import NanoError
from nanotool.files import check_writable, write_atomic
from nanotool.identifiers import model_identifier
from nanotool.ir import QGraph, QTensor
from nanotool.kinds import Kind
from nanotool.models import output_kind
from nanotool.pipeline import prepare
from nanotool.sensing.description import FrontEnd, SensorSettings
from nanotool.sources import lib_dir, project_dir
from nanotool.targets import TARGETS
from nanotool.version import __version__

ZIP = ".zip"
_IGNORED = shutil.ignore_patterns("__pycache__", "*.o", "*.pyc", ".*", "examples")


def new_project(graph: QGraph, folder: Path, kind: Kind, optimize: str = "balanced") -> None:
    """Make ``folder`` a project of ``kind`` that runs ``graph``: whole, or not at all.

    Raises `NanoError` where the folder holds anything, or cannot be written.
    """
    _write(folder, _Made(kind, (graph,), optimize=optimize))


def export_package(
    graphs: Sequence[QGraph],
    path: Path,
    kind: Kind,
    *,
    targets: Sequence[str] = (),
    optimize: str = "balanced",
    golden: int = 4,
    weights: str = "c",
) -> None:
    """Write the models ``graphs``, with the library, an example and a README, as ``kind`` of
    package: the new folder ``path``, or a .zip file of that name, which is replaced.

    ``targets``: kernels to use, default all. ``golden``: the example's vectors, at least one.
    ``weights``: "c", or "bin" for binary files that the assembler brings in.
    Raises `NanoError` where the folder holds anything, or ``path`` cannot be written.
    """
    made = _Made(kind, tuple(graphs), tuple(targets or TARGETS), optimize, golden, weights)
    if not golden:
        raise NanoError("The example needs golden vectors.", "Give --golden 1 or more.")
    if path.suffix != ZIP:
        if output_kind(path) != "c":
            raise NanoError(f"{path} is a file's name.", "Name a folder, or a .zip file.")
        _write(path, made)
        return
    check_writable(path)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / f"{made.name}_model"
        folder.mkdir()
        _fill(folder, made)
        write_atomic(path, _zipped(folder))


def _zipped(folder: Path) -> bytes:
    """``folder`` as the one folder of a .zip file: the same bytes whenever it is written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix())
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _write(folder: Path, made: _Made) -> None:
    """`_fill` the new or empty ``folder``, whole or not at all."""
    place = folder.resolve()
    _check_free(folder, place)
    fresh = place.with_name(f".{place.name}.new-{secrets.token_hex(6)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        _fill(fresh, made)
        fresh.replace(place)  # an empty folder gives way, any other does not
    except OSError as error:
        raise NanoError(
            f"Cannot write {folder}: {error.strerror or error}.",
            "Nothing was left behind. Choose a new folder where you may write.",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check_free(folder: Path, place: Path) -> None:
    if place.is_dir() and not any(place.iterdir()):
        return
    if place.exists():
        what = "is not empty" if place.is_dir() else "is a file"
        raise NanoError(f"{folder} {what}.", "Name a new folder: nothing is replaced.")


@dataclass(frozen=True, slots=True)
class _Made:
    """What a project or package is made of: the first model is the example's."""

    kind: Kind
    models: tuple[QGraph, ...]
    targets: tuple[str, ...] = tuple(TARGETS)
    optimize: str = "balanced"
    golden: int = 4
    weights: str = "c"

    @property
    def name(self) -> str:
        return model_identifier(self.models[0].name)

    @property
    def prefix(self) -> str:
        """Where the model folder stands on the include path."""
        return f"{self.name}_model/" if self.kind.merged and self.kind.package else ""

    def place(self, path: str) -> str:
        """A path of the kind's, or a command, with the model's name in it."""
        return path.replace("{name}", self.name)


def _fill(folder: Path, made: _Made) -> None:
    kind = made.kind
    _copy_library(folder / kind.library, kind)
    models = [
        [prepare(graph, target, made.optimize) for target in made.targets] for graph in made.models
    ]
    destination = folder / made.place(kind.model)
    if len(models) == 1:
        c.export(
            models[0],
            destination,
            golden=made.golden,
            loadable=kind.loadable,
            weights=made.weights,
            place=made.prefix,
        )
    else:
        c.export_several(
            models, destination, golden=made.golden, weights=made.weights, place=made.prefix
        )
    values = _values(made, [pairs[0][0].graph for pairs in models])
    files = {**kind.files, **(kind.sensing if values["stream"] is not None else {})}
    for name, template in files.items():
        path = folder / made.place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_environment().get_template(template).render(values), "utf-8")
    for path in project_dir().glob(kind.copied) if kind.copied else ():
        shutil.copyfile(path, folder / made.place(kind.copied_to) / path.name)


def _copy_library(folder: Path, kind: Kind) -> None:
    """The C library; a merged one has one folder for headers and sources, src."""
    origin = lib_dir()
    if not kind.merged:
        # Not copy2: an installed nanotool's files may be read-only.
        shutil.copytree(origin, folder, ignore=_IGNORED, copy_function=shutil.copyfile)
        return
    for part in ("src", "include"):
        shutil.copytree(
            origin / part,
            folder / "src",
            ignore=_IGNORED,
            copy_function=shutil.copyfile,
            dirs_exist_ok=True,
        )
    for name in ("LICENSE",) if kind.package else ("library.properties", "LICENSE"):
        shutil.copyfile(origin / name, folder / name)


def _values(made: _Made, graphs: Sequence[QGraph]) -> dict[str, object]:
    """What the templates name."""
    graph, kind, name = graphs[0], made.kind, made.name
    output = graph.output_tensors[0]
    named = output.dtype == "int8" and output.size == len(graph.labels)
    stream = graph.stream if kind.sensing else None
    component = f"{name}_model" if kind.package else "model"
    fronts = {"arduino": "nano_int8.h"}  # of projects
    return {
        "kind": kind,
        "version": __version__,
        "steps": [made.place(step) for step in kind.steps],
        "model": made.place(kind.model),
        "models": [
            {"name": model_identifier(one.name), "stream": one.stream is not None} for one in graphs
        ],
        "component": component,
        "front": f"{component}.h"
        if kind.merged and kind.package
        else fronts.get(kind.name, "nano/nano.h"),
        "prefix": made.prefix,
        "weights": made.weights,
        "program": "example/" if kind.package else "",
        "name": name,
        "macro": name.upper(),
        "inputs": _numbered(name, "input", graph.input_tensors),
        "outputs": _numbered(name, "output", graph.output_tensors),
        "states": graph.states,
        "labels": named,
        "stream": stream,
        **({} if stream is None else _sensor(stream.front_end, kind)),
    }


def _sensor(ears: FrontEnd, kind: Kind) -> dict[str, object]:
    """What the sensor's file names. A ring holds an eighth of a second and more."""
    sound = not isinstance(ears, SensorSettings)
    least = max(ears.sample_rate * ears.values // 8, 8 * ears.values)
    return {
        "sound": sound,
        "rate": ears.sample_rate,
        "values": ears.values,
        "ring": 1 << (least - 1).bit_length(),
        "sensor_file": Path(list(kind.sensing)[-1]).name,
        "senses": "a microphone" if sound else "a sensor of motion",
    }


def _numbered(name: str, what: str, tensors: Sequence[QTensor]) -> list[dict[str, object]]:
    """Each input or output with what C calls it."""
    single = len(tensors) == 1
    return [
        {
            "tensor": tensor,
            "called": what.capitalize() + ("" if single else f" {number}, {tensor.name}"),
            "place": (f"nano_{what}(", ")") if single else (f"nano_{what}_at(", f", {number})"),
            "golden": f"{name}_golden_{what}" + ("" if single else f"_{number}"),
            "size": f"{name.upper()}_{what.upper()}{'' if single else f'_{number}'}_SIZE",
        }
        for number, tensor in enumerate(tensors)
    ]


@cache
def _environment() -> Environment:
    return Environment(  # nosec B701 # it writes C, Python and CMake, no HTML
        loader=PackageLoader("nanotool.scaffold", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
    )
