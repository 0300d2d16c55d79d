"""The doctor on computers that lack one thing or another."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nanotool import doctor
from nanotool.boards import BOARDS
from nanotool.doctor import Computer, examine, fixes, healthy

NOWHERE = Path("/nonexistent")
HEALTHY = Computer(
    which=lambda command: f"/usr/bin/{command}",
    has_module=lambda name: True,
    ports=lambda: [],
    may_open=lambda port: True,
    stand_ins=lambda: True,
    platformio_packages=NOWHERE,
)


def without(*commands: str) -> Computer:
    return replace(HEALTHY, which=lambda name: None if name in commands else f"/usr/bin/{name}")


def test_a_healthy_computer() -> None:
    checks = examine(tuple(BOARDS.values()), HEALTHY)
    assert healthy(checks) and fixes(checks) == ()
    assert {check.scope for check in checks} == {"nanotool", *BOARDS}
    assert "Everything that is needed is here." in doctor.advice(checks)


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        ("qemu-system-arm", "qemu-system-arm"),
        ("gcc", "gcc libc6-dev"),
    ],
)
def test_a_missing_tool_has_its_package(
    command: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    checks = examine(tuple(BOARDS.values()), without(command))
    assert not healthy(checks)
    assert fixes(checks) == (f"sudo apt-get install -y {package}",)
    assert any(package in line for line in doctor.advice(checks))


def test_all_packages_come_in_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    computer = without("gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    (command,) = fixes(examine(tuple(BOARDS.values()), computer))
    assert command.startswith("apt-get install -y ") and command.count("qemu-system-arm") == 1


def test_only_the_asked_board_counts() -> None:
    computer = without("arm-none-eabi-gcc")
    assert healthy(examine([BOARDS["native"]], computer))
    assert not healthy(examine([BOARDS["stm32"]], computer))


def test_platformios_own_compiler_serves(tmp_path: Path) -> None:
    (tmp_path / "toolchain-gccarmnoneeabi").mkdir()
    computer = replace(without("arm-none-eabi-gcc"), platformio_packages=tmp_path)
    assert healthy(examine([BOARDS["stm32"]], computer))


def test_torch_is_optional_but_named() -> None:
    checks = examine([], replace(HEALTHY, has_module=lambda name: name != "torch"))
    assert healthy(checks) and fixes(checks) == ()
    (line,) = (line for line in doctor.advice(checks) if line.startswith("Optional: PyTorch"))
    assert "nanotool[torch]" in line


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("platformio", f"{sys.executable} -m pip install 'nanotool[build]'"),
        ("SCons", f"{sys.executable} -m pip install 'nanotool[build]'"),
        ("nanotool.runtime._nano", f"{sys.executable} -m nanotool.runtime.build"),
    ],
)
def test_missing_python_parts(module: str, command: str) -> None:
    checks = examine([], replace(HEALTHY, has_module=lambda name: name != module))
    assert fixes(checks) == (command,) and not healthy(checks)


def test_a_port_that_may_not_be_opened() -> None:
    computer = replace(HEALTHY, ports=lambda: ["/dev/ttyUSB7"], may_open=lambda port: False)
    checks = examine([], computer)
    assert healthy(checks)  # emulated boards still work
    assert any("/dev/ttyUSB7" in line and "dialout" in line for line in doctor.advice(checks))


def test_missing_sources_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nanotool.sources._PACKAGE", tmp_path / "nanotool")
    checks = examine([], HEALTHY)
    (check,) = (check for check in checks if not check.ok)
    assert check.what == "C sources" and "Install nanotool again" in check.found


def test_emulators() -> None:
    assert doctor.can_emulate(BOARDS["stm32"], HEALTHY)
    assert not doctor.can_emulate(BOARDS["stm32"], without("qemu-system-arm"))
    assert doctor.can_emulate(BOARDS["native"], without("qemu-system-arm"))


def test_a_board_of_the_registry_needs_nothing_here() -> None:
    """Its compiler comes with the first build, and nothing emulates it."""
    computer = without("xtensa-esp32s3-elf-gcc")
    checks = [check for check in examine([BOARDS["esp32s3"]], computer) if check.scope == "esp32s3"]
    assert [check.ok for check in checks] == [False, False] and healthy(checks)
    assert "PlatformIO brings it" in checks[0].found and checks[0].fixes == ()
    assert not doctor.can_emulate(BOARDS["esp32s3"], HEALTHY)


def test_every_board_has_a_compiler() -> None:
    assert set(doctor.COMPILERS) >= set(BOARDS)


@pytest.mark.parametrize("name", [board.name for board in BOARDS.values() if not board.registry])
def test_every_board_says_what_it_lacks_and_what_brings_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a computer with nothing: a compiler for each board, an emulator for each that has one."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("QEMU_ESP32", raising=False)
    board, nothing = BOARDS[name], replace(HEALTHY, which=lambda command: None)
    checks = [check for check in examine([board], nothing) if check.scope == name]
    missing = {check.what.split()[0]: check for check in checks if not check.ok}
    assert missing["compiler"].needed and missing["compiler"].fixes
    if board.emulator.package:
        assert doctor.Fix("apt", board.emulator.package) in missing["emulator"].fixes
    elif board.emulator.variable:
        assert board.emulator.variable in missing["emulator"].what
    (command,) = fixes(checks)
    assert all(fix.what in command for fix in missing["compiler"].fixes)
    assert not doctor.can_emulate(board, nothing) or board.emulator.command[0] == "{elf}"


def test_what_flashes_is_optional_and_named() -> None:
    checks = examine(tuple(BOARDS.values()), without("openocd"))
    assert healthy(checks)
    (line,) = (line for line in doctor.advice(checks) if "openocd" in line)
    assert line.startswith("Optional: flasher openocd") and "apt-get install -y openocd" in line


def test_the_same_advice_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QEMU_ESP32", raising=False)
    lines = doctor.advice(examine(tuple(BOARDS.values()), HEALTHY))
    assert sum("QEMU_ESP32" in line for line in lines) == 1


def test_scons_matters_only_to_the_stand_ins() -> None:
    computer = replace(HEALTHY, has_module=lambda name: name != "SCons", stand_ins=lambda: False)
    assert healthy(examine([], computer))
