"""How fast a model runs on this computer, through the C library in this process.

    python -m bench.host [MODEL] [--images 10000] [--rounds 5] [--litert]

Microseconds of processor time an image, the best of the rounds: the portable kernels, the ones that
use this computer's vector instructions (`Runtime(fast=True)`, what `QuantizedModel.run` takes),
and the NumPy simulator. Inputs are random bytes: the time does not depend on them. The three must
agree. With ``--litert`` also LiteRT with XNNPACK, one thread, of a .tflite file, where PyPI's
ai-edge-litert is installed; its kernels round otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.simulate import simulate

DIGITS = Path(__file__).parent.parent / "firmware" / "models" / "default"
SIMULATED = 200  # images: NumPy is slow


def best(run: Callable[[NDArray[Any]], NDArray[Any]], x: NDArray[Any], rounds: int) -> float:
    """Microseconds an image."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run(x)
        times.append(time.process_time() - start)
    return min(times) / len(x) * 1e6


def litert(path: Path) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """LiteRT's interpreter, image by image."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target, *_) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: NDArray[Any]) -> NDArray[Any]:
        for one in x:
            interpreter.set_tensor(source["index"], one.reshape(source["shape"]))
            interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target["index"]))

    return run


def main() -> int:
    """Measure, print a table, return 1 if outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=DIGITS)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--litert", action="store_true", help="beside LiteRT, of a .tflite file")
    options = parser.parse_args()
    graph = load_model(options.model)
    lowered, plan = prepare(graph)
    shape = (options.images, *graph.input_tensor.shape)
    x = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    portable, fast = Runtime(lowered, plan), Runtime(lowered, plan, fast=True)
    few = x[:SIMULATED]
    wanted = simulate(graph, few)
    if not all(np.array_equal(one.run(few), wanted) for one in (portable, fast)):
        print("outputs differ")
        return 1
    print(f"{graph.name}: {lowered.macs:,} multiply-accumulates, {options.images:,} images")
    print(f"portable kernels  {best(portable.run, x, options.rounds):8.1f} us an image")
    print(f"fast=True         {best(fast.run, x, options.rounds):8.1f} us an image")
    if options.litert:
        print(
            f"LiteRT, XNNPACK   {best(litert(options.model), x, options.rounds):8.1f} us an image"
        )
    print(f"NumPy simulator   {best(lambda a: simulate(graph, a), few, 2):8.1f} us an image")
    return 0


if __name__ == "__main__":
    sys.exit(main())
