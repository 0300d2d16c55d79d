"""What `nanotool new` writes: a project that runs a model, for a build system of the user's choice.

Every project holds the C library, the model as `nanotool export` writes it, and a program that runs
the model's golden vectors and compares every byte. Nothing in it refers to nanotool's own place.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, PackageLoader, StrictUndefined

from nanotool.backends import c
from nanotool.errors import NanoError
from nanotool.identifiers import model_identifier
from nanotool.ir import QGraph, QTensor
from nanotool.pipeline import prepare
from nanotool.sensing.description import FrontEnd, SensorSettings
from nanotool.sources import lib_dir, project_dir
from nanotool.targets import TARGETS

_IGNORED = shutil.ignore_patterns("__pycache__", "*.o", "*.pyc", ".*", "examples")


@dataclass(frozen=True, slots=True)
class Kind:
    """A build system, and where its projects have things. Paths are relative to the project."""

    name: str
    title: str  # for people
    library: str  # the folder of the C library
    model: str  # the model folder; `nanotool export` may replace it
    files: Mapping[str, str]  # path -> template
    steps: tuple[str, ...]  # the commands that come next, run in the project
    sensing: Mapping[str, str]  # of a model that listens besides: path -> template; the sensor last
    arduino: bool = False  # the library's headers stand beside its sources
    platformio: bool = False  # its platforms come from PlatformIO's registry
    loadable: bool = False  # the model's weights may be brought at run time
    copied: str = ""  # files of the firmware's own project that this one has, too: a glob pattern


_EVERY = {  # kind has them
    "README.md": "README.md.j2",
    "pytest.ini": "test_hil/pytest.ini.j2",
    "noxfile.py": "test_hil/noxfile.py.j2",
    "test_hil/test_board.py": "test_hil/test_board.py.j2",
}

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                name="platformio",
                title="PlatformIO",
                library="lib/nano",
                model="lib/model",
                files=_EVERY
                | {
                    "platformio.ini": "platformio/platformio.ini.j2",
                    ".gitignore": "platformio/gitignore.j2",
                    "src/main.cpp": "main.cpp.j2",
                },
                steps=("pio run -e native -t exec", "pio run -e esp32 -t upload -t monitor"),
                sensing={
                    "src/sensor.h": "sensor.h.j2",
                    "src/sensor.cpp": "platformio/sensor.cpp.j2",
                },
                platformio=True,
            ),
            Kind(
                name="esp-idf",
                title="ESP-IDF",
                library="components/nano-int8",
                model="components/model/src",
                files=_EVERY
                | {
                    "CMakeLists.txt": "esp-idf/CMakeLists.txt.j2",
                    "sdkconfig.defaults": "esp-idf/sdkconfig.defaults.j2",
                    "partitions.csv": "esp-idf/partitions.csv.j2",
                    "components/model/CMakeLists.txt": "esp-idf/model/CMakeLists.txt.j2",
                    "main/CMakeLists.txt": "esp-idf/main/CMakeLists.txt.j2",
                    "main/main.c": "main.c.j2",
                },
                steps=("idf.py set-target esp32", "idf.py build flash monitor"),
                sensing={
                    "main/sensor.h": "sensor.h.j2",
                    "main/sensor.c": "esp-idf/main/sensor.c.j2",
                },
                loadable=True,
                copied="sdkconfig.defaults.*",  # each chip's clocks
            ),
            Kind(
                name="cmake",
                title="CMake",
                library="nano",
                model="model",
                files=_EVERY | {"CMakeLists.txt": "cmake/CMakeLists.txt.j2", "main.c": "main.c.j2"},
                steps=("cmake -S . -B build", "cmake --build build", "build/app"),
                sensing={"sensor.h": "sensor.h.j2", "sensor.c": "sensor_stdin.j2"},
            ),
            Kind(
                name="arduino",
                title="Arduino",
                library="libraries/nano-int8",
                model="libraries/model/src",
                files=_EVERY
                | {
                    "app/app.ino": "main.cpp.j2",
                    "libraries/nano-int8/src/nano_int8.h": "arduino/nano_int8.h.j2",
                    "libraries/model/library.properties": "arduino/library.properties.j2",
                },
                steps=(
                    "arduino-cli compile --libraries libraries --fqbn arduino:mbed_nano:nano33ble "
                    "app",
                ),
                sensing={
                    "app/sensor.h": "sensor.h.j2",
                    "app/sensor.cpp": "arduino/sensor.cpp.j2",
                },
                arduino=True,
            ),
        )
    }
)


def find_kind(name: str) -> Kind:
    """The kind called ``name``; `NanoError` names those there are."""
    try:
        return KINDS[name]
    except KeyError:
        raise NanoError(
            f"There is no kind of project {name!r}.", f"Kinds: {', '.join(KINDS)}."
        ) from None


def new_project(graph: QGraph, folder: Path, kind: Kind, optimize: str = "balanced") -> None:
    """Make ``folder`` a project of ``kind`` that runs ``graph``: whole, or not at all.

    Raises `NanoError` where the folder holds anything, or cannot be written.
    """
    place = folder.resolve()
    _check_free(folder, place)
    fresh = place.with_name(f".{place.name}.new-{secrets.token_hex(6)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        _fill(fresh, graph, kind, optimize)
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
        raise NanoError(f"{folder} {what}.", "Name a new folder: `nanotool new` replaces nothing.")


def _fill(folder: Path, graph: QGraph, kind: Kind, optimize: str) -> None:
    _copy_library(folder / kind.library, arduino=kind.arduino)
    pairs = [prepare(graph, target, optimize) for target in TARGETS]
    c.export(pairs, folder / kind.model, loadable=kind.loadable)
    values = _values(pairs[0][0].graph, kind)
    files = {**kind.files, **(kind.sensing if graph.stream is not None else {})}
    for name, template in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_environment().get_template(template).render(values), "utf-8")
    for path in project_dir().glob(kind.copied) if kind.copied else ():
        shutil.copyfile(path, folder / path.name)


def _copy_library(folder: Path, *, arduino: bool) -> None:
    """The C library; an Arduino library has one folder for headers and sources, src."""
    origin = lib_dir()
    if not arduino:
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
    for name in ("library.properties", "LICENSE"):
        shutil.copyfile(origin / name, folder / name)


def _values(graph: QGraph, kind: Kind) -> dict[str, object]:
    """What the templates name."""
    name, output = model_identifier(graph.name), graph.output_tensors[0]
    named = output.dtype == "int8" and output.size == len(graph.labels)
    return {
        "kind": kind,
        "name": name,
        "macro": name.upper(),
        "inputs": _numbered(name, "input", graph.input_tensors),
        "outputs": _numbered(name, "output", graph.output_tensors),
        "states": graph.states,
        "labels": named,
        "stream": graph.stream,
        **({} if graph.stream is None else _sensor(graph.stream.front_end, kind)),
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
