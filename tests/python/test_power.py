"""Energy from a meter's trace, and the marker that parts its inferences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from handmade import GraphBuilder
from typer.testing import CliRunner

from nanotool import qfile
from nanotool.boards import BOARDS, NATIVE
from nanotool.build import build
from nanotool.cli import app
from nanotool.errors import NanoError
from nanotool.power import energy, read_trace

MARKED = np.array([1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1])  # two are whole
MILLIAMPERES = np.array([9, 2, 2, 10, 11, 12, 2, 2, 20, 22, 2, 9])


def write(path: Path, head: str, *columns: np.ndarray) -> Path:
    rows = [",".join(str(value) for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([head, *rows, ""]))
    return path


def test_energy_is_that_of_whole_inferences(tmp_path: Path) -> None:
    """(10 + 11 + 12 + 20 + 22) mA, a millisecond each, at 3 V, by two; in every unit."""
    ms = np.arange(12.0)
    us = 1e3 * ms
    volts = np.full(12, 3000)
    traces = (
        read_trace(write(tmp_path / "a", "Time(ms),Current(mA),D0", ms, MILLIAMPERES, MARKED), 3.0),
        read_trace(
            write(
                tmp_path / "b", "marker, Main Voltage [mV],Main current [uA],time",
                *(MARKED, volts, 1000 * MILLIAMPERES, ms / 1000),
            )
        ),
        read_trace(
            write(tmp_path / "c", "Power (mW),pin 3,Timestamp(us)", 3 * MILLIAMPERES, MARKED, us),
            marker="Pin 3",
        ),
    )  # fmt: skip
    for trace in traces:
        found = energy(trace)
        assert found.inferences == 2
        assert found.joules == pytest.approx(75 * 3e-6 / 2)
        assert found.seconds == pytest.approx(2.5e-3)
        assert found.idle_watts == pytest.approx(6e-3)
        assert found.extra_joules == pytest.approx(75 * 3e-6 / 2 - 15e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no trace"),
        ("time,current,d0\n0,1,0\n1,1,1\n", "no voltage.*--volts"),
        ("current,d0\n0,0\n1,1\n", "no column of time"),
        ("time,current\n0,0\n1,1\n", "no column of the marker"),
        ("time,d0\n0,0\n1,1\n", "no column of current or power"),
        ("time(mA),power,d0\n0,1,0\n1,1,1\n", "is no time"),
        ("time,power,d0\n0,1,0\n1,x,1\n", "line 3: '1,x,1' is no sample"),
        ("time,power,d0\n0,1,0\n1\n", "line 3: '1' is no sample"),
        ("time,power,d0\n0,1,0\n1,nan,1\n", "line 3: a number is not finite"),
        ("time,power,d0\n0,1,0\n2,1,1\n1,1,0\n", "line 4: the time does not rise"),
        ("time,power,d0\n0,1,1\n1,1,1\n2,1,0\n", "no whole inference"),
        ("time,power,d0\n0,1,0\n1,1,1\n2,1,1\n", "no whole inference"),
    ],
)
def test_a_trace_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(NanoError, match=said):
        energy(read_trace(tmp_path / "trace.csv"))


def test_it_is_kept_with_what_was_measured(tmp_path: Path) -> None:
    """The trace comes after the run, and the board is not asked again."""
    builder = GraphBuilder("one", (4,))
    builder.dense("fc", 3)
    qfile.save(builder.graph(), tmp_path / "one.nano")
    record = tmp_path / "native.json"
    command = ["measure", str(tmp_path / "one.nano"), "--board", "native", "-o", str(record)]
    first = CliRunner().invoke(app, [*command, "--marker"])
    assert first.exit_code == 0 and "The marker is at --pins FILE" in first.output, first.output
    write(
        tmp_path / "t.csv", "Time(ms),Current(mA),D0", np.arange(12), MILLIAMPERES, MARKED
    )  # fmt: skip
    told = CliRunner().invoke(app, [*command, "--power", str(tmp_path / "t.csv"), "--volts", "3"])
    assert told.exit_code == 0 and "112.50" in told.output and "97.50" in told.output, told.output
    (kept,) = json.loads(record.read_text())["results"]
    assert kept["energy"]["inferences"] == 2 and kept["energy"]["microseconds"] == 2500
    refused = CliRunner().invoke(app, [*command, "--volts", "3"])
    assert refused.exit_code == 2


def test_a_pin_marks_every_timed_inference(tmp_path: Path) -> None:
    from nanotool.device import Device
    from nanotool.device.emulators import open_board

    builder = GraphBuilder("one", (4,))
    builder.dense("fc", 3)
    graph = builder.graph()
    pins = tmp_path / "pins"
    firmware = build(graph, NATIVE, marker=True)
    with (
        open_board(NATIVE, firmware.elf, more=("--pins", str(pins))) as port,
        Device(port) as device,
    ):
        device.load(np.zeros(4, np.int8))
        device.infer(5, 3)
    assert [line.split()[1] for line in pins.read_text().splitlines()] == ["1", "0"] * 5
    with pytest.raises(NanoError, match="has no pin for a marker"):
        build(graph, BOARDS["mps2_an385"], marker=True)
