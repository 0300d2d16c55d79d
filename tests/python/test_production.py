"""Firmware for the field: a console that only looks, and none."""

from __future__ import annotations

import ctypes
import shutil

import numpy as np
import pytest
from app_in_process import App, SimulatedLine
from listening import listener, loud, one_class
from test_board_sensor import give

from nanotool.backends import c
from nanotool.boards import NATIVE
from nanotool.build import build
from nanotool.device import Device, DeviceRefused
from nanotool.errors import NanoError
from nanotool.mlperf import add_block, find_task
from nanotool.pipeline import prepare
from nanotool.qfile import graph_hash
from nanotool.sensing.description import Rule
from nanotool.sensing.stream import Stream
from nanotool.sources import default_model_dir

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

GRAPH = listener(Rule((one_class(5.0, refractory=0.05),), window=2))
SOUND = loud(6000)
DECISIONS = len(Stream(GRAPH).feed(SOUND).decisions)
DETECTED = 2  # board_pin


# The other program, which shares all else with the first.
NONE = """
#define APP_CONSOLE_NONE
#undef main
#define main none_main
int none_main(int argc, char *argv[]);
#include "app/main.c"
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("app")
    c.export([prepare(GRAPH)], folder / "model")
    (folder / "model" / "none.c").write_text(NONE)
    lines = ("#define APP_SENSOR", "#define APP_DETECT APP_STEP_VALUES")
    add_block(folder / "model", "Production", ("#define APP_CONSOLE_READ_ONLY", *lines))
    app = App(folder, folder / "model")
    ctypes.c_uint32.in_dll(app._library, "fake_micros_passing").value = 1
    return app


def pulses(app: App) -> int:
    return int((ctypes.c_uint32 * 3).in_dll(app._library, "fake_pulses")[DETECTED])


def test_without_a_console_it_listens(app: App) -> None:
    """To the sensor's end, and says nothing; the first pulse is that of the beginning."""
    give(app, SOUND)
    app.feed(b"")
    before = pulses(app)
    assert app._library.none_main(0, None) == 0
    assert DECISIONS > 3 and pulses(app) - before == DECISIONS + 1
    assert app._size.value == 0
    ctypes.c_uint32.in_dll(app._library, "fake_sensor_size").value = 0
    assert app._library.none_main(0, None) == 1  # no sensor: it starts over


def test_a_read_only_console(app: App) -> None:
    """It answers what looks; nothing that the line brings disturbs the listening."""
    give(app, SOUND)
    before = pulses(app)
    app._library.app_main(0, None)
    work = app._library.detect_work
    work.restype = ctypes.c_bool
    with Device(SimulatedLine(app)) as device:
        info = device.info()
        assert info.hash == graph_hash(GRAPH)
        helps = device.command("help")
        assert any(line.startswith("stream ") for line in helps)
        assert not any(line.startswith(("db ", "infer ", "sensor ", "reset")) for line in helps)
        for line in (
            *("db load 784", "db print", "infer", "time 3", "layers", "dump 0", "sensor"),
            *("sensor begin", "start", "stop", "stream begin", "stream step", "reset"),
        ):
            assert work()
            with pytest.raises(DeviceRefused) as refused:
                device.command(line)
            word = line.split()[0]
            assert refused.value.reason == f"Read-only console: {word} is refused"
        with pytest.raises(DeviceRefused, match="a frame of type 73 is refused"):
            device.load(GRAPH.input_tensor.quantize(np.zeros((3, 8, 1))))
        assert b"e-[Unknown command: inferr]" in app.feed(b"inferr\r")
        while work():
            pass
        told = device.stream_status()
        assert told.open and told.counts.decisions == DECISIONS
        assert all(device.command(line) for line in ("mem", "crc", "results", "timestamp"))
    assert pulses(app) - before == DECISIONS + 1


def test_what_cannot_go_together() -> None:
    model = default_model_dir()
    with pytest.raises(NanoError, match="There is no console 'some'"):
        build(model, NATIVE, console="some")
    with pytest.raises(NanoError, match="from the board's sensor alone"):
        build(model, NATIVE, console="none")
    with pytest.raises(NanoError, match="need the whole console"):
        build(GRAPH, NATIVE, console="read-only", task=find_task("sww"))
