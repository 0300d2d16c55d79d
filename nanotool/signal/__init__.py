"""Front ends: from a sensor's raw samples to what a model takes, in the device's integers.

`MicroFrontend`, `Mel` and `Sensor` run the C library's blocks in this process, so that training
data goes through the very arithmetic of the board; `Camera` does the same for pictures.
"""

from nanotool.sensing.description import (
    CameraSettings,
    MelSettings,
    MicroFrontendSettings,
    SensorSettings,
)
from nanotool.signal.camera import Camera
from nanotool.signal.frontend import Mel, MicroFrontend, Sensor

__all__ = [
    "Camera",
    "CameraSettings",
    "Mel",
    "MelSettings",
    "MicroFrontend",
    "MicroFrontendSettings",
    "Sensor",
    "SensorSettings",
]
