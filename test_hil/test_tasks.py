"""MLPerf Tiny's reference models on every board: the golden outputs, the runner's conversation to
the letter, and what they may cost.

Emulated only: a real board would have to be flashed for every model.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
import serial
from tasks import CHUNK, Served, answer, file_bytes, plausible, serve

from nanotool import compare, mlperf, simulate
from nanotool.boards import NATIVE, STM32, Board
from nanotool.device import DbInfo, Device
from nanotool.elf import heap_symbols
from nanotool.errors import NanoError

# The others take minutes: --board=NAME.
USUAL_BOARDS = ("native", "stm32")

# Bytes: arena with all scratch; code of the whole firmware, which is all flash but the weights.
ARENA_BYTES = {
    "kws": 12_000,
    "ic": 38_000,
    "vww": 44_000,
    "ad": 2_800,
    "sww": 12_000,
}  # of a balanced model
CODE_BYTES = {"kws": 22_000, "ic": 22_000, "vww": 22_000, "ad": 14_000, "sww": 37_000}

# Bytes of an input that takes seconds on an emulated line, and how many of these CI has time for.
SLOW_INPUT, SLOW_INPUTS = 8192, 4

# What the runner asks for in its two modes; the performance mode's numbers are its own file's.
ACCURACY = (1, 0)
PERFORMANCE = {"kws": (70, 10), "ic": (20, 5), "vww": (20, 5), "ad": (1500, 10), "sww": (70, 10)}
PERFORMANCE_EMULATED = (3, 1)  # where 70 inferences would take too long


@pytest.fixture(scope="module", params=sorted(mlperf.TASKS))
def served(
    request: pytest.FixtureRequest, board: Board, pytestconfig: pytest.Config, notes: list[str]
) -> Iterator[Served]:
    if pytestconfig.getoption("--port"):
        pytest.skip("a real board would have to be flashed for every model")
    with serve(board, request.param) as served:
        sizes = served.firmware.sizes
        notes.append(
            f"{served.task.name} on {board.name}: arena {served.firmware.plan.arena_size:,} B, "
            f"code {sizes.code_bytes:,} B, weights {sizes.weight_bytes:,} B, RAM "
            f"{sizes.ram_bytes:,} B"
        )
        yield served


@pytest.fixture(scope="module")
def device(served: Served) -> Iterator[Device]:
    with Device(served.port, timeout=60) as device:
        yield device


def few(served: Served) -> int:
    """How many golden inputs CI has time for: all, but of images that an emulated line carries."""
    slow = served.board is not NATIVE and served.x[0].size > SLOW_INPUT
    return SLOW_INPUTS if slow else len(served.x)


def test_outputs_are_the_golden_ones(served: Served, device: Device) -> None:
    for x, y in zip(served.x[: few(served)], served.y, strict=False):
        assert device.run(x).tobytes() == y.tobytes()


@pytest.mark.slow
def test_outputs_are_the_golden_ones_to_the_last(served: Served, device: Device) -> None:
    if few(served) == len(served.x):
        pytest.skip("test_outputs_are_the_golden_ones takes all of them here")
    for x, y in zip(served.x[few(served) :], served.y[few(served) :], strict=True):
        assert device.run(x).tobytes() == y.tobytes()


def test_every_layer_is_the_simulators(served: Served, device: Device) -> None:
    graph, lowered = served.graph, served.firmware.lowered
    for x in served.x[:2]:
        assert compare.first_difference(device, graph, lowered, x) is None


def test_many_inferences_answer_as_one(served: Served, device: Device) -> None:
    """The plan overwrites the input; it comes from `db` every time."""
    device.load(served.x[0])
    once = device.command("infer 1 0")
    assert device.output().tobytes() == served.y[0].tobytes()
    many = device.command("infer 10 2")
    assert device.output().tobytes() == served.y[0].tobytes()
    assert [line for line in once if line.startswith("m-results")] == [
        line for line in many if line.startswith("m-results")
    ]
    assert device.crc().output == device.crc().output


def test_it_says_what_it_serves(served: Served, device: Device) -> None:
    info = device.info()
    compare.check_model(info, served.graph, served.firmware.lowered)
    width = 4 if served.task.db == "float32" else 1
    assert info.db == DbInfo(served.task.db, served.graph.input_tensor.size * width)
    assert device.mem().db == info.db.nbytes
    assert device.command("profile")[1] == f"m-model-[{served.task.version}]"
    assert served.firmware.task is served.task


def test_what_it_costs(served: Served, device: Device) -> None:
    assert heap_symbols(served.firmware.elf) == ()
    if served.board is not STM32:
        return
    name = served.task.name
    planned, held = served.firmware.plan.arena_size, device.mem().arena
    # One that listens has its front end's memory there, too.
    assert (planned < held if name == "sww" else planned == held) and held <= ARENA_BYTES[name]
    assert served.firmware.sizes.code_bytes <= CODE_BYTES[name]
    assert device.mem().stack_peak < device.mem().stack


def test_laps_are_the_time_that_inferences_take(
    served: Served, device: Device, notes: list[str]
) -> None:
    device.load(served.x[0])
    total, info = device.layers().total, device.info()
    lap = device.infer(4, 0)
    if served.board.emulator.exact_ticks:
        # Microseconds. The copying in comes on top; without an FPU, quantizing takes a while.
        one = total * 1_000_000 / info.tick_hz
        steps = 500 * served.x[0].size if served.task.db == "float32" else 0
        assert 4 * one - 1 <= lap <= 4.4 * one + 100 + 4 * steps * 1_000_000 / info.tick_hz
        unit = served.board.tick_unit(info.tick_source, emulated=True)
        notes.append(f"{served.task.name} on {served.board.name}: {total:,} {unit} an inference")
    assert lap > 0
    before = device.timestamp()
    device.infer(1, 0)
    assert (device.timestamp() - before) % 2**32 >= lap / 4 / 10


def test_floats_are_quantized_as_the_reference_does(served: Served, device: Device) -> None:
    """Also halves and what is out of range; what is no number is refused before it is sent."""
    if served.task.db != "float32":
        pytest.skip("this task sends bytes")
    tensor = served.graph.input_tensor
    rng = np.random.default_rng(5)
    halves = (np.arange(tensor.size) % 256 - 127.5) * np.float32(tensor.scale)
    strange = np.resize([3e38, -3e38, 1e-45, -0.0, 0.0], tensor.size)
    wild = np.exp(rng.normal(size=tensor.size) * 20) * rng.choice([-1, 1], tensor.size)
    for real in (*plausible(served, rng, 5), halves, strange, wild):
        x = real.astype(np.float32)
        q = mlperf.quantize(tensor, x)
        wanted = simulate.simulate(served.graph, q.reshape(1, *tensor.shape)).reshape(-1)
        assert device.run(x).tobytes() == wanted.tobytes()
        with np.errstate(all="ignore"):
            told = answer(served, x.astype("<f4").tobytes())
        assert device.command("results") == [f"m-results-[{told}]"]
    for number in (np.nan, np.inf):
        with pytest.raises(NanoError):
            device.run(np.full(tensor.size, number, np.float32))


# --- To the letter, as the runner talks -----------------------------------------------------------


class Line:
    """The serial line, byte for byte."""

    def __init__(self, port: str) -> None:
        self.port = serial.Serial(port, 115200, timeout=60)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()

    def say(self, command: str, *lines: str) -> list[str]:
        """Send `command`; its answer must be `lines` (regular expressions) and `m-ready`, each
        ended by CR LF, and nothing else. The groups that matched."""
        self.port.write(command.encode() + b"%")
        answer = self.port.read_until(b"m-ready\r\n").decode()
        match = re.fullmatch("".join(line + "\r\n" for line in (*lines, "m-ready")), answer)
        assert match, f"{command[:40]}: {answer!r}"
        return list(match.groups())

    def load(self, raw: bytes) -> None:
        self.say(f"db load {len(raw)}", rf"m-\[Expecting {len(raw)} bytes\]")
        for offset in range(0, len(raw), CHUNK):
            done = [r"m-load-done"] if offset + CHUNK >= len(raw) else []
            self.say(f"db {raw[offset : offset + CHUNK].hex()}", *done)

    def infer(self, inferences: int, warm_ups: int, result: str) -> int:
        """The microseconds between the two stamps; `result` must be the answer."""
        begin, end = self.say(
            f"infer {inferences} {warm_ups}",
            f"m-warmup-start-{warm_ups}",
            "m-warmup-done",
            f"m-infer-start-{inferences}",
            r"m-lap-us-(\d+)",
            r"m-lap-us-(\d+)",
            "m-infer-done",
            rf"m-results-\[{re.escape(result)}\]",
        )
        return int(end) - int(begin)


@pytest.fixture
def line(served: Served, device: Device) -> Iterator[Line]:
    """The second one on the same terminal, whose first one stays silent."""
    device.sync()
    with Line(served.port) as line:
        yield line


def test_accuracy_mode(served: Served, line: Line) -> None:
    line.say("name", r"m-name-dut-\[nano\]")
    line.say(
        "profile",
        r"m-profile-\[ULPMark for tinyML Firmware V0\.0\.1\]",
        rf"m-model-\[{served.task.version}\]",
    )
    for x in served.x[:1]:
        raw = file_bytes(served, x)
        line.load(raw)
        line.infer(*ACCURACY, answer(served, raw))
        line.say("results", rf"m-results-\[{re.escape(answer(served, raw))}\]")


def test_performance_mode(served: Served, line: Line) -> None:
    raw = plausible(served, np.random.default_rng(6), 1).tobytes()
    native = served.board is NATIVE
    counts = PERFORMANCE[served.task.name] if native else PERFORMANCE_EMULATED
    (begin,) = line.say("timestamp", r"m-lap-us-(\d+)")
    line.load(raw)
    elapsed = line.infer(*counts, answer(served, raw))
    (end,) = line.say("timestamp", r"m-lap-us-(\d+)")
    assert 0 < elapsed <= int(end) - int(begin)


def test_an_input_of_another_format_is_refused(served: Served, line: Line) -> None:
    """One that has the size of the model's input, where that is not the size of the file's."""
    size = len(file_bytes(served, served.x[0]))
    line.load(file_bytes(served, served.x[0]))
    line.say(f"db load {size + 1}", rf"e-\[The input has {size} bytes\]")
    line.say("infer 1 0", *[r"m-.*"] * 7)  # what was loaded is still there


def test_nothing_is_said_unasked(served: Served, device: Device) -> None:
    """The runner opens the port, talks, closes it, opens it again: whatever it did not ask for
    would put it out of step for good."""
    device.sync()
    for _ in range(2):
        with Line(served.port) as line:
            line.port.timeout = 0.5
            assert line.port.read(1) == b""
            line.port.timeout = 60
            line.say("name", r"m-name-dut-\[nano\]")
            line.port.timeout = 0.5
            assert line.port.read(1) == b""
        time.sleep(0.1)


def test_results_stay_while_the_next_input_comes(served: Served, line: Line) -> None:
    first, second = (file_bytes(served, x) for x in served.x[:2])
    told = answer(served, first)
    line.load(first)
    line.infer(*ACCURACY, told)
    line.say(f"db load {len(second)}", r"m-\[Expecting \d+ bytes\]")
    line.say(f"db {second[:CHUNK].hex()}")
    line.say("results", rf"m-results-\[{re.escape(told)}\]")
