"""The console against garbage: always a bounded answer, never a changed state."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from nanotool.build import BuildResult
from nanotool.device import Crcs, Device, DeviceRefused, Info, Memory, frames
from nanotool.device.frames import Frame, encode

READY = b"m-ready\r\n"
MAX_ANSWER = 64 * 1024  # bytes that any piece of garbage below may be answered with


def state(device: Device) -> tuple[Crcs, Info, Memory]:
    """All that a refused command must leave alone. The stack's high-water mark may rise."""
    return device.crc(), device.info(), replace(device.mem(), stack_peak=0)


@pytest.fixture
def loaded(device: Device, firmware: BuildResult) -> bytes:
    """The input buffer holds these bytes, and there is an output."""
    rng = np.random.default_rng(7)
    raw = rng.integers(-128, 128, firmware.graph.input_tensor.size, np.int8).tobytes()
    device.run(raw)
    return raw


@contextmanager
def unchanged(device: Device) -> Iterator[None]:
    before = state(device)
    output = device.output().tobytes()
    yield
    device.sync()
    assert state(device) == before
    assert device.output().tobytes() == output


def throw(device: Device, garbage: bytes) -> bytes:
    """Send `garbage`, get in step again, and what was heard meanwhile, which must be bounded."""
    heard = bytearray()
    read = device.line.read

    def listen() -> bytes:
        heard.extend(piece := read())
        assert len(heard) < MAX_ANSWER
        return piece

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device.line, "read", listen)
        for offset in range(0, len(garbage), 64):
            device.line.write(garbage[offset : offset + 64])
            listen()
        device.sync(30)
    return bytes(heard)


def ask(device: Device, message: bytes) -> bytes:
    """Send one line or frame, and its answer: what comes up to the first `m-ready`."""
    answer = bytearray()
    device.line.write(message)
    end = time.monotonic() + 30
    while not answer.endswith(READY):
        answer += device.line.read()
        assert len(answer) < MAX_ANSWER
        assert time.monotonic() < end, f"no end of the answer: {bytes(answer)!r}"
    return bytes(answer)


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(device: Device, loaded: bytes, seed: int) -> None:
    chance = random.Random(seed)
    with unchanged(device):
        for _ in range(8):
            throw(device, chance.randbytes(chance.randrange(1, 600)))


@pytest.mark.parametrize("seed", range(2))
def test_random_words(device: Device, loaded: bytes, seed: int) -> None:
    """Printable nonsense, made of pieces of real commands; none of them is a whole one."""
    chance = random.Random(seed)
    words = ["inferr", "db load", "dump -1", "99999999999999", "-", "name x y z", "info[", "]", ","]
    with unchanged(device):
        for _ in range(30):
            line = " ".join(chance.choices(words, k=chance.randrange(1, 6)))
            if line.split()[0] in ("name", "db"):
                line = "x" + line
            assert ask(device, line.encode() + b"\r").startswith(b"e-["), line


@pytest.mark.parametrize("length", [96, 97, 255, 256, 300, 5000])
def test_over_long_lines(device: Device, loaded: bytes, length: int) -> None:
    with unchanged(device):
        answer = ask(device, b"infer " + b"1" * (length - 6) + b"%")
        assert answer == b"e-[Line longer than 95 bytes]\r\nm-ready\r\n"


def test_the_longest_line_is_understood(device: Device) -> None:
    assert ask(device, b"name".ljust(95) + b"%") == b"m-name-dut-[nano]\r\nm-ready\r\n"


@pytest.mark.parametrize("byte", [0x01, 0x07, 0x1B, 0x7F, 0x80, 0xFF])
def test_unprintable_bytes_spoil_their_line(device: Device, loaded: bytes, byte: int) -> None:
    with unchanged(device):
        ask(device, b"name%")  # behind a delimiter the byte would be a damaged frame's
        answer = ask(device, b"na" + bytes([byte]) + b"me%")
        assert answer == b"e-[Line holds an unprintable byte]\r\nm-ready\r\n"


def test_empty_lines_get_no_answer(device: Device) -> None:
    for nothing in (b"\r\n%\n\r%%\r\n", b"  \t %", b"\0\0\0\0\r"):
        assert ask(device, nothing + b"name%") == b"m-name-dut-[nano]\r\n" + READY


def first_frame(raw: bytes) -> bytes:
    """A frame that would begin a new load, were it whole: it shows that nothing is let through."""
    return encode(Frame(frames.INPUT, 0, bytes(byte ^ 0xFF for byte in raw[: frames.MAX_DATA])))


def test_truncated_frames(device: Device, loaded: bytes) -> None:
    frame = first_frame(loaded)
    with unchanged(device):
        for keep in (2, 3, 6, 10, len(frame) // 2, len(frame) - 2):
            assert ask(device, frame[:keep] + b"\0").startswith(b"e-[Frame"), keep


def test_corrupted_frames(device: Device, loaded: bytes) -> None:
    frame = first_frame(loaded)
    chance = random.Random(3)
    with unchanged(device):
        for _ in range(20):
            place = chance.randrange(1, len(frame) - 1)
            spoiled = frame[place] ^ chance.randrange(1, 256) or 0x55
            if spoiled != frame[place]:
                answer = throw(device, frame[:place] + bytes([spoiled]) + frame[place + 1 :])
                assert b"e-[" in answer


def test_a_frame_that_never_ends(device: Device, loaded: bytes) -> None:
    with unchanged(device):
        assert ask(device, b"\0" + b"\x11" * 5000 + b"\0").startswith(b"e-[Frame")


@pytest.mark.parametrize(
    ("kind", "offset", "size"),
    [
        (frames.TENSOR, 0, 16),  # of another type
        (frames.INPUT, 16, 16),  # no load under way: it must begin at 0
        (frames.INPUT, 2**32 - 1, 16),
        (frames.INPUT, 2**31, 256),
    ],
)
def test_frames_out_of_place(
    device: Device, loaded: bytes, kind: int, offset: int, size: int
) -> None:
    with unchanged(device):
        answer = ask(device, encode(Frame(kind, offset, bytes(size))))
        assert answer.startswith(b"e-[Frame"), answer


def test_a_load_goes_on_after_a_bad_frame(device: Device, loaded: bytes) -> None:
    """In the middle of a load a frame out of place is refused, and the right one then taken."""
    step = max(1, min(frames.MAX_DATA, len(loaded) // 3))
    pieces = [Frame(frames.INPUT, o, loaded[o : o + step]) for o in range(0, len(loaded), step)]
    assert ask(device, encode(pieces[0])).startswith(b"m-frame-[0 ")
    assert ask(device, encode(pieces[-1])).startswith(b"e-[Frame")
    device.sync()  # plain frames have ended the conversation
    assert device.crc().input is None
    with pytest.raises(DeviceRefused, match=f"No input: {step} of {len(loaded)} bytes loaded"):
        device.infer()
    for piece in pieces[1:]:
        assert ask(device, encode(piece)).startswith(b"m-frame-[")
    too_far = Frame(frames.INPUT, len(loaded), b"x")
    assert ask(device, encode(too_far)).startswith(b"e-[Frame")
    device.sync()
    device.infer()
    assert device.crc().output is not None


@pytest.mark.parametrize(
    "command",
    [
        *("infer 0", "infer -1", "infer 100001", "infer 1 100001", "infer x", "infer 1 x"),
        *("infer 4294967297", "infer 1 2 3", "infer 0x1"),
        *("dump x", "dump -1", "dump 65535", "dump 4294967296", "dump 0 0"),
        *("db", "db load", "db load x", "db load 0", "db load 4294967297", "db xyz", "db 123"),
        *("NAME", "names", "nam", "?", "m-ready", "e-[x]"),
    ],
)
def test_wrong_commands_are_refused(device: Device, loaded: bytes, command: str) -> None:
    with unchanged(device):
        answer = ask(device, command.encode() + b"%")
        assert answer.startswith(b"e-["), answer
        assert answer.endswith(b"]\r\n" + READY)


def test_commands_in_the_wrong_order(device: Device, firmware: BuildResult) -> None:
    """From power-on: nothing is loaded, nothing has run."""
    size = firmware.graph.input_tensor.size
    device.reset()
    for command in ("infer 1 0", "layers", "dump 0", "infer 100000 100000"):
        with pytest.raises(DeviceRefused, match=f"No input: 0 of {size} bytes loaded"):
            device.command(command)
    for command in ("results", "dump"):
        with pytest.raises(DeviceRefused, match="No results yet"):
            device.command(command)
    assert ask(device, b"db 00%").startswith(b"e-[")
    device.sync()
    crcs = device.crc()
    assert crcs.input is None
    assert crcs.output is None
