"""Simulator, C library and exported C give the same bytes: random models of every operator.

Exported models are compiled in bulk, many to a program, strictly and under the address and
undefined-behaviour sanitizers. 100 models, and a few of each operator alone; NANO_EXAMPLES=5 makes
it 1,000 other ones.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from exported import COMPILE, compile_c
from numpy.typing import NDArray
from objects import library_objects
from operators import OPERATORS, inputs_of, operator_graph
from random_graphs import ALL, random_graph, random_inputs

from nanotool.backends.c import emit
from nanotool.ir import DTYPES, Lowered, Plan, QGraph
from nanotool.lower import lower
from nanotool.pipeline import prepare
from nanotool.plan import plan
from nanotool.runtime import Runtime
from nanotool.simulate import simulate

MODELS = 100
EACH_OPERATOR = 2
PER_PROGRAM = 25
INPUTS = 5
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "nano/nano.h"
{includes}
typedef struct {{
    const nano_model *model;
    size_t arena, input, output;
}} entry;

static const entry ENTRIES[] = {{
{entries}
}};

/* The arena has exactly the bytes that the plan says, so that the sanitizer sees the next one. */
static int run(const entry *e) {{
    uint8_t *room = malloc(e->arena);
    nano_arena arena;
    nano_net net;
    int wrong = room == NULL || nano_arena_init(&arena, room, e->arena) != NANO_OK ||
                nano_init(&net, e->model, &arena) != NANO_OK;
    for (int i = 0; i < {inputs} && !wrong; i++)
        wrong = fread(nano_input(&net), 1, e->input, stdin) != e->input ||
                nano_run(&net) != NANO_OK ||
                fwrite(nano_output(&net), 1, e->output, stdout) != e->output;
    free(room);
    return wrong;
}}

int main(void) {{
    for (size_t i = 0; i < sizeof ENTRIES / sizeof ENTRIES[0]; i++) {{
        if (run(&ENTRIES[i]) || fflush(stdout) != 0)
            return 1;
    }}
    return 0;
}}
"""


@dataclass(frozen=True)
class Case:
    """One model, how it was made ready, and its inputs."""

    graph: QGraph
    lowered: Lowered
    plan: Plan
    x: NDArray[Any]


def case(graph: QGraph, x: NDArray[Any], simplified: bool) -> Case:
    """``simplified``: as nanotool does it; else each layer stays what it is."""
    if simplified:
        return Case(graph, *prepare(graph), x)
    lowered = lower(graph)
    return Case(graph, lowered, plan(lowered), x)


def random_case(seed: int) -> Case:
    graph = random_graph(seed, kinds=ALL, borders=True)
    return case(graph, random_inputs(graph, INPUTS, seed), seed % 2 == 0)


def operator_case(kind: str, seed: int) -> Case:
    graph = operator_graph(kind, seed)
    return case(graph, inputs_of(graph, INPUTS), False)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The object files of lib/nano."""
    return library_objects(COMPILE, tmp_path_factory)


def build(cases: Sequence[Case], library: Sequence[Path], folder: Path) -> Path:
    """One program that runs the exported C of ``cases``, one after another."""
    folder.mkdir()
    includes, entries = [], []
    for one in cases:
        name, macro = one.graph.name, one.graph.name.upper()
        for file, content in emit.sources([(one.lowered, one.plan)], golden=2).items():
            if file.startswith(name):
                (folder / file).write_bytes(content)
        includes += [f'#include "{name}{end}"' for end in (".c", "_weights.c", "_golden.h")]
        sizes = ", ".join(f"{macro}_{size}_SIZE" for size in ("ARENA", "INPUT", "OUTPUT"))
        entries.append(f"    {{&{name}_model, {sizes}}},")
    main = folder / "main.c"
    text = MAIN.format(includes="\n".join(includes), entries="\n".join(entries), inputs=INPUTS)
    main.write_text(text)
    program = folder / "program"
    unused = "-Wno-unused-const-variable"  # golden vectors: here they need to be good C only
    compile_c(f"-I{folder}", unused, main, *library, "-o", program)
    return program


def differences(cases: Sequence[Case], library: Sequence[Path], folder: Path) -> list[str]:
    """The models of ``cases`` whose exported C, or whose run in the C library, is not what the
    simulator says."""
    program = build(cases, library, folder)
    stdin = b"".join(one.x.tobytes() for one in cases)
    done = subprocess.run([program], input=stdin, capture_output=True, check=False, cwd=folder)
    rest, wrong = done.stdout, []
    for one in cases:
        expected = simulate(one.graph, one.x)
        size = expected.nbytes
        if rest[:size] != expected.tobytes():
            wrong.append(f"{one.graph.name}: exported C. {done.stderr.decode()[:2000]}")
        if len(rest) < size:
            break  # it crashed here
        rest = rest[size:]
        y = Runtime(one.lowered, one.plan).run(one.x)
        if y.dtype != DTYPES[one.graph.output_tensor.dtype] or y.tobytes() != expected.tobytes():
            wrong.append(f"{one.graph.name}: C library")
    assert wrong or (done.returncode == 0 and not rest), done.stderr.decode()[:2000]
    return wrong


def seeds() -> list[int]:
    """The same ones on every run, but with NANO_EXAMPLES."""
    factor = float(os.environ.get("NANO_EXAMPLES", "1"))
    count = max(1, round(MODELS * factor))
    start = 0 if factor == 1 else time.time_ns() % 10**9
    return list(range(start, start + count))


def check(cases: Sequence[Case], library: Sequence[Path], folder: Path) -> None:
    chunks = [cases[i : i + PER_PROGRAM] for i in range(0, len(cases), PER_PROGRAM)]
    folders = [folder / str(number) for number in range(len(chunks))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda c, f: differences(c, library, f), chunks, folders)
        assert [line for lines in found for line in lines] == []


def test_random_models(library: list[Path], tmp_path: Path) -> None:
    check([random_case(seed) for seed in seeds()], library, tmp_path)


def test_every_operator(library: list[Path], tmp_path: Path) -> None:
    """Every kernel with its params as C, in its odd geometries."""
    pairs = [(kind, seed) for kind in OPERATORS for seed in range(6, 6 + EACH_OPERATOR)]
    check([operator_case(kind, seed) for kind, seed in pairs], library, tmp_path)


def test_a_wrong_weight_is_found(library: list[Path], tmp_path: Path) -> None:
    """That the two tests above can fail: another weight in the C, the model is named."""
    one = operator_case("dense", 6)
    weight = one.graph.op("output").weight
    assert weight is not None
    op = replace(one.graph.op("output"), weight=weight ^ 64)
    graph = replace(one.graph, ops=tuple(op if o.name == op.name else o for o in one.graph.ops))
    right = operator_case("softmax", 6)
    wrong = Case(graph, one.lowered, one.plan, one.x)
    found = differences([right, wrong], library, tmp_path / "p")
    assert [line.split(":")[0] for line in found] == [graph.name, graph.name]
