"""What is mutated, and which Python tests can kill a mutant of it: the first ones soonest.

The C unit tests need no table: the linker says which of them a source ends up in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from . import c_operators, python_operators
from .mutant import ROOT, Mutant

# Files, and the tests of them; the first line that fits counts.
TESTS = (
    (r"lib/nano/src/signal/camera", "test_camera"),
    (r"lib/nano/src/(signal|stream)/sensor", "test_sensor test_stream"),
    (r"lib/nano/src/signal/", "test_signal test_mel test_stream test_sensor"),
    (r"lib/nano/src/stream/mel", "test_mel test_stream"),
    (r"lib/nano/src/stream/", "test_stream test_stream_console test_sensor"),
    (r"lib/nano/src/states", "test_runtime test_states"),
    (r"firmware/app/commands_stream", "test_stream_console test_several_models"),
    (r"firmware/app/commands_(state|nano)|.*app/(input|result)", "test_step_console test_wire"),
    (r"firmware/app/(chosen|commands_model|commands\.)", "test_several_models test_step_console"),
    (r"firmware/app/(inference|load)", "test_step_console test_stream_console test_wire"),
    (r"firmware/app/.*(sensor|detect)", "test_board_sensor test_sensor test_stream_console"),
    (r"firmware/app/(commands_train|head)", "test_wire test_anomaly test_trainable"),
    (r"firmware/app/", "test_wire"),
    (r"lib/nano/src/train/(anomaly|double)", "test_anomaly test_training"),
    (r"lib/nano/src/train/", "test_training test_trainable test_anomaly"),
    (r"lib/nano/src/sequential", "test_sequential"),
    (r"lib/nano/src/(.*/)?\w+_int16_dsp\.[ch]", "test_armv7em_int16 test_int16"),
    (r"lib/nano/src/(ops/.*|broadcast|requant)_(of_)?int16", "test_int16 test_armv7em_int16"),
    (r"lib/nano/src/.*pie", "test_pie"),
    (r"lib/nano/src/.*mac16", "test_scalar test_overlap"),
    (r"lib/nano/src/ops/conv2d/parts_mve", "test_armv81m test_parts"),
    (r"lib/nano/src/.*_mve\.[ch]|.*/mve\.h", "test_armv81m"),
    (r"lib/nano/src/.*depthwise.*_dsp\.[ch]", "test_armv7em_depthwise test_armv7em"),
    (r"lib/nano/src/ops/(binary|pool)/.*_dsp", "test_armv7em_elementwise test_armv7em"),
    (r"lib/nano/src/.*(_dsp\.[ch]|simd\.h)", "test_armv7em test_armv7em_elementwise test_parts"),
    (r"lib/nano/src/.*_scalar\.[ch]", "test_scalar test_parts"),
    (r"lib/nano/src/values", "test_values"),
    (r"lib/nano/src/(model|arena|status|weights)", "test_runtime test_host_kernels test_loadable"),
    (r"lib/nano/src/ops/conv2d/parts", "test_parts test_overlap"),
    (r"lib/nano/src/ops/pool/", "test_scalar test_armv81m test_armv7em_elementwise test_parts"),
    (r"lib/nano/src/(gates|recur)|.*ops/(gru|lstm|rnn|svdf)", "test_states test_torch_recurrent"
     " test_overlap"),
    (r"lib/nano/src/ops/(resize|table|quantize)", "test_host_kernels test_unary test_differential"),
    (r"lib/nano/", "test_host_kernels test_differential test_overlap"),
    (r"nanotool/lower/armv7em/depthwise", "test_armv7em_depthwise test_armv7em"),
    (r"nanotool/lower/armv7em/elementwise", "test_armv7em_elementwise test_armv7em"),
    (r"nanotool/lower/armv7em", "test_armv7em test_pack test_armv7em_elementwise test_parts"),
    (r"nanotool/lower/armv81m", "test_armv81m test_pack test_parts"),
    (r"nanotool/lower/scalar", "test_scalar test_pack test_parts"),
    (r"nanotool/lower/pack", "test_pack test_armv7em test_armv7em_depthwise test_scalar"),
    (r"nanotool/lower/planes", "test_armv7em_depthwise test_scalar test_lower"),
    (r"nanotool/lower/(states|recurrent)", "test_states test_torch_recurrent test_streaming"),
    (r"nanotool/lower/parts", "test_parts test_lower"),
    (r"nanotool/lower/", "test_lower test_overlap test_differential test_emit test_states"),
    (r"nanotool/plan\.py", "test_plan test_overlap test_states"),
    (r"nanotool/passes/lossless/", "test_lossless_passes test_dead_channels test_lossless"),
    (r"nanotool/passes/roll", "test_torch_recurrent test_torch_networks"),
    (r"nanotool/passes/", "test_passes test_capture test_torch_modules test_lossless_passes"),
    (r"nanotool/quantization/auto/", "test_auto_quantization test_torch_recurrent"),
    (r"nanotool/quantization/aware/", "test_qat test_auto_quantization test_torch_recurrent"),
    (r"nanotool/quantization/(float_ops|evaluate)", "test_capture test_passes test_torch_modules"),
    (r"nanotool/quantization/", "test_quantize test_dead_channels test_intervals test_accuracy"
     " test_torch_recurrent test_states"),
    (r"nanotool/ops/", "test_ops test_validate_rules test_validate test_capture test_lower"
     " test_numerics test_differential"),
)  # fmt: skip
PYTHON_ROOMS = ("lower", "passes", "quantization", "ops")


def sources() -> list[Path]:
    """All that is mutated."""
    found = [p for room in ("lib/nano/src", "firmware/app") for p in (ROOT / room).rglob("*.[ch]")]
    found += [p for room in PYTHON_ROOMS for p in (ROOT / "nanotool" / room).rglob("*.py")]
    return sorted([*found, ROOT / "nanotool" / "plan.py"])


def mutants() -> Iterator[Mutant]:
    """All of all sources, each change of a line once."""
    for path in sources():
        name, text = path.relative_to(ROOT).as_posix(), path.read_text()
        operators = python_operators if path.suffix == ".py" else c_operators
        seen, alike = set(), Counter[tuple[str, str]]()
        for mutant in operators.mutants(name, text):
            if (mutant.span, mutant.new) not in seen:
                seen.add((mutant.span, mutant.new))
                yield replace(mutant, before=alike[mutant.lines])
                alike[mutant.lines] += 1


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
