"""Run a harness of Python: python -m tests.fuzz.python NAME [libFuzzer's options] [corpus ...].

A harness is a module harnesses/NAME.py with

    def test(data: bytes) -> None        # any exception is a finding

atheris, where it is installed (extra "dev": CPython 3.11 to 3.13 on Linux), grows inputs by the
branches of nanotool that they take. Elsewhere a mutator without such an eye does what it can.
"""

from __future__ import annotations

import hashlib
import importlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

ROOT = Path(__file__).resolve().parent.parent.parent
INTERESTING = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
MOST = 1 << 20  # bytes of an input

Test = Callable[[bytes], None]


def load(name: str) -> Test:
    """The harness's test, the branches of nanotool watched if atheris is here."""
    sys.path.insert(0, str(ROOT / "tests" / "python"))  # the makers of files belong to the tests
    module = f"{__package__}.harnesses.{name}"
    if atheris is None:
        test: Test = importlib.import_module(module).test
        return test
    with atheris.instrument_imports(include=["nanotool"], enable_loader_override=False):
        test = importlib.import_module(module).test
    return test


# --- Without atheris ------------------------------------------------------------------------------


def mutate(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    """Some bytes flipped, overwritten, cut out, put in, or taken from another input."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        how = rng.randrange(5)
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            size = rng.choice((1, 2, 4))
            value = rng.choice(INTERESTING) % (1 << 8 * size)
            changed[at : at + size] = value.to_bytes(size, "little")
        elif how == 2:
            del changed[at : at + rng.randrange(1, 65)]
        elif how == 3:
            changed[at:at] = rng.randbytes(rng.randrange(1, 33))
        else:
            other = rng.choice(corpus)
            start = rng.randrange(len(other) + 1)
            changed[at : at + rng.randrange(65)] = other[start : start + rng.randrange(1, 65)]
    return bytes(changed[:MOST])


def _inputs(corpus: Sequence[bytes], end: float) -> Iterator[bytes]:
    rng = random.Random(1)
    yield from corpus
    while time.monotonic() < end:
        yield mutate(rng.choice(corpus), corpus, rng)


def run(test: Test, arguments: Sequence[str]) -> int:
    """What libFuzzer would do, with its options -max_total_time and -artifact_prefix."""
    given = dict(word[1:].split("=", 1) for word in arguments if word.startswith("-"))
    places = [Path(word) for word in arguments if not word.startswith("-")]
    files = [file for place in places for file in (place.iterdir() if place.is_dir() else [place])]
    corpus = [file.read_bytes() for file in sorted(files)] or [b""]
    alone = len(places) == 1 and places[0].is_file()
    end = time.monotonic() + (0 if alone else float(given.get("max_total_time", "20")))
    count = 0
    for data in _inputs(corpus, end):
        count += 1
        try:
            test(data)
        except Exception:
            traceback.print_exc()
            name = f"{given.get('artifact_prefix', '')}crash-{hashlib.sha1(data).hexdigest()}"
            if not alone:
                Path(name).write_bytes(data)
                print(f"written to {name}")
            return 77
    print(f"stat::number_of_executed_units: {count}")
    return 0


def main() -> int:
    """The command line."""
    name, *arguments = sys.argv[1:]
    test = load(name)
    if atheris is None:
        return run(test, arguments)
    atheris.Setup([name, *arguments], test, internal_libfuzzer=True)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
