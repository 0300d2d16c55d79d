"""What is mutated, and which Python tests can kill a mutant of it: the first ones soonest.

The C unit tests need no table: the linker says which of them a source ends up in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from . import c_operators, python_operators
from .mutant import ROOT, Mutant

# Files, and the tests of them; the first line that fits counts.
TESTS = (
    (r"lib/nano/src/signal/", "test_signal"),
    (r"lib/nano/src/state", "test_runtime"),
    (r"firmware/app/", "test_wire"),
    (r"lib/nano/src/train/", "test_training test_trainable"),
    (r"lib/nano/src/sequential", "test_sequential"),
    (r"lib/nano/src/.*_mve\.[ch]|.*/mve\.h", "test_armv81m"),
    (r"lib/nano/src/.*depthwise.*_dsp\.[ch]", "test_armv7em_depthwise test_armv7em"),
    (r"lib/nano/src/ops/(binary|pool)/.*_dsp", "test_armv7em_elementwise test_armv7em"),
    (r"lib/nano/src/.*(_dsp\.[ch]|simd\.h)", "test_armv7em test_armv7em_elementwise"),
    (r"lib/nano/src/.*_scalar\.[ch]", "test_scalar"),
    (r"lib/nano/src/(model|arena|status)", "test_runtime test_host_kernels"),
    (r"lib/nano/src/ops/(resize|table|quantize)", "test_host_kernels test_unary test_differential"),
    (r"lib/nano/", "test_host_kernels test_differential test_overlap"),
    (r"nanotool/lower/armv7em/depthwise", "test_armv7em_depthwise test_armv7em"),
    (r"nanotool/lower/armv7em/elementwise", "test_armv7em_elementwise test_armv7em"),
    (r"nanotool/lower/armv7em", "test_armv7em test_pack test_armv7em_elementwise"),
    (r"nanotool/lower/armv81m", "test_armv81m test_pack"),
    (r"nanotool/lower/scalar", "test_scalar test_pack"),
    (r"nanotool/lower/(pack|planes)", "test_pack test_lower test_armv7em_depthwise test_scalar"),
    (r"nanotool/lower/", "test_lower test_overlap test_differential test_emit"),
    (r"nanotool/plan\.py", "test_plan test_overlap"),
    (r"nanotool/passes/", "test_passes test_lossless_passes test_dead_channels test_capture"),
    (r"nanotool/quantization/", "test_quantize test_dead_channels test_intervals test_accuracy"),
    (r"nanotool/ops/", "test_validate_rules test_validate test_capture test_lower test_numerics"),
)
PYTHON_ROOMS = ("lower", "passes", "quantization", "ops")


def sources() -> list[Path]:
    """All that is mutated."""
    found = [p for room in ("lib/nano/src", "firmware/app") for p in (ROOT / room).rglob("*.[ch]")]
    found += [p for room in PYTHON_ROOMS for p in (ROOT / "nanotool" / room).rglob("*.py")]
    return sorted([*found, ROOT / "nanotool" / "plan.py"])


def mutants() -> Iterator[Mutant]:
    """All of all sources, each change of a line once."""
    seen = set()
    for path in sources():
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        operators = python_operators if path.suffix == ".py" else c_operators
        for mutant in operators.mutants(name, text):
            if (mutant.span, mutant.new) not in seen:
                seen.add((mutant.span, mutant.new))
                yield mutant
        seen.clear()


def killers(path: str) -> list[str]:
    """The files of tests/python for a source, as pytest takes them; of other sources those that
    name its module."""
    for pattern, names in TESTS:
        if re.match(pattern, path):
            return _files(names.split())
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    short = module.rsplit(".", 1)[-1]
    texts = {p: p.read_text() for p in sorted((ROOT / "tests" / "python").glob("test_*.py"))}
    named = [p.stem for p, text in texts.items() if module in text]
    named += [p.stem for p, text in texts.items() if re.search(rf"\b{short}\b", text)]
    return _files(list(dict.fromkeys(named)))


def _files(names: list[str]) -> list[str]:
    paths = [ROOT / "tests" / "python" / f"{name}.py" for name in names]
    return [path.relative_to(ROOT).as_posix() for path in paths if path.is_file()]
