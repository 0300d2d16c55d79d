"""A model's page in a real browser: the simulator's bytes, every way of giving an input, a board
beside it."""

from __future__ import annotations

import base64
import http.client
import re
import shutil
import wave
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import random_graphs
import serial
from handmade import GraphBuilder
from listening import listener, loud
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from examples.speech import package_model, say
from nanotool import elf, qfile, report
from nanotool.boards import BOARDS
from nanotool.build import build
from nanotool.device import open_board
from nanotool.errors import MissingTool, NanoError
from nanotool.inputs import to_device
from nanotool.ir import DTYPES, QGraph
from nanotool.models import load_model
from nanotool.page import render
from nanotool.page.facts import input_kind
from nanotool.page.serve import PageServer
from nanotool.page.wasm import compile_model
from nanotool.pipeline import prepare
from nanotool.sensing.description import ClassRule, Rule, SensorSettings
from nanotool.sensing.rule import stream_of
from nanotool.sensing.stream import Stream
from nanotool.simulate import simulate, simulate_steps
from nanotool.sources import default_model_dir

MODELS = Path(__file__).resolve().parents[1] / "models"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--proxy-server=127.0.0.1:9"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in which nothing may go wrong unsaid, and nothing be fetched."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if "://" in request.url else None)
    yield page
    own = re.compile(r"file://.*\.html")
    assert not [text for text in said if not own.fullmatch(text)]
    context.close()


def open_page(page: Page, folder: Path, graph: QGraph) -> str:
    text = render(graph)
    (folder / "page.html").write_text(text)
    page.goto((folder / "page.html").as_uri())
    page.wait_for_function("window.page")
    assert not page.is_visible("#trouble"), page.inner_text("#trouble")
    return text


def outputs(page: Page, rows: Any) -> list[bytes]:
    """What the page's model makes of inputs, one [n, *shape] array an input, in one call."""
    encoded = [
        [base64.b64encode(one.tobytes()).decode() for one in row] for row in zip(*rows, strict=True)
    ]
    found = page.evaluate(
        """rows => rows.map(row => {
            const { model, typed, unbase64, bytesOf } = window.page;
            const given = row.map((text, i) => typed(model.facts.inputs[i].type, unbase64(text)));
            const bytes = model.run(given).outputs.flatMap((output) => Array.from(bytesOf(output)));
            return btoa(String.fromCharCode(...bytes));
        })""",
        encoded,
    )
    return [base64.b64decode(text) for text in found]


def digits() -> QGraph:
    return load_model(default_model_dir())


def draw(page: Page, *points: tuple[float, float]) -> None:
    """One stroke on the paper; points in shares of its sides."""
    box = page.locator(".paper").bounding_box()
    assert box is not None
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def test_digits(page: Page, tmp_path: Path) -> None:
    """The first answer is the PC's; a drawn seven, at any place and of any size, reads 7."""
    graph = digits()
    assert len(open_page(page, tmp_path, graph).encode()) <= 120_000
    assert page.inner_text("#crc-note") == "CRC-32 of the outputs: the PC's, too"
    begun = page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    assert begun < 5000  # ms; 340 on an idle machine
    for left, top, size in ((0.2, 0.15, 0.6), (0.05, 0.1, 0.35), (0.55, 0.5, 0.4)):
        page.get_by_role("button", name="Clear").click()
        corners = ((0.0, 0.0), (0.85, 0.0), (0.35, 1.0))
        draw(page, *((left + size * x, top + size * y) for x, y in corners))
        page.wait_for_function("document.getElementById('answer').textContent === '7'")
    rng = np.random.default_rng(0)
    images = np.concatenate([graph.samples[0], rng.integers(-128, 128, (192, 28, 28, 1), np.int8)])
    assert outputs(page, [images]) == [row.tobytes() for row in simulate(graph, images)]


@pytest.mark.parametrize("width", [360, 1280], ids=["phone", "desk"])
def test_widths_names_and_keys(page: Page, tmp_path: Path, width: int) -> None:
    """Nothing is wider than the screen; every control has a name, and TAB reaches it."""
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, tmp_path, digits())
    page.locator("summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = page.evaluate(
        """Array.from(document.querySelectorAll('button, input, select, textarea, canvas'))
            .filter(e => e.checkVisibility() && !e.textContent.trim() && !e.ariaLabel
                && !e.closest('label')?.textContent.trim() && !e.closest('[aria-label]'))
            .map(e => e.outerHTML)"""
    )
    assert unnamed == []
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Clear", "Camera", "Run", "Connect…"} <= reached


def test_contrast() -> None:
    """WCAG AA, 4.5 : 1, for all text in both schemes."""
    css = (Path(report.__file__).parent / "base.css").read_text()

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    schemes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = {name: light(c) for name, c in re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme)}
        for text in ("ink", "dim", "good", "warn", "bad"):
            for behind in ("page", "card"):
                low, high = sorted((colours[text], colours[behind]))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, behind)


def test_numbers_from_files_and_typed(page: Page, tmp_path: Path) -> None:
    """.npy of floats as PyTorch has them and of the model's integers, CSV, and what is wrong."""
    graph = load_model(MODELS / "kws.tflite")
    text = open_page(page, tmp_path, graph)
    assert len(text.encode()) <= 250_000
    real = np.random.default_rng(1).normal(0, 40, (1, *graph.input_tensor.shape)).astype("f4")
    expected = zlib.crc32(simulate(graph, to_device(graph, real)).tobytes())
    np.save(tmp_path / "real.npy", real)
    np.save(tmp_path / "raw.npy", to_device(graph, real))
    np.savetxt(tmp_path / "real.csv", real.reshape(49, 10), delimiter=",")
    page.locator("summary").first.click()
    chooser = page.locator("input[accept='.npy,.csv,.txt']")
    for name in ("real.npy", "raw.npy", "real.csv"):
        page.evaluate("window.page.cards[0].put(new Uint8Array(490)); window.page.run()")
        assert page.inner_text("#crc") != f"{expected:08x}"
        chooser.set_input_files(tmp_path / name)
        page.wait_for_function(f"document.getElementById('crc').textContent === '{expected:08x}'")
    page.fill("textarea", "1, 2, 3")
    page.get_by_role("button", name="Run", exact=True).click()
    assert page.inner_text("#trouble") == "There are 3 numbers; the input has 490."
    page.fill("textarea", ",".join(["1e9"] * 490))
    page.get_by_role("button", name="Run", exact=True).click()
    assert "490 of 490 input values are outside" in page.inner_text("#range")
    assert not page.is_visible("#trouble")


def test_the_order_of_a_pytorch_input(page: Page, tmp_path: Path) -> None:
    """Channels first in the file, last on the device; quantized as nanotool does, halves too."""
    b = GraphBuilder("turned", (4, 5, 3))
    b.conv2d("conv", 4)
    b.flatten("flat")
    b.dense("fc", 3)
    graph = replace(b.graph(), input_permutations=((1, 2, 0),))
    open_page(page, tmp_path, graph)
    scale = graph.input_tensor.scale
    real = (np.random.default_rng(2).integers(-300, 300, (1, 3, 4, 5)) / 2 * scale).astype("f8")
    np.save(tmp_path / "x.npy", real)
    page.locator("input[accept='.npy,.csv,.txt']").set_input_files(tmp_path / "x.npy")
    expected = zlib.crc32(simulate(graph, to_device(graph, real)).tobytes())
    page.wait_for_function(f"document.getElementById('crc').textContent === '{expected:08x}'")


def test_a_picture_of_colours(page: Page, tmp_path: Path) -> None:
    """A file's pixels over the range that the model covers, cut to the input's sides."""
    b = GraphBuilder("colours", (16, 16, 3))
    b.conv2d("conv", 4)
    b.flatten("flat")
    b.dense("fc", 5)
    graph = b.graph()
    open_page(page, tmp_path, graph)
    Image.new("RGB", (64, 32), (255, 0, 51)).save(tmp_path / "one.png")
    page.locator("input[accept='image/*']").set_input_files(tmp_path / "one.png")
    x = np.broadcast_to(np.array([127, -128, -77], np.int8), (1, 16, 16, 3))
    expected = zlib.crc32(simulate(graph, np.ascontiguousarray(x)).tobytes())
    page.wait_for_function(f"document.getElementById('crc').textContent === '{expected:08x}'")


def test_sliders(page: Page, tmp_path: Path) -> None:
    b = GraphBuilder("vector", (6,))
    b.dense("fc", 3)
    graph = replace(b.graph(), labels=("low <b>", "middle", "high"))
    open_page(page, tmp_path, graph)
    page.get_by_label("value 2").focus()
    page.keyboard.press("End")
    page.get_by_label("value 3").focus()
    page.keyboard.press("Home")
    given = page.evaluate("Array.from(window.page.cards[0].q)")
    assert given[2:4] == [127, -128]
    expected = zlib.crc32(simulate(graph, np.array([given], np.int8)).tobytes())
    assert page.inner_text("#crc") == f"{expected:08x}"
    assert page.inner_text("#answer") in {"low <b>", "middle", "high"}


def test_several_ends_and_states(page: Page, tmp_path: Path) -> None:
    """Every input has a card, every output its bars; a model with states goes step by step."""
    graph = load_model(MODELS / "two_inputs.tflite")
    open_page(page, tmp_path, graph)
    rng = np.random.default_rng(3)
    rows = [
        rng.integers(-128, 128, (3, *t.shape)).astype(DTYPES[t.dtype]) for t in graph.input_tensors
    ]
    expected, _ = simulate_steps(graph, rows)
    assert outputs(page, rows) == [b"".join(o[i].tobytes() for o in expected) for i in range(3)]
    assert page.locator("#inputs section").count() == 2


def test_steps(page: Page, tmp_path: Path) -> None:
    alexa = replace(load_model(package_model("alexa")), stream=None)
    open_page(page, tmp_path, alexa)
    x = random_graphs.random_inputs(alexa, 5, 0)
    expected, _ = simulate_steps(alexa, [x])
    page.get_by_role("button", name="Reset").click()
    page.evaluate("window.page.model.reset()")
    assert outputs(page, [x]) == [row.tobytes() for row in expected[0]]


def test_a_wake_word_is_heard(page: Page, tmp_path: Path) -> None:
    """A recording: the decisions of the C library in Python, the same probabilities."""
    graph = load_model(package_model("alexa"))
    sound = say("alexa", "en-us")
    with wave.open(str(tmp_path / "alexa.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        file.writeframes(sound.astype("<i2").tobytes())
    open_page(page, tmp_path, graph)
    page.locator("input[accept='audio/*,.wav']").set_input_files(tmp_path / "alexa.wav")
    page.wait_for_function("document.body.innerText.includes('alexa.wav:')")
    heard = Stream(graph).feed(sound)
    assert heard.decisions
    ear = page.evaluate("({made: window.page.ear.made, steps: window.page.ear.steps})")
    assert ear["steps"] == len(heard.outputs)
    assert [d["step"] for d in ear["made"]] == [d.step for d in heard.decisions]
    assert [d["sum"] for d in ear["made"]] == [d.sum for d in heard.decisions]
    shown = page.evaluate("window.page.ear.sums.map(([sum]) => sum)")
    scores = heard.outputs.reshape(-1).astype(int) - graph.output_tensor.zero_point
    window = stream_of(graph).rule.window
    assert shown[-50:] == [int(scores[: n + 1][-window:].sum()) for n in range(len(scores))][-50:]
    last = zlib.crc32(heard.outputs[-1].tobytes())
    page.wait_for_function(f"document.getElementById('crc').textContent === '{last:08x}'")


def test_a_sensors_samples(page: Page, tmp_path: Path) -> None:
    """.npy and .csv, a row for each sample: the decisions of the C library in Python."""
    ears = SensorSettings(50, 2, magnitudes=((0, 1), (0,), (1,), (0, 1), (0,), (1,)))
    rule = Rule((ClassRule(2, 1.0, refractory=0.1),), window=2)
    graph, samples = listener(rule, ears=ears), loud(1200).reshape(-1, 2)
    wanted = [(made.step, made.sum) for made in Stream(graph).feed(samples).decisions]
    assert wanted
    np.save(tmp_path / "x.npy", samples)
    np.savetxt(tmp_path / "x.csv", samples, "%d", ",", header="left,right", comments="")
    open_page(page, tmp_path, graph)
    assert page.get_by_text("Microphone").count() == 0
    for name in ("x.npy", "x.csv"):
        page.locator("input[accept='.npy,.csv,.txt']").first.set_input_files(tmp_path / name)
        page.wait_for_function(f"document.body.innerText.includes('{name}:')")
        made = page.evaluate("window.page.ear.made.map(({step, sum}) => [step, sum])")
        assert [tuple(one) for one in made] == wanted


FAKE_SERIAL = """
class FakePort {
  async open() {
    this.readable = new ReadableStream({ pull: async (controller) => {
      let text = "";
      while (!text && !this.closed) text = await window.boardRead();
      if (text) controller.enqueue(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
    }, cancel: () => { this.closed = true; } });
    this.writable = new WritableStream({
      write: (bytes) => window.boardWrite(btoa(String.fromCharCode(...bytes))),
    });
  }
  async close() {}
}
Object.defineProperty(navigator, "serial", { value: { requestPort: async () => new FakePort() } });
"""


def beside(page: Page, port: str) -> None:
    """The page's Web Serial leads to ``port``."""
    line = serial.Serial(port, timeout=0.01)
    page.expose_function("boardRead", lambda: base64.b64encode(line.read(4096)).decode())
    page.expose_function("boardWrite", lambda text: line.write(base64.b64decode(text)) and None)
    page.add_init_script(FAKE_SERIAL)


@pytest.mark.parametrize("flipped", [False, True])
def test_beside_a_board(page: Page, tmp_path: Path, flipped: bool) -> None:
    """The same bytes; and with one weight's sign flipped on the board, the layer is named."""
    graph = digits()
    board = BOARDS["native"]
    firmware = build(graph, board).elf
    if flipped:
        copy = tmp_path / "flipped.elf"
        elf.flip(firmware, copy, "digits_features_3_weights", 100, 0x80)
        firmware = copy
    with open_board(board, firmware) as port:
        beside(page, port)
        open_page(page, tmp_path, graph)
        page.get_by_role("button", name="Connect…").click()
        page.get_by_text("runs this model.").wait_for()
        page.get_by_role("button", name="Run this input there").click()
        verdict = page.get_by_text("The first layer that differs is features.3")
        if not flipped:
            verdict = page.get_by_text("The same 10 bytes, CRC")
        verdict.wait_for()
        page.get_by_role("button", name="mem").click()
        page.get_by_text("m-mem-arena-[").wait_for()
        page.get_by_label("a command for the board").fill("nonsense")
        page.keyboard.press("Enter")
        page.get_by_text("Unknown command: nonsense").wait_for()
        page.get_by_role("button", name="Disconnect").click()
        page.get_by_role("button", name="Connect…").wait_for()


def test_another_models_board(page: Page, tmp_path: Path) -> None:
    """Told, and nothing is compared."""
    b = GraphBuilder("other", (6,))
    b.dense("fc", 3)
    board = BOARDS["native"]
    with open_board(board, build(digits(), board).elf) as port:
        beside(page, port)
        open_page(page, tmp_path, b.graph())
        page.get_by_role("button", name="Connect…").click()
        page.get_by_text("not this model").wait_for()
        assert page.get_by_role("button", name="Run this input there").is_disabled()


def test_no_web_serial(page: Page, tmp_path: Path) -> None:
    b = GraphBuilder("plain", (6,))
    b.dense("fc", 3)
    page.add_init_script("delete Navigator.prototype.serial")
    open_page(page, tmp_path, b.graph())
    page.get_by_text("This browser has no Web Serial").wait_for()


# --- Without a browser ----------------------------------------------------------------------------


def test_what_fits_an_input() -> None:
    assert input_kind((28, 28, 1)) == "picture"
    assert input_kind((96, 96, 3)) == "picture"
    assert input_kind((128, 1, 6)) == input_kind((3, 1, 50)) == input_kind((40, 3)) == "curves"
    assert input_kind((13,)) == input_kind((1, 1, 4)) == "values"
    assert input_kind((640,)) == input_kind((28, 28, 5)) == input_kind((49, 10, 1)) == "table"


def test_texts_end_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    b = GraphBuilder("evil", (6,))
    b.dense("fc", 2)
    evil = "</script><script>alert(1)//<!--"
    text = render(replace(b.graph(), labels=(evil, "x"), source=evil))
    assert evil not in text and text.count("<script") == 3


@pytest.mark.parametrize(("missing", "package"), [("clang", "clang"), ("wasm-ld", "lld")])
def test_a_compiler_that_is_missing(
    missing: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    have = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else have(name))
    with pytest.raises(MissingTool, match=missing) as caught:
        compile_model(*prepare(digits()))
    assert f"apt install {package}" in str(caught.value)


def test_served_anew(tmp_path: Path) -> None:
    """To this computer alone; again when the model changes, and a word where it is damaged."""
    first, second = (GraphBuilder(name, (6,)) for name in ("first", "second"))
    path = tmp_path / "model.nano"
    made: list[Path] = []

    def page_of(file: Path) -> str:
        made.append(file)
        return load_model(file).name

    for builder in (first, second):
        builder.dense("fc", 2)
    qfile.save(first.graph(), path)
    with PageServer(path, page_of) as server:
        Thread(target=server.serve_forever, daemon=True).start()

        def get(at: str, host: str = "") -> tuple[int, str]:
            connection = http.client.HTTPConnection(
                "127.0.0.1", server.server_address[1], timeout=10
            )
            connection.request("GET", at, headers={"Host": host} if host else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        assert get("/")[1].startswith("first<script>")
        assert get("/")[1].startswith("first<script>") and len(made) == 1
        stamp = get("/stamp")
        qfile.save(second.graph(), path)
        assert get("/stamp") != stamp and get("/")[1].startswith("second")
        path.write_bytes(b"torn")
        assert "This is no .nano file" in get("/")[1]
        assert get("/", host="evil.example")[0] == 403 and get("/etc/passwd")[0] == 404
        with pytest.raises(NanoError, match="is not to be had"):
            PageServer(path, page_of, server.server_address[1])
        server.shutdown()
