"""A wake word and a command net take turns in one firmware: each has the bytes that it has alone.

Emulated only: a real board would have to be flashed with them. Other boards by `--board`.
"""

from __future__ import annotations

import pytest
from tasks import load_task

from examples.speech import package_model, say
from nanotool.boards import Board
from nanotool.build import build
from nanotool.device import Device, open_board
from nanotool.listen import listen
from nanotool.models import load_model
from nanotool.run import run

USUAL_BOARDS = ("stm32",)
INPUTS = 3


def test_wake_word_then_command(board: Board, emulated: bool) -> None:
    if not emulated:
        pytest.skip("a real board would have to be flashed with these models")
    wake = load_model(package_model("okay_nabu"))
    commands, x, y = load_task("kws")
    sound = say("okay nabu", "en-gb")
    firmware = build([wake, commands], board)
    listening, command = firmware.models
    with open_board(board, firmware.elf) as port, Device(port, timeout=60) as device:
        assert [model.name for model in device.info().models] == [wake.name, commands.name]
        heard = listen(device, wake, listening.lowered, [sound])
        assert heard.differing == () and len(heard.decisions) == 1
        result = run(device, commands, command.lowered, x[:INPUTS])
        assert result.mismatches == 0 and (result.outputs == y[:INPUTS]).all()
        again = listen(device, wake, listening.lowered, [sound[: len(sound) // 2]])
        steps = len(again.outputs)
        assert again.differing == () and (again.outputs == heard.outputs[:steps]).all()
        assert device.mem().arena >= firmware.arena_bytes
