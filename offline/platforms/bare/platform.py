"""The bare-metal platform as PlatformIO sees it."""

from platformio.public import PlatformBase


class BarePlatform(PlatformBase):
    """No packages: the compiler comes from PATH."""

    def is_embedded(self):
        """True: PlatformIO would tell it by a programmer among the packages."""
        return True
