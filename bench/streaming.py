"""What streaming saves: a small DS-CNN on spoken digits, as windows and as steps.

    python -m bench.streaming [--board stm32] [--epochs 6]

Trains on the digits' MFCC (40 frames a window, about 40 frames a second), streams, runs the test
recordings one behind the other through the steps, compares every value with the window model's on
the last 40 frames, and counts instructions on the emulated board.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import nn

import nanotool
from nanotool.bench import bench
from nanotool.boards import find_board
from nanotool.build import build
from nanotool.datasets.spoken_digits import FRAMES, load_spoken_digits

STEP, FRAMES_A_SECOND = 2, 40
RECORDINGS = 20  # that are streamed


class DsCnn(nn.Sequential):
    """Depthwise separable convolutions over MFCC x frames; padded along the MFCC only."""

    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(1, channels, (5, 8), stride=(2, STEP), padding=(2, 0)),
            nn.ReLU(),
        ]
        for _ in range(blocks):
            layers += [
                nn.Conv2d(channels, channels, 3, padding=(1, 0), groups=channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 1),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def trained(x: torch.Tensor, y: torch.Tensor, epochs: int) -> nn.Module:
    """The net after some epochs."""
    torch.manual_seed(0)
    model = DsCnn()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for part in torch.split(torch.randperm(len(x)), 32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[part]), y[part])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()


def main() -> int:
    """Measure, print, return 1 if a byte differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="stm32")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    data = load_spoken_digits()
    train, test = (torch.tensor(x)[:, None] for x in (data.train_x, data.test_x))
    model = trained(train, torch.tensor(data.train_y), options.epochs)
    window = nanotool.quantize(model, train[:200], name="digits", observer="minmax")
    steps = nanotool.stream(window, axis=-1, step=STEP)
    right = (window.simulate(test.numpy()).argmax(-1) == data.test_y).mean()
    print(f"int8 accuracy, windows: {right:.1%}")

    device = window.graph.input_tensor
    sound = np.concatenate(list(test.numpy()[:RECORDINGS]), axis=-1)  # 1, MFCC, frames
    count = sound.shape[-1] // STEP
    got = steps.simulate(np.stack(np.split(sound, count, axis=-1)))
    ends = range(FRAMES, sound.shape[-1] + 1, STEP)
    wanted = window.simulate(np.stack([sound[..., end - FRAMES : end] for end in ends]))
    differing = int((got[FRAMES // STEP - 1 :] != wanted).sum())
    print(f"{len(wanted)} windows of {device.shape}, streamed: {differing} values differ")

    board, counts = find_board(options.board), {}
    for name, one in (("windows", window), ("steps", steps)):
        result = bench(build(one.graph, board))
        counts[name] = result.ticks * FRAMES_A_SECOND // STEP
        print(
            f"{name:8} {result.ticks:>10,} instructions a run, {counts[name]:>12,} a second, "
            f"{one.arena_size(board.target):,} B arena"
        )
    print(f"{counts['windows'] / counts['steps']:.1f} times fewer")
    return int(differing > 0)


if __name__ == "__main__":
    raise SystemExit(main())
