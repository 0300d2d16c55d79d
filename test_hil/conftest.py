"""One set of tests for emulated and real boards.

    pytest test_hil                                  every board, emulated
    pytest test_hil --board=stm32                    one of them
    pytest test_hil --board=stm32 --port=/dev/ttyUSB0 [--flash]
                                                     a real board on that port
    pytest test_hil --board=esp32_bare --weights=flash
                                                     weights where it has them not by default
    pytest test_hil --record                         make this run's timing the reference

The board runs firmware/models/default, or --model. Options and boards are those of nanotool's own
pytest plugin (nanotool.pytest_plugin). pytest-embedded brings the serial line: its
`port` fixture is overridden to start an emulator, and `dut` to wait until the board answers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from nanotool.boards import BOARDS, Board
from nanotool.build import BuildResult, build
from nanotool.device import Device
from nanotool.fit import DoesNotFit
from nanotool.sources import firmware_dir
from nanotool.under_test import attached, unemulated

SYNC_TRIES = 5  # of 3 s each
# Boards with less memory than the larger models of these tests take; every other one holds them.
SMALL = ("microbit",)
_NOTES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write bench/reference/<board>.json")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NOTES] = []
    config.option.model = config.option.model or firmware_dir() / "models" / "default"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "board" in metafunc.fixturenames:
        # A module may say on which boards it runs where none is asked for.
        usual = getattr(metafunc.module, "USUAL_BOARDS", sorted(BOARDS))
        names = metafunc.config.getoption("--board") or usual
        metafunc.parametrize("board", [BOARDS[name] for name in names], ids=names, scope="session")


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without its emulator a board's tests are skipped, and nothing is built for it. What a module
    does on other boards than its usual ones is slow."""
    if config.getoption("--port"):
        return
    chosen = config.getoption("--board") or []
    for item in items:
        callspec = getattr(item, "callspec", None)
        board = callspec.params.get("board") if callspec is not None else None
        module = item.getparent(pytest.Module)
        usual = getattr(module.obj if module else None, "USUAL_BOARDS", sorted(BOARDS))
        if board is not None and board.name not in usual:
            item.add_marker(pytest.mark.slow)
        boards = [board] if board is not None else [BOARDS[name] for name in chosen[:1]]
        for reason in filter(None, map(unemulated, boards)):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What was not compared as strictly as it could be is said, not passed over."""
    if config.stash[_NOTES]:
        terminalreporter.section("boards: what to know about this run", yellow=True)
        for note in config.stash[_NOTES]:
            terminalreporter.write_line(note)


def _fitting(item: pytest.Item) -> Generator[None, None, None]:
    """Skip what does not fit a board of `SMALL`; on the others it is a fault."""
    try:
        return (yield)
    except DoesNotFit as error:
        callspec = getattr(item, "callspec", None)
        if callspec is None or callspec.params["board"].name not in SMALL:
            raise
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from _fitting(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from _fitting(item))


@pytest.fixture(scope="session")
def notes(pytestconfig: pytest.Config) -> list[str]:
    """Lines that the summary at the end shows."""
    return pytestconfig.stash[_NOTES]


@pytest.fixture(scope="session")
def emulated(pytestconfig: pytest.Config) -> bool:
    return pytestconfig.getoption("--port") is None


@pytest.fixture(scope="session")
def firmware(board: Board, pytestconfig: pytest.Config) -> BuildResult:
    model: Path = pytestconfig.getoption("--model")
    weights = pytestconfig.getoption("--weights") if board.weights else ""
    return build(model, board, weights=weights)


@pytest.fixture(scope="session")
def board_port(board: Board, firmware: BuildResult, pytestconfig: pytest.Config) -> Iterator[str]:
    """The port of the board, which runs from here to the last test."""
    real: str | None = pytestconfig.getoption("--port")
    with attached(firmware, real, flashed=pytestconfig.getoption("--flash")) as port:
        yield port


@pytest.fixture
def embedded_services(request: pytest.FixtureRequest) -> str | None:
    return "serial" if "board_port" in request.fixturenames else None


@pytest.fixture
def port(request: pytest.FixtureRequest) -> str | None:
    """pytest-embedded asks for this before every test; only some have a board."""
    if "board_port" not in request.fixturenames:
        return None
    name: str = request.getfixturevalue("board_port")
    return name


@pytest.fixture
def dut(board_port: str, dut: Any) -> Any:
    """pytest-embedded's device under test, once it answers."""
    for _ in range(SYNC_TRIES):
        dut.write("\0\rname\r")
        try:
            dut.expect_exact("m-name-dut-[nano]\r\nm-ready\r\n", timeout=3)
        except pexpect.TIMEOUT:
            continue
        return dut
    raise AssertionError("the board does not answer `name`")


@pytest.fixture
def device(board_port: str, serial: Any) -> Iterator[Device]:
    """The client on the line that pytest-embedded opened."""
    serial.proc.write_timeout = 10
    with serial.disable_redirect_thread():
        yield Device(serial.proc, timeout=60)
