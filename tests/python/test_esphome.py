"""ESPHome's external component: its C++ at work, against stubs of what it calls; and, in
`nox -s full`, ESPHome itself, which validates configurations and generates: in an environment of
its own, as it pins other versions of PlatformIO and esptool."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pymicro_wakeword
import pytest
from handmade import digits_cnn
from listening import listener, loud

from nanotool.qfile import save
from nanotool.sensing.description import ClassRule, MicroFrontendSettings, Rule
from nanotool.sensing.stream import Stream

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "packaging" / "esphome"
COMPONENT = PACKAGE / "components" / "nano_wake_word"
STUBS = ROOT / "tests" / "esphome_stubs"
WORDS = Path(pymicro_wakeword.__file__).parent / "models"
ESPHOME = "esphome==2026.6.5"
# Of 16 kHz, as a microphone of ESPHome's.
EARS = MicroFrontendSettings(window_ms=8, step_ms=4, channels=8)


def load_prepare() -> Any:
    spec = importlib.util.spec_from_file_location("prepare", COMPONENT / "prepare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prepare = load_prepare()


def test_the_component_hears_what_the_pc_hears(tmp_path: Path) -> None:
    """Its C++, the model that nanotool made and the library, compiled and run."""
    rule = Rule((ClassRule(2, 1.0, refractory=0.1), ClassRule(1, 1.0, refractory=0.1)), window=2)
    graph = replace(listener(rule, ears=EARS), labels=("a", "b", 'the "word"', "d"))
    save(graph, tmp_path / "word.nano")
    made = prepare.prepare(tmp_path / "word.nano", tmp_path / "cache")
    assert prepare.prepare(tmp_path / "word.nano", tmp_path / "cache") == made
    assert prepare.sample_rate(made) == 16000
    assert "idf_component_register(SRCS" in (made / "CMakeLists.txt").read_text()
    src = made / "nano" / "src"
    parts = ["*.c", "signal/*.c", "stream/*.c", "ops/dense/*.c"]
    parts += ["ops/conv2d/tile*.c", "ops/conv2d/windows*.c"]
    sources = [path for part in parts for path in src.glob(part) if path.name != "sequential.c"]
    includes = [STUBS, COMPONENT, made / "nano" / "include", made / "model"]
    flags = [f"-I{folder}" for folder in includes]
    subprocess.run(
        ["cc", "-c", *flags, *map(str, sources), *map(str, made.glob("model/*.c"))],
        cwd=tmp_path,
        check=True,
    )
    objects = map(str, tmp_path.glob("*.o"))
    cpp = map(str, (COMPONENT / "nano_wake_word.cpp", STUBS / "main.cpp"))
    warnings = ("-std=gnu++20", "-Wall", "-Wextra", "-Werror")
    subprocess.run(
        ["c++", *warnings, *flags, *cpp, *objects, "-o", "word"], cwd=tmp_path, check=True
    )
    sound = loud(16000)
    heard = [graph.labels[made.index] for made in Stream(graph).feed(sound).decisions]
    assert len(set(heard)) == 2
    assert listens(tmp_path / "word", sound) == [*heard, "listening, started 1, stopped 1"]
    first = [heard[0], "silent, started 1, stopped 1"]
    assert listens(tmp_path / "word", sound, "stop") == first


def listens(program: Path, sound: np.ndarray[Any, Any], *arguments: str) -> list[str]:
    done = subprocess.run(
        [str(program), *arguments], input=sound.tobytes(), capture_output=True, check=True
    )
    return done.stdout.decode().splitlines()


def test_what_does_not_listen_is_refused(tmp_path: Path) -> None:
    save(digits_cnn(), tmp_path / "digits.nano")
    with pytest.raises(prepare.PrepareError, match=r"digits\.nano does not listen"):
        prepare.prepare(tmp_path / "digits.nano", tmp_path / "cache")
    (tmp_path / "broken.nano").write_bytes(b"no model")
    with pytest.raises(prepare.PrepareError, match="broken"):
        prepare.prepare(tmp_path / "broken.nano", tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*/*"))


@pytest.fixture(scope="module")
def esphome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ESPHome's program: where NANO_ESPHOME names it, else installed, which takes minutes."""
    if named := os.environ.get("NANO_ESPHOME"):
        return Path(named)
    folder = tmp_path_factory.mktemp("esphome") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "-q", ESPHOME], check=True)
    return folder / "bin" / "esphome"


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """The example, with a wake word beside it."""
    shutil.copytree(PACKAGE, tmp_path / "config")
    for suffix in (".tflite", ".json"):
        shutil.copy(WORDS / f"alexa{suffix}", tmp_path / "config")
    return tmp_path / "config" / "example.yaml"


def run_esphome(esphome: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(esphome), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )


@pytest.mark.slow
def test_esphome_takes_the_example(esphome: Path, configured: Path) -> None:
    """Valid, with both frameworks; and the C++ that comes of it names the component."""
    text = configured.read_text()
    for framework in ("arduino", "esp-idf"):
        configured.write_text(text.replace("type: esp-idf", f"type: {framework}"))
        done = run_esphome(esphome, "config", configured)
        assert "Configuration is valid!" in done.stdout + done.stderr, done.stdout + done.stderr
    done = run_esphome(esphome, "compile", "--only-generate", configured)
    assert done.returncode == 0, done.stdout + done.stderr
    source = configured.parent / ".esphome" / "build" / "listener" / "src"
    assert "set_stop_after_detection(false)" in (source / "main.cpp").read_text()
    manifest = (source / "idf_component.yml").read_text()
    (made,) = configured.parent.glob(f".esphome/nano_wake_word/*/{prepare.NAME}")
    assert f"path: {made}" in manifest


@pytest.mark.slow
def test_esphome_refuses_what_cannot_be(esphome: Path, configured: Path) -> None:
    text = configured.read_text()
    (configured.parent / "alexa.json").write_text(json.dumps({"type": "else"}))
    for model, said in (
        ("alexa.tflite", "does not listen"),
        ("nowhere.tflite", "There is no file"),
        ("example.yaml", "A model is a .tflite or a .nano file"),
    ):
        configured.write_text(text.replace("model: alexa.tflite", f"model: {model}"))
        done = run_esphome(esphome, "config", configured)
        assert done.returncode != 0
        assert said in done.stdout + done.stderr
