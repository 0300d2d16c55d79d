"""Nets as people build them, one for each kind of work; trained once, from a seed, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F  # noqa: N812  (as everybody names it)
from torch import nn

from bench.accuracy.data import DATA, Split

CACHE = Path(__file__).resolve().parents[2] / "build" / "accuracy"


class BcResBlock(nn.Module):
    """Broadcasted residual learning (Kim et al., Interspeech 2021), with plain batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.transition = inputs != outputs
        first: list[nn.Module] = []
        if self.transition:
            first += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        depthwise = nn.Conv2d(
            outputs, outputs, (3, 1), (stride, 1), (1, 0), groups=outputs, bias=False
        )
        self.frequency = nn.Sequential(*first, depthwise, nn.BatchNorm2d(outputs))
        self.temporal = nn.Sequential(
            nn.Conv2d(
                outputs,
                outputs,
                (1, 3),
                padding=(0, dilation),
                dilation=(1, dilation),
                groups=outputs,
                bias=False,
            ),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 1),
            nn.Dropout2d(0.1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for ``x`` [n, *shape]."""
        y = self.frequency(x)
        y = y + self.temporal(y.mean(dim=2, keepdim=True))
        return F.relu(y if self.transition else y + x)


class BcResNet(nn.Module):
    """BC-ResNet-1 over MFCC x frames."""

    def __init__(self, width: int = 8, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(1, 2 * width, 5, (2, 1), 2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        ]
        inputs = 2 * width
        stages = ((width, 2, 1, 1), (3 * width // 2, 2, 2, 2), (2 * width, 4, 2, 4))
        for outputs, count, stride, dilation in (*stages, (5 * width // 2, 4, 1, 8)):
            for index in range(count):
                layers.append(BcResBlock(inputs, outputs, stride if index == 0 else 1, dilation))
                inputs = outputs
        self.features = nn.Sequential(*layers)
        self.last = nn.Sequential(
            nn.Conv2d(inputs, inputs, (2, 5), padding=(0, 2), groups=inputs, bias=False),
            nn.Conv2d(inputs, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )
        self.classify = nn.Linear(4 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for ``x`` [n, *shape]."""
        y: torch.Tensor = self.classify(self.last(self.features(x)).mean(dim=(2, 3)))
        return y


class Squeeze(nn.Module):
    """Squeeze and excite with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for ``x`` [n, *shape]."""
        y = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.up(y))


class Inverted(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze and excite, project."""

    def __init__(self, inputs: int, wide: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            Squeeze(wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for ``x`` [n, *shape]."""
        y: torch.Tensor = self.body(x)
        return x + y if self.residual else y


class MobileNetV3(nn.Sequential):
    """A small MobileNetV3."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            Inverted(16, 32, 16, 1),
            Inverted(16, 48, 24, 2),
            Inverted(24, 64, 24, 1),
            Inverted(24, 96, 40, 2),
            Inverted(40, 120, 40, 1),
            nn.Conv2d(40, 96, 1, bias=False),
            nn.BatchNorm2d(96),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(96, 10),
        )


class TcnBlock(nn.Module):
    """Two dilated convolutions over time and a residual."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.one = nn.Conv1d(inputs, outputs, 5, padding=2 * dilation, dilation=dilation)
        self.two = nn.Conv1d(outputs, outputs, 5, padding=2 * dilation, dilation=dilation)
        self.norms = nn.ModuleList(nn.BatchNorm1d(outputs) for _ in range(2))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for ``x`` [n, *shape]."""
        y = F.relu(self.norms[0](self.one(x)))
        return F.relu(self.norms[1](self.two(y)) + self.skip(x))


class Tcn(nn.Sequential):
    """A temporal convolutional network over 6 axes of motion."""

    def __init__(self) -> None:
        super().__init__(
            *(TcnBlock(6 if d == 1 else 16, 16, d) for d in (1, 2, 4, 8)),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(16, 7),
        )


class UNet(nn.Module):
    """Two levels of encoder and decoder with joins; predicts the clean image."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
            )

        self.one, self.two = block(1, width), block(width, 2 * width)
        self.bottom = block(2 * width, 4 * width)
        self.up_two = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.join_two = block(4 * width, 2 * width)
        self.up_one = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.join_one = block(2 * width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output for ``x`` [n, *shape]."""
        one = self.one(x)
        two = self.two(F.max_pool2d(one, 2))
        y = self.up_two(self.bottom(F.max_pool2d(two, 2)))
        y = self.up_one(self.join_two(torch.cat([y, two], 1)))
        result: torch.Tensor = self.last(self.join_one(torch.cat([y, one], 1)))
        return result


class Cnn(nn.Sequential):
    """Three convolutions over 8x8 digits."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, 10),
        )


class Mlp(nn.Sequential):
    """A regression from ten numbers."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
        )


@dataclass(frozen=True)
class Net:
    """A net, its data and how long it learns."""

    make: Callable[[], nn.Module]
    data: str
    epochs: int
    rate: float = 3e-3
    batch: int = 64


NETS: Mapping[str, Net] = MappingProxyType(
    {
        "BC-ResNet": Net(BcResNet, "spoken digits", 30, 1e-2),
        "BC-ResNet in noise": Net(BcResNet, "spoken digits in noise", 20, 1e-2),
        "MobileNetV3": Net(MobileNetV3, "fashion", 8),
        "TCN": Net(Tcn, "motion", 4),
        "CNN": Net(Cnn, "small digits", 15),
        "U-Net": Net(UNet, "noisy digits", 5),
        "MLP": Net(Mlp, "diabetes", 30),
    }
)


def loss_of(net_data: Split) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """What is minimized."""
    return F.cross_entropy if net_data.classes else F.mse_loss


def fit(model: nn.Module, data: Split, epochs: int, rate: float, batch: int = 64) -> nn.Module:
    """``model`` after some epochs of Adam, the rate falling to 0 along a cosine."""
    x, y = torch.tensor(data.train_x), torch.tensor(data.train_y)
    loss = loss_of(data)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(x) // batch))
    model.train()
    for _ in range(epochs):
        for part in torch.split(torch.randperm(len(x)), batch):
            optimizer.zero_grad()
            loss(model(x[part]), y[part]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return model.eval()


def trained(name: str) -> tuple[nn.Module, Split]:
    """The net ``name`` with its data; its weights are kept in build/accuracy."""
    net = NETS[name]
    data = DATA[net.data]()
    torch.manual_seed(0)
    model = net.make()
    path = CACHE / f"{name}.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval(), data
    fit(model, data, net.epochs, net.rate, net.batch)
    CACHE.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)
    return model, data
