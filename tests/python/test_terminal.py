"""The console's terminal, without a terminal: what it understands, shows, sends and survives."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_board import SIZE, FakeBoard, expected_output
from handmade import digits_cnn
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from rich.console import Console

from nanotool import terminal
from nanotool.boards import BOARDS
from nanotool.device import Device, Layers, LayerTicks
from nanotool.device.answers import Lap, Lines, Memory, Refusal, Results, Uptime, read
from nanotool.device.commands import BOARD_COMMANDS
from nanotool.errors import DeviceError, NanoError
from nanotool.terminal import Clock, Session, clock_of

INFO = [
    *("m-info-version-[0.1.0]", "m-info-abi-[1]", "m-info-board-[stm32f405]", "m-info-clock-[0]"),
    *("m-info-ticks-[tim2 1000000000]", "m-info-model-[m]", "m-info-hash-[0123456789abcdef]"),
    *("m-info-ops-[1]", "m-info-input-[2x3 3f000000 1 int8]"),  # scale 0.5
    *("m-info-output-[2x3 3f000000 1 int8]", "m-info-db-[int8 6]", "m-info-frame-[256]"),
]
MEMORY = (
    *("m-mem-arena-[64]", "m-mem-db-[6]", "m-mem-static-[32768 131072]", "m-mem-stack-[8 20]"),
    "m-mem-flash-[5 0]",
)


class ScriptedLink:
    """Answers commands from a table and remembers what was sent."""

    def __init__(self, answers: dict[str, Sequence[str] | BaseException] | None = None) -> None:
        self.answers = answers or {}
        self.sent: list[str] = []
        self.loaded = b""
        self.syncs = 0

    def exchange(self, command: str, timeout: float | None = None) -> tuple[list[str], list[Any]]:
        self.sent.append(command)
        answer = self.answers.get(command, [])
        if isinstance(answer, BaseException):
            raise answer
        return list(answer), []

    def load(self, data: Any) -> None:
        self.loaded = b"".join(one.tobytes() for one in data)

    def sync(self, timeout: float = 10.0) -> None:
        self.syncs += 1


def session(link: Any, **options: Any) -> tuple[Session, io.StringIO]:
    text = io.StringIO()
    return Session(link, Console(file=text, width=120), **options), text


def shown(lines: Sequence[str], labels: Sequence[str] = (), clock: Clock = terminal.SILICON) -> str:
    text = io.StringIO()
    console = Console(file=text, width=120)
    for block in read(lines):
        console.print(terminal.view(block, labels, clock))
    return text.getvalue()


# --- parse ----------------------------------------------------------------------------------------


def test_results() -> None:
    assert read(["m-results-[0.004,-1.500]"]) == (Results((0.004, -1.5)),)


def test_infer_is_a_lap_and_its_results() -> None:
    lines = [
        *("m-warmup-start-10", "m-warmup-done", "m-infer-start-4"),
        *("m-lap-us-4294967290", "m-lap-us-34", "m-infer-done", "m-results-[1.000]"),
    ]
    assert read(lines) == (Lap(40, 4), Results((1.0,)))  # the counter wrapped at 2^32


def test_layers() -> None:
    lines = ["m-layer-[0 75 0a0b0c0d features.0 [x]]", "m-layer-[1 25 00000000 fc]"]
    rows = (LayerTicks(0, 75, 0x0A0B0C0D, "features.0 [x]"), LayerTicks(1, 25, 0, "fc"))
    assert read([*lines, "m-layers-[2 110]"]) == (Layers(rows, 110),)


def test_layers_without_their_end_stay_lines() -> None:
    assert read(["m-layer-[0 75 0a0b0c0d fc]"]) == (Lines(("m-layer-[0 75 0a0b0c0d fc]",)),)


def test_memory_and_refusals() -> None:
    assert read(MEMORY) == (Memory(64, 6, 32768, 131072, 8, 20, 5, 0),)
    assert read(["e-[No results yet]"]) == (Refusal("No results yet"),)
    assert read(["m-lap-us-7"]) == (Uptime(7),)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "m-results-[]",
        "m-results-[1.2.3]",
        "m-layer-[x]",
        "m-mem-arena-[64]",
        "m-info-board-[x]",
        "e-[",
    ],
)
def test_what_fits_nothing_is_kept(line: str) -> None:
    assert read([line]) == (Lines((line,)),)


# --- view -----------------------------------------------------------------------------------------


def test_results_have_names_and_bars() -> None:
    text = shown(["m-results-[0.250,0.750]"], ["cat", "[red]dog"])
    cat, dog = (line for line in text.splitlines() if "0." in line)
    assert cat.startswith("cat") and "[red]dog" in dog  # a label is no markup
    assert 0 < cat.count("█") < dog.count("█") == 28


def test_labels_of_another_model_are_not_used() -> None:
    assert "cat" not in shown(["m-results-[0.250,0.750]"], ["cat"])


def test_many_values_show_the_highest() -> None:
    values = ",".join(f"{i}.000" for i in range(100))
    text = shown([f"m-results-[{values}]"])
    assert "99.000" in text and "\n3 " not in text and "and 80 more" in text


@pytest.mark.parametrize("values", ["0.000,0.000", "-2.000,-1.000", "5.000"])
def test_any_values_can_be_shown(values: str) -> None:
    assert values.rsplit(",", maxsplit=1)[-1] in shown([f"m-results-[{values}]"])


def test_layer_shares_are_of_the_whole_inference() -> None:
    text = shown(["m-layer-[0 75 0a0b0c0d conv]", "m-layers-[1 300]"])
    assert "25.0%" in text and "300" in text
    assert "0.0%" in shown(["m-layer-[0 0 0a0b0c0d conv]", "m-layers-[1 0]"])


def test_memory_is_a_budget() -> None:
    text = shown(MEMORY)
    assert "131,072 B" in text and "25.0%" in text and "–" in text
    text = shown([*MEMORY, "m-mem-train-[2592]", "m-mem-store-[flash 262144]"])
    assert "2,592 B" in text and "store (flash)" in text and "m-mem" not in text


def test_info_tells_the_scale() -> None:
    assert "2×3 int8, scale 0.5, zero point 1" in shown(INFO)


def test_what_an_emulator_counts_is_no_time() -> None:
    lap = [
        *("m-warmup-start-0", "m-warmup-done", "m-infer-start-1", "m-lap-us-3", "m-lap-us-24"),
        *("m-infer-done", "m-results-[1.000]"),
    ]
    layers = ["m-layer-[0 75 0a0b0c0d conv]", "m-layers-[1 300]"]
    stm32 = clock_of(BOARDS["stm32"], "tim2", emulated=True)
    for lines in (lap, layers, INFO, ["m-lap-us-5"], ["m-train-ticks-[5 6]"], MEMORY):
        text = shown(lines, clock=stm32)
        assert "emulated" in text and not re.search(r"\bus\b", text)
    assert "instructions" in shown(layers, clock=stm32)
    assert "21 us" in shown(lap, clock=clock_of(BOARDS["native"], "ns", emulated=True))
    real = clock_of(BOARDS["stm32"], "dwt", emulated=False)
    assert "21 us" in shown(lap, clock=real) and "cycles" in shown(layers, clock=real)
    assert "emulated" not in shown(lap, clock=real)


# --- session --------------------------------------------------------------------------------------


def test_lines_go_to_the_board_as_they_are() -> None:
    link = ScriptedLink()
    lines = session(link)[0]
    assert all(lines.execute(line) for line in ("info", " infer 1 0 %", "", "name%"))
    assert link.sent == ["info", "infer 1 0", "name"]


def test_quit_leaves() -> None:
    link = ScriptedLink()
    assert not session(link)[0].execute(":quit")
    assert link.sent == []


@pytest.mark.parametrize("line", [":", ":wat", ":load", ":load a b c", ":raw 1", ':load "x'])
def test_wrong_local_commands_are_told(line: str) -> None:
    one, text = session(ScriptedLink())
    assert one.execute(line) and one.failures == 1
    assert text.getvalue().strip()


def test_raw_shows_lines_as_they_came() -> None:
    one, text = session(ScriptedLink({"results": ["m-results-[1.000]"]}))
    one.execute(":raw")
    one.execute("results")
    assert "m-results-[1.000]" in text.getvalue()


def test_a_broken_line_does_not_end_the_session() -> None:
    one, text = session(ScriptedLink({"info": DeviceError("The line broke.", "Mend it.")}))
    assert one.execute("info") and one.failures == 1
    assert "The line broke. Mend it." in text.getvalue()


def test_ctrl_c_ends_the_wait_and_the_next_line_gets_in_step() -> None:
    link = ScriptedLink({"infer 100000": KeyboardInterrupt()})
    one, text = session(link)
    assert one.execute("infer 100000") and "Stopped waiting" in text.getvalue()
    assert one.execute("info") and link.syncs == 1 and link.sent[-1] == "info"
    assert one.execute("mem") and link.syncs == 1  # once is enough


def test_a_board_that_is_still_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    link = ScriptedLink({"infer 100000": KeyboardInterrupt()})

    def busy(timeout: float = 10.0) -> None:
        raise DeviceError("No board answers.")

    monkeypatch.setattr(link, "sync", busy)
    one, text = session(link)
    one.execute("infer 100000")
    assert one.execute("info") and link.sent == ["infer 100000"]
    assert "still at work" in text.getvalue()
    assert not one.execute(":quit")


def test_load_with_the_model_at_hand(tmp_path: Path) -> None:
    graph = digits_cnn()
    x = np.linspace(0, 1, 3 * 784, dtype=np.float32).reshape(3, 28, 28, 1)
    np.save(tmp_path / "my x.npy", x)
    link = ScriptedLink()
    one, text = session(link, prepare=terminal.prepare_from_model(graph))
    one.execute(f":load '{tmp_path / 'my x.npy'}' 2")
    assert link.loaded == graph.input_tensor.quantize(x[2]).tobytes()
    one.execute(f":load '{tmp_path / 'my x.npy'}' 3")
    assert "no sample 3" in text.getvalue()


class LiveLink(ScriptedLink):
    """Answers each inference with the input's first value as class 1; may be interrupted."""

    def __init__(self, interrupted_at: int = -1) -> None:
        super().__init__()
        self.interrupted_at = interrupted_at
        self.inputs: list[bytes] = []

    def exchange(self, command: str, timeout: float | None = None) -> tuple[list[str], list[Any]]:
        assert command == "infer 1 0"
        if len(self.inputs) == self.interrupted_at:
            raise KeyboardInterrupt
        self.inputs.append(self.loaded)
        return [f"m-results-[0.000,0.{self.loaded[0]:03d}]"], []


def live(tmp_path: Path, link: LiveLink, arguments: str = "") -> tuple[Session, str]:
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.int8).reshape(4, 3))
    one, text = session(
        link,
        labels=("no", "yes"),
        prepare=lambda arrays, index: ([terminal.pick(arrays["0"], index)], []),
    )
    assert one.execute(f":live {tmp_path / 'x.npy'} {arguments}")
    return one, text.getvalue()


@pytest.mark.parametrize("first", [0, 2])
def test_live_runs_every_sample(tmp_path: Path, first: int) -> None:
    link = LiveLink()
    one, text = live(tmp_path, link, str(first) if first else "")
    assert link.inputs == [bytes(range(3 * i, 3 * i + 3)) for i in range(first, 4)]
    assert one.failures == 0
    assert "sample 3" in text and "yes" in text and "0.009" in text
    assert f"{4 - first} samples from {first} on" in text


def test_live_ends_with_ctrl_c_and_gets_in_step_again(tmp_path: Path) -> None:
    link = LiveLink(interrupted_at=2)
    one, text = live(tmp_path, link)
    assert one.failures == 0 and "2 samples from 0 on" in text
    one.execute(f":load {tmp_path / 'x.npy'}")
    assert link.syncs == 1


@pytest.mark.parametrize("index", ["4", "-1", "x"])
def test_live_without_such_a_sample(tmp_path: Path, index: str) -> None:
    one, text = live(tmp_path, LiveLink(), index)
    assert one.failures == 1 and "sample" in text


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3)])
def test_load_without_a_model(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32).reshape(shape))
    link = ScriptedLink({"info": INFO})
    session(link)[0].execute(f":load {tmp_path / 'x.npy'}")
    assert link.loaded == bytes([1, 3, 5, 7, 9, 11])


@pytest.mark.parametrize(
    "array", [np.zeros((1, 3, 2), np.float32), np.zeros((2, 3), np.int64), np.float32(1)]
)
def test_load_refuses_what_does_not_fit(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "x.npy", array)
    link = ScriptedLink({"info": INFO})
    one, text = session(link)
    one.execute(f":load {tmp_path / 'x.npy'}")
    assert one.failures == 1 and link.loaded == b"" and "The array" in text.getvalue()


@pytest.mark.parametrize("line", ["", "m-info-input-[]", "m-info-input-[2x3 7fc00000 0 int8]"])
def test_a_board_that_describes_no_input(line: str) -> None:
    with pytest.raises(NanoError):
        terminal.prepare_from_board(ScriptedLink({"info": [line]}))({"0": np.zeros(6)}, 0)


def test_a_script_skips_comments_and_counts_failures() -> None:
    link = ScriptedLink({"infer 1": DeviceError("refused")})
    one, _ = session(link)
    assert terminal.replay(one, ["# hello\n", "\n", "info\n", "infer 1\n", ":quit\n", "mem"]) == 1
    assert link.sent == ["info", "infer 1"]


def test_against_a_board_on_a_real_line(tmp_path: Path) -> None:
    x = np.random.default_rng(3).integers(-128, 128, (1, 20, 10, 3)).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    with FakeBoard() as board, Device(board.port) as device:
        one, text = session(device)
        script = [f":load {tmp_path / 'x.npy'}", "infer 2 0", "layers", "mem", "info", "dump"]
        assert terminal.replay(one, script) == 0
        assert board.output == expected_output(x.tobytes())
        assert terminal.replay(one, ["nonsense"]) == 1
    answer = text.getvalue()
    assert "2 inferences in 14 us" in answer and "features.1" in answer
    assert f"{SIZE} values" in answer and "20×10×3" in answer and "Unknown command" in answer


# --- prompt ---------------------------------------------------------------------------------------


def completions(text: str) -> list[str]:
    found = terminal.BoardCompleter().get_completions(Document(text), CompleteEvent())
    return [completion.text for completion in found]


def test_commands_are_completed() -> None:
    assert completions("la") == ["layers"]
    assert completions("db ") == ["db load", "db print"]
    assert completions(":q") == [":quit"]
    assert completions("zz") == []
    assert set(completions("")) == {
        *(name for part in BOARD_COMMANDS for name in part),
        *terminal.LOCAL,
    }
    assert "train sample" in completions("train s")


def test_paths_are_completed(tmp_path: Path) -> None:
    (tmp_path / "images.npy").touch()
    (tmp_path / "images.txt").touch()
    assert completions(f":load {tmp_path}/ima") == ["ges.npy"]


def test_history_is_kept(tmp_path: Path) -> None:
    terminal.open_history(tmp_path / "new").store_string("info")
    assert list(terminal.open_history(tmp_path / "new").load_history_strings()) == ["info"]


def test_history_survives_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = terminal.open_history(tmp_path / "file" / "folder")
    assert isinstance(history, InMemoryHistory)


def test_history_survives_a_home_that_goes_away(tmp_path: Path) -> None:
    history = terminal.open_history(tmp_path / "data")
    (tmp_path / "data" / "console_history").unlink()
    (tmp_path / "data").rmdir()
    history.store_string("info")
    assert list(history.load_history_strings()) == []
