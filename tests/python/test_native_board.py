"""The native board as a process: its line, its end, its reset (firmware/boards/native)."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from exported import COMPILE
from objects import build_program, library_objects

ROOT = Path(__file__).resolve().parents[2]
NAME = b"m-name-dut-[nano]\r\nm-ready\r\n"
BANNER = b"m-init-done\r\nm-ready\r\n"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware for this computer, with the C tests' small model."""
    firmware, library = ROOT / "firmware", ROOT / "lib" / "nano"
    fake = ROOT / "tests" / "c" / "fake"
    sources = [*(firmware / "app").glob("*.c"), *(firmware / "boards" / "native").glob("*.c")]
    sources.append(fake / "small.c")
    folders = [firmware, library / "include", fake]
    target = tmp_path_factory.mktemp("native") / "program"
    flags = ["-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["gcc", *flags, *(f"-I{f}" for f in folders), *map(str, sources)]
    build_program(command, target, library_objects(COMPILE, tmp_path_factory))
    return target


class Board:
    """A running program and the path of its line."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [str(program)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        match = re.fullmatch(r"serial: (/dev/\S+)\n", self.process.stdout.readline())
        assert match is not None
        self.path = match[1]

    def open(self) -> serial.Serial:
        """The line, in step. (Opening it throws away what nobody has read, as the banner.)"""
        line = serial.Serial(self.path, 115200, timeout=5)
        line.write(b"name%")
        assert line.read_until(NAME).endswith(NAME)
        return line

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def board(program: Path) -> Iterator[Board]:
    running = Board(program)
    yield running
    running.end()


def heard(line: serial.Serial, answers: int = 1) -> bytes:
    """What comes until so many m-ready have been heard."""
    return b"".join(line.read_until(b"m-ready\r\n") for _ in range(answers))


def test_answers(board: Board) -> None:
    with board.open() as line:
        line.write(b"results%")
        assert heard(line) == b"e-[No results yet]\r\nm-ready\r\n"


def test_outlives_its_clients(board: Board) -> None:
    with board.open() as line:
        line.write(b"db load 300%db 0102%")
        heard(line, 2)
    with board.open() as line:
        line.write(b"db print%")
        assert heard(line) == b"m-buffer-01-02\r\nm-ready\r\n"


def test_line_is_raw(board: Board) -> None:
    with board.open() as line:
        line.write(b"\x03\x04\x1a\x7f\x11\x13%")
        assert heard(line) == b"e-[Line holds an unprintable byte]\r\nm-ready\r\n"


def test_reset_starts_over_on_the_same_line(board: Board) -> None:
    with board.open() as line:
        for _ in range(2):
            line.write(b"db load 300%db 0102%")
            heard(line, 2)
            line.write(b"reset%")
            assert heard(line) == BANNER
            line.write(b"db print%")
            assert heard(line) == b"m-ready\r\n"
    assert board.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_ends_cleanly(board: Board, number: signal.Signals) -> None:
    board.open().close()
    board.process.send_signal(number)
    assert board.process.wait(5) == 0


def test_waits_without_using_the_processor(board: Board) -> None:
    board.open().close()
    fields = Path(f"/proc/{board.process.pid}/stat")
    if not fields.exists():
        pytest.skip("this system has no /proc")

    def used() -> int:
        return sum(map(int, fields.read_text().rsplit(")", 1)[1].split()[11:13]))

    before = used()
    time.sleep(0.5)
    assert (used() - before) / os.sysconf("SC_CLK_TCK") < 0.1


def test_standard_streams(program: Path) -> None:
    done = subprocess.run(
        [str(program), "--stdio"], input=b"name\nbogus\n", capture_output=True, check=True
    )
    assert done.stdout == BANNER + NAME + b"e-[Unknown command: bogus]\r\nm-ready\r\n"
    assert done.stderr == b""


def test_refuses_unknown_options(program: Path) -> None:
    done = subprocess.run([str(program), "--pty"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"usage" in done.stderr


def test_survives_anything(program: Path) -> None:
    """A megabyte of each kind of noise, under the sanitizers; then it still answers."""
    generator = random.Random(2026)
    noise = [generator.randbytes(1 << 18), b"\0\2" * (1 << 17), b"x" * (1 << 18), bytes(1 << 18)]
    done = subprocess.run(
        [str(program), "--stdio"],
        input=b"".join([*noise, b"\0name\n"]),
        capture_output=True,
        check=True,
    )
    assert done.stdout.endswith(NAME)
    assert done.stderr == b""
