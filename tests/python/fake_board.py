"""A board made of Python: speaks docs/console.md over a pseudo-terminal, on a line as bad as asked.

It computes two element-wise layers, so that a test knows each answer without a model. Written
from the page, not from the firmware, it also shows that the page suffices.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import tty
import zlib
from collections.abc import Callable

import numpy as np
from cobs import cobs

from nanotool.device.frames import DELIMITER, MAX_DATA
from nanotool.ir import Int8Array

SIZE = 600
LAYERS: tuple[tuple[str, Callable[[Int8Array], Int8Array]], ...] = (
    ("features.0", lambda x: (-1 - x).astype(np.int8)),  # bitwise not: stays in int8
    ("features.1", lambda x: (x ^ 0x55).astype(np.int8)),
)
Filter = Callable[[bytes], bytes]


def expected_output(data: bytes) -> bytes:
    x: Int8Array = np.frombuffer(data, np.int8)
    for _, layer in LAYERS:
        x = layer(x)
    return x.tobytes()


class FakeBoard:
    """Runs in a thread from `with` on; `port` is its pseudo-terminal."""

    def __init__(
        self,
        to_board: Filter = bytes,
        to_host: Filter = bytes,
        deaf: int = 0,
        toggles: bool = False,
    ) -> None:
        self.to_board, self.to_host = to_board, to_host
        self.toggles = toggles  # whatever stands behind a delimiter is a frame
        self.deaf = deaf  # bytes lost before the board listens, as while it starts up
        self.input = bytearray()
        self.loaded = False
        self.output: bytes | None = None
        self.micros = 0
        self.done: list[bytes] = []  # commands that were carried out
        self._turn: tuple[int, int] | None = None  # number and CRC of the newest command
        self._told = b""  # its answer
        self._buffer = bytearray()
        self._in_frame = False
        self._stop = threading.Event()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> FakeBoard:
        self._send("m-init-done\r\nm-ready\r\n")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _loop(self) -> None:
        while not self._stop.is_set():
            if select.select([self._master], [], [], 0.02)[0]:
                data = os.read(self._master, 4096)
                lost, self.deaf = min(self.deaf, len(data)), max(0, self.deaf - len(data))
                for byte in self.to_board(data[lost:]):
                    self._byte(byte)

    def _send(self, data: str | bytes) -> None:
        raw = data.encode("ascii") if isinstance(data, str) else data
        raw = self.to_host(raw)
        while raw:
            raw = raw[os.write(self._master, raw) :]

    def _byte(self, byte: int) -> None:
        if byte == DELIMITER:
            frame, was_frame = bytes(self._buffer), self._in_frame and bool(self._buffer)
            self._buffer.clear()
            self._in_frame = not was_frame
            if was_frame:
                self._take_frame(frame)
        elif self._in_frame and not self._buffer and byte in b"%\r\n" and not self.toggles:
            self._in_frame = False  # no frame begins like this
        elif self._in_frame or byte not in b"%\r\n":
            if len(self._buffer) < 600:
                self._buffer.append(byte)
        elif self._buffer:
            line = bytes(self._buffer)
            self._buffer.clear()
            answer = self._text(self._line(line))
            self._turn = None
            self._send(answer + b"m-ready\r\n")

    @staticmethod
    def _text(lines: list[str | bytes]) -> bytes:
        """Lines, and frames as they go over the line."""
        return b"".join(p if isinstance(p, bytes) else f"{p}\r\n".encode() for p in lines)

    def _take_frame(self, encoded: bytes) -> None:
        refused, body = "", b""
        try:
            body = cobs.decode(encoded)
        except cobs.DecodeError:
            refused = "e-[Frame is not COBS]"
        if not refused and not 10 <= len(body) <= 9 + MAX_DATA + 32:
            refused = "e-[Frame has a wrong length]"
        if not refused and zlib.crc32(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
            refused = "e-[Frame CRC]"
        if refused:
            self._send(refused + "\r\nm-ready\r\n")
            return
        (offset,), data = struct.unpack("<I", body[1:5]), body[5:-4]
        if body[0] == ord("C"):
            self._bound(offset, zlib.crc32(body[:-4]), data)
            return
        self._turn = None
        self._send(self._text(self._piece(body[0], offset, data)) + b"m-ready\r\n")

    def _bound(self, number: int, crc: int, data: bytes) -> None:
        told = self._told
        if data == b"bind" or (self._turn and number == (self._turn[0] + 1) % (1 << 24)):
            told = self._obey(data)
            self._turn, self._told = (number, crc), told
        elif self._turn != (number, crc):
            told = b"e-[Out of turn]\r\n"
        elif len(told) > 112:
            told = self._told = self._obey(data)
        self._send(told + f"m-ready-[{number} {zlib.crc32(told, crc):08x}]\r\n".encode())

    def _obey(self, data: bytes) -> bytes:
        if data == b"bind":
            return b"m-bind-[1]\r\n"
        self.done.append(data)
        line, zero, piece = data.partition(b"\0")
        if not zero:
            return self._text(self._line(line))
        kind, offset = line.decode().split()
        return self._text(self._piece(ord(kind), int(offset), piece))

    def _piece(self, kind: int, offset: int, data: bytes) -> list[str | bytes]:
        if kind != ord("I") or (offset and offset != len(self.input)):
            return ["e-[Frame out of place]"]
        if offset + len(data) > SIZE:
            return ["e-[Frame past the end]"]
        self.input = self.input[:offset] + data
        self.loaded = len(self.input) == SIZE
        answer: list[str | bytes] = [f"m-frame-[{offset} {len(data)}]"]
        return answer + ["m-load-done"] * self.loaded

    def _line(self, raw: bytes) -> list[str | bytes]:
        if any(not 0x20 <= byte < 0x7F for byte in raw):
            return ["e-[Line holds an unprintable byte]"]
        if len(raw) > 95:
            return ["e-[Line longer than 95 bytes]"]
        name, *arguments = raw.decode().split() or [""]
        command = getattr(self, f"_do_{name}", None)
        if command is None:
            return [f"e-[Unknown command {name}]"]
        runs = name in ("infer", "time", "layers") or (name == "dump" and arguments)
        if runs and not self.loaded:
            return [f"e-[No input: {len(self.input)} of {SIZE} bytes loaded]"]
        answer: list[str | bytes] = command(*arguments)
        return answer

    def _do_name(self) -> list[str]:
        return ["m-name-dut-[nano]"]

    def _do_profile(self) -> list[str]:
        return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[twice]"]

    def _do_timestamp(self) -> list[str]:
        return [f"m-lap-us-{self.micros % (1 << 32)}"]

    def _do_info(self) -> list[str]:
        return [
            "m-info-version-[0.1.0]",
            "m-info-abi-[1]",
            "m-info-board-[fake]",
            "m-info-clock-[0]",
            "m-info-ticks-[ns 1000000000]",
            "m-info-model-[twice]",
            "m-info-hash-[0123456789abcdef]",
            f"m-info-ops-[{len(LAYERS)}]",
            f"m-info-input-[20x10x{SIZE // 200} 3b808081 -128 int8]",
            f"m-info-output-[{SIZE} 3f000000 5 int8]",
            f"m-info-db-[int8 {SIZE}]",
            f"m-info-frame-[{MAX_DATA}]",
        ]

    def _do_mem(self) -> list[str]:
        return [
            "m-mem-arena-[1200]",
            f"m-mem-db-[{SIZE}]",
            "m-mem-static-[2000 131072]",
            "m-mem-stack-[0 0]",
            "m-mem-flash-[18000 1048576]",
        ]

    def _do_infer(self, n: str, warmup: str = "10") -> list[str]:
        self.output = expected_output(bytes(self.input))
        begin = self.micros % (1 << 32)
        self.micros += 7 * int(n)
        return [
            f"m-warmup-start-{warmup}",
            "m-warmup-done",
            f"m-infer-start-{n}",
            f"m-lap-us-{begin}",
            f"m-lap-us-{self.micros % (1 << 32)}",
            "m-infer-done",
            *self._do_results(),
        ]

    def _do_time(self, n: str, warmup: str = "10") -> list[str]:
        return self._do_infer(n, warmup)[:-1]

    def _do_results(self) -> list[str]:
        if self.output is None:
            return ["e-[No results yet]"]
        real = (np.frombuffer(self.output, np.int8).astype(float) - 5) * 0.5
        return [f"m-results-[{','.join(f'{value:.3f}' for value in real)}]"]

    def _do_layers(self) -> list[str]:
        lines = []
        x: Int8Array = np.frombuffer(bytes(self.input), np.int8)
        for index, (name, layer) in enumerate(LAYERS):
            x = layer(x)
            lines.append(f"m-layer-[{index} {100 + index} {zlib.crc32(x.tobytes()):08x} {name}]")
        return [*lines, f"m-layers-[{len(LAYERS)} 201]"]

    def _do_dump(self, index: str = "-") -> list[str | bytes]:
        if index == "-":
            if self.output is None:
                return ["e-[No results yet]"]
            data = self.output
        else:
            x: Int8Array = np.frombuffer(bytes(self.input), np.int8)
            for _, layer in LAYERS[: int(index) + 1]:
                x = layer(x)
            data = x.tobytes()
        pieces: list[str | bytes] = []
        for offset in range(0, len(data), MAX_DATA):
            body = b"T" + struct.pack("<I", offset) + data[offset : offset + MAX_DATA]
            body += struct.pack("<I", zlib.crc32(body))
            pieces.append(b"\0" + cobs.encode(body) + b"\0")
        return [*pieces, f"m-dump-[{index} {len(data)} {zlib.crc32(data):08x}]"]

    def _do_crc(self) -> list[str]:
        loaded = f"{zlib.crc32(self.input):08x}" if self.loaded else "-"
        output = "-" if self.output is None else f"{zlib.crc32(self.output):08x}"
        return ["m-crc-image-[-]", f"m-crc-input-[{loaded}]", f"m-crc-output-[{output}]"]
