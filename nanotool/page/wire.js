// A board at the end of a serial line: commands in frames, answers bound to them by a number and
// two CRCs (docs/console.md, "Between programs"). WIRE has the agreement's numbers, nanotool's own.

/** COBS: `bytes` without zeros. */
function stuffed(bytes) {
  const result = [0];
  let code = 0;
  for (const byte of bytes) {
    if (byte !== 0) result.push(byte);
    if (byte === 0 || result.length - code === 255) {
      result[code] = result.length - code;
      code = result.push(0) - 1;
    }
  }
  result[code] = result.length - code;
  return result;
}

/** What `stuffed` made of it; null if it is no COBS. */
function unstuffed(bytes) {
  const result = [];
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at];
    if (code === 0 || at + code > bytes.length) return null;
    for (let index = at + 1; index < at + code; index++) result.push(bytes[index]);
    at += code;
    if (code < 255 && at < bytes.length) result.push(0);
  }
  return Uint8Array.from(result);
}

const little = (value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const ascii = (text) => Array.from(text, (character) => character.charCodeAt(0));
const latin = (bytes) => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

/** {bytes, crc}: a frame with its delimiters; twice the one in front and behind, one may be lost. */
function frame(type, offset, data) {
  const body = [type, ...little(offset), ...data];
  const crc = crc32(body);
  return { bytes: Uint8Array.from([0, 0, ...stuffed([...body, ...little(crc)]), 0, 0]), crc };
}

/** {type, offset, data} of what stood between two delimiters; null if it is damaged. */
function unframed(bytes) {
  const body = unstuffed(bytes);
  if (!body || body.length < 10) return null;
  const view = new DataView(body.buffer);
  if (view.getUint32(body.length - 4, true) !== crc32(body.subarray(0, -4))) return null;
  return { type: body[0], offset: view.getUint32(1, true), data: body.slice(5, -4) };
}

const NUMBERS = 1 << 24;
const SETTLE = 60; // ms of quiet after which a damaged answer has ended
const MOST_HEARD = 1 << 26; // bytes

class Refused extends Error {}

/** One program's talk with the board behind a Web Serial `port`. */
class Conversation {
  static async open(port, baudRate) {
    await port.open({ baudRate, bufferSize: 1 << 16 });
    const talk = new Conversation();
    Object.assign(talk, { port, heard: "", next: null, gone: null });
    talk.writer = port.writable.getWriter();
    talk.reader = port.readable.getReader();
    talk.listening = talk.listen();
    try {
      await talk.bind();
    } catch (error) {
      await talk.close();
      throw error;
    }
    return talk;
  }

  async listen() {
    try {
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) break;
        this.heard += latin(value);
        this.wake?.();
      }
    } catch (error) {
      this.gone = error;
      this.wake?.();
    }
  }

  async close() {
    const quiet = (promise) => promise.catch(() => {});
    if (this.next !== null) await quiet(this.writer.write(Uint8Array.from(ascii("name%"))));
    await quiet(this.reader.cancel());
    await quiet(this.listening);
    this.reader.releaseLock();
    this.writer.releaseLock();
    await quiet(this.port.close());
  }

  async bind() {
    const end = performance.now() + 10_000;
    for (let patience = 300; ; patience = Math.min(2000, patience * 1.5)) {
      const number = Math.floor(Math.random() * NUMBERS);
      const command = frame(WIRE.command, number, ascii("bind"));
      this.heard = "";
      await this.writer.write(command.bytes);
      const body = await this.answer(command, number, Math.min(patience, end - performance.now()));
      if (body === `m-bind-[${WIRE.agreement}]\r\n`) {
        this.next = (number + 1) % NUMBERS;
        return;
      }
      if (body !== null) throw Error("The board's firmware speaks another version of the console's agreement.");
      if (performance.now() >= end) throw Error("No board answers on this port. Is our firmware on it, at this rate?");
    }
  }

  /** The lines and frames that answer `command` (ASCII codes and data). */
  async exchange(data, timeout = 30_000) {
    if (this.next === null) await this.bind();
    const number = this.next;
    const command = frame(WIRE.command, number, data);
    this.next = null;
    for (let attempt = 1, silent = 0; attempt <= WIRE.tries && silent < WIRE.silentTries; attempt++) {
      this.heard = "";
      await this.writer.write(command.bytes);
      const begin = performance.now();
      const body = await this.answer(command, number, timeout);
      if (body === null) {
        silent += performance.now() - begin >= timeout;
        continue;
      }
      if (body.startsWith("e-[Out of turn")) {
        throw Error("The board has started over, or another program has spoken to it. Connect again.");
      }
      this.next = (number + 1) % NUMBERS;
      return this.sorted(body);
    }
    throw Error("The board does not answer.");
  }

  /** The proven bytes in front of the end line of command `number`; null: damaged, or none came. */
  async answer(command, number, timeout) {
    const limit = performance.now() + timeout;
    for (let quietSince = performance.now(), length = 0; ; ) {
      if (this.gone) throw Error(`The port is gone: ${this.gone.message}`);
      const ends = [...this.heard.matchAll(/m-ready(?:-\[(\d{1,8}) ([0-9a-f]{8})\])?\r\n/g)];
      for (const end of ends.filter((one) => Number(one[1]) === number)) {
        const begins = ends.filter((one) => one.index < end.index).map((one) => one.index + one[0].length);
        const whole = [...begins.reverse(), 0].map((begin) => this.heard.slice(begin, end.index))
          .find((body) => crc32(ascii(body), command.crc) === parseInt(end[2], 16));
        return whole ?? null;
      }
      const now = performance.now();
      if (this.heard.length !== length) [length, quietSince] = [this.heard.length, now];
      const refused = /e-\[[^\r\n]*\r\nm-ready\r\n/.test(this.heard);
      if ((refused && now - quietSince >= SETTLE) || now >= limit || length > MOST_HEARD) return null;
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, Math.min(SETTLE, Math.max(1, limit - now)));
      });
    }
  }

  sorted(body) {
    const lines = [], frames = [];
    body.split("\0").forEach((piece, index) => {
      if (index % 2 === 0) return lines.push(...piece.split("\r\n").filter(Boolean));
      const got = unframed(ascii(piece));
      if (!got) throw Error("The board sent a damaged frame.");
      frames.push(got);
    });
    const refusal = lines.find((line) => line.startsWith("e-["));
    if (refusal) throw new Refused(`The board refused: ${refusal.slice(3, -1)}.`);
    return { lines, frames };
  }

  ask(command, timeout) {
    return this.exchange(ascii(command), timeout);
  }

  /** Fill the board's input buffer with `bytes`. */
  async load(bytes) {
    for (let start = 0; start < bytes.length; start += WIRE.maxData) {
      const part = bytes.subarray(start, start + WIRE.maxData);
      await this.exchange([...ascii(`${String.fromCharCode(WIRE.input)} ${start}`), 0, ...part]);
    }
  }

  /** The bytes that `dump` (of op `index`; "": of the newest outputs) sends. */
  async dump(index = "") {
    const { lines, frames } = await this.ask(`dump ${index}`.trim());
    const size = lines.map((line) => /^m-dump-\[\S+ (\d+) ([0-9a-f]{8})\]$/.exec(line)).filter(Boolean);
    const bytes = Uint8Array.from(frames.flatMap(({ data }) => Array.from(data)));
    if (size.reduce((sum, [, count]) => sum + Number(count), 0) !== bytes.length) {
      throw Error("The board sent less than it said.");
    }
    return bytes;
  }
}

/** The value of the one line m-NAME-[VALUE]. */
function told(lines, name) {
  const found = lines.filter((line) => line.startsWith(`m-${name}-[`));
  if (found.length < 1) throw Error(`The board does not say its ${name}.`);
  return found[0].slice(name.length + 4, -1);
}
