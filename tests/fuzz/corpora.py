"""Make the small corpora in corpus/ from what the tests have: python -m tests.fuzz.corpora.

console: what the unit tests say to the app, command by command, and frames; tflite, nano, arrays:
one small file a kind; the others' harnesses read numbers, and begin with a few of them.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "python"), str(ROOT / "tests")]

from random_graphs import ALL, random_graph  # noqa: E402
from tflite_operators import CASES, drawn  # noqa: E402

from nanotool.qfile import PREFIX, to_bytes  # noqa: E402

MOST = 3000  # bytes of a file


def console() -> Iterator[bytes]:
    """Runs of 8 commands that the unit tests send, and a whole course of training."""
    suites = [(ROOT / "tests/c" / name).glob("test_*.c") for name in SUITES]
    text = "".join(path.read_text() for suite in suites for path in suite)
    said = re.findall(r'(?:say|answers|begins)\("((?:[^"\\]|\\.)*)"', text)
    lines = list(dict.fromkeys(line.encode().decode("unicode_escape") for line in said))
    for i in range(0, len(lines), 8):
        yield b"\0\0" + "".join(lines[i : i + 8]).encode("latin-1")
    whole = frame("I", 0, bytes(range(256))) + frame("I", 256, bytes(44))
    yield b"\0\0" + whole + b"infer 2 1%results%layers%dump 0%db print%crc%mem%info%name%"
    samples = b"".join(
        frame("I", 0, bytes([label * 40] * 256))
        + frame("I", 256, bytes(44))
        + b"train %d%%" % label
        for label in (0, 1, 2, 0, 1)
    )
    yield b"\0\0" + samples + b"train flush%train save%train info%train reset%train load%infer 1%"

    heard = frame("P", 0, bytes(range(256))) + frame("P", 256, b"\x70\x11" * 128)
    yield (
        b"\0\0stream begin%"
        + heard * 2
        + b"stream feed 0102ff7f%stream step%stream%infer 1%"
        + heard
    )


SUITES = ("test_console", "test_train_console")


def frame(kind: str, offset: int, data: bytes) -> bytes:
    """A frame, as the harness takes one."""
    return b"\x01" + kind.encode() + offset.to_bytes(2, "little") + bytes([len(data) - 1]) + data


def store() -> Iterator[bytes]:
    """Saves and loads; with a flipped bit, a cut, a read that breaks off."""
    for geometry in (bytes([8, 2, 3, 0xFF]), bytes([4, 5, 3, 0x5A]), bytes([2, 0, 3, 0])):
        saves = b"".join(bytes([0, key, number, 0, 2, key, 0, 0]) for key, number in KEYED)
        for trouble in (b"", bytes([3, 1, 70, 0]), bytes([4, 9, 3, 1]), bytes([5, 1, 40, 0])):
            yield geometry + saves + trouble + saves


KEYED = ((0, 5), (0, 6), (1, 7), (0, 30))


def numbers(seed: int) -> Iterator[bytes]:
    """For the harnesses that read numbers: small ones, and any."""
    rng = np.random.default_rng(seed)
    for i in range(12):
        small = rng.integers(0, 8, 160).astype(np.uint8)
        small[rng.random(160) < 0.2] = rng.integers(0, 256)
        yield bytes(rng.integers(0, 256, 4).astype(np.uint8)) + small.tobytes() + bytes([i])


def train_restore() -> Iterator[bytes]:
    """Every kind of head, with more or less of the record set right."""
    for config in range(0, 128, 7):
        yield bytes([config, config // 7 % 12, 1]) + bytes(40)


def tflite() -> Iterator[bytes]:
    """One file an operator."""
    for case in CASES.values():
        files = (drawn(case, seed)[0] for seed in range(20))
        yield min(files, key=len)


def onnx() -> Iterator[bytes]:
    """One file an operator, and a net that somebody quantized."""
    from test_onnx import CASES as operators
    from test_onnx import IMAGE, file, quantized

    with tempfile.TemporaryDirectory() as folder:
        for make in operators.values():
            node, constants = make()
            yield file(Path(folder), [node], IMAGE, constants, "y").read_bytes()
        yield quantized(Path(folder)).read_bytes()


def nano() -> Iterator[bytes]:
    """Small graphs of every operator, as the harness takes them."""
    for seed in range(80):
        content = to_bytes(random_graph(seed, kinds=ALL, borders=True))
        length = PREFIX.unpack_from(content)[2]
        yield length.to_bytes(2, "little") + content[PREFIX.size :]


def arrays() -> Iterator[bytes]:
    """.npy of every type, an .npz, one with an object in it, one whose header does not end."""
    for dtype in ("i1", "u1", "<f4", ">f8", "?", "U3", "<c8", "<f2"):
        yield saved(np.zeros((2, 3), dtype))
    yield saved(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    yield saved(np.array(1.5))
    yield saved(np.array([{}], dtype=object))
    yield saved(np.zeros(3)).replace(b"}", b" ")
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    yield buffer.getvalue()


def pt2() -> Iterator[bytes]:
    """A small program, whole but for its sample inputs, and each member by itself."""
    import torch

    from fuzz.harnesses.pt2 import NAMES

    program = torch.export.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(1, 3),))
    file = io.BytesIO()
    torch.export.save(program, file)
    found = []
    with zipfile.ZipFile(file) as archive:
        for full in archive.namelist():
            name = "net/" + full.partition("/")[2]
            if name in NAMES:
                content = archive.read(full)
                head = bytes([NAMES.index(name)]) + len(content).to_bytes(2, "little")
                found.append(head + content)
    yield from found
    yield b"".join(member for member in found if len(member) < 1000)


def load_state() -> Iterator[bytes]:
    """Of the right size and others, with more or less of the header set right."""
    for how in range(3):
        for size in (0, 11, 24, 25, 26, 40):
            yield bytes([how]) + bytes(range(size))


def stream() -> Iterator[bytes]:
    """Rules of four classes, scales near the middle, and samples of a tone."""
    tone = (20_000 * np.sin(np.arange(700) / 7)).astype("<i2").tobytes()
    for window, hop, vote in ((1, 1, 0), (3, 3, 0), (9, 10, 1)):
        classes = b"".join(
            bytes([index, index]) + (10 * index).to_bytes(4, "little") + bytes(4)
            for index in range(4)
        )
        rule = bytes([4, window, 1, 2, vote, hop])
        scale = (1).to_bytes(2, "little") + (1 << 29).to_bytes(4, "little")
        room = (2048).to_bytes(2, "little")
        yield classes + rule + scale + (256).to_bytes(4, "little") + room + tone


def saved(array: NDArray[Any]) -> bytes:
    """An .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def main() -> None:
    """Write all of them anew."""
    makers = {
        "console": console(),
        "store": store(),
        "sequential": numbers(1),
        "train_restore": train_restore(),
        "tflite": tflite(),
        "onnx": onnx(),
        "nano": nano(),
        "arrays": arrays(),
        "pt2": pt2(),
        "load_state": load_state(),
        "stream": stream(),
    }
    for name, contents in makers.items():
        folder = HERE / "corpus" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        small = [content for content in contents if len(content) <= MOST]
        for content in small:
            (folder / hashlib.sha256(content).hexdigest()[:12]).write_bytes(content)
        print(f"{name}: {len(small)} inputs, {sum(map(len, small))} bytes")


if __name__ == "__main__":
    main()
