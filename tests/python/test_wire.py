"""A damaged line: whatever is taken for right is right, and nothing is done twice.

The firmware's app runs in this process, on a line with a fault in every third message. A lesson
that is reported to be done has the same bytes as on a clean line; none takes longer than it may.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_in_process import (
    INPUT_SIZE,
    ROOT,
    App,
    Faults,
    SimulatedLine,
    change_byte,
    compile_sources,
    double_all,
    double_byte,
    drop_byte,
    flip_bit,
    lose_all,
    say_something,
)
from objects import build_program

from nanotool.device import (
    Device,
    DeviceGarbled,
    DeviceLost,
    DeviceRefused,
    Line,
    Trainer,
    protocol,
)
from nanotool.device.commands import BULK_COMMANDS, COMMANDS, TRAIN_COMMANDS

BIT_AND_BYTE = (flip_bit, change_byte)
FEW, MANY = 1500, 100_000  # faults a direction
ON_A_PTY = 1000
TIMEOUT = 1.0  # s of an answer
# Of one call: the tries that hear nothing, the others, each until the line is quiet.
LIMIT = protocol.SILENT_TRIES * (TIMEOUT + 0.2) + protocol.TRIES * 0.5 + 5

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> App:
    return App(tmp_path_factory.mktemp("app"))


def picture(seed: int) -> bytes:
    return random.Random(seed).randbytes(INPUT_SIZE)


class Timed(Device):
    """Holds every call to its limit."""

    def exchange(self, command: str, timeout: float | None = None) -> Any:
        return self._timed(super().exchange, command, TIMEOUT)

    def send(self, piece: Any) -> Any:
        return self._timed(super().send, piece)

    def _timed(self, call: Any, *arguments: Any) -> Any:
        begin = self.line.now()
        try:
            return call(*arguments)
        finally:
            assert self.line.now() - begin < LIMIT


def lesson(device: Device, seed: int) -> list[Any]:
    """A lesson, runs, loads and questions; all that was told."""
    chance = random.Random(seed)
    trainer = Trainer(device)
    told: list[Any] = [trainer.reset()]
    trainer.begin(round(chance.uniform(0.01, 0.5), 3), chance.randrange(1, 5))
    trainer.set("momentum", 0.75)
    for number in range(4):
        label = chance.randrange(3)
        told.append(trainer.sample(picture(10 * seed + number), label))
    trainer.remember(picture(seed), chance.randrange(3))
    trainer.step(chance.randrange(1, 9))
    told += [trainer.add_class(), trainer.evaluate(picture(seed + 1), 3), trainer.totals()]
    told += [trainer.save("all"), trainer.status(), trainer.ticks() != (0, 0)]
    head = trainer.fetch("head")
    told += [head, trainer.fetch("all"), device.run(picture(seed + 2)).tobytes(), device.infer(3)]
    told += [device.results(), device.crc(), device.info(), device.dump(1).tobytes()]
    told += [[layer.crc for layer in device.layers().layers], trainer.load()]
    trainer.put(head)
    return [*told, trainer.fetch("all"), trainer.status(), device.crc()]


def test_a_dump_is_of_the_input_that_is_there(wired: App) -> None:
    """Whatever ran before: to its end, as far as another op, or nothing."""
    with Device(SimulatedLine(wired), timeout=TIMEOUT) as device:
        for seed in (1, 2, 1):
            device.load(picture(seed))
            found = [zlib.crc32(device.dump(op).tobytes()) for op in (1, 0, 1)]
            crcs = [layer.crc for layer in device.layers().layers]
            assert found == [crcs[1], crcs[0], crcs[1]]


def test_features_are_of_the_input_that_is_there(wired: App) -> None:
    with Device(SimulatedLine(wired), timeout=TIMEOUT) as device:
        trainer = Trainer(device)
        trainer.reset()
        found = [trainer.evaluate(picture(seed), 0) for seed in range(4)]
        for seed in (2, 0, 3, 1):
            device.run(picture(seed))
            assert trainer.evaluate(picture(seed), 0) == found[seed]
        assert len(set(found)) > 1


@pytest.fixture(scope="module")
def clean(wired: App) -> list[list[Any]]:
    """Lessons on a clean line."""
    with Timed(SimulatedLine(wired), timeout=TIMEOUT) as device:
        lessons = [lesson(device, seed) for seed in range(8)]
        assert lesson(device, 0) == lessons[0]  # it begins anew each time
    assert lessons[0] != lessons[1]
    return lessons


def teach(device: Device, clean: list[list[Any]], faults: list[Faults], wanted: int) -> str:
    """Lessons until every one of the ``faults`` has come so often; how many were done,
    of how many."""
    done = number = 0
    while min(fault.count for fault in faults) < wanted:
        number += 1
        seed = number % len(clean)
        try:
            told = lesson(device, seed)
        except (DeviceGarbled, DeviceLost):  # said, so not taken for right
            continue
        except DeviceRefused as refused:
            # After another program's plain commands a lesson may meet a board that it left odd.
            raise AssertionError(f"a refusal that no command deserved: {refused}") from refused
        assert told == clean[seed]
        done += 1
    assert done > 0.7 * number  # not a bar for the line: lessons that all break off show nothing
    return f"{done} of {number} lessons"


@pytest.mark.parametrize("way", ["to the board", "to the host", "both ways"])
@pytest.mark.parametrize(
    "wanted", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)
def test_a_changed_bit_or_byte(wired: App, clean: list[list[Any]], way: str, wanted: int) -> None:
    there, back = Faults(BIT_AND_BYTE, seed=1), Faults(BIT_AND_BYTE, seed=2)
    line = SimulatedLine(wired)
    with Timed(line, timeout=TIMEOUT) as device:
        if way != "to the host":
            line.to_board = there
        if way != "to the board":
            line.to_host = back
        spoiled = [fault for fault in (there, back) if fault in (line.to_board, line.to_host)]
        if way == "both ways":
            there.share = back.share = 0.2
            wanted //= 10
        done = teach(device, clean, spoiled, wanted)
        line.to_board = line.to_host = bytes
    print(f"{way}: {[fault.count for fault in spoiled]} faults, {done}")


@pytest.mark.parametrize(
    "kind", [drop_byte, double_byte, double_all, lose_all], ids=lambda kind: kind.__name__
)
def test_lost_and_doubled_messages(wired: App, clean: list[list[Any]], kind: Any) -> None:
    line = SimulatedLine(wired)
    with Timed(line, timeout=TIMEOUT) as device:
        share = 0.02 if kind is lose_all else 0.2  # of two lost ones a call makes an error
        line.to_board, line.to_host = Faults((kind,), 3, share), Faults((kind,), 4, share)
        teach(device, clean, [line.to_board, line.to_host], 60 if kind is lose_all else 400)
        line.to_board = line.to_host = bytes


def test_another_programs_line_is_noticed(wired: App, clean: list[list[Any]]) -> None:
    """It may do what it likes to the board; this program then knows that it has lost it."""
    line = SimulatedLine(wired)
    lost = 0
    with Timed(line, timeout=TIMEOUT) as device:
        line.to_board = Faults((say_something,), 5, 0.02)
        for number in range(200):
            seed = number % len(clean)
            try:
                assert lesson(device, seed) == clean[seed]
            except DeviceLost:
                lost += 1
        line.to_board = bytes
    assert 20 < lost < 180


def test_a_faster_line(wired: App, clean: list[list[Any]]) -> None:
    """It is agreed, used, and left."""
    line, times = SimulatedLine(wired), []
    for rates in ([], [2_000_000, 921_600, 460_800]):  # the board cannot the first
        with Device(line, timeout=TIMEOUT) as device:
            assert device.agree_baud(*rates) == (921_600 if rates else 115_200)
            begin = line.now()
            assert lesson(device, 0) == clean[0]
            times.append(line.now() - begin)
        assert (line.baud, wired.baud) == (115_200, 0)
    assert times[1] < times[0] / 3


def test_a_damaged_agreement_ends_at_one_rate(wired: App, clean: list[list[Any]]) -> None:
    """Whatever it is, lessons are right, and the line is left as it was found."""
    line = SimulatedLine(wired)
    there, back = Faults(BIT_AND_BYTE, 11, 0), Faults(BIT_AND_BYTE, 12, 0)
    line.to_board, line.to_host = there, back
    done = fast = 0
    for number in range(40):
        with Device(line, timeout=TIMEOUT) as device:
            there.share = back.share = 0.3
            with contextlib.suppress(DeviceGarbled):
                fast += device.agree_baud(921_600) == 921_600
                there.share = back.share = 0.05
                assert lesson(device, number % len(clean)) == clean[number % len(clean)]
                done += 1
            there.share = back.share = 0
        assert (line.baud, wired.baud) == (115_200, 0)
    assert done > 25
    assert fast > 20


def test_a_rate_that_the_cable_cannot_is_given_up(wired: App, clean: list[list[Any]]) -> None:
    line = SimulatedLine(wired)
    line.cable = 500_000
    with Device(line, timeout=TIMEOUT) as device:
        begin = line.now()
        device.load(picture(1))
        assert device.agree_baud(921_600, 460_800) == 460_800
        assert line.now() - begin < 3
        device.infer()  # what was loaded is still there
        line.cable = 115200  # a worse one from here on
        device.infer(3)
        assert line.baud == 115200
        assert lesson(device, 0) == clean[0]


def test_a_board_left_at_another_rate_is_found(wired: App) -> None:
    line = SimulatedLine(wired)
    assert Device(line, timeout=TIMEOUT).agree_baud(921_600) == 921_600
    line.set_baud(115200)  # that program was killed
    begin = line.now()
    with Device(line, timeout=TIMEOUT) as device:
        assert device.command("baud") == ["m-baud-[0]"]
    assert line.now() - begin < 2
    device = Device(line, timeout=TIMEOUT)
    assert device.agree_baud(460_800, 921_600) == 460_800
    device.reset()
    assert (line.baud, wired.baud) == (115200, 0)
    device.close()


def test_two_programs_never_take_each_others_answers(wired: App) -> None:
    """On one port, in turns: each output is that of one's own input, or there is an error."""
    devices = [Device(SimulatedLine(wired), timeout=TIMEOUT) for _ in range(2)]
    devices[0].sync()
    Trainer(devices[0]).reset()
    pictures = [picture(20 + number) for number in range(2)]
    right = [bytes(~value & 255 for value in one) for one in pictures]  # of op 0
    chance = random.Random(6)
    steps: list[int] = [0, 0]
    outputs = lost = 0
    for _ in range(600):
        one = int(chance.random() < 0.5)
        device = devices[one]
        try:
            if steps[one] == 0:
                device.load(pictures[one])
            elif steps[one] == 1:
                device.infer()
            else:
                assert device.dump(0).tobytes() == right[one]
                outputs += 1
            steps[one] = (steps[one] + 1) % 3
        except DeviceLost:
            lost += 1
            steps[one] = 0
    assert outputs > 20
    assert lost > 20


class SpoiledLine(Line):
    """A real port with faults on it."""

    def __init__(self, port: str, to_board: Faults, to_host: Faults) -> None:
        super().__init__(port)
        self.to_board, self.to_host = to_board, to_host

    def write(self, data: bytes) -> None:
        super().write(self.to_board(data))

    def read(self) -> bytes:
        return self.to_host(super().read())


@pytest.fixture
def native_port(tmp_path: Path) -> Iterator[str]:
    """The native board with this model, at a pseudo-terminal."""
    board = [*(ROOT / "firmware/boards/native").glob("*.c")]
    program = tmp_path / "program"
    build_program(compile_sources(tmp_path, board), program)
    with subprocess.Popen([str(program)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        match = re.match(r"serial: (\S+)", process.stdout.readline())
        assert match is not None
        yield match[1]
        process.terminate()


@pytest.mark.parametrize(
    "wanted",
    [pytest.param(15, id="few"), pytest.param(ON_A_PTY, id="many", marks=pytest.mark.slow)],
)
def test_faults_at_a_pseudo_terminal(native_port: str, wanted: int) -> None:
    there, back = Faults(BIT_AND_BYTE, 7, 0), Faults(BIT_AND_BYTE, 8, 0)
    with Timed(SpoiledLine(native_port, there, back), timeout=TIMEOUT) as device:
        clean = [timeless(lesson(device, seed)) for seed in range(3)]
        there.share = back.share = 0.2
        assert device.agree_baud(921_600) == 921_600
        done = number = 0
        while min(there.count, back.count) < wanted:
            seed = number % len(clean)
            number += 1
            try:
                told = timeless(lesson(device, seed))
            except (DeviceGarbled, DeviceLost):
                continue
            assert told == clean[seed]
            done += 1
        assert done > 0.8 * number
        there.share = back.share = 0
    print(f"{there.count} and {back.count} faults, {done} of {number} lessons")


def timeless(told: list[Any]) -> list[Any]:
    """Without the microseconds of three inferences, the one plain number here but labels."""
    return [value for value in told if not isinstance(value, int) or isinstance(value, bool)]


def test_the_table_of_commands_is_the_firmwares(wired: App) -> None:
    names: set[str] = set()
    with Device(SimulatedLine(wired), timeout=TIMEOUT) as device:
        usages = [line.split(": ")[0] for line in device.command("help")]
        for usage in (*usages, *device.command("train help"), "train help"):
            for one in usage.split(" | "):
                match = re.match(r"[a-z]+(?: [a-z]+(?=$| ))?", one)
                assert match is not None
                names.add(match[0])
    assert names == {*COMMANDS, *BULK_COMMANDS, *TRAIN_COMMANDS, "train"}
