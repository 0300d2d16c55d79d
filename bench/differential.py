"""Random graphs of all operators, in every way there is, against TFLite Micro: count the bytes.

    python -m bench.differential [--count 20000] [--first 0] [--samples 6] [--int16] [--int4]
    python -m bench.differential --steps 20 [--count 20000] [--first 0]

``--int16``: graphs of activations in int16, with seams to int8. The second form takes models with
states, and with several inputs and outputs, over so many steps of a sequence. Graph number N
depends on N alone: ``--first N --count 1`` makes it again. Compared with what TFLite Micro makes of
the written .tflite file are the simulator, the C library, and the simulator on what the importer
makes of that file. Ends with a table of the operators, and with 1 if any byte differed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from nanotool import plan as planner
from nanotool.errors import NanoError
from nanotool.ir import Binary, Conv2D, Op, Resize, Shape, Unary

ROOT = Path(__file__).parent.parent
REPORT_EVERY = 1000  # graphs
PLANNING = (2_000, 500)  # the planner's work on each graph, as nanotool.plan counts it


def run(
    first: int, count: int, samples: int, steps: int = 0, *, int16: bool = False, int4: bool = False
) -> int:
    """Check the graphs, print what they held and what differed; how many did. ``steps``: models
    with states, over so many. ``int16``: graphs of int16. ``int4``: weights of four bits."""
    sys.path.insert(0, str(ROOT / "tests" / "python"))  # generators and oracle belong to the tests
    from differential import differences, step_differences  # noqa: PLC0415
    from random_graphs import (  # noqa: PLC0415
        INT16,
        TFLITE,
        in_int4,
        random_graph,
        random_inputs,
        random_sequence,
        random_steps,
    )

    # What is compared is bytes, in any arena that is right: the smallest one would take most of
    # the time.
    planner.CLIMB_WORK, planner.SEARCH_BUDGET = PLANNING
    seen: Counter[str] = Counter()
    compared, faults, start = 0, 0, time.monotonic()
    for number in range(first, first + count):
        try:
            if steps:
                graph = random_steps(number)
                found: object = step_differences(graph, random_sequence(graph, steps, number))
            else:
                kinds = INT16 if int16 else TFLITE
                graph = random_graph(number, kinds=kinds, tflite=True, borders=True, int16=int16)
                graph = in_int4(graph) if int4 else graph
                found = differences(graph, random_inputs(graph, samples, number))
        except NanoError as error:
            found = error
        if found:
            faults += 1
            print(f"graph {number}: {found}", flush=True)
        compared += (steps or samples) * sum(tensor.nbytes for tensor in graph.output_tensors)
        seen.update(_name(layer.op, graph.tensors[layer.inputs[0]].shape) for layer in graph.ops)
        if (number - first + 1) % REPORT_EVERY == 0:
            elapsed = time.monotonic() - start
            print(f"{number - first + 1:,} graphs, {faults} faults, {elapsed:.0f} s", flush=True)
    for name, times in sorted(seen.items()):
        print(f"{name:24} {times:8,}")
    print(
        f"{count:,} graphs from number {first}, {sum(seen.values()):,} operators, {compared:,} "
        f"bytes of output each way: {faults} graphs with a difference or an error"
    )
    return faults


def _name(op: Op, shape: Shape) -> str:
    """Its name, with the function where it has one; ``shape`` is that of its input."""
    words = [type(op).__name__]
    match op:
        case Unary(function) | Binary(function):
            words.append(function.partition(":")[0])
        case Conv2D(_, groups) if groups > 1:
            words.append("depthwise" if groups == shape[2] else "grouped")
        case Resize(method):
            words.append(method)
        case _:
            pass
    return " ".join(words)


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20_000, help="graphs")
    parser.add_argument("--first", type=int, default=0, help="number of the first graph")
    parser.add_argument("--samples", type=int, default=6, help="inputs of each graph")
    parser.add_argument("--steps", type=int, default=0, help="of models with states")
    parser.add_argument("--int16", action="store_true", help="graphs of activations in int16")
    parser.add_argument("--int4", action="store_true", help="convolutions and dense layers in int4")
    given = parser.parse_args()
    faults = run(
        given.first, given.count, given.samples, given.steps, int16=given.int16, int4=given.int4
    )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
