"""What surrounds the firmware's sources: offline/configure.py and firmware/model_dir.py."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OVERRIDE = "platformio_override.ini"


def load_program(path: Path) -> Any:
    """A Python file that stands beside the package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


configure = load_program(ROOT / "offline" / "configure.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder of its own."""
    shutil.copy(ROOT / "platformio.ini", tmp_path)
    return tmp_path


def run_configure(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "offline" / "configure.py"), "--project", str(project)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def run_model_dir(
    project: Path, model: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "NANO_MODEL_DIR"}
    if model is not None:
        environment["NANO_MODEL_DIR"] = model
    command = [sys.executable, str(ROOT / "firmware" / "model_dir.py"), str(project)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )


class TestConfigure:
    def test_offline_then_online(self, project: Path) -> None:
        assert run_configure(project, "--offline").returncode == 0
        text = (project / OVERRIDE).read_text()
        assert text.startswith(configure.MARK)
        for environment, platform in configure.PLATFORMS.items():
            assert f"[env:{environment}]" in text
            assert (ROOT / "offline" / "platforms" / platform / "platform.json").is_file()
        assert f"core_dir = {project / '.pio-offline'}" in text
        assert run_configure(project, "--online").returncode == 0
        assert not (project / OVERRIDE).exists()

    def test_every_environment_has_a_stand_in(self) -> None:
        lines = (ROOT / "platformio.ini").read_text().splitlines()
        names = {line[5:-1] for line in lines if line.startswith("[env:")}
        # ESP-IDF for these chips comes only from the registry.
        assert names - {"esp32s3", "esp32c3"} == set(configure.PLATFORMS)

    def test_esp32_becomes_the_bare_one(self, project: Path) -> None:
        """Every option of it, and none of ESP-IDF's."""
        run_configure(project, "--offline")
        command = [sys.executable, "-m", "platformio", "project", "config", "--json-output"]
        done = subprocess.run(
            [*command, "-d", str(project)], capture_output=True, text=True, check=True
        )
        sections = {name: dict(options) for name, options in json.loads(done.stdout)}
        esp32 = {key: value for key, value in sections["env:esp32"].items() if value}
        assert esp32 == sections["env:esp32_bare"]

    @pytest.mark.parametrize("mode", ["--offline", "--online"])
    def test_every_environment_resolves(self, project: Path, mode: str) -> None:
        run_configure(project, mode)
        command = [sys.executable, "-m", "platformio", "project", "config", "--json-output"]
        done = subprocess.run(
            [*command, "-d", str(project)], capture_output=True, text=True, check=True
        )
        sections = {name: dict(options) for name, options in json.loads(done.stdout)}
        for name in ("esp32", "esp32s3", "esp32c3"):
            options = sections[f"env:{name}"]
            assert options["custom_model"] == "firmware/models/default"
            if mode == "--online":
                assert options["platform"] == "platformio/espressif32@6.13.0"
                assert options["framework"] == ["espidf"]
            elif name != "esp32":
                assert Path(options["platform"]).name == configure.MISSING
                missing = options["custom_registry_platform"]
                assert missing == "platformio/espressif32@6.13.0"  # which the error names
                assert not options["framework"]
        for name in ("esp32_bare", "xtensa_sim", "riscv_virt"):
            platform = Path(sections[f"env:{name}"]["platform"].removeprefix("symlink://"))
            assert platform.is_absolute()
            assert (ROOT / "offline" / "platforms" / platform.name / "platform.json").is_file()

    def test_again_changes_nothing(self, project: Path) -> None:
        run_configure(project, "--offline")
        before = (project / OVERRIDE).stat()
        run_configure(project, "--offline")
        after = (project / OVERRIDE).stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

    @pytest.mark.parametrize("mode", ["--offline", "--online", "--auto"])
    def test_leaves_a_foreign_override_alone(self, project: Path, mode: str) -> None:
        (project / OVERRIDE).write_text("[env:native]\nplatform = mine\n")
        done = run_configure(project, mode)
        assert done.returncode == 1
        assert "left alone" in done.stderr
        assert (project / OVERRIDE).read_text() == "[env:native]\nplatform = mine\n"

    def test_needs_a_project(self, tmp_path: Path) -> None:
        done = run_configure(tmp_path, "--offline")
        assert done.returncode == 1
        assert "platformio.ini" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_silent_registry_costs_no_more_than_its_bound(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        end = threading.Event()

        def silent(*_: object, **__: object) -> None:
            end.wait(60)
            raise TimeoutError

        monkeypatch.setattr(configure.urllib.request, "urlopen", silent)
        begin = time.monotonic()
        assert not configure.registry_answers(["one", "two"], patience=0.5)
        assert time.monotonic() - begin < 5.0
        end.set()

    def test_one_answer_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextmanager
        def reply(url: str, **_: object) -> Iterator[None]:
            if "down" in url:
                raise OSError("unreachable")
            yield

        monkeypatch.setattr(configure.urllib.request, "urlopen", reply)
        assert configure.registry_answers(["down", "up"], patience=5.0)
        assert not configure.registry_answers(["down", "down.too"], patience=5.0)

    def test_a_closed_port_is_no_answer(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{unused.getsockname()[1]}"
            assert not configure.registry_answers([host], patience=5.0)


class TestModelDir:
    def test_platformio_ini_names_it(self, project: Path) -> None:
        model = project / "firmware" / "models" / "default"
        model.mkdir(parents=True)
        (model / "app_model.h").touch()
        assert run_model_dir(project).stdout.strip() == str(model)

    def test_the_environment_wins(self, project: Path) -> None:
        model = project / "mine"
        model.mkdir()
        (model / "app_model.h").touch()
        assert run_model_dir(project, str(model)).stdout.strip() == str(model)
        assert run_model_dir(project, "mine", cwd=project).stdout.strip() == str(model)

    @pytest.mark.parametrize("model", [None, "nowhere"])
    def test_no_model(self, project: Path, model: str | None) -> None:
        done = run_model_dir(project, model)
        assert done.returncode == 1
        assert done.stdout == ""
        assert "app_model.h" in done.stderr
        assert "nanotool export" in done.stderr
        assert "Traceback" not in done.stderr
