"""ONNX files: a module that computes what it says it takes, or one clear error with a way out; and
then a graph, or one.

Tracing is slow: of the inputs whose module computes every EVERY-th is captured, too.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path

import torch

from nanotool.errors import NanoError
from nanotool.frontends import onnx
from nanotool.frontends.torch import capture

FILE = Path(tempfile.mkdtemp(prefix="nano-fuzz-")) / "net.onnx"
MOST = 2**16  # elements of an input
EVERY = 16
computed = itertools.count()


def example(module: torch.nn.Module) -> tuple[torch.Tensor, ...]:
    """A batch of two zeros for each input that the file declares; none if one is too large."""
    shapes = [onnx._dimensions(one)[1:] for one in module.takes]  # type: ignore[union-attr]
    sizes = [[max(1, size) for size in shape] for shape in shapes]
    if sum(map(math.prod, sizes)) > MOST:
        return ()
    return tuple(torch.zeros(2, *shape) for shape in sizes)


def test(data: bytes) -> None:
    """Read ``data`` as a file."""
    FILE.write_bytes(data)
    try:
        module = onnx.load(FILE)
        inputs = example(module)
        if not inputs:
            return
        with torch.no_grad():
            module(*inputs)
        if next(computed) % EVERY == 0:
            capture(module, inputs if len(inputs) > 1 else inputs[0])
    except NanoError as error:
        assert error.hint, error
