"""Where the project is published: python packaging/address.py [URL]

packaging/ADDRESS is the one place that says it, a line with the address of the repository; there is
none yet, and the file is empty. Whoever publishes runs this with the address, or writes it there
and runs this: it puts the address into every manifest that a registry reads, or takes it out again
where the file is empty. tests/python/test_manifests.py fails where a manifest says something else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = ROOT / "packaging" / "ADDRESS"


def _platformio(text: str, address: str) -> str:
    entries = (
        f'  "homepage": "{address}",\n  "repository": {{"type": "git", "url": "{address}"}},\n'
    )
    text = re.sub(r'^  "(?:homepage|repository)": .*\n', "", text, flags=re.M)
    return _behind(r'  "license": .*\n', text, entries if address else "")


def _arduino(text: str, address: str) -> str:
    return re.sub(r"^url=.*$", f"url={address}", text, count=1, flags=re.M)


def _esp_idf(text: str, address: str) -> str:
    text = re.sub(r"^(?:url|repository): .*\n", "", text, flags=re.M)
    entries = f'url: "{address}"\nrepository: "{address}"\n'
    return _behind(r"license: .*\n", text, entries if address else "")


def _python(text: str, address: str) -> str:
    text = re.sub(r"^\[project\.urls\]\n.*\n.*\n\n", "", text, flags=re.M)
    table = f'[project.urls]\nHomepage = "{address}"\nRepository = "{address}"\n\n'
    anchor = "[project.optional-dependencies]\n"
    return text.replace(anchor, (table if address else "") + anchor, 1)


def _site(text: str, address: str) -> str:
    text = re.sub(r"^repo_url: .*\n", "", text, flags=re.M)
    return _behind(r"site_name: .*\n", text, f"repo_url: {address}\n" if address else "")


def _behind(line: str, text: str, entries: str) -> str:
    """``text`` with ``entries`` behind the line that ``line`` matches."""
    return re.sub(f"^{line}", lambda found: found[0] + entries, text, count=1, flags=re.M)


MANIFESTS: dict[str, Callable[[str, str], str]] = {
    "lib/nano/library.json": _platformio,
    "lib/nano/library.properties": _arduino,
    "lib/nano/idf_component.yml": _esp_idf,
    "pyproject.toml": _python,
    "mkdocs.yml": _site,
}


def address() -> str:
    """The project's address; "" while there is none."""
    return ADDRESS.read_text("utf-8").strip()


def checked(url: str) -> str:
    """``url``, which is "" or a whole address of the web that every manifest can hold."""
    parts = urlsplit(url)
    if url and not (parts.scheme == "https" and parts.netloc and re.fullmatch(r"[\w.:/~+-]+", url)):
        raise SystemExit(f"{url!r} is not an address like https://HOST/PATH.")
    return url


def main(arguments: list[str]) -> None:
    """Write what `MANIFESTS` make of the address: the first argument, or what is there."""
    url = checked(arguments[0].strip() if arguments else address())
    ADDRESS.write_text(f"{url}\n" if url else "", "utf-8")
    for name, fill in MANIFESTS.items():
        path = ROOT / name
        path.write_text(fill(path.read_text("utf-8"), url), "utf-8")
        print(f"{name}: {url or 'no address'}")


if __name__ == "__main__":
    main(sys.argv[1:])
