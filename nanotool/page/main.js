// The page: inputs on one side, answers on the other.

const FACTS = JSON.parse(document.getElementById("facts").textContent);
const WIRE = FACTS.wire;
const find = (id) => document.getElementById(id);

/** Do it; what goes wrong is told, and the page stays as it was. */
async function report(action) {
  find("trouble").hidden = true;
  try {
    await action();
  } catch (error) {
    if (error.name === "NotFoundError") return; // a chooser that was closed
    find("trouble").textContent = error.message;
    find("trouble").hidden = false;
  }
}

class Page {
  constructor(model) {
    this.model = model;
    const { inputs, outputs, labels, samples } = FACTS;
    this.bars = outputs.map((tensor, index) =>
      new Bars(tensor, index === 0 ? labels : [], outputs.length > 1 ? tensor.name : ""));
    this.bars.forEach(({ element }) => find("outputs").append(element));
    this.layers = new Layers(FACTS, find("layers"));
    this.cards = inputs.map((tensor, index) =>
      new InputCard(tensor, samples.map((sample) => sample.inputs[index]),
        inputs.length > 1 ? `Input ${tensor.name}` : "Input", () => this.run()));
    if (FACTS.stream) this.listen();
    else find("inputs").append(...this.cards.map(({ element }) => element));
    if (FACTS.states.length && !FACTS.stream) this.addReset();
    this.board = new BoardPanel(FACTS, find("board"), () => this.cards.map(({ q }) => q), this.layers);
    this.board.runHere = (given) => {
      model.reset();
      return this.show(model.run(given));
    };
    this.addSamples(samples);
    this.begin(samples);
  }

  begin(samples) {
    if (FACTS.stream) return;
    if (samples.length) this.sample(0);
    else this.run();
  }

  listen() {
    this.ear = new ListenCard(this.model, (result) => this.show(result));
    find("inputs").append(this.ear.element);
  }

  addReset() {
    this.steps = make("span", { class: "dim" });
    this.taken = 0;
    const reset = () => {
      this.model.reset();
      this.taken = 0;
      this.run();
    };
    find("inputs").append(make("section", { "aria-label": "States" }, make("h2", {}, "A model with a memory"),
      make("p", { class: "note" }, "Each run is the next step of a sequence."),
      make("div", { class: "tools" }, make("button", { type: "button", onclick: () => this.run() }, "Next step"),
        make("button", { type: "button", onclick: reset }, "Reset"), this.steps)));
  }

  addSamples(samples) {
    samples.forEach((sample, index) => {
      const canvas = make("canvas");
      drawInput(canvas, typed(FACTS.inputs[0].type, unbase64(sample.inputs[0])), FACTS.inputs[0]);
      find("samples").append(make("button", {
        type: "button", "aria-label": `sample ${index}`, onclick: () => report(() => this.sample(index)),
      }, canvas));
    });
  }

  /** Run a sample; of a model with states all that come before it as well, from a reset. */
  sample(index) {
    const first = FACTS.states.length ? 0 : index;
    if (FACTS.states.length) {
      this.ear?.begin();
      this.model.reset();
      this.taken = 0;
    }
    for (let step = first; step <= index; step++) {
      FACTS.samples[step].inputs.forEach((bytes, input) => this.cards[input].put(unbase64(bytes)));
      this.run(FACTS.samples[step].crc);
    }
  }

  /** One inference. `wanted`: the CRC of what the simulator on the PC computed of this input. */
  run(wanted = null) {
    const result = this.model.run(this.cards.map(({ q }) => q));
    if (this.steps) this.steps.textContent = `step ${this.taken++}`;
    this.show(result, wanted);
    const beyond = this.cards.reduce((sum, card) => sum + card.beyond, 0);
    const all = this.cards.reduce((sum, card) => sum + card.q.length, 0);
    find("range").textContent = `${result.milliseconds.toFixed(1)} ms in this browser.` +
      (beyond ? ` ${plain(beyond)} of ${plain(all)} input values are outside of what the model covers, and saturate.` : "");
    find("range").classList.toggle("warn", beyond > 0);
  }

  show(result, wanted = null) {
    const best = this.bars.map((bars, index) => bars.show(result.outputs[index]))[0];
    const [output] = result.outputs, [tensor] = FACTS.outputs;
    const value = short(real(output[Math.max(best, 0)], tensor));
    find("answer").textContent = output.length === 1 ? `${FACTS.labels[0] ?? ""} ${value}`.trim()
      : FACTS.labels[best] ?? `${best}`;
    this.layers.show(result.layers);
    const right = wanted === null || wanted === result.crc;
    find("crc").textContent = hex(result.crc);
    find("crc").className = wanted === null ? "" : right ? "good" : "bad";
    find("crc-note").textContent = wanted === null ? "CRC-32 of the outputs"
      : right ? "CRC-32 of the outputs: the PC's, too" : `CRC-32 of the outputs; the PC's is ${hex(wanted)}`;
    return result;
  }
}

await report(async () => {
  const model = await Model.open(FACTS, unbase64(find("wasm").textContent));
  window.page = Object.assign(new Page(model), { typed, unbase64, bytesOf }); // for whoever looks
});
