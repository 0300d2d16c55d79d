"""Tests of a model on a board, emulated or real: a pytest plugin that comes with nanotool.

    # test_board.py
    def test_the_board_computes_what_the_pc_computes(nano_board):
        nano_board.assert_same_bytes()

    pytest --model=digits.nano                                     on native, this computer
    pytest --model=digits.nano --board=stm32 --board=native        emulated
    pytest --model=digits.nano --board=stm32 --port=/dev/ttyUSB0   a real one, flashed before;
                                                                   --flash does it
    pytest --model=digits.nano --lg-env=env.yaml                   the boards of a farm, which have
                                                                   its firmware (nanotool.farm)

    nano_model   the model: --model, else `nano_model` of pytest's configuration
    nano_board   a board that runs it, a `nanotool.under_test.BoardUnderTest`: one for each --board,
                 else for each name in `nano_boards` of the configuration, else native; of a farm
                 each, or those that are one of --board
    @pytest.mark.nano_boards("stm32", "native")    the boards of a test, where none is asked for

Nothing is built, started or acquired before a test asks for it. With pytest-embedded its own
`--port` serves, with labgrid its own `--lg-env`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pytest loads this wherever nanotool is installed: it must be quick
    from nanotool.api import QuantizedModel
    from nanotool.build import BuildResult
    from nanotool.farm import FarmTarget
    from nanotool.under_test import BoardUnderTest

DEFAULT_BOARD = "native"
_FARM: pytest.StashKey[tuple[FarmTarget, ...]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
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
    group.addoption(
        "--farm-wait",
        type=float,
        default=60,  # nanotool.farm.WAIT
        metavar="SECONDS",
        help="wait so long for a board of --lg-env that another has [%(default)s]",
    )
    if importlib.util.find_spec("labgrid") is None or pluginmanager.is_blocked("labgrid"):
        group.addoption("--lg-env", help="labgrid's environment file of a farm's boards")
        group.addoption("--lg-coordinator", help="HOST[:PORT] of its coordinator")
    parser.addini("nano_model", "model folder, .nano or .tflite file, from the root folder")
    parser.addini("nano_boards", "boards to test on where --board says nothing", "args")


def pytest_configure(config: pytest.Config) -> None:
    """Check --board, --port and --lg-env."""
    config.addinivalue_line("markers", "nano_boards(*names): boards that a test runs on")
    names = config.getoption("--board") or []
    if _environment(config):
        for old in ("setDaemon", "setName"):  # pyserial's, at each line of a farm
            config.addinivalue_line(
                "filterwarnings", rf"ignore:{old}\(\):DeprecationWarning:serial"
            )
        for option in ("--port", "--flash"):
            if config.getoption(option, None):
                raise pytest.UsageError(f"{option} is no part of a farm: leave it, or --lg-env.")
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
    _refuse_clash(metafunc.config)
    marker = metafunc.definition.get_closest_marker("nano_boards")
    own: Sequence[str] = marker.args if marker else metafunc.config.getini("nano_boards")
    asked = metafunc.config.getoption("--board")
    if _environment(metafunc.config) is None:
        boards = list(asked or own or [DEFAULT_BOARD])
        metafunc.parametrize("nano_board", boards, indirect=True, scope="session")
        return
    wanted = asked or own
    targets = [one for one in _farm(metafunc.config) if not wanted or one.board.name in wanted]
    names = [target.name for target in targets]
    metafunc.parametrize("nano_board", targets, ids=names, indirect=True, scope="session")


def _refuse_clash(config: pytest.Config) -> None:
    """Fixtures of pytest-embedded that run for every test ask for a `target`, and get labgrid's,
    which skips all of them."""
    if all(map(config.pluginmanager.has_plugin, ("labgrid", "pytest_embedded"))):
        raise pytest.UsageError(
            "The plugins of pytest-embedded and labgrid have fixtures of the same names. Leave one "
            "out: -p no:labgrid (--lg-env is still there) or -p no:pytest_embedded."
        )


def _environment(config: pytest.Config) -> str | None:
    """labgrid's environment file, where one is named."""
    chosen: str | None = config.getoption("--lg-env", None) or os.environ.get("LG_ENV")
    return chosen


def _farm(config: pytest.Config) -> tuple[FarmTarget, ...]:
    """The boards of --lg-env."""
    if _FARM not in config.stash:
        from nanotool.errors import NanoError
        from nanotool.farm import read_farm

        coordinator = config.getoption("--lg-coordinator", None) or ""
        try:
            config.stash[_FARM] = read_farm(Path(_environment(config) or ""), coordinator)
        except NanoError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[_FARM]


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
    """A board with the model's firmware: emulated, the real one on --port, or a farm's."""
    from nanotool.boards import Board, find_board
    from nanotool.build import build

    def built(board: Board) -> BuildResult:
        weights = pytestconfig.getoption("--weights") if board.weights else ""
        return build(_model_path(pytestconfig), board, weights=weights)

    if not isinstance(request.param, str):
        target: FarmTarget = request.param
        yield from _at_a_place(target, built(target.board), nano_model, pytestconfig)
        return
    from nanotool.device import SerialPort
    from nanotool.under_test import BoardUnderTest, attached, unemulated

    board = find_board(request.param)
    real: str | None = pytestconfig.getoption("--port", None)
    if real is None and (why := unemulated(board)):
        pytest.skip(why)
    firmware = built(board)
    with attached(firmware, real, flashed=pytestconfig.getoption("--flash")) as name:
        port = SerialPort(name, board.baud)
        under_test = BoardUnderTest(board, firmware, nano_model, port, real is None)
        yield under_test
        _close(under_test)


def _at_a_place(
    target: FarmTarget, firmware: BuildResult, model: QuantizedModel, config: pytest.Config
) -> Iterator[BoardUnderTest]:
    """The board of a farm, acquired while its tests run."""
    from nanotool.compare import check_model
    from nanotool.errors import NanoError
    from nanotool.farm import acquired
    from nanotool.under_test import BoardUnderTest

    reporter = config.pluginmanager.get_plugin("terminalreporter")

    def tell(text: str) -> None:
        if reporter is not None:
            reporter.write_line(text)

    with ExitStack() as stack:
        try:
            port = stack.enter_context(acquired(target, config.getoption("--farm-wait"), tell))
            under_test = BoardUnderTest(
                target.board, firmware, model, port, target.emulated, target.name
            )
            stack.callback(_close, under_test)
            check_model(under_test.device.info(), firmware.graph, firmware.lowered)
        except NanoError as error:
            pytest.fail(f"{target}: {error}", pytrace=False)
        yield under_test


def _close(under_test: BoardUnderTest) -> None:
    if "device" in vars(under_test):
        from nanotool.errors import DeviceError

        with suppress(DeviceError):  # its line broke, as a test has told
            under_test.device.close()
