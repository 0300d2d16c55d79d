"""PyTorch modules that are steps: states as arguments and as buffers, of every shape."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Lstm(nn.Module):
    """A cell by hand; the state is a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.gates, self.answer = nn.Linear(12, 32), nn.Linear(8, 3)

    def forward(self, x: Any, hc: Any) -> Any:
        h, c = hc
        i, f, g, o = self.gates(torch.cat([x, h], -1)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return self.answer(h), (h, c)


class Gru(nn.Module):
    """A cell by hand; outputs have names, the state's among them, which is an output, too."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x, self.of_h = nn.Linear(4, 24), nn.Linear(8, 24)

    def forward(self, x: Any, h: Any = None) -> Any:
        xr, xz, xn = self.of_x(x).chunk(3, 1)
        hr, hz, hn = self.of_h(h).chunk(3, 1)
        z = torch.sigmoid(xz + hz)
        h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h
        return {"last": h, "loss": None, "h": h}


class Leaky(nn.Module):
    """A leaky integrator, with an axis for the batch or without."""

    v: torch.Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)
        self.register_buffer("v", torch.zeros(shape))

    def forward(self, x: Any) -> Any:
        self.v = 0.8 * self.v + 0.2 * self.layer(x).view(self.v.shape)
        return F.relu(self.v)


class Filter(nn.Module):
    """Second order, written in place."""

    y1: torch.Tensor
    y2: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("y1", torch.zeros(1, 4))
        self.register_buffer("y2", torch.zeros(1, 4))

    def forward(self, x: Any) -> Any:
        y = 0.2 * x + 1.2 * self.y1 - 0.5 * self.y2
        self.y2.copy_(self.y1)
        self.y1.copy_(y)
        return y


class Ring(nn.Module):
    """Past frames, without an axis for the batch, to which new ones are joined."""

    past: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(8, 4))
        self.conv, self.answer = nn.Conv1d(4, 6, 3), nn.Linear(36, 3)

    def forward(self, x: Any) -> Any:
        self.past = torch.cat([self.past[1:], x], 0)
        return self.answer(F.relu(self.conv(self.past.t().unsqueeze(0))).flatten(1))


class Roll(nn.Module):
    """Past frames that are rolled; the newest is written over the oldest."""

    past: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(1, 4, 8))
        self.conv, self.answer = nn.Conv1d(4, 6, 3), nn.Linear(36, 3)

    def forward(self, x: Any) -> Any:
        self.past.copy_(torch.roll(self.past, -1, dims=2))
        self.past[:, :, -1] = x
        return self.answer(F.relu(self.conv(self.past)).flatten(1))


class Shift(nn.Module):
    """Past frames that are moved within their buffer."""

    past: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(5, 4))
        self.answer = nn.Linear(20, 3)

    def forward(self, x: Any) -> Any:
        self.past[:-1] = self.past[1:].clone()
        self.past[-1] = x[0]
        return self.answer(self.past.reshape(1, -1))


class Nested(nn.Module):
    """Modules with a state each."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.answer = Leaky(1, 6), Roll(), nn.Linear(9, 2)

    def forward(self, x: Any) -> Any:
        return self.answer(torch.cat([self.a(x), self.b(x)], 1))


class Image(nn.Module):
    """A state that is an image."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
        self.answer = nn.Conv2d(4, 1, 1)

    def forward(self, image: Any, seen: Any) -> Any:
        seen = torch.tanh(self.b(torch.cat([image, seen], 1)))
        return self.answer(F.relu(self.a(image)) + seen).flatten(1), seen


class Mean(nn.Module):
    """A state that is one number."""

    level: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(()))
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        self.level = 0.8 * self.level + 0.2 * x.mean()
        return self.layer(x - self.level)


class Delay(nn.Module):
    """States that become the input, and what another one was."""

    one: torch.Tensor
    two: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.zeros(1, 4))
        self.register_buffer("two", torch.zeros(1, 4))
        self.layer = nn.Linear(12, 3)

    def forward(self, x: Any) -> Any:
        y = self.layer(torch.cat([x, self.one, self.two], 1))
        self.two, self.one = self.one.clone(), x.clone()
        return {"y": y, "change": x - self.two}


class Causal(nn.Module):
    """Convolutions along time, each with the frames that it needs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 4, 3), nn.Conv1d(4, 3, 2)

    def forward(self, x: Any, first: Any, second: Any) -> Any:
        x = torch.cat([first, x], 2)
        y = torch.cat([second, F.relu(self.a(x))], 2)
        return self.b(y).flatten(1), x[:, :, -2:], y[:, :, -1:]


class Hop(nn.Module):
    """A window of samples, without any other axis."""

    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.zeros(12))
        self.layer = nn.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        self.window = torch.cat([self.window[4:], x.squeeze(0)])
        return F.relu(self.layer(self.window)).unsqueeze(0)


class Denoiser(nn.Module):
    """As noise suppressors for speech are: three GRUs, each beside all that came before, gains of
    bands and whether somebody speaks."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 6)
        self.of_voice = nn.GRU(6, 6, batch_first=True)
        self.of_noise = nn.GRU(16, 8, batch_first=True)
        self.of_sound = nn.GRU(18, 10, batch_first=True)
        self.speaks, self.gains = nn.Linear(6, 1), nn.Linear(10, 5)

    def forward(self, features: Any, voice: Any, noise: Any, sound: Any) -> Any:
        x = features.unsqueeze(1)
        first = torch.tanh(self.dense(x))
        v, voice = self.of_voice(first, voice)
        n, noise = self.of_noise(torch.cat([first, v, x], -1), noise)
        s, sound = self.of_sound(torch.cat([v, n, x], -1), sound)
        return {
            "gains": torch.sigmoid(self.gains(s)).squeeze(1),
            "speaks": torch.sigmoid(self.speaks(v)).squeeze(1),
            **{"voice": voice, "noise": noise, "sound": sound},
        }


# Name -> (module, shape of an input, states, the least signal-to-noise ratio over unseen steps)
NETS: dict[str, tuple[type[nn.Module], tuple[int, ...], tuple[int, ...], Any, float]] = {
    "LSTM by hand": (Lstm, (), (4,), {"hc": (torch.zeros(1, 8), torch.zeros(1, 8))}, 20),
    "GRU by hand": (Gru, (), (4,), {"h": torch.full((1, 8), 0.5)}, 25),
    "leaky integrator": (Leaky, (1, 6), (4,), ["v"], 25),
    "leaky integrator, no batch": (Leaky, (6,), (4,), "v", 25),
    "filter": (Filter, (), (4,), ["y1", "y2"], 22),
    "ring": (Ring, (), (4,), ["past"], 30),
    "roll": (Roll, (), (4,), {"past": torch.ones(1, 4, 8)}, 30),
    "shift": (Shift, (), (4,), ["past"], 30),
    "nested": (Nested, (), (4,), ["a.v", "b.past"], 25),
    "image": (Image, (), (2, 6, 5), {"seen": torch.zeros(1, 4, 6, 5)}, 30),
    "mean": (Mean, (), (4,), ["level"], 30),
    "delay": (Delay, (), (4,), ["one", "two"], 30),
    "causal": (
        Causal,
        (),
        (4, 2),
        {"first": torch.zeros(1, 4, 2), "second": torch.zeros(1, 4, 1)},
        30,
    ),
    "hop": (Hop, (), (4,), ["window"], 30),
    "denoiser": (
        Denoiser,
        (),
        (4,),
        {name: torch.zeros(1, 1, n) for name, n in (("voice", 6), ("noise", 8), ("sound", 10))},
        30,
    ),
}
