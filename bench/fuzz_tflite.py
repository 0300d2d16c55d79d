"""Damage .tflite files in many ways and import them: each gives a graph or one clear error.

    python -m bench.fuzz_tflite [--models tests/models] [--count 100000] [--seed 1] [--first 0]

The files are those in the folder, the ones that our own writer makes of random graphs, and for each
operator one made by hand. Each
mutated file depends on the seed and its number alone: ``--first N --count 1`` makes one again.
Any outcome but a sound graph or one InvalidModel or UnsupportedOp with a hint is a fault, and so is
a file that takes longer than TIME_LIMIT or more memory than MEMORY_LIMIT beside its own bytes, or
that gives a warning. Ends with two tables, exits with 1 if there was a fault. "Unread" are the
files that the reader refused, "unmade" the ones that it read, but of which no graph could be made.
"""

from __future__ import annotations

import argparse
import re
import resource
import signal
import struct
import sys
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias, TypeVar

import numpy as np

from nanotool.backends import tflite as writer
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.tflite import convert, file, flatbuffer, schema

ROOT = Path(__file__).parent.parent
TIME_LIMIT = 2.0  # seconds for one file
MEMORY_LIMIT = 64 * 2**20  # bytes that importing one file may allocate
ADDRESS_SPACE = 4 * 2**30  # bytes: beyond it the process gets a MemoryError
RANDOM_GRAPHS = 100
EXTREMES = (
    *(0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0xFFFFFF),
    *(0x3FFFFFFF, 0x40000000, 0x7F800000, 0x7FC00000, 0x7FFFFFFF, 0x80000000, 0x80000001),
    *(0xFF800000, 0xFFFFFF80, 0xFFFFFFF8, 0xFFFFFFFC, 0xFFFFFFFE, 0xFFFFFFFF),
)

T = TypeVar("T")
Spot: TypeAlias = tuple[int, str, int]  # byte, type in the struct module, count


# --- What to damage -------------------------------------------------------------------------------


class _Recorder(flatbuffer.Reader):
    """A reader that notes what it reads: the bytes that mean something, data apart."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.spots: set[Spot] = set()
        self.tables: set[int] = set()  # where tables begin: with the way to their vtable

    def table(self, table: type[T], at: int, where: str) -> T:
        self.tables.add(at)
        return super().table(table, at, where)

    def unpack(self, code: str, count: int, at: int, where: str) -> tuple[Any, ...]:
        if count:
            self.spots.add((at, code, count))
        return super().unpack(code, count, at, where)

    def vector(self, at: int, item: int, where: str) -> tuple[int, int]:
        start, count = super().vector(at, item, where)
        if item == 1 and 4 <= count <= 64 and where.endswith("data"):
            self.spots.add((start, "i", count // 4))  # axes or sizes, perhaps
        return start, count


@dataclass(frozen=True)
class Sample:
    """A sound file, and where in it the reader looks."""

    name: str
    data: bytes
    spots: tuple[Spot, ...]
    offsets: tuple[int, ...]  # the spots that are 32 bits wide and lead somewhere, or may
    values: tuple[Spot, ...]  # the spots that hold a number of the model, not of its layout


def sample(name: str, data: bytes) -> Sample:
    """Read ``data`` once to learn its spots."""
    recorder = _Recorder(data)
    content = recorder.root(schema.File, schema.FILE_IDENTIFIER, name)
    for operator in content.subgraphs[0].operators:
        table = getattr(schema, operator.builtin_options_type, None)
        if table is not None and operator.builtin_options is not None:
            recorder.table(table, operator.builtin_options, name)
    spots = tuple(sorted(recorder.spots))
    offsets = tuple(at for at, code, _ in spots if code == "I")
    values = tuple(s for s in spots if s[1] in "Biqf" and s[0] not in recorder.tables)
    return Sample(name, data, spots, offsets, values)


def samples(folder: Path, random_graphs: int) -> list[Sample]:
    """The .tflite files in ``folder``, ``random_graphs`` written by ourselves, and one a case."""
    sys.path.insert(0, str(ROOT / "tests" / "python"))  # the generators belong to the tests
    from random_graphs import random_graph  # noqa: PLC0415
    from tflite_operators import CASES, drawn  # noqa: PLC0415

    found = [sample(path.name, path.read_bytes()) for path in sorted(folder.glob("*.tflite"))]
    graphs = (random_graph(seed, tflite=True) for seed in range(random_graphs))
    found += [sample(graph.name, writer.write(graph)) for graph in graphs]
    return found + [sample(name, drawn(case, seed=0)[0]) for name, case in CASES.items()]


# --- How to damage it -----------------------------------------------------------------------------


@dataclass
class Mutator:
    """One random mutation after the other, of a sample's bytes."""

    rng: np.random.Generator
    all: Sequence[Sample]
    sample: Sample
    data: bytearray

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        return int(self.rng.integers(limit))

    def pick(self, items: Sequence[Any]) -> Any:
        """One of ``items``."""
        return items[self.below(len(items))]

    def place(self) -> int:
        """A byte: mostly one that means something, sometimes any."""
        if self.rng.random() < 0.1:
            return self.below(len(self.data))
        at, code, count = self.pick(self.sample.spots)
        return min(int(at + self.below(struct.calcsize(f"<{count}{code}"))), len(self.data) - 1)

    def put(self, at: int, value: int, size: int = 4) -> None:
        """Overwrite ``size`` bytes from ``at`` on."""
        at = max(0, min(at, len(self.data) - size))
        self.data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")

    def flip_bits(self) -> None:
        """1 to 8 bits."""
        for _ in range(self.pick((1, 1, 2, 8))):
            self.data[self.place()] ^= 1 << self.below(8)

    def truncate(self) -> None:
        """The end is missing."""
        del self.data[self.below(len(self.data)) :]

    def cut_out(self) -> None:
        """A piece is missing."""
        at = self.place()
        del self.data[at : at + 1 + self.below(64)]

    def insert(self) -> None:
        """Random bytes come in between."""
        at = self.place()
        self.data[at:at] = self.rng.bytes(1 + self.below(64))

    def overwrite_field(self) -> None:
        """Extreme values where the reader looks, as wide as what it reads there."""
        for _ in range(self.pick((1, 1, 3))):
            at, code, count = self.pick(self.sample.spots)
            size = struct.calcsize(f"<{code}")
            self.put(at + size * self.below(count), self.pick(EXTREMES), size)

    def overwrite_word(self) -> None:
        """Extreme or random 32 bits at any multiple of 4."""
        for _ in range(self.pick((1, 1, 4))):
            value = self.pick(EXTREMES) if self.rng.random() < 0.7 else self.below(2**32)
            self.put(self.place() // 4 * 4, value)

    def change_values(self) -> None:
        """Plausible numbers of the model: another small one, or one from elsewhere."""
        for _ in range(self.pick((1, 1, 2))):
            at, code, count = self.pick(self.sample.values)
            size = struct.calcsize(f"<{code}")
            at += size * self.below(count)
            if self.rng.random() < 0.3:
                other = self.pick([spot[0] for spot in self.sample.values if spot[1] == code])
                self.data[at : at + size] = self.data[other : other + size]
            else:
                self.put(at, self.below(12) - 2, size)

    def redirect(self) -> None:
        """Offsets lead to other tables, into themselves, or anywhere: cycles and overlaps."""
        for _ in range(self.pick((1, 1, 4))):
            at = self.pick(self.sample.offsets)
            target = self.pick(self.sample.spots)[0]
            if self.rng.random() < 0.3:
                target = self.below(len(self.data)) // 4 * 4
            self.put(at, target - at)

    def repeat_vector(self) -> None:
        """A long vector of one and the same offset, appended, in place of something."""
        at, target = self.pick(self.sample.offsets), self.pick(self.sample.offsets)
        self.data.extend(b"\0" * (-len(self.data) % 4))
        start, count = len(self.data), self.pick((100, 5_000, 16_384, 16_385, 100_000))
        target = self.pick((target, target + 4, start, at))
        items = target - (start + 4 + 4 * np.arange(count, dtype=np.int64))
        self.data += struct.pack("<I", count) + items.astype(np.uint32).tobytes()
        self.put(at, start - at)

    def splice(self) -> None:
        """A piece of this or another file over, or into, a place that means something."""
        donor = self.pick(self.all)
        length = 4 * (1 + self.below(64))
        start = self.pick(donor.spots)[0] // 4 * 4
        piece = donor.data[start : start + length]
        at = self.place() // 4 * 4
        self.data[at : at + (len(piece) if self.rng.random() < 0.7 else 0)] = piece

    def noise(self) -> None:
        """Nothing but random bytes, sometimes behind a good beginning."""
        keep = self.pick((0, 8, 64, 1024))
        self.data[keep:] = self.rng.bytes(self.below(4096))

    def several(self) -> None:
        """Two to five other mutations."""
        for _ in range(2 + self.below(4)):
            if self.data:
                self.pick(SIMPLE)(self)


SIMPLE: tuple[Callable[[Mutator], None], ...] = (
    Mutator.flip_bits,
    Mutator.truncate,
    Mutator.cut_out,
    Mutator.insert,
    Mutator.overwrite_field,
    Mutator.overwrite_word,
    Mutator.change_values,
    Mutator.redirect,
    Mutator.repeat_vector,
    Mutator.splice,
)
# What leaves the file readable comes more often: it gets further.
MUTATIONS = (*SIMPLE, *(Mutator.change_values,) * 3, Mutator.noise, Mutator.several)


def mutate(corpus: Sequence[Sample], seed: int, number: int) -> tuple[str, bytes]:
    """(mutation, bytes) of the file ``number``: the same for the same corpus and seed, always."""
    rng = np.random.default_rng([seed, number])
    # Half of the files are of the first ones, the real models, however many random ones there are.
    limit = min(4, len(corpus)) if rng.random() < 0.5 else len(corpus)
    chosen = corpus[int(rng.integers(limit))]
    mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
    mutator = Mutator(rng, corpus, chosen, bytearray(chosen.data))
    mutation(mutator)
    return mutation.__name__.replace("_", " "), bytes(mutator.data)


# --- What comes of it -----------------------------------------------------------------------------


class TooSlow(BaseException):
    """The import took longer than TIME_LIMIT. No Exception, so that nobody catches it by chance."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` in the block after ``seconds``."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


SOUND = ("graph", "unmade", "unread")


@dataclass(frozen=True)
class Outcome:
    """What one file led to."""

    kind: str  # one of SOUND, or what went wrong
    message: str  # of the error
    seconds: float
    memory: int  # bytes: the most that was allocated at once

    @property
    def fault(self) -> bool:
        """Whether it is anything but a graph or a clear error."""
        return self.kind not in SOUND


def examine(data: bytes) -> Outcome:
    """Import ``data`` under both limits. Call `tracemalloc.start` before."""
    tracemalloc.reset_peak()
    base = tracemalloc.get_traced_memory()[0]
    start = time.perf_counter()
    try:
        with time_limit(TIME_LIMIT), warnings.catch_warnings():
            warnings.simplefilter("error")
            kind, message = import_model(data)
    except TooSlow:
        kind, message = f"slower than {TIME_LIMIT} s", ""
    except BaseException as error:  # anything at all that is not the one error is a fault
        if isinstance(error, KeyboardInterrupt):
            raise
        kind, message = type(error).__name__, str(error)
    seconds = time.perf_counter() - start
    memory = tracemalloc.get_traced_memory()[1] - base
    if memory > MEMORY_LIMIT and kind in SOUND:
        kind = f"more than {MEMORY_LIMIT >> 20} MB"
    return Outcome(kind, message, seconds, memory)


def import_model(data: bytes) -> tuple[str, str]:
    """What comes of importing ``data``: one of SOUND or what is wrong, and the error's message."""
    stage = "unread"
    try:
        model = file.read(data)
        for tensor in model.tensors:
            if tensor.data is not None:
                tensor.array()
        stage = "unmade"
        convert.from_model(model, "fuzzed", "fuzz")
    except (InvalidModel, UnsupportedOp) as error:
        text = str(error)
        clear = error.hint and text.isprintable() and len(text) < 1200
        return (stage if clear else "unclear message"), text
    return "graph", ""


def reason(message: str) -> str:
    """A message without what is special to one file: its numbers, names and paths."""
    text = message.split(": ", 1)[-1].split(". ", 1)[0]
    text = re.sub(r"\(.*?\)|'.*?'", "…", text)
    return re.sub(r"-?\d[\d,.]*", "#", text)[:70]


# --- The run --------------------------------------------------------------------------------------


@dataclass
class Tally:
    """The sums over one mutation, or over all."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    memory: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one file."""
        self.outcomes["fault" if outcome.fault else outcome.kind] += 1
        if outcome.kind in {"unmade", "unread"}:
            self.reasons[reason(outcome.message)] += 1
        self.seconds += outcome.seconds
        self.slowest = max(self.slowest, outcome.seconds)
        self.memory = max(self.memory, outcome.memory)

    def row(self, name: str) -> str:
        """One line of the table."""
        counts = [self.outcomes[kind] for kind in (*SOUND, "fault")]
        files = sum(counts)
        return (
            f"{name:<16}{files:>9,}{counts[0]:>9,}{counts[1]:>9,}{counts[2]:>9,}{counts[3]:>8,}"
            f"{1e3 * self.seconds / max(files, 1):>10.2f}{1e3 * self.slowest:>10.0f}"
            f"{self.memory / 2**20:>10.1f}"
        )


HEADER = (
    f"{'mutation':<16}{'files':>9}{'graph':>9}{'unmade':>9}{'unread':>9}{'faults':>8}"
    f"{'mean ms':>10}{'worst ms':>10}{'worst MB':>10}"
)


def run(corpus: Sequence[Sample], seed: int, numbers: range) -> tuple[dict[str, Tally], list[str]]:
    """Examine the files ``numbers``: (tally per mutation, descriptions of the faults)."""
    tallies: dict[str, Tally] = {}
    faults = []
    tracemalloc.start()
    try:
        for number in numbers:
            mutation, data = mutate(corpus, seed, number)
            outcome = examine(data)
            tallies.setdefault(mutation, Tally()).add(outcome)
            if outcome.fault:
                faults.append(f"file {number}, {mutation}: {outcome.kind}: {outcome.message}")
            if number % 1000 == 999:
                print(f"\r{number + 1:,} files, {len(faults)} faults", end="", file=sys.stderr)
    finally:
        tracemalloc.stop()
    return tallies, faults


def report(tallies: dict[str, Tally], faults: list[str]) -> str:
    """The closing tables."""
    total = Tally()
    for tally in tallies.values():
        total.outcomes += tally.outcomes
        total.reasons += tally.reasons
        total.seconds += tally.seconds
        total.slowest = max(total.slowest, tally.slowest)
        total.memory = max(total.memory, tally.memory)
    lines = [HEADER, *(tallies[name].row(name) for name in sorted(tallies)), total.row("all"), ""]
    lines += [f"{count:>9,}  {text}" for text, count in total.reasons.most_common(25)]
    rest = len(total.reasons) - 25
    lines += [f"           and {rest} other reasons"] if rest > 0 else []
    lines += ["", *faults[:50]]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines.append(f"{total.seconds:.0f} s of importing; the process held {peak:.0f} MB at most")
    return "\n".join(lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, default=ROOT / "tests" / "models")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random-graphs", type=int, default=RANDOM_GRAPHS)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    corpus = samples(arguments.models, arguments.random_graphs)
    numbers = range(arguments.first, arguments.first + arguments.count)
    tallies, faults = run(corpus, arguments.seed, numbers)
    print(f"\n{len(corpus)} sound files, seed {arguments.seed}\n\n{report(tallies, faults)}")
    print("FUZZ FAILED" if faults else "FUZZ OK")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
