"""nanotool's pytest plugin as a user's project has it, and scores from the board."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from handmade import GraphBuilder
from typer.testing import CliRunner

from nanotool.cli import app
from nanotool.errors import NanoError
from nanotool.kinds import find_kind
from nanotool.models import load_model
from nanotool.scaffold import new_project
from nanotool.scores import check_labels, scores
from nanotool.simulate import simulate
from nanotool.sources import default_model_dir


def tiny() -> GraphBuilder:
    b = GraphBuilder("tiny", (6,))
    b.dense("fc", 3)
    return b


def run_pytest(folder: Path, *options: str) -> str:
    # labgrid's fixtures are called as pytest-embedded's: a project has one of the two.
    without = ("-pno:cacheprovider", "-pno:labgrid")
    command = [sys.executable, "-m", "pytest", "-q", *without, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return f"{done.returncode} {done.stdout}{done.stderr}"


def test_a_new_projects_tests_are_green(tmp_path: Path) -> None:
    """Out of the box: on this computer and on the emulated STM32."""
    new_project(load_model(default_model_dir()), tmp_path / "new", find_kind("cmake"))
    told = run_pytest(tmp_path / "new")
    assert told.startswith("0 ") and "4 passed" in told, told


USERS = """
import numpy as np, pytest

@pytest.fixture
def data(nano_model):
    x = np.random.default_rng(0).integers(-128, 128, (20, *nano_model.input_shape), np.int8)
    return x, nano_model.simulate(x).reshape(20, -1).argmax(1)

def test_right(nano_board, data):
    assert nano_board.assert_accuracy(*data, at_least=1.0).count == 20

def test_wrong(nano_board, data):
    nano_board.assert_accuracy(data[0], (data[1] + 1) % 10, at_least=0.5)

def test_slow(nano_board):
    nano_board.assert_ticks_within(nano_board.ticks() // 1000)

@pytest.mark.nano_boards("stm32")
def test_marked(nano_board):
    assert nano_board.board.name == "stm32" and nano_board.emulated
    assert nano_board.device.info().board == "stm32f405"
"""


def test_assertions_and_marks(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(USERS)
    told = run_pytest(tmp_path, f"--model={default_model_dir()}")
    assert "2 failed, 2 passed" in told, told
    assert "native, emulated: below 50.00%. 0 of 20 right" in told
    assert "Most often" in told and "is taken for" in told
    assert "native, emulated: one inference took" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Which model? Give --model"),
        (["--board=stm33"], "--board stm33 is none of"),
        (["--port=/dev/null"], "--port needs one --board"),
        (["--port=/dev/null", "--board=native"], "--port needs one --board"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, options: list[str], said: str) -> None:
    (tmp_path / "test_mine.py").write_text("def test_it(nano_board): nano_board.run()\n")
    assert said in run_pytest(tmp_path, *options)


def test_plugins_that_clash_are_told(tmp_path: Path) -> None:
    """labgrid would skip every test, whatever it is."""
    pytest.importorskip("labgrid")
    (tmp_path / "test_mine.py").write_text("def test_it(nano_board): nano_board.run()\n")
    command = [sys.executable, "-m", "pytest", "-q", f"--model={default_model_dir()}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "-p no:labgrid" in done.stdout + done.stderr, done


def test_scores() -> None:
    """Against the definitions, with a class that is never answered and one without samples."""
    outputs = np.array([[9, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0], [0, 9, 9, 0]])
    found = scores(outputs, [0, 1, 1, 2], ("a", "b", "c", "d"))
    assert (found.right, found.count, found.accuracy) == (2, 4, 0.5)
    np.testing.assert_allclose(found.precision, [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(found.recall, [1, 0.5, 0, 0])
    np.testing.assert_allclose(found.f1, [2 / 3, 0.5, 0, 0])
    assert found.macro_f1 == pytest.approx((2 / 3 + 0.5) / 3)
    assert str(found).startswith("2 of 4 right: 50.00%, F1 0.389. Most often b is taken for a: 1")
    assert scores(np.array([[-1], [3]]), [0, 1]).accuracy == 1


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 3], [0, -1, 1], [0.5, 1, 1], ["a", "b", "c"]])
def test_labels_that_do_not_fit(labels: list[object]) -> None:
    with pytest.raises(NanoError, match="abels"):
        check_labels(tiny().graph(), labels, 3)


def test_run_tells_the_boards_scores(tmp_path: Path) -> None:
    graph = load_model(default_model_dir())
    x = np.random.default_rng(1).integers(-128, 128, (9, 28, 28, 1), np.int8)
    truth = simulate(graph, x).argmax(1)
    truth[0] = (truth[0] + 1) % 10
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", truth)
    command = ["run", str(default_model_dir()), "--board", "native"]
    command += ["--input", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy")]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0 and "8 of 9 right: 88.89%" in told.stdout, told.output
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["scores"]
    assert found["right"] == 8 and np.array(found["confusion"]).sum() == 9
