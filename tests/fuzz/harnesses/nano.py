""".nano files: a graph that is written and read again as any other, or InvalidModel.

The input is 2 bytes with the header's length, the header (JSON) and the arrays: the checksum is put
right here, so that more than the checksum is looked at. An input that begins as a file does is read
as it is.
"""

from __future__ import annotations

import hashlib

from nanotool.errors import InvalidModel
from nanotool.qfile import MAGIC, PREFIX, SIMPLE, from_bytes, to_bytes


def signed(data: bytes) -> bytes:
    """The file around the input."""
    if data.startswith(MAGIC):
        return data
    length, body = int.from_bytes(data[:2], "little"), data[2:]
    return PREFIX.pack(MAGIC, SIMPLE, length, hashlib.sha256(body).digest()) + body


def test(data: bytes) -> None:
    """Read the file; what is read, write and read again."""
    try:
        graph = from_bytes(signed(data))
    except InvalidModel as error:
        assert error.hint or error.message
        assert len(str(error)) < 6000
        return
    content = to_bytes(graph)
    assert to_bytes(from_bytes(content)) == content
