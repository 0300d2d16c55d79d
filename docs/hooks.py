"""For MkDocs: files of the repository that pages link to, but that are not part of the site."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A link that leaves docs/ becomes the file's name: the site has no such page."""
    return _OUTSIDE.sub(lambda link: f"`{link[2].removeprefix('../')}`", markdown)
