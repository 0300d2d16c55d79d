// The board's panel: the same input there and here, outputs side by side, and the first layer that
// differs.

const RATES = [115200, 230400, 460800, 921600, 57600, 38400, 19200, 9600];

class BoardPanel {
  constructor(facts, element, current, layers) {
    Object.assign(this, { facts, current, layers });
    this.rate = make("select", { "aria-label": "baud rate" },
      ...RATES.map((rate) => make("option", { value: rate }, `${plain(rate)} baud`)));
    this.connectButton = make("button", { type: "button", onclick: () => report(() => this.toggle()) }, "Connect…");
    this.runButton = make("button", { type: "button", disabled: true, onclick: () => report(() => this.compare()) },
      "Run this input there");
    this.verdict = make("p", { role: "status", "aria-live": "polite" });
    this.table = make("div");
    this.command = make("input", { type: "text", placeholder: "info", "aria-label": "a command for the board" });
    this.transcript = make("pre", { class: "transcript", tabindex: 0, "aria-label": "what was said", hidden: true });
    const ask = make("form", { class: "ask", onsubmit: (event) => {
      event.preventDefault();
      report(() => this.say(this.command.value.trim() || this.command.placeholder));
    } }, this.command, make("button", { type: "submit" }, "Send"));
    this.console = make("div", { class: "tools", hidden: true },
      ...["info", "mem", "layers"].map((word) =>
        make("button", { type: "button", onclick: () => report(() => this.say(word)) }, word)), ask);
    element.append(make("p", { class: "note" }, "A board that runs this model's firmware (nanotool build, nanotool flash) " +
      "gets the same input over its serial line; its bytes stand beside the page's."),
      make("div", { class: "tools" }, this.rate, this.connectButton, this.runButton),
      this.verdict, this.table, this.console, this.transcript);
    if (!("serial" in navigator)) {
      this.connectButton.disabled = true;
      this.verdict.textContent = "This browser has no Web Serial: Chrome, Edge and Opera on a computer do. " +
        "nanotool run and nanotool bisect do the same without a browser.";
    }
  }

  async toggle() {
    if (this.talk) return this.disconnect();
    const port = await navigator.serial.requestPort();
    this.verdict.textContent = "Connecting…";
    this.connectButton.disabled = true;
    try {
      this.talk = await Conversation.open(port, Number(this.rate.value));
      await this.meet();
    } catch (error) {
      await this.disconnect();
      throw error;
    } finally {
      this.connectButton.disabled = false;
    }
  }

  async disconnect() {
    await this.talk?.close();
    this.talk = null;
    this.connected(false);
    this.verdict.textContent = "";
  }

  connected(is) {
    this.connectButton.textContent = is ? "Disconnect" : "Connect…";
    this.runButton.disabled = !is || !this.same;
    this.console.hidden = this.transcript.hidden = !is;
  }

  async meet() {
    const { lines } = await this.ask("info");
    const [board, model, hash] = ["board", "model", "hash"].map((name) => told(lines, `info-${name}`));
    this.same = hash === this.facts.hash;
    this.verdict.className = this.same ? "good" : "bad";
    this.verdict.textContent = this.same ? `${board} runs this model.`
      : `${board} runs ${model} (${hash}), not this model: build and flash this one to compare.`;
    this.connected(true);
  }

  async ask(command) {
    this.write(`> ${command}`);
    const answer = await this.talk.ask(command);
    answer.lines.forEach((line) => this.write(line));
    if (answer.frames.length) this.write(`(${answer.frames.length} frames)`);
    return answer;
  }

  async say(command) {
    this.command.value = "";
    try {
      await this.ask(command);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.write(error.message);
    }
  }

  write(line) {
    this.transcript.append(`${line}\n`);
    this.transcript.scrollTop = this.transcript.scrollHeight;
  }

  /** Both compute; the first layer whose bytes part is named. */
  async compare() {
    this.runButton.disabled = true;
    this.verdict.textContent = "The board computes…";
    try {
      await this.compared();
    } finally {
      this.runButton.disabled = !this.talk;
    }
  }

  async compared() {
    const inputs = this.current();
    if (this.facts.states.length) await this.ask("state reset");
    const here = this.runHere(inputs);
    await this.talk.load(Uint8Array.from(inputs.flatMap((input) => Array.from(bytesOf(input)))));
    const { lines } = await this.ask("layers");
    await this.ask("time 1 0");
    const bytes = await this.talk.dump();
    const differs = this.firstDifference(lines, here.layers);
    this.layers.mark(differs);
    const same = hex(crc32(bytes)) === hex(here.crc);
    this.verdict.className = same && differs < 0 ? "good" : "bad";
    this.verdict.textContent = differs >= 0 ? `The first layer that differs is ${this.facts.layers[differs].name}.`
      : same ? `The same ${bytes.length} bytes, CRC ${hex(here.crc)}.` : "The outputs differ.";
    this.sideBySide(here.outputs, bytes);
  }

  /** Layers are found by their names: the board's kernels may be joined otherwise. */
  firstDifference(lines, layers) {
    const crcs = new Map(lines.map((line) => /^m-layer-\[\d+ \d+ ([0-9a-f]{8}) (.*)\]$/.exec(line))
      .filter(Boolean).map(([, crc, name]) => [name, crc]));
    return layers.findIndex((output, index) => {
      const crc = crcs.get(this.facts.layers[index].name);
      return output && crc !== undefined && crc !== hex(crc32(bytesOf(output)));
    });
  }

  sideBySide(outputs, bytes) {
    let at = 0;
    const rows = outputs.flatMap((output, number) => {
      const { type, name } = this.facts.outputs[number];
      const there = typed(type, bytes.subarray(at, at + output.byteLength));
      at += output.byteLength;
      return Array.from(output.subarray(0, MOST_BARS), (value, index) =>
        make("tr", { class: value === there[index] ? "" : "bad" },
          make("td", {}, this.facts.labels[index] && number === 0 ? this.facts.labels[index] : `${name} ${index}`),
          make("td", {}, short(value)), make("td", {}, short(there[index]))));
    });
    this.table.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "output"),
      make("th", {}, "here"), make("th", {}, "board"))), make("tbody", {}, ...rows)));
  }
}
