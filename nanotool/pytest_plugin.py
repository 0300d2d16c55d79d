"""Tests of a model on a board, emulated or real: a pytest plugin that comes with nanotool.

    # test_board.py
    def test_the_board_computes_what_the_pc_computes(nano_board):
        nano_board.assert_same_bytes()

    pytest --model=digits.nano                                     on native, this computer
    pytest --model=digits.nano --board=stm32 --board=native        emulated
    pytest --model=digits.nano --board=stm32 --port=/dev/ttyUSB0   a real one, flashed before;
                                                                   --flash does it

    nano_model   the model: --model, else `nano_model` of pytest's configuration
    nano_board   a board that runs it, a `nanotool.under_test.BoardUnderTest`: one for each --board,
                 else for each name in `nano_boards` of the configuration, else native
    @pytest.mark.nano_boards("stm32", "native")    the boards of a test, where none is asked for

Nothing is built or started before a test asks for it. With pytest-embedded its own `--port` serves.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pytest loads this wherever nanotool is installed: it must be quick
    from nanotool.api import QuantizedModel
    from nanotool.under_test import BoardUnderTest

DEFAULT_BOARD = "native"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("nanotool boards")
    group.addoption(
        "--board",
        action="append",
        help="board to test; may be given again (`nanotool boards` lists them)",
    )
    group.addoption("--model", type=Path, help="model folder, .nano or .tflite file to test with")
    group.addoption("--flash", action="store_true", help="flash the real board on --port first")
    group.addoption(
        "--weights", default="", help="where boards that leave the choice have their weights"
    )
    if importlib.util.find_spec("pytest_embedded") is None:  # whose --port is the same
        group.addoption(
            "--port", help="serial port of a real board; without it boards are emulated"
        )
    parser.addini("nano_model", "model folder, .nano or .tflite file, from the root folder")
    parser.addini("nano_boards", "boards to test on where --board says nothing", "args")


def pytest_configure(config: pytest.Config) -> None:
    """Check --board and --port."""
    config.addinivalue_line("markers", "nano_boards(*names): boards that a test runs on")
    names = config.getoption("--board") or []
    if not names and not config.getoption("--port", None):
        return
    from nanotool.boards import BOARDS

    unknown = [name for name in names if name not in BOARDS]
    if unknown:
        raise pytest.UsageError(f"--board {unknown[0]} is none of {', '.join(sorted(BOARDS))}.")
    if config.getoption("--port", None) and (len(names) != 1 or not BOARDS[names[0]].real):
        real = ", ".join(board.name for board in BOARDS.values() if board.real)
        raise pytest.UsageError(f"--port needs one --board that exists in hardware: {real}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a board."""
    if "nano_board" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("nano_boards")
    own: Sequence[str] = marker.args if marker else metafunc.config.getini("nano_boards")
    names = metafunc.config.getoption("--board") or own or [DEFAULT_BOARD]
    metafunc.parametrize("nano_board", list(names), indirect=True, scope="session")


@pytest.fixture(scope="session")
def nano_model(pytestconfig: pytest.Config) -> QuantizedModel:
    """The model to test."""
    from nanotool.api import load

    return load(_model_path(pytestconfig))


def _model_path(config: pytest.Config) -> Path:
    chosen: Path | None = config.getoption("--model")
    if chosen is not None:
        return chosen
    named = str(config.getini("nano_model"))
    if not named:
        raise pytest.UsageError(
            "Which model? Give --model MODEL, or nano_model in pytest's configuration."
        )
    return config.rootpath / named


@pytest.fixture(scope="session")
def nano_board(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, nano_model: QuantizedModel
) -> Iterator[BoardUnderTest]:
    """A board with the model's firmware: emulated, or the real one on --port."""
    from nanotool.boards import find_board
    from nanotool.build import build
    from nanotool.under_test import BoardUnderTest, attached, unemulated

    board = find_board(request.param)
    real: str | None = pytestconfig.getoption("--port", None)
    if real is None and (why := unemulated(board)):
        pytest.skip(why)
    weights = pytestconfig.getoption("--weights") if board.weights else ""
    firmware = build(_model_path(pytestconfig), board, weights=weights)
    with attached(firmware, real, flashed=pytestconfig.getoption("--flash")) as port:
        under_test = BoardUnderTest(board, firmware, nano_model, port, real is None)
        yield under_test
        if "device" in vars(under_test):
            under_test.device.close()
