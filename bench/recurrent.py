"""What int8 costs recurrent classifiers: a GRU and an LSTM on spoken digits and on motion.

    python -m bench.recurrent [--record]

Trains each with a fixed seed, quantizes it with 512 training inputs, and judges int8, run by the C
library, and float on the whole test part. Fails where int8 is more than half a point below float.
bench/recurrent.json keeps the figures; docs/states.md quotes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

import nanotool
from examples.fit import fit, predict
from examples.task import Recipe
from examples.task08_motion import worn_otherwise
from examples.task09_spoken_digits import spoken_otherwise
from nanotool.datasets import Dataset, load_motion, load_spoken_digits

RECORD = Path(__file__).parent / "recurrent.json"
UNITS, CALIBRATION, MOST_LOST = 48, 512, 0.005
RECIPES = {
    "spoken digits": Recipe(
        epochs=16, learning_rate=8e-3, batch=64, weight_decay=0.02, augment=spoken_otherwise
    ),
    "motion": Recipe(
        epochs=6, learning_rate=5e-3, batch=64, weight_decay=0.02, augment=worn_otherwise
    ),
}
LAYERS: dict[str, Callable[..., nn.Module]] = {"GRU": nn.GRU, "LSTM": nn.LSTM}


class Classifier(nn.Module):
    """N x features x frames to logits, by the mean of what the layer gives over the frames. Of
    many frames a strided convolution makes fewer, as one would on a microcontroller."""

    def __init__(self, layer: str, features: int, frames: int, classes: int) -> None:
        super().__init__()
        stride = max(frames // 50, 1)
        self.front = nn.Conv1d(features, 24, 2 * stride + 1, stride)
        self.layer = LAYERS[layer](24, UNITS, batch_first=True)
        self.answer = nn.Linear(UNITS, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        out, _ = self.layer(torch.relu(self.front(x)).transpose(1, 2))
        answer: torch.Tensor = self.answer(out.mean(1))
        return answer


@dataclass(frozen=True, slots=True)
class Row:
    """One net; accuracies on ``inputs`` of the test part."""

    data: str
    layer: str
    frames: int
    inputs: int
    float_accuracy: float
    int8_accuracy: float
    snr_db: float


def measured(name: str, layer: str, data: Dataset) -> Row:
    """Train one net, quantize it, judge both forms."""
    _, features, frames = data.train_x.shape
    network = partial(Classifier, layer, features, frames, len(data.labels))
    model = fit(network, data, RECIPES[name], threads=1)
    order = np.random.default_rng(0).permutation(len(data.train_x))[:CALIBRATION]
    quantized = nanotool.quantize(
        model, data.train_x[order], name="recurrent", targets=data.train_y[order]
    )
    found = quantized.run(data.test_x)
    with torch.no_grad():
        wanted = model(torch.tensor(data.test_x)).numpy()
    noise = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    return Row(
        data=name,
        layer=layer,
        frames=frames,
        inputs=len(data.test_x),
        float_accuracy=float((predict(model, data.test_x) == data.test_y).mean()),
        int8_accuracy=float((found.argmax(-1) == data.test_y).mean()),
        snr_db=round(float(-10 * np.log10(noise)), 1),
    )


def main() -> int:
    """Measure, print, record if asked to; 1 if int8 loses more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    rows = []
    for name, data in (("spoken digits", load_spoken_digits()), ("motion", load_motion()[0])):
        for layer in LAYERS:
            row = measured(name, layer, data)
            rows.append(row)
            print(
                f"{name:14} {layer:5} {row.frames:3} frames: float {row.float_accuracy:.2%}, "
                f"int8 {row.int8_accuracy:.2%} of {row.inputs}, {row.snr_db} dB",
                flush=True,
            )
    if options.record:
        RECORD.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    lost = [row for row in rows if row.float_accuracy - row.int8_accuracy > MOST_LOST]
    for row in lost:
        print(f"{row.layer} on {row.data} loses more than {MOST_LOST:.1%}.", file=sys.stderr)
    return int(bool(lost))


if __name__ == "__main__":
    raise SystemExit(main())
