// A model that listens: microphone or recording, features as a moving picture, probabilities over
// time, decisions.

const PICTURE_FRAMES = 300;

class ListenCard {
  constructor(model, onStep) {
    Object.assign(this, { model, onStep, rule: model.facts.stream });
    this.features = make("canvas", { class: "screen", role: "img", "aria-label": "features over time" });
    this.curve = make("canvas", { class: "screen", role: "img", "aria-label": "what the rule compares, over time" });
    this.level = make("i");
    this.said = make("ol", { "aria-label": "decisions", "aria-live": "polite" });
    this.progress = make("span", { class: "dim" });
    this.micButton = make("button", { type: "button", onclick: () => report(() => this.microphone()) }, "Microphone");
    const { channels, rate } = this.rule;
    const sensor = channels > 0;
    const title = sensor ? "Sensor" : "Sound";
    const sources = sensor
      ? [fileButton("Samples…", ".npy,.csv,.txt", (file) => this.samples(file))]
      : [this.micButton, fileButton("Recording…", "audio/*,.wav", (file) => this.file(file))];
    this.element = make("section", { "aria-label": title }, make("h2", {}, title), this.features,
      make("p", { class: "note" }, "Features, newest to the right."), this.curve,
      make("p", { class: "note" }, `Mean of ${this.rule.window} steps; the red line is the threshold.`),
      make("div", { class: "gauge", "aria-label": "level" }, this.level),
      make("p", { class: "note" }, sensor ? `A row has the ${channels} channels of a sample, as the sensor's own ` +
        `whole numbers, ${rate} a second.` : ""),
      make("div", { class: "tools" }, ...sources,
        make("button", { type: "button", onclick: () => this.begin() }, "Forget"), this.progress),
      make("h2", {}, "Decisions"), this.said);
    model.onStep = (decisions) => this.step(decisions);
    this.begin();
  }

  begin() {
    this.stopMicrophone();
    this.model.forget();
    Object.assign(this, { frames: [], sums: [], made: [], steps: 0 });
    this.said.replaceChildren(make("li", { class: "dim" }, "none yet"));
    this.draw();
  }

  feed(samples) {
    let loudest = 0;
    for (const sample of samples) loudest = Math.max(loudest, Math.abs(sample));
    this.level.style.width = `${(100 * loudest) / 32768}%`;
    this.model.feed(samples, (features) => {
      this.frames.push(features);
      if (this.frames.length > PICTURE_FRAMES) this.frames.shift();
    });
    this.later();
  }

  step(count) {
    const result = this.model.result(0);
    this.sums.push(this.model.sums());
    if (this.sums.length > PICTURE_FRAMES) this.sums.shift();
    this.steps++;
    for (const decision of this.model.decisions(count)) this.decide(decision);
    this.newest = result;
  }

  decide({ step, index, sum }) {
    const { labels, name } = this.model.facts;
    const who = labels[index] ?? (this.rule.classes.length === 1 ? name : `class ${index}`);
    if (!this.made.length) this.said.replaceChildren();
    this.made.push({ step, index, sum });
    this.said.append(make("li", {}, `${who}, at ${((step + 1) * this.rule.seconds).toFixed(2)} s (step ${step})`));
  }

  later() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
      if (this.newest) this.onStep(this.newest);
    });
  }

  draw() {
    const { features, classes } = this.rule;
    const values = new Float32Array(features * PICTURE_FRAMES);
    const [low, high] = this.frames.length ? extremes(this.frames.flatMap((frame) => Array.from(frame))) : [0, 1];
    values.fill(low);
    this.frames.forEach((frame, index) => {
      const column = PICTURE_FRAMES - this.frames.length + index;
      frame.forEach((value, row) => (values[(features - 1 - row) * PICTURE_FRAMES + column] = value));
    });
    drawPixels(this.features, values, features, PICTURE_FRAMES, 1, low, high);
    this.drawSums(classes);
  }

  drawSums(classes) {
    const most = Math.max(1, ...classes.map(({ sum }) => sum * 1.25), ...this.sums.flat());
    const rows = [...Array(PICTURE_FRAMES - this.sums.length).fill(classes.map(() => 0)), ...this.sums];
    drawCurves(this.curve, rows.flat(), PICTURE_FRAMES, classes.length, 0, most);
    const context = this.curve.getContext("2d");
    context.strokeStyle = "#ef4444";
    context.lineWidth = 1;
    for (const { sum } of classes) {
      const y = this.curve.height - 4 - (sum / most) * (this.curve.height - 8);
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(this.curve.width, y);
      context.stroke();
    }
  }

  /** A recording, from its beginning, as fast as it goes. */
  async file(file) {
    const buffer = await file.arrayBuffer();
    const samples = readWav(buffer, this.rule.rate) ?? (await this.decoded(buffer, file.name));
    await this.play(samples, file);
  }

  /** A sensor's samples: rows of whole numbers. */
  async samples(file) {
    const numbers = file.name.endsWith(".npy") ? readNpy(await file.arrayBuffer(), null, "int16").values
      : readNumbers(await file.text(), null);
    if (numbers.length % this.rule.channels) {
      throw Error(`${file.name} holds ${numbers.length} numbers, not rows of ${this.rule.channels}.`);
    }
    const wrong = numbers.find((value) => !Number.isInteger(value) || value < -32768 || value > 32767);
    if (wrong !== undefined) throw Error(`${wrong} is no whole number from -32768 to 32767.`);
    await this.play(Int16Array.from(numbers), file);
  }

  async play(samples, file) {
    this.begin();
    const values = this.rule.rate * Math.max(1, this.rule.channels); // in a second
    const piece = Math.max(1, Math.round(values / 10));
    for (let start = 0; start < samples.length; start += piece) {
      this.feed(samples.subarray(start, start + piece));
      this.progress.textContent = `${((start + piece) / values).toFixed(1)} s`;
      await new Promise((resolve) => setTimeout(resolve));
    }
    const seconds = (samples.length / values).toFixed(2);
    this.progress.textContent = `${file.name}: ${seconds} s, ${this.steps} steps, ${this.made.length} decisions`;
  }

  /** Any other sound that the browser knows, at our rate: no longer the file's own samples. */
  async decoded(buffer, name) {
    const context = new OfflineAudioContext(1, 1, this.rule.rate);
    const sound = await context.decodeAudioData(buffer).catch(() => {
      throw Error(`${name} is no sound that this browser reads.`);
    });
    return toInt16(sound.getChannelData(0));
  }

  async microphone() {
    if (this.context) return this.stopMicrophone();
    if (!navigator.mediaDevices) throw Error("This browser gives no microphone to a page like this one.");
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    this.begin();
    this.context = new AudioContext({ sampleRate: this.rule.rate });
    this.tracks = stream.getTracks();
    const code = "registerProcessor('tap', class extends AudioWorkletProcessor {" +
      "process([[sound]]) { if (sound) this.port.postMessage(sound.slice()); return true; } });";
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    await this.context.audioWorklet.addModule(url);
    URL.revokeObjectURL(url);
    const tap = new AudioWorkletNode(this.context, "tap");
    tap.port.onmessage = ({ data }) => this.feed(toInt16(data));
    this.context.createMediaStreamSource(stream).connect(tap);
    this.micButton.classList.add("on");
  }

  stopMicrophone() {
    this.tracks?.forEach((track) => track.stop());
    this.context?.close();
    this.tracks = this.context = null;
    this.micButton.classList.remove("on");
  }
}

const toInt16 = (floats) =>
  Int16Array.from(floats, (value) => Math.min(32767, Math.max(-32768, Math.round(value * 32768))));
