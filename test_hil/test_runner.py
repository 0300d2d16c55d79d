"""MLPerf Tiny's own runner talks to every board, in both of its modes.

It is not part of this repository: NANO_MLPERF_RUNNER names the folder benchmark/runner of a
checkout of github.com/mlcommons/tiny. test_tasks.py holds the same conversations without it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tasks import Served, answer, file_bytes, plausible, serve

from nanotool import mlperf
from nanotool.boards import NATIVE, Board

USUAL_BOARDS = ("native", "stm32")  # the others take minutes: --board=NAME
VARIABLE = "NANO_MLPERF_RUNNER"
NEEDED = ("device_under_test.py", "serial_device.py", "datasets.py", "script.py")
FILES = 2  # in a data set for accuracy
LAPS = 5  # that the runner's performance script takes, each with a file of its own
SHORT_LAPS = 2
WINDOW, STRIDE = 2560, 512  # bytes: an input of `ad`, and how far one is from the next
WINDOWS = 3  # inputs in a file of `ad`
TIMEOUT = 300  # s for a session


@pytest.fixture(scope="module")
def runner() -> Path:
    """The runner's folder."""
    chosen = os.environ.get(VARIABLE)
    if not chosen:
        pytest.skip(f"{VARIABLE} names no checkout of mlcommons/tiny's benchmark/runner")
    folder = Path(chosen).resolve()
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    assert not missing, f"{VARIABLE}: {folder} lacks {', '.join(missing)}"
    if importlib.util.find_spec("yaml") is None:
        pytest.skip("the runner needs PyYAML")
    return folder


# The streaming wake word has another script: test_sensor_boards.py.
@pytest.fixture(
    scope="module", params=sorted(name for name, task in mlperf.TASKS.items() if not task.listens)
)
def served(
    request: pytest.FixtureRequest, board: Board, runner: Path, pytestconfig: pytest.Config
) -> Iterator[Served]:
    if pytestconfig.getoption("--port"):
        pytest.skip("a real board would have to be flashed for every model")
    with serve(board, request.param) as served:
        yield served


def make_files(served: Served, folder: Path, count: int) -> list[list[bytes]]:
    """A data set in `folder` as the task has it; each file's inputs, in the order that the
    runner sends them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    rows, sent = [], []
    for index in range(count):
        if served.task.db == "float32":
            long = np.concatenate(list(plausible(served, rng, 2))).tobytes()
            raw = long[: WINDOW + (WINDOWS - 1) * STRIDE]
            sent.append([raw[k * STRIDE : k * STRIDE + WINDOW] for k in range(WINDOWS)])
            rows.append(f"{index}.bin,2,{index % 2},{WINDOW},{STRIDE}\n")
        else:
            raw = file_bytes(served, served.x[index])
            sent.append([raw])
            rows.append(f"{index}.bin,{served.graph.output_tensor.size},{index}\n")
        (folder / f"{index}.bin").write_bytes(raw)
    (folder / "y_labels.csv").write_text("".join(rows))
    return sent


def session(
    served: Served, runner: Path, work: Path, mode: str, tests: Path, *interface: Path
) -> dict[str, Any]:
    """What the runner heard. `interface`: the pipe and the pins of its interface board."""
    program = Path(__file__).with_name("runner_session.py")
    arguments = [served.port, str(served.board.baud), mode, work / "data", tests, work / "told"]
    arguments += interface
    done = subprocess.run(
        [sys.executable, str(program), *map(str, arguments)],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(runner)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    log = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, log
    assert "WARNING" not in log and "ERROR" not in log, log
    told: dict[str, Any] = json.loads((work / "told").read_text())
    assert told["name"] == "nano"
    assert told["model"] == served.task.version
    assert told["profile"] == "ULPMark for tinyML Firmware V0.0.1"
    return told


def numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def test_accuracy_mode(served: Served, runner: Path, tmp_path: Path) -> None:
    """With the runner's own script."""
    files = make_files(served, tmp_path / "data" / served.task.version, FILES)
    told = session(served, runner, tmp_path, "a", runner / "tests_accuracy.yaml")
    results = [entry["infer"]["results"] for entry in told["result"]]
    assert results == [numbers(answer(served, raw)) for file in files for raw in file]
    for entry in told["result"]:
        assert entry["infer"]["elapsed_time"] > 0
        assert entry["infer"]["total_inferences"] == 1


def short_script(served: Served, path: Path) -> Path:
    """Less than the runner's script asks for, which an emulator would take minutes for."""
    script = {"model": served.task.version, "truth_file": "y_labels.csv"}
    steps = {f"loop {SHORT_LAPS}": ["download", "infer 3 1"]}
    path.write_text(json.dumps({served.task.version: {**script, "script": [steps]}}))
    return path


def perform(served: Served, runner: Path, work: Path, tests: Path, laps: int) -> None:
    """A session in performance mode, one lap a file; every answer and every time it heard."""
    files = make_files(served, work / "data" / served.task.version, laps)
    told = session(served, runner, work, "p", tests)
    entries = [entry["infer"] for entry in told["result"] if "infer" in entry]
    # `ad` takes the first window of each file.
    assert [entry["results"] for entry in entries] == [
        numbers(answer(served, file[0])) for file in files
    ]
    for entry in entries:
        assert entry["elapsed_time"] > 0
        rate = entry["iterations"] * 1e6 / entry["elapsed_time"]
        assert entry["throughput"] == pytest.approx(rate)


def test_performance_mode(served: Served, runner: Path, tmp_path: Path) -> None:
    """With the runner's own script where that is fast enough."""
    if served.board is not NATIVE:
        perform(served, runner, tmp_path, short_script(served, tmp_path / "tests"), SHORT_LAPS)
    else:
        perform(served, runner, tmp_path, runner / "tests_performance.yaml", LAPS)


@pytest.mark.slow
def test_performance_mode_in_full(served: Served, runner: Path, tmp_path: Path) -> None:
    """The runner's own script on the emulated board: a minute a model."""
    if served.board is NATIVE:
        pytest.skip("this board takes the runner's own script in test_performance_mode")
    perform(served, runner, tmp_path, runner / "tests_performance.yaml", LAPS)
