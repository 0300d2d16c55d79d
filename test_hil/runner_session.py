"""A session of MLPerf Tiny's own runner: its classes, our board.

    python runner_session.py PORT BAUD MODE DATASETS TESTS RESULT [PIPE PINS]

MODE is p (performance) or a (accuracy), TESTS a test script as the runner takes it, RESULT the JSON
file to write. The runner's modules are found through PYTHONPATH. It does what the runner's main
program does with a board that is attached directly: opens the port, asks who is there, closes it,
opens it again and runs the script. (That program itself needs the power meters' libraries, and
finds boards by their USB numbers.) For the streaming wake word `Interface` stands where its
interface board does: it plays the sound into PIPE, and reads from PINS when which pin changed, in
samples. A process of its own, because the runner redirects stdout and writes its log to the current
folder.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import sys
import termios
import time
from pathlib import Path
from typing import Any

SETTLE = 2.0  # s that the runner gives a board that resets when its port is opened


class Interface:
    """The interface board's commands that a `stream` step gives, and their answers' lines."""

    def __init__(self, data: Path, pipe: Path, pins: Path) -> None:
        self.data, self.pipe, self.pins = data, pipe, pins

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def record_detections(self) -> None:
        """From here on."""

    def play_wave(self, name: str, timeout: float) -> None:
        """Have the board hear it; returns once it has taken everything."""
        with self.pipe.open("wb") as file:
            file.write((self.data / name).read_bytes())
            file.flush()
            end = time.monotonic() + timeout
            while fcntl.ioctl(file, termios.FIONREAD, b"\0" * 4) != b"\0" * 4:
                assert time.monotonic() < end, "the board does not listen"
                time.sleep(0.01)

    def _edges(self, pin: str, level: str) -> list[int]:
        """Samples that had been heard."""
        rows = (line.split() for line in self.pins.read_text().splitlines())
        return [int(at) for name, to, at in rows if (name, to) == (pin, level)]

    def print_detections(self) -> list[str]:
        """Edges down, in milliseconds of sound."""
        times = [f"{at // 16}," for at in self._edges("detected", "0")]
        return ["Detection Timestamps (ms)", *times, "m-ready"]

    def print_dutycycle(self) -> list[str]:
        """Edges up and down, in units of 10 us."""
        starts, stops = (
            [str(at * 100 // 16) for at in self._edges("processing", level)[1:]]
            for level in ("1", "0")
        )
        return [
            "Duty cycle start times (s)",
            ",".join(starts),
            "Duty cycle stop times (s)",
            ",".join(stops),
            "m-ready",
        ]


def main(arguments: list[str]) -> None:
    """One session."""
    port, baud, mode, data, tests, result, *interface = arguments
    # Any: the runner's modules have no types, and are not at hand where this is checked.
    runner: dict[str, Any] = {
        name: importlib.import_module(name)
        for name in ("device_under_test", "datasets", "script", "yaml")
    }
    dut = runner["device_under_test"].DUT(port, int(baud))
    with dut:
        time.sleep(SETTLE)
        told = {"name": dut.get_name(), "model": dut.get_model(), "profile": dut.get_profile()}
    scripts = runner["yaml"].safe_load(Path(tests).read_text())
    script = runner["script"].Script(scripts[told["model"]])
    place = Path(data) / script.model
    if interface:
        dataset = runner["datasets"].StreamingDataSet(str(place), script.truth)
        board = Interface(place, *map(Path, interface))
        told["result"] = script.run(board, dut, dataset, mode)
    else:
        dataset = runner["datasets"].DataSet(str(place), script.truth)
        told["result"] = script.run(None, dut, dataset, mode)
    Path(result).write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
