"""The manifests of lib/nano say what registries and build systems ask for, and name real files."""

from __future__ import annotations

import configparser
import json
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_scaffold import CMAKE

import nanotool
from nanotool.kinds import find_kind
from nanotool.models import load_model
from nanotool.scaffold import new_project
from nanotool.sources import default_model_dir

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lib" / "nano"
NAME = "nano-int8"  # in registries: docs/compatibility.md
ARDUINO_CATEGORIES = {
    *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing"),
    *("Data Storage", "Data Processing", "Other"),
}


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
    assert manifest["dependencies"]["idf"] == ">=5.1" and "targets" not in manifest  # every chip
    for example in manifest["examples"]:
        assert (LIBRARY / example["path"] / "CMakeLists.txt").is_file()


def test_esp_idfs_component_manager(tmp_path: Path) -> None:
    """It finds no fault, and packs what a component needs; the example's manifest among it."""
    compote = str(Path(sys.executable).parent / "compote")
    folder = tmp_path / "nano-int8"
    shutil.copytree(LIBRARY, folder)
    run([compote, "manifest", "lint", str(folder)])
    publisher = ("--repository", "https://example.com/nano.git", "--commit-sha", "0" * 40)
    pack = ("component", "pack", "--name", NAME, "--dest-dir", str(tmp_path))
    run([compote, *pack, "--project-dir", str(folder), *publisher])
    with tarfile.open(tmp_path / f"{NAME}_{nanotool.__version__}.tgz") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
        file = archive.extractfile("./idf_component.yml")
        assert file is not None
        manifest = yaml.safe_load(file.read())
    wanted = {"README.md", "LICENSE", "CMakeLists.txt", "Kconfig", "idf/nano.cmake"}
    wanted |= {"idf/nano/idf.h", "include/nano/nano.h", "src/model.c", "examples/task/main/main.c"}
    assert wanted <= names
    assert manifest["repository"] == "https://example.com/nano.git"


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_components_example_runs(tmp_path: Path) -> None:
    """On this computer, ESP-IDF's calls being tests/idf_stubs'."""
    source = LIBRARY / "src"
    parts = ("*.c", "signal/root.c", *(f"ops/{op}/*.c" for op in portable_ops()))
    files = [path for part in parts for path in source.glob(part)]
    files = [
        path for path in files if not re.search(r"_(dsp|mve|scalar|mac16|pie|int16)$", path.stem)
    ]
    files += [ROOT / "tests/idf_stubs/fake.c", *LIBRARY.glob("idf/*.c")]
    files.append(LIBRARY / "examples/task/main/main.c")
    folders = (ROOT / "tests/idf_stubs", LIBRARY / "include", LIBRARY / "idf")
    flags = ("-std=gnu17", "-Wall", "-Wextra", "-Werror", "-pthread")
    includes = [f"-I{folder}" for folder in folders]
    program = tmp_path / "task"
    run(["cc", *flags, *includes, *map(str, files), "-o", str(program)])
    answers = [f"{a} xor {b}: {a ^ b}" for a in (0, 1) for b in (0, 1)]
    assert run([str(program)]).splitlines() == answers


def portable_ops() -> list[str]:
    """What nano/sequential.h names."""
    return ["conv2d", "dense", "depthwise_conv2d", "pool", "softmax", "table"]


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


def test_arduino_takes_the_layout(tmp_path: Path) -> None:
    """The rules of its library specification that arduino-lint calls errors, for the library and
    the model as `nanotool new` lays them out; but for the address, which there is none of yet."""
    new_project(load_model(default_model_dir()), tmp_path / "sketches", find_kind("arduino"))
    for library in sorted((tmp_path / "sketches" / "libraries").iterdir()):
        parser = configparser.ConfigParser(delimiters="=", comment_prefixes="#", interpolation=None)
        parser.read_string("[library]\n" + (library / "library.properties").read_text())
        says = dict(parser["library"])
        name = says["name"]
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", name) and library.name == name
        assert not re.match("arduino", name, re.I)
        assert re.fullmatch(r"\d+\.\d+\.\d+", says["version"])
        for field in ("author", "maintainer", "sentence", "paragraph", "category"):
            assert says[field].strip(), field
        assert says["category"] in ARDUINO_CATEGORIES
        assert says["architectures"] == "*"
        for header in says["includes"].split(","):
            assert (library / "src" / header.strip()).is_file()
        # One source folder: with src/ there, neither headers beside it nor include/ nor utility/.
        assert not list(library.glob("*.[hc]")) and not (library / "include").exists()
        for dependency in filter(None, says.get("depends", "").split(",")):
            assert (library.parent / dependency.strip()).is_dir()
    sketch = tmp_path / "sketches" / "app"
    assert (sketch / f"{sketch.name}.ino").is_file()


def told_addresses(texts: dict[str, str]) -> list[str]:
    """What each manifest says about where the project is, in every field that registries read."""
    platformio = json.loads(texts["lib/nano/library.json"])
    esp_idf = yaml.safe_load(texts["lib/nano/idf_component.yml"])
    urls = re.findall(r'^(?:Homepage|Repository) = "(.*)"$', texts["pyproject.toml"], re.M)
    return [
        platformio.get("homepage", ""),
        platformio.get("repository", {}).get("url", ""),
        *re.findall(r"^url=(.*)$", texts["lib/nano/library.properties"], re.M),
        *(esp_idf.get(field, "") for field in ("url", "repository")),
        *(urls or ["", ""]),
        *(re.findall(r"^repo_url: (.*)$", texts["mkdocs.yml"], re.M) or [""]),
    ]


def test_every_manifest_has_the_address_of_the_one_place() -> None:
    """packaging/ADDRESS, which whoever publishes fills in; and nothing else changes."""
    script = runpy.run_path(str(ROOT / "packaging" / "address.py"))
    manifests, address = script["MANIFESTS"], script["address"]()
    texts = {name: (ROOT / name).read_text("utf-8") for name in manifests}
    assert told_addresses(texts) == [address] * 8

    def filled(before: dict[str, str], url: str) -> dict[str, str]:
        return {
            name: manifests[name](text, script["checked"](url)) for name, text in before.items()
        }

    published = filled(texts, "https://example.com/nano")
    assert told_addresses(published) == ["https://example.com/nano"] * 8
    assert filled(published, address) == texts == filled(texts, address)
    for wrong in ("example.com", "http://example.com/nano", 'https://example.com/"'):
        with pytest.raises(SystemExit, match="not an address"):
            script["checked"](wrong)


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


def run_cmake(folder: Path, calls: str, place: Path = LIBRARY) -> list[str]:
    """What CMakeLists.txt in ``place`` does where a build system brings functions of its own."""
    if CMAKE is None:
        pytest.skip("there is no cmake: pip install --group test")
    script = folder / "script.cmake"
    script.write_text(f'{calls}\ninclude("{place}/CMakeLists.txt")\n')
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


def test_githubs_workflows_run_what_is_there() -> None:
    folder = ROOT / ".github" / "workflows"
    flows = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yml")}
    (run_tests,) = [step["run"] for step in flows["ci"]["jobs"]["test"]["steps"] if "run" in step]
    assert (ROOT / run_tests).stat().st_mode & 0o111
    assert set(flows["wheels"]["jobs"]) == {"wheels", "sdist"}
