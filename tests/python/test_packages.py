"""`nanotool export --kind`: projects elsewhere take each package as it is."""

from __future__ import annotations

import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from handmade import GraphBuilder
from listening import EARS
from test_manifests import run_cmake, told
from test_scaffold import CMAKE, WARNINGS, check_sketch, digits, hostile, listens, run

from nanotool.api import QuantizedModel
from nanotool.errors import NanoError
from nanotool.ir import QGraph
from nanotool.kinds import PACKAGES, Kind, find_kind
from nanotool.scaffold import export_package

ROOT = Path(__file__).resolve().parents[2]
# What a user writes beside a package.
MAIN = """
#include <stdio.h>
{includes}
NANO_ALIGNED static uint8_t bytes[DIGITS_ARENA_SIZE];
int main(void) {{
    static const float image[DIGITS_INPUT_SIZE] = {{0}};
    static const char *const labels[] = DIGITS_LABELS;
    nano_arena arena;
    nano_net net;
    uint16_t best = 0;
    nano_arena_init(&arena, bytes, sizeof bytes);
    if (nano_init(&net, &digits_model, &arena) != NANO_OK)
        return 1;
    nano_quantize_input(&net, 0, image);
    nano_run(&net);
    nano_top_classes(&net, 0, &best, 1);
    printf("class %s\\n", labels[best]);
    return 0;
}}
"""


def package(graph: QGraph, path: Path, kind: str) -> Path:
    export_package((graph,), path, find_kind(kind, package=True), targets=("portable",))
    return path


def main_file(*headers: str) -> str:
    return MAIN.format(includes="\n".join(f'#include "{header}"' for header in headers))


def test_c(tmp_path: Path) -> None:
    folder = package(digits(), tmp_path / "a package", "c")
    run("make", "-s", "CFLAGS=-O0 -Wall -Wextra -Werror", cwd=folder)
    assert run(folder / "app", cwd=tmp_path).splitlines()[-1] == "digits OK"


def test_cmake_fetches_the_zip(tmp_path: Path) -> None:
    if CMAKE is None:
        pytest.skip("there is no cmake: pip install --group test")
    archive = package(digits(), tmp_path / "digits.zip", "cmake")
    project = tmp_path / "a project"
    project.mkdir()
    (project / "main.c").write_text(main_file("digits.h", "nano/nano.h", "nano/values.h"))
    (project / "CMakeLists.txt").write_text(f"""
cmake_minimum_required(VERSION 3.14)
project(mine LANGUAGES C)
include(FetchContent)
FetchContent_Declare(digits_model URL "{archive}")
FetchContent_MakeAvailable(digits_model)
add_executable(app main.c)
target_link_libraries(app PRIVATE digits_model)
""")
    run(CMAKE, "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", cwd=project)
    run(CMAKE, "--build", "build", "-j", "2", "--target", "app", cwd=project)
    assert re.fullmatch(r"class \d\n", run(project / "build" / "app", cwd=tmp_path))


@pytest.mark.slow  # test_by_url builds one with PlatformIO, too
def test_platformio_takes_the_zip(tmp_path: Path) -> None:
    archive = package(digits(), tmp_path / "digits.zip", "platformio")
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "main.c").write_text(main_file("digits_model.h"))
    (project / "platformio.ini").write_text(
        "[platformio]\nextra_configs = platformio_override.ini\n"
        f"[env:native]\nplatform = native\nlib_deps = file://{archive}\n"
    )
    run(sys.executable, ROOT / "offline/configure.py", "--offline", "--project", ".", cwd=project)
    pio = (sys.executable, "-m", "platformio", "run", "-e", "native", "-t", "exec")
    assert re.search(r"\nclass \d\n", run(*pio, cwd=project))


def test_arduinos_zip_is_one_library(tmp_path: Path) -> None:
    with zipfile.ZipFile(package(digits(), tmp_path / "digits.zip", "arduino")) as archive:
        archive.extractall(tmp_path / "libraries")
    (library,) = (tmp_path / "libraries").iterdir()
    assert library.name == "digits_model"
    says = (library / "library.properties").read_text().splitlines()
    assert {"name=digits_model", "includes=digits_model.h"} <= set(says)
    sketch = library / "examples" / "digits" / "digits.ino"
    assert check_sketch(tmp_path, sketch, library / "src") == "digits OK"


def test_esp_idfs_components(tmp_path: Path) -> None:
    """What their CMake registers; that the example compiles; the component manager's verdict."""
    folder = package(hostile(), tmp_path / "new", "idf-component")
    component = folder / "components" / "model_new_model"
    idf = told("idf_component_register") + told("esptool_py_flash_to_partition")
    idf += "set(ESP_PLATFORM 1)\nset(COMPONENT_NAME model_new_model)"
    words = run_cmake(tmp_path, idf, component)
    assert {"model_new.c", "model_new_weights.c"} <= {Path(word).name for word in words}
    assert words[-2:] == ["REQUIRES", "nano-int8"]
    library = folder / "components" / "nano-int8"
    assert "idf_component_register" in run_cmake(tmp_path, idf, library)
    compote = Path(sys.executable).parent / "compote"
    run(compote, "manifest", "lint", component, cwd=tmp_path)
    example = folder / "examples" / "model_new"
    assert (
        '"${CMAKE_CURRENT_LIST_DIR}/../../components"' in (example / "CMakeLists.txt").read_text()
    )
    assert "model_new_model nano-int8" in (example / "main/CMakeLists.txt").read_text()
    assert (example / "sdkconfig.defaults.esp32").is_file()
    places = (component / "src", library / "include", library / "idf", ROOT / "tests/idf_stubs")
    includes = [f"-I{place}" for place in places]
    main = example / "main" / "main.c"
    run("cc", *WARNINGS, *includes, "-fsyntax-only", main, cwd=tmp_path)


def test_zephyrs_module(tmp_path: Path) -> None:
    """west finds it in a workspace; its CMake and Kconfig say the same; the sample compiles."""
    folder = package(hostile(), tmp_path / "new", "zephyr")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
    run("git", "init", "-q", "-b", "main", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run(*git, "commit", "-q", "-m", "new", cwd=folder)
    app = tmp_path / "workspace" / "app"
    app.mkdir(parents=True)
    projects = [{"name": "model_new_model", "url": f"file://{folder}", "revision": "main"}]
    (app / "west.yml").write_text(yaml.safe_dump({"manifest": {"projects": projects}}))
    west = Path(sys.executable).parent / "west"
    if not west.exists():
        pytest.skip("there is no west: pip install --group test")
    run(west, "init", "-l", "app", cwd=app.parent)
    run(west, "-q", "update", cwd=app.parent)
    listed = run(west, "list", "-f", "{path}", "model_new_model", cwd=app.parent)
    assert listed == "model_new_model\n"
    module = app.parent / "model_new_model"
    told_by = yaml.safe_load((module / "zephyr" / "module.yml").read_text())
    assert told_by["name"] == "model_new_model"
    kconfig = module / told_by["build"]["kconfig"]
    (sourced,) = re.findall(r'^rsource "(.+)"$', kconfig.read_text(), re.M)
    assert "config NANO_INT8\n" in (kconfig.parent / sourced).read_text()
    (symbol,) = re.findall(r"^config (\w+)$", kconfig.read_text(), re.M)
    sample = module / "samples" / "model_new"
    assert f"CONFIG_{symbol}=y\n" in (sample / "prj.conf").read_text()
    calls = ("zephyr_library_named", "zephyr_library_sources", "zephyr_include_directories")
    zephyr = "".join(map(told, calls)) + "function(add_subdirectory folder)\n"
    zephyr += '  include("${CMAKE_CURRENT_LIST_DIR}/${folder}/CMakeLists.txt")\nendfunction()\n'
    words = run_cmake(tmp_path, zephyr + f"set(CONFIG_{symbol} y)\nset(CONFIG_NANO_INT8 y)", module)
    assert {"nano-int8", "model_new_model", "src/model.c"} <= set(words)
    assert run_cmake(tmp_path, zephyr, module) == []
    assert yaml.safe_load((sample / "sample.yaml").read_text())["tests"]
    includes = (f"-I{module / 'nano/include'}", f"-I{module / 'model'}")
    run("cc", *WARNINGS, *includes, "-fsyntax-only", sample / "src" / "main.c", cwd=tmp_path)


@pytest.mark.parametrize("kind", PACKAGES.values(), ids=lambda kind: kind.name)
def test_what_every_package_has(tmp_path: Path, kind: Kind) -> None:
    """Its README's lines compile; every name is the model's; the zip is the folder."""
    folder, name = package(hostile(), tmp_path / "folder", kind.name), "model_new"
    readme = (folder / "README.md").read_text()
    assert all(step.replace("{name}", name) in readme for step in kind.steps)
    written = (path for path in folder.rglob("*") if path.suffix in {".md", ".txt", ".yml"})
    texts = [path.read_text() for path in written]
    assert not any("{{" in text or "{name}" in text or str(ROOT) in text for text in texts)
    (call,) = re.findall(r"^```c$\n(.*?)^```$", readme, re.S | re.M)
    (tmp_path / "call.c").write_text(call)
    model = folder / kind.model.replace("{name}", name)
    includes = [f"-I{folder / kind.library / ('src' if kind.merged else 'include')}"]
    includes += [] if kind.merged else [f"-I{model}"]
    run("cc", "-std=c99", *WARNINGS, *includes, "-fsyntax-only", "call.c", cwd=tmp_path)
    with zipfile.ZipFile(package(hostile(), tmp_path / "folder.zip", kind.name)) as archive:
        files = {f"{name}_model/{p.relative_to(folder)}" for p in folder.rglob("*") if p.is_file()}
        assert set(archive.namelist()) == files


def test_a_model_that_listens(tmp_path: Path) -> None:
    folder = package(listens(EARS), tmp_path / "p", "platformio")
    example = folder / "examples" / "listener" / "src"
    for file in ("main.cpp", "sensor.cpp"):
        includes = (f"-I{folder / 'src'}", f"-I{example}")
        run("c++", *WARNINGS, *includes, "-fsyntax-only", example / file, cwd=tmp_path)


def test_several_models_in_one_package(tmp_path: Path) -> None:
    builder = GraphBuilder("ops", (5,))  # the library has a folder of that name
    builder.dense("fc", 3)
    graphs = (builder.graph(), replace(hostile(), name="other"))
    kind = find_kind("platformio", package=True)
    export_package(graphs, tmp_path / "p", kind, targets=("portable",))
    front = (tmp_path / "p" / "src" / "ops_model.h").read_text()
    assert '"ops_model/ops.h"' in front and '"ops_model/other.h"' in front
    (tmp_path / "call.c").write_text('#include "ops_model.h"\nint x = OPS_ARENA_SIZE;\n')
    run("cc", *WARNINGS, f"-I{tmp_path / 'p/src'}", "-fsyntax-only", "call.c", cwd=tmp_path)


def test_from_python(tmp_path: Path) -> None:
    model = QuantizedModel(hostile())
    model.export(tmp_path / "p.zip", kind="zephyr", targets=("portable",))
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert "model_new_model/zephyr/module.yml" in archive.namelist()
    with pytest.raises(NanoError, match="holds no head"):
        model.export(tmp_path / "p.zip", kind="c", trainable=("fc",))


def test_what_a_package_refuses(tmp_path: Path) -> None:
    with pytest.raises(NanoError, match=r"'zephir'\. Did you mean zephyr\? Kinds: c,"):
        find_kind("zephir", package=True)
    kind = find_kind("c", package=True)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(NanoError, match="is not empty"):
        export_package((hostile(),), tmp_path, kind)
    for name, what in (("p.txt", "cannot be written"), ("p.tflite", "a file's name")):
        with pytest.raises(NanoError, match=what):
            export_package((hostile(),), tmp_path / name, kind)
    with pytest.raises(NanoError, match="golden 1 or more"):
        export_package((hostile(),), tmp_path / "p.zip", kind, golden=0)
    with pytest.raises(NanoError, match="there is no folder"):
        export_package((hostile(),), tmp_path / "no" / "p.zip", kind)
