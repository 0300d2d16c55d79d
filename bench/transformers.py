"""What int8 costs small transformers: a vision transformer on digits, a 1-D one on motion.

    python -m bench.transformers [--record]

Trains each with a fixed seed, quantizes it with 512 training inputs, judges int8, run by the C
library, and float on the whole test part, and runs a few inputs on the emulated STM32. Fails where
int8 is more than a point below float, or where a byte of the board's differs from the simulator's.
bench/transformers.json keeps the figures; docs/operators.md quotes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import nanotool
from examples.fit import fit, predict
from examples.task import Recipe
from examples.task08_motion import worn_otherwise
from nanotool.boards import find_board
from nanotool.build import build
from nanotool.datasets import Dataset, load_mnist, load_motion
from nanotool.device import Device, open_board
from nanotool.inputs import to_device
from nanotool.run import run

RECORD = Path(__file__).parent / "transformers.json"
BOARD, ON_BOARD, CALIBRATION, MOST_LOST = "stm32", 8, 512, 0.01


class Attention(nn.Module):
    """Multi-head self-attention over N x tokens x dim."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        count, tokens, dim = x.shape
        parts = self.qkv(x).reshape(count, tokens, 3, self.heads, dim // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        answer: Tensor = self.out(seen.transpose(1, 2).reshape(count, tokens, dim))
        return answer


class Block(nn.Module):
    """Attention and a perceptron, each behind its norm and beside its shortcut."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.perceptron = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = x + self.attention(self.norm1(x))
        answer: Tensor = x + self.perceptron(self.norm2(x))
        return answer


class Transformer(nn.Module):
    """Patches, made tokens by a convolution without overlap, to logits: two blocks of two heads.

    ``classed``: a token of its own gathers the answer, as in ViT; else it is the tokens' mean.
    """

    def __init__(
        self, patches: nn.Module, tokens: int, dim: int, classes: int, *, classed: bool
    ) -> None:
        super().__init__()
        self.patches = patches
        self.token = nn.Parameter(torch.randn(1, 1, dim) * 0.02) if classed else None
        self.places = nn.Parameter(torch.randn(1, tokens + classed, dim) * 0.02)
        self.blocks = nn.Sequential(*(Block(dim, 2) for _ in range(2)))
        self.norm, self.answer = nn.LayerNorm(dim), nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            tokens = torch.cat((self.token.expand(len(x), -1, -1), tokens), 1)
        found = self.norm(self.blocks(tokens + self.places))
        answer: Tensor = self.answer(found.mean(1) if self.token is None else found[:, 0])
        return answer


def vision_transformer() -> nn.Module:
    """28 x 28 digits in patches of 7 x 7: 16 tokens and the class's, dim 32."""
    return Transformer(nn.Conv2d(1, 32, 7, 7), 16, 32, 10, classed=True)


def motion_transformer() -> nn.Module:
    """200 samples of 6 channels in patches of 8: 25 tokens, dim 32."""
    return Transformer(nn.Conv1d(6, 32, 8, 8), 25, 32, 7, classed=False)


@dataclass(frozen=True, slots=True)
class Case:
    """A net, its data, how it is trained."""

    name: str
    network: Callable[[], nn.Module]
    data: Callable[[], Dataset]
    recipe: Recipe


CASES = (
    Case(
        "vision transformer, digits",
        vision_transformer,
        load_mnist,
        Recipe(epochs=2, learning_rate=4e-3, batch=256, weight_decay=0.05),
    ),
    Case(
        "1-D transformer, motion",
        motion_transformer,
        lambda: load_motion()[0],
        Recipe(epochs=6, learning_rate=3e-3, batch=64, weight_decay=0.05, augment=worn_otherwise),
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One net; accuracies on ``inputs`` of the test part, ``differing`` bytes of ``on_board``."""

    name: str
    parameters: int
    inputs: int
    float_accuracy: float
    int8_accuracy: float
    snr_db: float
    board: str
    on_board: int
    differing: int
    instructions: int


def measured(case: Case) -> Row:
    """Train one net, quantize it, judge both forms, run it on the board."""
    data = case.data()
    model = fit(case.network, data, case.recipe, threads=1)
    order = np.random.default_rng(0).permutation(len(data.train_x))[:CALIBRATION]
    quantized = nanotool.quantize(
        model, data.train_x[order], name="transformer", targets=data.train_y[order]
    )
    found = quantized.run(data.test_x)
    with torch.no_grad():
        wanted = torch.cat([model(x) for x in torch.split(torch.tensor(data.test_x), 500)]).numpy()
    noise = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    board = find_board(BOARD)
    firmware = build([quantized.graph], board)
    built = firmware.models[0]
    with open_board(board, firmware.elf) as port, Device(port, timeout=120) as device:
        x = to_device(quantized.graph, data.test_x[:ON_BOARD])
        result = run(device, built.graph, built.lowered, x)
        ticks = sum(layer.ticks for layer in device.layers().layers)
    return Row(
        name=case.name,
        parameters=sum(weight.numel() for weight in model.parameters()),
        inputs=len(data.test_x),
        float_accuracy=float((predict(model, data.test_x) == data.test_y).mean()),
        int8_accuracy=float((found.argmax(-1) == data.test_y).mean()),
        snr_db=round(float(-10 * np.log10(noise)), 1),
        board=BOARD,
        on_board=result.count,
        differing=result.mismatches,
        instructions=ticks,
    )


def main() -> int:
    """Measure, print, record if asked to; 1 if int8 loses more than it may or a byte differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    rows = []
    for case in CASES:
        row = measured(case)
        rows.append(row)
        print(
            f"{row.name}: {row.parameters:,} parameters, float {row.float_accuracy:.2%}, int8 "
            f"{row.int8_accuracy:.2%} of {row.inputs:,}, {row.snr_db} dB; {row.board}: "
            f"{row.differing} bytes of {row.on_board} inputs differ, {row.instructions:,} "
            "instructions an inference",
            flush=True,
        )
    if options.record:
        RECORD.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    failed = [
        row for row in rows if row.differing or row.float_accuracy - row.int8_accuracy > MOST_LOST
    ]
    for row in failed:
        print(f"{row.name} loses more than {MOST_LOST:.0%}, or bytes differ.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
