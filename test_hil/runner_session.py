"""A session of MLPerf Tiny's own runner: its classes, our board.

    python runner_session.py PORT BAUD MODE DATASETS TESTS RESULT

MODE is p (performance) or a (accuracy), TESTS a test script as the runner takes it, RESULT the JSON
file to write. The runner's modules are found through PYTHONPATH. It does what the runner's main
program does with a board that is attached directly: opens the port, asks who is there, closes it,
opens it again and runs the script. (That program itself needs the power meters' libraries, and
finds boards by their USB numbers.) A process of its own, because the runner redirects stdout and
writes its log to the current folder.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

SETTLE = 2.0  # s that the runner gives a board that resets when its port is opened


def main(arguments: list[str]) -> None:
    """One session."""
    port, baud, mode, data, tests, result = arguments
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
    dataset = runner["datasets"].DataSet(str(Path(data) / script.model), script.truth)
    told["result"] = script.run(None, dut, dataset, mode)
    Path(result).write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
