""".pt2 archives: what the check lets through is plain, and passes the check again as it is.

The input is a series of members: which name (of NAMES), size (2 bytes), content. An input that
begins as an archive does is one.
"""

from __future__ import annotations

import io
import zipfile

from nanotool.frontends.torch import saved

NAMES = (
    "net/archive_format",
    "net/archive_version",
    "net/byteorder",
    "net/.data/version",
    "net/models/model.json",
    "net/data/weights/model_weights_config.json",
    "net/data/constants/model_constants_config.json",
    "net/data/weights/weight_0",
    "net/data/sample_inputs/model.pt",
    "net/data/aotinductor/x.so",
    "net/data/constants/custom_obj_0",
    "net/extra/README",
    "serialized_exported_program.json",
    "serialized_state_dict.pt",
    "version",
    "net/other",
)


def archive(data: bytes) -> bytes:
    """The archive that the input stands for."""
    if data.startswith(b"PK"):
        return data
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        at = 0
        for _ in range(len(NAMES)):
            if at + 3 > len(data):
                break
            size = int.from_bytes(data[at + 1 : at + 3], "little")
            name = NAMES[data[at] % len(NAMES)]
            if name not in file.namelist():
                file.writestr(name, data[at + 3 : at + 3 + size])
            at += 3 + size
    return made.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    """What is in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test(data: bytes) -> None:
    """Check the archive; if it passes, check what goes on to torch."""
    try:
        plain = saved._plain_archive(archive(data))
    except Exception:  # load_program() makes a NanoError of each
        return
    try:
        again = members(saved._plain_archive(plain))
    except saved._Untrusted:
        # Of some damaged archives of tensors torch's reader gives what lay in memory before, which
        # it takes at one time and not at another.
        if not any(name.endswith(".pt") and data for name, data in members(plain).items()):
            raise
        return
    assert again == members(plain)
    assert not any("aotinductor" in name or "custom_obj" in name for name in again)
