"""The serial client: frames, the splitter, and a board on a good line and on bad ones."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import serial
from fake_board import LAYERS, SIZE, FakeBoard, expected_output
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotool import boards
from nanotool.boards import BOARDS, NATIVE, STM32, Emulator
from nanotool.device import (
    Device,
    DeviceGarbled,
    DeviceLost,
    DeviceRefused,
    SerialPort,
    TensorInfo,
    frames,
    open_board,
    usb,
)
from nanotool.device.frames import Frame, Garbled, Text
from nanotool.device.line import holders
from nanotool.errors import DeviceError, MissingTool, NanoError


def image(seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(-128, 128, SIZE, np.int8).tobytes()


# --- frames ---------------------------------------------------------------------------------------

a_frame = st.builds(
    Frame,
    st.sampled_from([frames.INPUT, frames.TENSOR]),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=1, max_size=frames.MAX_DATA),
)


@given(a_frame)
def test_frame_survives_the_round_trip(frame: Frame) -> None:
    encoded = frames.encode(frame)
    assert encoded[0] == encoded[-1] == 0
    assert 0 not in encoded[1:-1]
    assert len(encoded) <= frames.MAX_ENCODED + 2
    assert frames.decode(encoded[1:-1]) == frame


@given(a_frame, st.data())
def test_a_changed_byte_is_noticed(frame: Frame, data: st.DataObject) -> None:
    encoded = bytearray(frames.encode(frame)[1:-1])
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    assert isinstance(frames.decode(bytes(encoded)), Garbled)


@given(st.binary(max_size=600))
def test_any_bytes_decode_to_a_frame_or_a_reason(raw: bytes) -> None:
    assert isinstance(frames.decode(raw), Frame | Garbled)


@pytest.mark.parametrize("size", [0, frames.MAX_DATA + 1])
def test_frame_of_a_wrong_size_is_not_made(size: int) -> None:
    with pytest.raises(ValueError, match="256"):
        frames.encode(Frame(frames.INPUT, 0, bytes(size)))


@given(st.lists(a_frame | st.text("abc-[]123", max_size=20).map(Text), max_size=8))
def test_an_answer_is_parted_into_frames_and_lines(items: list[Frame | Text]) -> None:
    stream = b"".join(
        frames.encode(item) if isinstance(item, Frame) else item.line.encode() + b"\r\n"
        for item in items
    )
    assert frames.split(stream) == items


@given(st.binary(max_size=4000))
@settings(max_examples=50)
def test_any_bytes_are_parted(raw: bytes) -> None:
    assert len(frames.split(raw)) <= 2 * len(raw) + 2


# --- a good line ----------------------------------------------------------------------------------


def test_every_question_is_answered() -> None:
    data = image()
    with FakeBoard() as board, Device(board.port) as device:
        info = device.info()
        assert (info.board, info.ops, info.hash) == ("fake", 2, "0123456789abcdef")
        assert info.input == TensorInfo((20, 10, 3), float(np.float32(1 / 255)), -128)
        assert info.input.size == info.output.size == SIZE
        assert (info.tick_source, info.tick_hz) == ("ns", 1_000_000_000)
        memory = device.mem()
        assert (memory.arena, memory.db, memory.static, memory.flash_used) == (
            *(1200, SIZE),
            *(2000, 18000),
        )
        assert device.crc().input is None
        device.load(data)
        assert device.crc().input == zlib.crc32(data)
        assert device.infer(3, 1) == 21
        assert device.output().tobytes() == expected_output(data)
        assert device.results()[0] == (device.output()[0] - 5) * 0.5
        layers = device.layers()
        assert [layer.name for layer in layers.layers] == [name for name, _ in LAYERS]
        assert layers.total == sum(layer.ticks for layer in layers.layers)
        for layer in layers.layers:
            assert zlib.crc32(device.dump(layer.index).tobytes()) == layer.crc
        assert device.run(image(1)).tobytes() == expected_output(image(1))


def test_lap_counts_across_the_wrap_of_the_clock() -> None:
    with FakeBoard() as board, Device(board.port) as device:
        board.micros = (1 << 32) - 3
        device.load(image())
        assert device.infer(2) == 14


def test_a_refusal_says_what_was_refused() -> None:
    with FakeBoard() as board, Device(board.port) as device:
        with pytest.raises(DeviceRefused, match="No input: 0 of 600 bytes loaded") as caught:
            device.infer()
        assert "`time 1 0`" in str(caught.value)
        with pytest.raises(DeviceRefused, match="Unknown command fly"):
            device.command("fly")


@pytest.mark.parametrize("text", ["", "a" * 96, "name\nname", "näme", "name%"])
def test_what_is_no_command_line_is_not_sent(text: str) -> None:
    with FakeBoard() as board, Device(board.port) as device:
        with pytest.raises(DeviceError, match="no command line"):
            device.command(text)
        assert device.command("name") == ["m-name-dut-[nano]"]


def test_an_input_of_the_wrong_size_is_refused() -> None:
    with FakeBoard() as board, Device(board.port) as device:
        with pytest.raises(DeviceError, match="m-load-done"):
            device.load(image()[:-1])
        with pytest.raises(DeviceError, match="Frame past the end"):
            device.load(image() + b"x")
        with pytest.raises(DeviceError, match="no input"):
            device.load(b"")


@pytest.mark.parametrize("toggles", [False, True])
@pytest.mark.parametrize("begun", [b"", b"inf", b"\0", b"\0\5ab", b"\0\0"])
def test_sync_from_any_state_the_line_was_left_in(begun: bytes, toggles: bool) -> None:
    with FakeBoard(toggles=toggles) as board:
        for byte in begun:
            board._byte(byte)
        with Device(board.port) as device:
            assert device.command("name") == ["m-name-dut-[nano]"]


def test_sync_waits_for_a_board_that_is_starting() -> None:
    with FakeBoard(deaf=20) as board, Device(board.port) as device:
        assert device.info().board == "fake"


# --- bad lines ------------------------------------------------------------------------------------


def spoil_nth(n: int, spoil: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Spoil the n-th piece that passes, counted from 0."""
    count = iter(range(1 << 30))
    return lambda data: spoil(data) if next(count) == n else data


def flip_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def drop_middle(data: bytes) -> bytes:
    return data[: len(data) // 2] + data[len(data) // 2 + 1 :]


def drop_last(data: bytes) -> bytes:
    return data[:-1]


@pytest.mark.parametrize("spoil", [flip_middle, drop_middle, drop_last])
@pytest.mark.parametrize("piece", [2, 3, 4])
def test_frames_spoiled_on_the_way_to_the_board_are_sent_again(
    spoil: Callable[[bytes], bytes], piece: int
) -> None:
    data = image()
    with (
        FakeBoard(to_board=spoil_nth(piece, spoil)) as board,
        Device(board.port, timeout=0.5) as device,
    ):
        device.load(data)
        assert bytes(board.input) == data


@pytest.mark.parametrize("spoil", [flip_middle, drop_middle, drop_last])
@pytest.mark.parametrize("piece", range(5))
def test_answers_spoiled_on_the_way_to_the_host_are_asked_for_again(
    spoil: Callable[[bytes], bytes], piece: int
) -> None:
    data = image()
    with FakeBoard() as board, Device(board.port, timeout=0.5) as device:
        device.load(data)
        device.infer()
        board.to_host = spoil_nth(piece, spoil)
        assert device.output().tobytes() == expected_output(data)


def test_a_line_that_loses_a_byte_in_a_thousand_still_delivers() -> None:
    chance = random.Random(1)

    def lossy(raw: bytes) -> bytes:
        return bytes(byte for byte in raw if chance.random() > 0.0005)

    with (
        FakeBoard(to_board=lossy, to_host=lossy) as board,
        Device(board.port, timeout=0.5) as device,
    ):
        for seed in range(5):
            device.load(image(seed))
            device.infer()
            assert device.output().tobytes() == expected_output(image(seed))


def test_what_never_comes_whole_is_an_error() -> None:
    def corrupt(raw: bytes) -> bytes:
        return flip_middle(raw) if raw.startswith(b"\0") else raw

    with FakeBoard() as board, Device(board.port, timeout=0.5) as device:
        device.load(image())
        device.infer()
        board.to_host = corrupt
        with pytest.raises(DeviceGarbled, match="damaged"):
            device.output()


def test_silence_is_an_error_that_says_what_was_expected() -> None:
    with FakeBoard(to_host=lambda _: b"") as board:
        began = time.monotonic()
        with pytest.raises(DeviceGarbled, match=r"expected `m-ready-.*heard nothing"):
            Device(board.port, sync_timeout=0.6)
        assert time.monotonic() - began < 3


def test_noise_is_an_error() -> None:
    chance = random.Random(2)
    with (
        FakeBoard(to_host=lambda raw: chance.randbytes(4 * len(raw))) as board,
        pytest.raises(DeviceGarbled, match="No board answers"),
    ):
        Device(board.port, sync_timeout=0.6)


def test_an_answer_without_end_is_cut_off() -> None:
    with FakeBoard() as board, Device(board.port, timeout=0.3) as device:
        board.to_host = lambda raw: raw.replace(b"m-ready", b"m-never")
        with pytest.raises(DeviceGarbled, match=r"`info`.*m-never"):
            device.info()


@pytest.mark.parametrize(
    ("true", "false"),
    [
        (b"-[20x10x3 ", b"-[99999x99999x99999 "),
        (b"3b808081", b"7fc00000"),  # NaN
        (b"3b808081", b"bb808081"),  # negative
        (b" -128 int8]", b" -129 int8]"),
        (b" -128 int8]", b" 128 int8]"),
        (b" -128 int8]", b" -128 uint8]"),
        (b" -128 int8]", b" -128 int16]"),
        (b"m-info-db-[int8 600]", b"m-info-db-[int8 599]"),
        (b"m-info-db-[int8 600]", b"m-info-db-[float32 600]"),
        (b"m-info-ops-[2]", b"m-info-ops-[-2]"),
        (b"m-info-abi-[1]", b"m-info-abi-[4294967296]"),
        (b"0123456789abcdef", b"0123456789abcde"),
        (b"m-info-frame-[256]\r\n", b""),
    ],
)
def test_impossible_numbers_are_not_believed(true: bytes, false: bytes) -> None:
    with FakeBoard() as board, Device(board.port, timeout=0.5) as device:
        board.to_host = lambda raw: raw.replace(true, false)
        with pytest.raises(DeviceGarbled):
            device.info()


def test_layers_that_are_not_all_there_are_not_believed() -> None:
    with FakeBoard() as board, Device(board.port, timeout=0.5) as device:
        device.load(image())
        board.to_host = lambda raw: raw.replace(b"m-layer-[0 ", b"m-layer-[1 ")
        with pytest.raises(DeviceGarbled, match="layers"):
            device.layers()


def test_a_port_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="Cannot open /dev/nothing"):
        Device("/dev/nothing")


def test_a_port_is_opened_for_one_program(tmp_path: Path) -> None:
    """... and who holds it is named, in this process and in another one."""
    with FakeBoard() as board:
        with Device(board.port), pytest.raises(DeviceError, match=r"in use by this program itself"):
            Device(board.port)
        script = (
            "import serial, sys, time\n"
            "port = serial.Serial(sys.argv[1], exclusive=True)\n"
            "print('open', flush=True)\n"
            "time.sleep(60)\n"
        )
        command = [sys.executable, "-c", script, board.port, "a-stranger"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert other.pid in [holder.pid for holder in holders(board.port)]
            with pytest.raises(DeviceError, match="in use by"):
                Device(board.port)
            other.kill()
        with Device(board.port) as device:
            assert device.command("name") == ["m-name-dut-[nano]"]


def test_control_lines_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """... unless they are asked for."""
    done: list[str] = []
    for name in ("dtr", "rts"):
        monkeypatch.setattr(
            serial.Serial, f"_update_{name}_state", lambda port, name=name: done.append(name)
        )
    with FakeBoard() as board:
        Device(board.port).close()
        assert done == []
        Device(SerialPort(board.port, rts=False)).close()
        assert set(done) == {"rts"}


@pytest.mark.parametrize(
    ("board", "ids", "found"),
    [
        ("stm32", ["0483:374b"], 0),
        ("stm32", ["1a86:7523", "0483:374B"], 1),  # its own programmer before a bridge
        ("stm32", ["303a:1001", "10c4:ea60"], 1),  # never another maker's
        ("esp32s3", ["0483:374b", "303a:1001"], 1),
        ("esp32", ["", "0403:6001", "1234:5678"], 1),
    ],
)
def test_a_board_is_found_by_its_usb_id(board: str, ids: list[str], found: int) -> None:
    ports = [boards.Port(f"/dev/tty{index}", "", usb) for index, usb in enumerate(ids)]
    assert usb.board_port(BOARDS[board], ports) == f"/dev/tty{found}"


def test_a_board_that_could_be_at_several_ports_is_not_guessed() -> None:
    ports = [boards.Port(f"/dev/tty{index}", "", "10c4:ea60") for index in range(2)]
    with pytest.raises(DeviceError, match=r"2 ports: /dev/tty0 \(CP210x\), /dev/tty1.*--port"):
        usb.board_port(BOARDS["esp32"], ports)
    with pytest.raises(DeviceError, match=r"No port has.*/dev/tty9 \(1234:5678\)"):
        usb.board_port(BOARDS["stm32"], [boards.Port("/dev/tty9", "", "1234:5678")])


# --- what is bound ------------------------------------------------------------------------------


def test_a_repeated_command_is_done_once() -> None:
    with FakeBoard() as board, Device(board.port, timeout=0.5) as device:
        board.to_host = spoil_nth(0, flip_middle)
        assert device.command("timestamp") == ["m-lap-us-0"]
        assert board.done.count(b"timestamp") == 1


def test_a_board_that_starts_over_is_told() -> None:
    with FakeBoard() as board, Device(board.port, timeout=0.5) as device:
        board._turn = None
        with pytest.raises(DeviceLost, match="started over"):
            device.info()
        assert device.info().board == "fake"


# --- boards and emulators -------------------------------------------------------------------------


def test_boards_are_found_by_name() -> None:
    assert boards.find_board("stm32") is STM32
    with pytest.raises(NanoError, match="native, riscv_virt, stm32"):
        boards.find_board("stm33")


def test_instructions_are_never_called_cycles() -> None:
    assert STM32.tick_unit("tim2", emulated=True) == "instructions"
    assert STM32.tick_unit("dwt", emulated=False) == "cycles"
    assert STM32.tick_unit("tim2", emulated=False) == "ticks"
    assert NATIVE.tick_unit("ns", emulated=True) == "nanoseconds"
    for board in BOARDS.values():
        assert "cycles" not in board.emulator.tick_units.values()


def test_a_board_without_an_emulator_says_so(tmp_path: Path) -> None:
    elf = tmp_path / "firmware.elf"
    elf.touch()
    with (
        pytest.raises(MissingTool, match=r"Nothing emulates esp32c3\..*--port"),
        open_board(BOARDS["esp32c3"], elf),
    ):
        pass


def script(folder: Path, text: str) -> Path:
    path = folder / "firmware"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_emulated_board_is_ended_with_its_block(tmp_path: Path) -> None:
    elf = script(tmp_path, f"echo $$ > {tmp_path}/pid; echo 'serial: /dev/pts/99'; exec sleep 60")
    with open_board(NATIVE, elf) as port:
        assert port == "/dev/pts/99"
        pid = int((tmp_path / "pid").read_text())
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_program_that_ends_at_once_says_why(tmp_path: Path) -> None:
    elf = script(tmp_path, "echo out of ptys >&2; exit 3")
    with pytest.raises(DeviceError, match=r"ended with 3.*out of ptys"), open_board(NATIVE, elf):
        pass


def test_a_program_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    elf = script(tmp_path, "echo starting; exec sleep 60")
    with (
        pytest.raises(DeviceError, match=r"within 0.3 s: starting"),
        open_board(NATIVE, elf, timeout=0.3),
    ):
        pass


def test_a_missing_emulator_names_its_package(tmp_path: Path) -> None:
    emulator = Emulator(("qemu-of-nowhere", "{elf}"), "(x)", {}, package="qemu-system-arm")
    board = replace(STM32, emulator=emulator)
    with (
        pytest.raises(MissingTool, match="apt install qemu-system-arm"),
        open_board(board, script(tmp_path, "")),
    ):
        pass


def test_a_missing_firmware_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no firmware"), open_board(NATIVE, tmp_path / "none"):
        pass


def test_what_the_emulator_complains_about_is_shown(tmp_path: Path) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    command = tuple(part.replace("netduinoplus2", "nomachine") for part in STM32.emulator.command)
    board = replace(STM32, emulator=replace(STM32.emulator, command=command))
    with (
        pytest.raises(DeviceError, match="unsupported machine type"),
        open_board(board, script(tmp_path, "")),
    ):
        pass


def test_boards_cannot_be_changed() -> None:
    assert isinstance(BOARDS, MappingProxyType)
