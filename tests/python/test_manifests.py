"""The manifests of lib/nano say what registries and build systems ask for, and name real files."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_scaffold import CMAKE

import nanotool

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lib" / "nano"
NAME = "nano-int8"  # in registries: docs/compatibility.md


def load_yaml(name: str) -> Any:
    return yaml.safe_load((LIBRARY / name).read_text())


def test_platformio() -> None:
    manifest = json.loads((LIBRARY / "library.json").read_text())
    assert manifest["name"] == NAME and manifest["description"]
    assert manifest["version"] == nanotool.__version__ and manifest["license"] == "MIT"
    assert (LIBRARY / manifest["build"]["srcDir"]).is_dir()
    includes = LIBRARY / manifest["build"]["includeDir"]
    assert (includes / manifest["headers"]).is_file()


def test_esp_idf() -> None:
    manifest = load_yaml("idf_component.yml")
    assert manifest["version"] == nanotool.__version__
    assert manifest["description"] and manifest["license"] == "MIT"
    assert re.fullmatch(r">=\d+\.\d+", manifest["dependencies"]["idf"])


def test_arduino() -> None:
    parser = configparser.ConfigParser(delimiters="=", comment_prefixes="#", interpolation=None)
    parser.read_string("[library]\n" + (LIBRARY / "library.properties").read_text())
    manifest = parser["library"]
    needed = ("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url")
    assert {*needed, "architectures", "includes"} <= set(manifest)
    assert manifest["version"] == nanotool.__version__
    assert manifest["name"] == NAME
    assert manifest["category"] == "Data Processing"  # one of the registry's eleven
    # `nanotool new --kind arduino` writes the header; test_scaffold compiles what it makes.
    assert manifest["includes"] == "nano_int8.h"


def test_zephyr() -> None:
    manifest = load_yaml("zephyr/module.yml")
    assert manifest["name"] == NAME
    build = manifest["build"]
    assert (LIBRARY / build["cmake"] / "CMakeLists.txt").is_file()
    kconfig = (LIBRARY / build["kconfig"]).read_text()
    symbols = re.findall(r"^config (\w+)\n\tbool \"[^\"]+\"$", kconfig, re.M)
    assert symbols == ["NANO_INT8"]
    assert f"if(CONFIG_{symbols[0]})" in (LIBRARY / "CMakeLists.txt").read_text()


def told(function: str) -> str:
    """A CMake function that prints its name and its arguments."""
    words = f'string(JOIN " " words {function} ${{ARGN}})'
    return f'function({function})\n  {words}\n  message("${{words}}")\nendfunction()\n'


def run_cmake(folder: Path, calls: str) -> list[str]:
    """What lib/nano's CMakeLists.txt does where a build system brings functions of its own."""
    if CMAKE is None:
        pytest.skip("there is no cmake: pip install --group test")
    script = folder / "script.cmake"
    script.write_text(f'{calls}\ninclude("{LIBRARY}/CMakeLists.txt")\n')
    done = subprocess.run([CMAKE, "-P", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def test_zephyrs_and_esp_idfs_cmake(tmp_path: Path) -> None:
    """Both register every source; plain CMake is built in test_scaffold."""
    listed = {path.relative_to(LIBRARY).as_posix() for path in LIBRARY.glob("src/**/*.c")}
    calls = ("zephyr_library_named", "zephyr_library_sources", "zephyr_include_directories")
    zephyr = "".join(told(call) for call in calls)
    words = run_cmake(tmp_path, zephyr + "set(CONFIG_NANO_INT8 y)")
    assert listed == {word for word in words if word.endswith(".c")}
    assert set(calls) <= set(words) and words[words.index(calls[0]) + 1] == NAME
    assert run_cmake(tmp_path, zephyr) == []
    idf = told("idf_component_register") + "set(ESP_PLATFORM 1)"
    words = run_cmake(tmp_path, idf)
    listed |= {f"idf/{path.name}" for path in LIBRARY.glob("idf/*.c")}
    assert listed == {word for word in words if word.endswith(".c")}
    place = words.index("INCLUDE_DIRS")
    assert words[place + 1 : place + 3] == ["include", "idf"]


def test_the_library_carries_the_license() -> None:
    assert (LIBRARY / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
