"""Recordings of a board's own sensor, labelled, ready for training.

    FOLDER/manifest.json         what there is: `Manifest.to_json`
    FOLDER/LABEL/0001.wav        sound; of another sensor 0001.npy, int16 [samples, channels]
    FOLDER/LABEL/0002.part       one under way: its int16 values, each written when it came

What a board's answers say is proven by their CRC; values that found no room on the board part two
recordings. So no file has a gap in it, and each says whether it is as long as it should be.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
import time
import wave
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nanotool.device import Device
from nanotool.errors import DeviceError, NanoError
from nanotool.files import cannot_write, write_atomic
from nanotool.ir import QGraph
from nanotool.qfile import graph_hash
from nanotool.recordings import read_recording
from nanotool.sensing.description import FrontEnd, StreamRule
from nanotool.sensing.rule import frames_of, stream_of
from nanotool.sound import Int16Array

MANIFEST = "manifest.json"
VERSION = 1
SILENCE = 5.0  # seconds without a value, after which the sensor is taken for dead
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}")
_UNFINISHED = ".part"

OnValues = Callable[[Int16Array, int, int], None]  # the newest values; samples so far, wanted


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, as the manifest has it."""

    file: str  # relative to the folder
    label: str
    samples: int  # each of all channels
    crc32: int  # of the values as int16, the lower byte first
    whole: bool  # as long as was asked for
    lost: int  # about so many values are missing between this one and the one before
    board: str
    emulated: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder of recordings is."""

    model: str
    hash: str  # of the model, its front end included
    rate: int  # samples a second
    channels: int
    window: int  # samples of the front end's
    step: int  # samples from one window to the next
    frames: int  # windows that the model takes
    recordings: tuple[Recording, ...] = ()

    @staticmethod
    def of(graph: QGraph) -> Manifest:
        """That of recordings for ``graph``."""
        ears = stream_of(graph).front_end
        facts = (ears.sample_rate, ears.values, ears.window, ears.step)
        return Manifest(graph.name, graph_hash(graph), *facts, frames_of(graph))

    def to_json(self) -> dict[str, Any]:
        """What is written."""
        return {"version": VERSION, **asdict(self)}

    @staticmethod
    def read(path: Path) -> Manifest:
        """What stands in ``path``. `NanoError` if it is none."""
        try:
            return _manifest(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise NanoError(
                f"{path} is no manifest of recordings: {error}.", "Name another folder."
            ) from error


def _manifest(found: Any) -> Manifest:
    if found.pop("version") != VERSION:
        raise ValueError("it is of another version")
    rows = tuple(_row(item) for item in found.pop("recordings"))
    manifest = Manifest(**found, recordings=rows)
    numbers = (manifest.rate, manifest.channels, manifest.window, manifest.step)
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        raise TypeError("its numbers are none")
    return manifest


def _row(item: Any) -> Recording:
    one = Recording(**item)
    if not isinstance(one.file, str) or not isinstance(one.samples, int):
        raise TypeError("a recording has no file or no length")
    return one


class Collection:
    """A folder of recordings for one model; what an interrupted one left there is made a file."""

    def __init__(self, folder: Path, graph: QGraph) -> None:
        self.folder = folder
        self.ears: FrontEnd = stream_of(graph).front_end
        self.manifest = Manifest.of(graph)
        self.recovered: tuple[Recording, ...] = ()
        path = folder / MANIFEST
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        if path.exists():
            found = Manifest.read(path)
            mine = replace(self.manifest, model=found.model, hash=found.hash)
            if replace(found, recordings=()) != mine:
                raise NanoError(
                    f"{folder} holds recordings at {found.rate} Hz of {found.channels} channels "
                    f"for windows of {found.window}, not those that {graph.name} hears.",
                    "Name another folder.",
                )
            self.manifest = replace(self.manifest, recordings=found.recordings)
        self.recovered = tuple(self._recover())

    def _recover(self) -> Iterator[Recording]:
        for part in sorted(self.folder.glob(f"*/*{_UNFINISHED}")):
            content = part.read_bytes()
            size = 2 * self.ears.values
            values = np.frombuffer(content[: len(content) // size * size], "<i2")
            if len(values):
                yield self._keep(part, part.parent.name, values.astype(np.int16), Origin())
            part.unlink()

    @property
    def suffix(self) -> str:
        """Of a recording's file."""
        return ".wav" if self.ears.values == 1 else ".npy"

    def unfinished(self, label: str) -> Path:
        """The path of the next recording of ``label`` while it is under way."""
        check_label(label)
        place = self.folder / label
        place.mkdir(exist_ok=True)
        taken = {int(path.stem) for path in place.iterdir() if path.stem.isdecimal()}
        return place / f"{max(taken, default=0) + 1:04}{_UNFINISHED}"

    def _keep(self, part: Path, label: str, values: Int16Array, origin: Origin) -> Recording:
        """Make ``values`` the file that ``part`` becomes, and tell the manifest."""
        target = part.with_suffix(self.suffix)
        write_atomic(target, _content(values, self.ears))
        one = Recording(
            file=target.relative_to(self.folder).as_posix(),
            label=label,
            samples=len(values) // self.ears.values,
            crc32=zlib.crc32(values.astype("<i2").tobytes()),
            whole=origin.whole,
            lost=origin.lost,
            board=origin.board,
            emulated=origin.emulated,
        )
        self.manifest = replace(self.manifest, recordings=(*self.manifest.recordings, one))
        write_atomic(self.folder / MANIFEST, json.dumps(self.manifest.to_json(), indent=2) + "\n")
        return one

    def finish(self, part: Path, values: Int16Array, origin: Origin) -> Recording:
        """The recording under way at ``part`` has ended."""
        one = self._keep(part, part.parent.name, values, origin)
        part.unlink()
        return one


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a recording is from."""

    board: str = ""  # "": it was interrupted, and its program ended
    emulated: bool = False
    whole: bool = False
    lost: int = 0


def check_label(label: str) -> None:
    """`NanoError` unless a folder can be named so."""
    if not _LABEL.fullmatch(label) or label.endswith((".", " ")):
        raise NanoError(
            f"{label!r} is no label.",
            "1 to 64 letters, digits, blanks, _, - and dots; a letter or digit first.",
        )


def _content(values: Int16Array, ears: FrontEnd) -> bytes:
    file = io.BytesIO()
    if ears.values > 1:
        np.save(file, values.reshape(-1, ears.values))
        return file.getvalue()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(ears.sample_rate)
        sound.writeframes(values.astype("<i2").tobytes())
    return file.getvalue()


@contextmanager
def playable(path: Path | None, stream: StreamRule) -> Iterator[Path | None]:
    """``path``, a recording, as the file of int16 that an emulated board plays."""
    if path is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="nanotool-sensor-") as folder:
        raw = Path(folder) / "values.raw"
        raw.write_bytes(read_recording(path, stream.front_end).astype("<i2").tobytes())
        yield raw


def capture(
    device: Device,
    collection: Collection,
    label: str,
    samples: int,
    *,
    origin: Origin,
    on_values: OnValues | None = None,
) -> Generator[Recording, None, None]:
    """Recordings of ``samples`` samples each, one after the other, without a pause between them,
    until the sensor ends or nobody asks for more. One that was parted by a loss is shorter, and the
    next one begins behind the gap.

    `DeviceError` where the sensor gives nothing for `SILENCE` seconds, or is another one than the
    model hears. Whatever ends it, what came is in a file.
    """
    ears = collection.ears
    found = device.sensor_begin()
    if found != (ears.sample_rate, ears.values):
        raise DeviceError(
            f"The board's sensor gives {found[1]} channels at {found[0]} Hz, the model hears "
            f"{ears.values} at {ears.sample_rate} Hz.",
            "Build and flash this model.",
        )
    run = _Capture(device, collection, (label, samples), origin, on_values)
    try:
        while not run.ended:
            yield from run.turn()
        yield from run.finish(whole=False)
    finally:
        run.stop()


class _Capture:
    def __init__(
        self,
        device: Device,
        collection: Collection,
        asked: tuple[str, int],
        origin: Origin,
        on_values: OnValues | None,
    ) -> None:
        self.device, self.collection = device, collection
        self.label, samples = asked
        self.wanted = samples * collection.ears.values
        self.origin, self.on_values = origin, on_values
        self.at = self.lost = self.missing = 0
        self.pieces: list[Int16Array] = []
        self.count = 0  # values in them
        self.part: Path | None = None
        self.ended = False
        self.heard = time.monotonic()

    def turn(self) -> Iterator[Recording]:
        """Ask the board once; the recordings that this ends."""
        found = self.device.sensor_read(self.at)
        if found.lost != self.lost:
            yield from self.finish(whole=False)
            self.missing += found.lost - self.lost
            self.lost = found.lost
        self.at += len(found.values)
        rest = found.values
        while len(rest):
            taken, rest = np.split(rest, [self.wanted - self.count])
            self._take(taken)
            if self.count == self.wanted:
                yield from self.finish(whole=True)
        self.ended = found.ended
        self._wait(len(found.values))

    def _wait(self, came: int) -> None:
        now = time.monotonic()
        if came or self.ended:
            self.heard = now
            return
        if now - self.heard > SILENCE:
            raise DeviceError(
                f"The board's sensor has given nothing for {SILENCE:g} s.", "Is it connected?"
            )
        time.sleep(0.005)

    def _take(self, values: Int16Array) -> None:
        if self.part is None:
            self.part = self.collection.unfinished(self.label)
        with self.part.open("ab") as file:
            file.write(values.astype("<i2").tobytes())
        self.pieces.append(values)
        self.count += len(values)
        if self.on_values is not None:
            channels = self.collection.ears.values
            self.on_values(values, self.count // channels, self.wanted // channels)

    def finish(self, *, whole: bool) -> Iterator[Recording]:
        """The recording under way, if there is one."""
        if self.part is None:
            return
        origin = replace(self.origin, whole=whole, lost=self.missing)
        part, values = self.part, np.concatenate(self.pieces)
        self.part, self.pieces, self.count, self.missing = None, [], 0, 0
        yield self.collection.finish(part, values, origin)

    def stop(self) -> None:
        """Keep what there is; the sensor is off where the board still answers."""
        for _ in self.finish(whole=False):
            pass
        with contextlib.suppress(DeviceError):
            self.device.sensor_end()
