"""Data sets: fetched once, checked, cached; each says where it came from and under which licence.

The cache is NANOTOOL_CACHE if that is set, else the user's cache folder, else (where that cannot be
written) a checkout's .cache/ or the system's temporary folder.
"""

from nanotool.datasets.dataset import Dataset
from nanotool.datasets.fashion import load_fashion
from nanotool.datasets.mnist import load_mnist
from nanotool.datasets.motion import load_motion
from nanotool.datasets.packages import CACHE_VARIABLE, Package, cache_folders, fetch
from nanotool.datasets.spam import load_spam
from nanotool.datasets.spoken_digits import load_spoken_digits

__all__ = [
    "CACHE_VARIABLE",
    "Dataset",
    "Package",
    "cache_folders",
    "fetch",
    "load_fashion",
    "load_mnist",
    "load_motion",
    "load_spam",
    "load_spoken_digits",
]
