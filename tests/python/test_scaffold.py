"""`nanotool new`: its projects build outside the tree, and run without a differing byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from handmade import GraphBuilder
from listening import EARS, listener, loud

from nanotool.errors import NanoError
from nanotool.ir import QGraph
from nanotool.kinds import PROJECTS, Kind, find_kind
from nanotool.models import load_model
from nanotool.scaffold import new_project
from nanotool.sensing.description import ClassRule, FrontEnd, Rule, SensorSettings
from nanotool.sensing.stream import Stream
from nanotool.sources import default_model_dir

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ("-Wall", "-Wextra", "-Werror")
CMAKE = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
# What app.ino calls of Arduino's core, on a computer.
ARDUINO_H = """
#include <stdio.h>
struct Serial_ {
    void begin(unsigned long) {}
    void print(const char *text) { fputs(text, stdout); }
};
extern Serial_ Serial;
void delay(unsigned long);
void setup();
void loop();
"""


def digits() -> QGraph:
    return load_model(default_model_dir())


def hostile() -> QGraph:
    """Class names and a model name that C would stumble over."""
    builder = GraphBuilder("new", (4,))
    builder.dense("fc", 3)
    return replace(builder.graph(), labels=('a "quote"', "100 %d", "??/ */"))


def run(*command: object, cwd: Path) -> str:
    """What ``command`` prints; fails with all of it."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_cmake(tmp_path: Path) -> None:
    if CMAKE is None:
        pytest.skip("there is no cmake: pip install --group test")
    project = tmp_path / "a project"
    new_project(digits(), project, find_kind("cmake"))
    run(CMAKE, "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", cwd=project)
    run(CMAKE, "--build", "build", "-j", "2", cwd=project)
    lines = run(project / "build" / "app", cwd=tmp_path).splitlines()
    assert lines[-1] == "digits OK"
    assert lines[0] == "vector 0: 7, 0 bytes differ" and len(lines) == 5


def without_a_registry(project: Path) -> tuple[str, ...]:
    """A new project where PlatformIO's registry is out of reach, as it is for CI; how to run it."""
    new_project(digits(), project, find_kind("platformio"))
    configure = (sys.executable, ROOT / "offline/configure.py", "--offline", "--project", ".")
    run(*configure, cwd=project)
    return sys.executable, "-m", "platformio", "run"


@pytest.mark.slow
def test_platformio(tmp_path: Path) -> None:
    """The stand-in for this computer runs the program. (test_by_url has a project of its kind.)"""
    pio = without_a_registry(tmp_path / "project")
    printed = run(*pio, "-e", "native", "-t", "exec", cwd=tmp_path / "project")
    assert "\ndigits OK\n" in printed


def test_a_board_says_at_once_what_it_lacks(tmp_path: Path) -> None:
    pio, project = without_a_registry(tmp_path / "project"), tmp_path / "project"
    with pytest.raises(AssertionError, match=r"espressif32 comes from PlatformIO's registry"):
        run(*pio, "-e", "esp32", cwd=project)


def check_sketch(folder: Path, sketch: Path, *libraries: Path) -> str:
    """The last line of what ``sketch`` prints, built as Arduino does: each library's folder, src,
    on the path, the sketch as C++."""
    (folder / "Arduino.h").write_text(ARDUINO_H)
    (folder / "main.cpp").write_text(
        '#include "Arduino.h"\nSerial_ Serial;\nvoid delay(unsigned long) {}\n'
        "int main() { setup(); loop(); return 0; }\n"
    )
    includes = [f"-I{place}" for place in (*libraries, folder)]
    sources = [path for place in libraries for path in place.rglob("*.c")]
    run("cc", "-c", *WARNINGS, *includes, *sources, cwd=folder)
    main = ("-x", "c++", sketch, folder / "main.cpp", "-x", "none")
    run("c++", *WARNINGS, *includes, *main, *folder.glob("*.o"), "-o", "app", cwd=folder)
    return run(folder / "app", cwd=folder).splitlines()[-1]


def test_arduino(tmp_path: Path) -> None:
    project = tmp_path / "project"
    new_project(digits(), project, find_kind("arduino"))
    folders = [project / "libraries" / name / "src" for name in ("nano-int8", "model")]
    assert check_sketch(tmp_path, project / "app" / "app.ino", *folders) == "digits OK"


def test_esp_idf(tmp_path: Path) -> None:
    """The components say what they need, and the program compiles; test_loadable runs one."""
    project = tmp_path / "project"
    new_project(hostile(), project, find_kind("esp-idf"))
    components = project / "components"
    assert "nano-int8" in (components / "model" / "CMakeLists.txt").read_text()
    assert {path.name for path in components.iterdir()} == {"nano-int8", "model"}
    assert "CONFIG_COMPILER_OPTIMIZATION_PERF=y" in (project / "sdkconfig.defaults").read_text()
    for chip in ("esp32", "esp32s3"):  # else 160 MHz, and the flash at 40
        clocks = (project / f"sdkconfig.defaults.{chip}").read_text()
        assert "FREQ_MHZ_240=y" in clocks and "FLASHFREQ_80M=y" in clocks
    includes = [f"-I{components}/nano-int8/{part}" for part in ("include", "idf")]
    includes += [f"-I{components}/model/src", f"-I{ROOT / 'tests/idf_stubs'}"]
    main = project / "main" / "main.c"
    run("cc", *WARNINGS, *includes, "-fsyntax-only", main, cwd=tmp_path)
    assert "void app_main(void)" in main.read_text() and "int main" not in main.read_text()


@pytest.mark.parametrize("kind", PROJECTS.values(), ids=lambda kind: kind.name)
def test_what_every_project_has(tmp_path: Path, kind: Kind) -> None:
    project = tmp_path / "project"
    new_project(hostile(), project, kind)
    assert (project / kind.model / "model_new_golden.h").is_file()
    assert (project / kind.library / "LICENSE").is_file()
    workflow = yaml.safe_load((project / ".github" / "workflows" / "test.yml").read_text())
    assert workflow["jobs"]["hil"]["steps"][-1] == {"run": "nox -s hil"}
    readme = (project / "README.md").read_text()
    assert all(step in readme for step in kind.steps)
    texts = [path.read_text() for path in project.rglob("*") if path.suffix in {".md", ".txt"}]
    assert not any("{{" in text or str(ROOT) in text for text in texts)
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_an_empty_folder_is_taken_and_nothing_is_overwritten(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    new_project(hostile(), project, find_kind("cmake"))
    (project / "main.c").write_text("mine")
    with pytest.raises(NanoError, match="is not empty"):
        new_project(hostile(), project, find_kind("cmake"))
    assert (project / "main.c").read_text() == "mine"
    with pytest.raises(NanoError, match="is a file"):
        new_project(hostile(), project / "main.c", find_kind("cmake"))


def test_a_project_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nanotool.backends.c.export", full)
    with pytest.raises(NanoError, match="No space left"):
        new_project(hostile(), tmp_path / "project", find_kind("cmake"))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(NanoError, match="platformio, esp-idf, cmake, arduino"):
        find_kind("make")


# --- Models that listen ---------------------------------------------------------------------------

STUBS = ROOT / "tests" / "sensor_stubs"
MOTION = SensorSettings(50, 6, scale=(0.01,) * 6, magnitudes=((0, 1, 2), (3, 4, 5)))


def listens(ears: FrontEnd) -> QGraph:
    return listener(Rule((ClassRule(2, 1.0, refractory=0.1),), window=2), ears=ears)


@pytest.mark.parametrize("ears", [EARS, MOTION])
def test_the_sensor_loop_on_a_computer(tmp_path: Path, ears: FrontEnd) -> None:
    """Standard input is the sensor: the decisions of `Stream`."""
    graph = listens(ears)
    project = tmp_path / "project"
    new_project(graph, project, find_kind("cmake"))
    src = project / "nano" / "src"
    parts = ["*.c", "signal/*.c", "stream/*.c", "ops/dense/*.c"]
    parts += ["ops/conv2d/tile*.c", "ops/conv2d/windows*.c"]
    sources = [path for part in parts for path in sorted(src.glob(part))]
    sources.remove(src / "sequential.c")  # it names every operator
    sources += [*project.glob("model/*.c"), project / "main.c", project / "sensor.c"]
    includes = (f"-I{project / 'nano/include'}", f"-I{project / 'model'}", f"-I{project}")
    run("cc", *WARNINGS, *includes, *sources, "-o", "app", cwd=tmp_path)
    assert run(tmp_path / "app", cwd=tmp_path).splitlines()[-1] == "listener OK"
    samples = loud(6000)
    done = subprocess.run(
        [tmp_path / "app", "listen"], input=samples.tobytes(), capture_output=True, check=True
    )
    wanted = Stream(graph).feed(samples).decisions
    lines = done.stdout.decode().splitlines()
    assert lines == [f"step {made.step}: class {made.index}" for made in wanted] != []


@pytest.mark.parametrize("ears", [EARS, MOTION])
def test_sensor_files_against_stubs(tmp_path: Path, ears: FrontEnd) -> None:
    """I2S, PDM, an ADC, I2C: each compiles against declarations of what it calls."""
    includes = [f"-I{STUBS}", f"-I{ROOT / 'lib/nano/include'}"]
    checked = ("-fsyntax-only", *WARNINGS, *includes)
    for kind in ("esp-idf", "arduino", "platformio"):
        new_project(listens(ears), tmp_path / kind, find_kind(kind))
    idf = ("-std=gnu11", f"-I{ROOT / 'tests/idf_stubs'}", tmp_path / "esp-idf/main/sensor.c")
    run("cc", *checked, *idf, cwd=tmp_path)
    models = f"-I{tmp_path / 'esp-idf/components/model/src'}"
    stubs = (f"-I{ROOT / 'tests/idf_stubs'}", f"-I{ROOT / 'lib/nano/idf'}")
    run("cc", *checked, models, *stubs, tmp_path / "esp-idf/main/main.c", cwd=tmp_path)
    library = f"-I{tmp_path / 'arduino/libraries/nano-int8/src'}"
    for macro in ("-UARDUINO_ARCH_ESP32", "-DARDUINO_ARCH_ESP32"):
        sensor = tmp_path / "arduino/app/sensor.cpp"
        run("c++", *checked, macro, library, sensor, cwd=tmp_path)
    sketch = ("-include", STUBS / "Arduino.h", "-x", "c++", tmp_path / "arduino/app/app.ino")
    run("c++", *checked, library, models, *sketch, cwd=tmp_path)
    boards = ((), ("-DARDUINO_ARCH_ESP32",), ("-DMICROPHONE_I2S",))
    for macros in ((), *(("-DARDUINO=1", *board) for board in boards)):
        run("c++", *checked, *macros, tmp_path / "platformio/src/sensor.cpp", cwd=tmp_path)
        run("c++", *checked, *macros, models, tmp_path / "platformio/src/main.cpp", cwd=tmp_path)
