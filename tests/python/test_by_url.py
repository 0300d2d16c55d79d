"""The repository by its address: projects elsewhere take it as each ecosystem does, from a git."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from test_manifests import LIBRARY, NAME, run_cmake, told
from test_scaffold import CMAKE, run

import nanotool

ROOT = Path(__file__).resolve().parents[2]
MAIN = """
#include <stdio.h>
#include "nano/nano.h"
int main(void) { puts(nano_status_text(NANO_OK)); return 0; }
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A git of this tree as it is now; what git ignores is not in it."""
    if shutil.which("git") is None:
        pytest.skip("there is no git: apt-get install git")
    remote = tmp_path_factory.mktemp("remote") / "nano.git"
    run("git", "init", "-q", "--bare", "-b", "main", remote, cwd=ROOT)
    git = ["git", f"--git-dir={remote}", f"--work-tree={ROOT}"]
    git += ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "core.compression=1"]
    run(*git, "add", "-A", cwd=ROOT)
    run(*git, "commit", "-q", "-m", "the tree", cwd=ROOT)
    return f"file://{remote}"


def project(folder: Path, source: str, **files: str) -> Path:
    (folder / source).parent.mkdir(parents=True)
    (folder / source).write_text(MAIN)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_platformio(tmp_path: Path, url: str) -> None:
    ini = "[platformio]\nextra_configs = platformio_override.ini\n"
    ini += f"[env:native]\nplatform = native\nlib_deps = git+{url}\n"
    folder = project(tmp_path / "p", "src/main.c", platformio_ini=ini)
    run(sys.executable, ROOT / "offline/configure.py", "--offline", "--project", ".", cwd=folder)
    pio = (sys.executable, "-m", "platformio", "run", "-e", "native", "-t", "exec")
    assert "\nok\n" in run(*pio, cwd=folder)


def test_platformios_manifests() -> None:
    """The root's, which a git has, and lib/nano's, which the registry gets, say the same."""
    whole, alone = (json.loads((p / "library.json").read_text()) for p in (ROOT, LIBRARY))
    places = {"build", "examples", "export"}
    assert {k: v for k, v in whole.items() if k not in places} == {
        k: v for k, v in alone.items() if k not in places
    }
    assert whole["name"] == NAME and whole["version"] == nanotool.__version__
    for folder, manifest in ((ROOT, whole), (LIBRARY, alone)):
        assert (folder / manifest["build"]["srcDir"] / "model.c").is_file()
        assert (folder / manifest["build"]["includeDir"] / manifest["headers"]).is_file()


# `pio pkg pack` asks the internet which licenses there are.
PACK = """
import sys
from platformio.package.manifest.schema import ManifestSchema
from platformio.package.pack import PackagePacker
ManifestSchema.load_spdx_licenses = staticmethod(lambda: {"licenses": [{"licenseId": "MIT"}]})
PackagePacker(sys.argv[1]).pack(sys.argv[2])
"""


def test_what_platformios_registry_gets(tmp_path: Path) -> None:
    run(sys.executable, "-c", PACK, LIBRARY, tmp_path / "nano.tar.gz", cwd=tmp_path)
    with tarfile.open(tmp_path / "nano.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"library.json", "LICENSE", "README.md", "src/model.c", "include/nano/nano.h"} <= names


@pytest.mark.slow  # test_packages builds one of a zip
def test_cmake_fetches_it(tmp_path: Path, url: str) -> None:
    if CMAKE is None:
        pytest.skip("there is no cmake: pip install --group test")
    lists = f"""
cmake_minimum_required(VERSION 3.14)
project(mine LANGUAGES C)
include(FetchContent)
FetchContent_Declare(nano GIT_REPOSITORY {url} GIT_TAG main GIT_SHALLOW TRUE)
FetchContent_MakeAvailable(nano)
add_executable(app main.c)
target_link_libraries(app PRIVATE nano)
"""
    folder = project(tmp_path / "p", "main.c")
    (folder / "CMakeLists.txt").write_text(lists)
    run(CMAKE, "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", cwd=folder)
    run(CMAKE, "--build", "build", "-j", "2", cwd=folder)
    assert run(folder / "build" / "app", cwd=tmp_path) == "ok\n"


def test_zephyrs_west_brings_a_module(tmp_path: Path, url: str) -> None:
    west = Path(sys.executable).parent / "west"
    if not west.exists():
        pytest.skip("there is no west: pip install --group test")
    (tmp_path / "app").mkdir()
    manifest = {"projects": [{"name": NAME, "url": url, "revision": "main", "clone-depth": 1}]}
    (tmp_path / "app" / "west.yml").write_text(yaml.safe_dump({"manifest": manifest}))
    run(west, "init", "-l", "app", cwd=tmp_path)
    run(west, "-q", "update", cwd=tmp_path)
    module = tmp_path / run(west, "list", "-f", "{path}", NAME, cwd=tmp_path).strip()
    says = yaml.safe_load((module / "zephyr" / "module.yml").read_text())
    assert says["name"] == NAME
    assert "config NANO_INT8\n" in (module / says["build"]["kconfig"]).read_text()
    calls = ("zephyr_library_named", "zephyr_library_sources", "zephyr_include_directories")
    zephyr = "".join(map(told, calls)) + "set(CONFIG_NANO_INT8 y)"
    assert "src/model.c" in run_cmake(tmp_path, zephyr, module / says["build"]["cmake"])


FETCH = """
import sys
from idf_component_tools.manifest import SolvedComponent
from idf_component_tools.sources import GitSource
url, name, folder = sys.argv[1:]
source = GitSource(git=url, path="lib/nano")
(commit,) = source.versions(name).versions
found = SolvedComponent(name=name, version=str(commit), source=source, component_hash="0" * 64)
source.download(found, folder)
"""


def test_esp_idfs_component_manager_brings_a_component(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nano-int8: {git: URL, path: lib/nano} in an idf_component.yml."""
    monkeypatch.setenv("IDF_COMPONENT_CACHE_PATH", str(tmp_path / "cache"))
    component = tmp_path / "managed_components" / NAME
    run(sys.executable, "-c", FETCH, url, NAME, component, cwd=tmp_path)
    manifest = yaml.safe_load((component / "idf_component.yml").read_text())
    assert manifest["version"] == nanotool.__version__
    words = run_cmake(tmp_path, told("idf_component_register") + "set(ESP_PLATFORM 1)", component)
    assert {"src/model.c", "idf/task.c", "include"} <= set(words)


BUILD_SDIST = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"


def test_the_source_distribution_has_every_source(tmp_path: Path, url: str) -> None:
    run("git", "clone", "-q", "--depth", "1", url, "clone", cwd=tmp_path)
    run(sys.executable, "-c", BUILD_SDIST, tmp_path, cwd=tmp_path / "clone")
    (archive,) = tmp_path.glob("nanotool-*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    listed = run("git", "ls-files", "lib/nano", "firmware", "offline", "nanotool", cwd=ROOT)
    wanted = {name for name in listed.splitlines() if not Path(name).name.startswith(".")}
    wanted |= {"platformio.ini", "CMakeLists.txt", "setup.py", "bench/peers.json"}
    assert wanted - names == set()


@pytest.mark.slow
def test_pip_installs_it(tmp_path: Path, url: str) -> None:
    """The C extension is compiled on the way; what is installed runs elsewhere."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install")
    options = ("--no-deps", "--no-build-isolation", "--target", tmp_path / "installed")
    run(*pip, *options, f"git+{url}", cwd=tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    tool = [sys.executable, "-m", "nanotool", "new", "app", "--kind", "cmake"]
    subprocess.run(tool, cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "app" / "nano" / "src" / "model.c").is_file()
