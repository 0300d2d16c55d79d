"""The ststm32 stand-in as PlatformIO sees it."""

from platformio.public import PlatformBase


class Ststm32Platform(PlatformBase):
    """No packages: compiler and programmer come from PATH."""

    def is_embedded(self):
        """True: PlatformIO would tell it by a programmer among the packages."""
        return True
