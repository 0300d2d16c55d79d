"""The device's front ends as a PyTorch transform, so that training sees the board's numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nanotool.sensing.description import CameraSettings, FrontEnd, SensorSettings
from nanotool.signal.camera import Camera, encode, real_values
from nanotool.signal.frontend import front_end, unit_of


class FrontEndTransform(nn.Module):
    """Waveforms [..., samples] to features [..., frames, features], float32, real values.

    Each waveform is heard by itself, from a reset on. Floats are -1..1, as torchaudio loads them;
    int16 is taken as it is. Of a sensor: [..., channels, samples] in the sensor's own numbers,
    int16, or floats, which are rounded. No gradient goes through.
    """

    def __init__(self, settings: FrontEnd) -> None:
        super().__init__()
        self.settings = settings
        self._front_end = front_end(settings)

    @property
    def unit(self) -> float:
        """A feature's real value is the device's integer times this: for `Scaling.of`."""
        return unit_of(self.settings)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """See the class."""
        sound = waveforms.detach().cpu().numpy()
        sensor = isinstance(self.settings, SensorSettings)
        if sound.dtype != np.int16:
            whole = np.round(sound * (1.0 if sensor else 32768.0))
            sound = np.clip(whole, -32768, 32767).astype(np.int16)
        if sensor:  # channels in turn
            sound = sound.swapaxes(-1, -2).reshape(*sound.shape[:-2], -1)
        rows = []
        for row in sound.reshape(-1, sound.shape[-1]):
            self._front_end.reset()
            rows.append(self._front_end.process(np.ascontiguousarray(row)))
        features = torch.from_numpy(np.stack(rows).astype(np.float32)) * self.unit
        shape = (*sound.shape[:-1], *features.shape[1:])
        return features.reshape(shape).to(waveforms.device)


class CameraTransform(nn.Module):
    """Pictures [n, 1 or 3, height, width] to what a net is trained on [n, channels, out_height,
    out_width], float32: as the camera would send them, and the device resize them.

    Pictures are uint8, or floats 0..1. No gradient goes through.
    """

    def __init__(self, settings: CameraSettings) -> None:
        super().__init__()
        self.settings = settings
        self._camera = Camera(settings)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """See the class."""
        given = pictures.detach().cpu().numpy()
        if given.dtype != np.uint8:
            given = np.clip(np.round(given * 255.0), 0, 255).astype(np.uint8)
        last = given[:, 0] if given.shape[1] == 1 else given.transpose(0, 2, 3, 1)
        made = real_values(self.settings, self._camera.process(encode(self.settings, last)))
        return torch.from_numpy(made.astype(np.float32)).permute(0, 3, 1, 2).to(pictures.device)
