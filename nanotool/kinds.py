"""The build systems that `nanotool new` makes projects for and `nanotool export --kind` packages.

One table says where each has things and which templates (nanotool/scaffold/templates) it is made
of. Nothing is imported here that the command line would have to wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nanotool.errors import NanoError, did_you_mean


@dataclass(frozen=True, slots=True)
class Kind:
    """A build system, and where its projects or packages have things.

    Paths are relative to the project or package; ``{name}`` in them is the model's.
    """

    name: str
    title: str  # for people
    library: str  # the folder of the C library
    model: str  # the model folder; `nanotool export` may replace it
    files: Mapping[str, str]  # path -> template
    steps: tuple[str, ...]  # the commands that come next, run in the project or package
    sensing: Mapping[str, str]  # of a model that listens besides: path -> template; the sensor last
    package: bool = False  # to be added to a project, with an example; else a project itself
    arduino: bool = False  # the program is one for Arduino's framework and nothing else
    merged: bool = False  # the library's headers stand beside its sources
    platformio: bool = False  # its platforms come from PlatformIO's registry
    loadable: bool = False  # the model's weights may be brought at run time
    copied: str = ""  # files of the firmware's own project that this one has, too: a glob pattern
    copied_to: str = "."  # the folder for them


_EVERY_PROJECT = {  # has them
    "README.md": "README.md.j2",
    "pytest.ini": "test_hil/pytest.ini.j2",
    "noxfile.py": "test_hil/noxfile.py.j2",
    ".github/workflows/test.yml": "github/test.yml.j2",
    "test_hil/test_board.py": "test_hil/test_board.py.j2",
}
_EVERY_PACKAGE = {"README.md": "package.md.j2"}
_CMAKE_STEPS = ("cmake -S . -B build", "cmake --build build", "build/app")

_PROJECTS = (
    Kind(
        name="platformio",
        title="PlatformIO",
        library="lib/nano",
        model="lib/model",
        files=_EVERY_PROJECT
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
        files=_EVERY_PROJECT
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
        files=_EVERY_PROJECT | {"CMakeLists.txt": "cmake/CMakeLists.txt.j2", "main.c": "main.c.j2"},
        steps=_CMAKE_STEPS,
        sensing={"sensor.h": "sensor.h.j2", "sensor.c": "sensor_stdin.j2"},
    ),
    Kind(
        name="arduino",
        title="Arduino",
        library="libraries/nano-int8",
        model="libraries/model/src",
        files=_EVERY_PROJECT
        | {
            "app/app.ino": "main.cpp.j2",
            "libraries/nano-int8/src/nano_int8.h": "arduino/nano_int8.h.j2",
            "libraries/model/library.properties": "arduino/library.properties.j2",
        },
        steps=("arduino-cli compile --libraries libraries --fqbn arduino:mbed_nano:nano33ble app",),
        sensing={
            "app/sensor.h": "sensor.h.j2",
            "app/sensor.cpp": "arduino/sensor.cpp.j2",
        },
        arduino=True,
        merged=True,
    ),
)

# In a package the library is called {name}_model: a name that no board, tool or registry has.
_PACKAGES = (
    Kind(
        name="c",
        title="any build system",
        library="nano",
        model="model",
        files=_EVERY_PACKAGE | {"Makefile": "c/Makefile.j2", "example/main.c": "main.c.j2"},
        steps=("make", "./app"),
        sensing={"example/sensor.h": "sensor.h.j2", "example/sensor.c": "sensor_stdin.j2"},
        package=True,
    ),
    Kind(
        name="arduino",
        title="Arduino",
        library=".",
        model="src/{name}_model",
        files=_EVERY_PACKAGE
        | {
            "library.properties": "arduino/library.properties.j2",
            "src/{name}_model.h": "arduino/model.h.j2",
            "examples/{name}/{name}.ino": "main.cpp.j2",
        },
        steps=(
            "arduino-cli compile --library . --fqbn arduino:mbed_nano:nano33ble examples/{name}",
        ),
        sensing={
            "examples/{name}/sensor.h": "sensor.h.j2",
            "examples/{name}/sensor.cpp": "arduino/sensor.cpp.j2",
        },
        package=True,
        arduino=True,
        merged=True,
    ),
    Kind(
        name="idf-component",
        title="ESP-IDF",
        library="components/nano-int8",
        model="components/{name}_model/src",
        files=_EVERY_PACKAGE
        | {
            "components/{name}_model/CMakeLists.txt": "esp-idf/model/CMakeLists.txt.j2",
            "components/{name}_model/idf_component.yml": "esp-idf/model/idf_component.yml.j2",
            "examples/{name}/CMakeLists.txt": "esp-idf/CMakeLists.txt.j2",
            "examples/{name}/sdkconfig.defaults": "esp-idf/sdkconfig.defaults.j2",
            "examples/{name}/partitions.csv": "esp-idf/partitions.csv.j2",
            "examples/{name}/main/CMakeLists.txt": "esp-idf/main/CMakeLists.txt.j2",
            "examples/{name}/main/main.c": "main.c.j2",
        },
        steps=(
            "cd examples/{name}",
            "idf.py set-target esp32",
            "idf.py build flash monitor",
        ),
        sensing={
            "examples/{name}/main/sensor.h": "sensor.h.j2",
            "examples/{name}/main/sensor.c": "esp-idf/main/sensor.c.j2",
        },
        package=True,
        loadable=True,
        copied="sdkconfig.defaults.*",
        copied_to="examples/{name}",
    ),
    Kind(
        name="zephyr",
        title="Zephyr",
        library="nano",
        model="model",
        files=_EVERY_PACKAGE
        | {
            "zephyr/module.yml": "zephyr/module.yml.j2",
            "zephyr/Kconfig": "zephyr/Kconfig.j2",
            "CMakeLists.txt": "zephyr/CMakeLists.txt.j2",
            "samples/{name}/CMakeLists.txt": "zephyr/sample/CMakeLists.txt.j2",
            "samples/{name}/prj.conf": "zephyr/sample/prj.conf.j2",
            "samples/{name}/sample.yaml": "zephyr/sample/sample.yaml.j2",
            "samples/{name}/src/main.c": "main.c.j2",
        },
        steps=("west build -b native_sim samples/{name} -t run",),
        sensing={},  # there is no sensor that every board has: the sample checks the model
        package=True,
    ),
    Kind(
        name="platformio",
        title="PlatformIO",
        library=".",
        model="src/{name}_model",
        files=_EVERY_PACKAGE
        | {
            "library.json": "platformio/library.json.j2",
            "src/{name}_model.h": "arduino/model.h.j2",
            "examples/{name}/platformio.ini": "platformio/platformio.ini.j2",
            "examples/{name}/src/main.cpp": "main.cpp.j2",
        },
        steps=("cd examples/{name}", "pio run -e native -t exec"),
        sensing={
            "examples/{name}/src/sensor.h": "sensor.h.j2",
            "examples/{name}/src/sensor.cpp": "platformio/sensor.cpp.j2",
        },
        package=True,
        merged=True,
        platformio=True,
    ),
    Kind(
        name="cmake",
        title="CMake",
        library="nano",
        model="model",
        files=_EVERY_PACKAGE
        | {"CMakeLists.txt": "cmake/CMakeLists.txt.j2", "example/main.c": "main.c.j2"},
        steps=_CMAKE_STEPS,
        sensing={"example/sensor.h": "sensor.h.j2", "example/sensor.c": "sensor_stdin.j2"},
        package=True,
    ),
)

PROJECTS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _PROJECTS})
PACKAGES: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _PACKAGES})


def find_kind(name: str, *, package: bool = False) -> Kind:
    """The kind of project, or of package, called ``name``; `NanoError` names those there are."""
    kinds, what = (PACKAGES, "package") if package else (PROJECTS, "project")
    try:
        return kinds[name]
    except KeyError:
        raise NanoError(
            f"There is no kind of {what} {name!r}.{did_you_mean(name, kinds)}",
            f"Kinds: {', '.join(kinds)}.",
        ) from None
