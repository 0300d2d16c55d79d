// An ESP32's bootloader as far as a flasher talks to it, as a port of navigator.serial: the ROM, then
// the stub that it is given. The protocol is esptool's "Serial Protocol": SLIP packets of direction,
// command, length, a word, data. In the page itself, because a flasher waits 100 ms for an answer.
// `window.rom` is {magic, badBit, flash, erased, spans}; `window.md5Of` is the test's.

const SYNC = 0x08, READ_REG = 0x0a, MEM_END = 0x06, BEGIN = 0x10, DATA = 0x11, END = 0x12, MD5 = 0x13, ERASE = 0xd0;
const FINE = [0x05, 0x07, 0x09, 0x0b, 0x0d, 0x0f]; // nothing to do for us
const MAGIC_AT = 0x40001000, FLASH_ID_AT = 0x3ff42080; // the chip's kind; SPI1's first data word

class FakeRom {
  constructor() {
    this.stub = false;
    this.heard = [];
  }

  async open() {
    this.readable = new ReadableStream({ start: (controller) => { this.out = controller; } });
    this.writable = new WritableStream({ write: (bytes) => this.hear(bytes) });
  }

  async close() {}
  async setSignals() {}
  getInfo() { return {}; }

  async hear(bytes) {
    for (const byte of bytes) {
      if (byte !== 0xc0) { this.heard.push(byte); continue; }
      const body = [];
      for (let at = 0; at < this.heard.length; at++) {
        body.push(this.heard[at] !== 0xdb ? this.heard[at] : this.heard[++at] === 0xdc ? 0xc0 : 0xdb);
      }
      this.heard = [];
      if (body.length >= 8 && body[0] === 0) await this.obey(body[1], Uint8Array.from(body.slice(8)));
    }
  }

  async obey(command, data) {
    const word = (index) => new DataView(data.buffer).getUint32(4 * index, true);
    let value = 0, answer = [];
    if (command === SYNC) {
      value = this.stub ? 0 : 0x20120707;
      for (let count = 0; count < 7; count++) this.answer(command, value, [0, 0]); // and the eighth, as always
    } else if (command === READ_REG) {
      value = { [MAGIC_AT]: rom.magic, [FLASH_ID_AT]: 0x1640ef }[word(0)] ?? 0;
    } else if (command === BEGIN) {
      Object.assign(this, { address: word(3), size: word(0), packed: [] });
    } else if (command === DATA) {
      this.packed.push(data.slice(16));
    } else if (command === MD5) {
      await this.burn();
      answer = await md5Of(btoa(String.fromCharCode(...rom.flash.slice(word(0), word(0) + word(1)))));
    } else if (command === ERASE) {
      rom.erased = true;
    } else if (![...FINE, MEM_END, END].includes(command)) {
      return this.answer(command, 0, [1, 5]); // as the ROM refuses what it does not know
    }
    this.answer(command, value, [...answer, 0, 0]);
    if (command === MEM_END) {
      this.stub = true;
      this.frame(Array.from("OHAI", (letter) => letter.charCodeAt(0)));
    }
  }

  async burn() {
    const stream = new Blob(this.packed).stream().pipeThrough(new DecompressionStream("deflate"));
    const image = new Uint8Array(await new Response(stream).arrayBuffer());
    if (rom.badBit) image[0] ^= 1 << rom.badBit;
    rom.flash.set(image, this.address);
    rom.spans.push([this.address, image.length]);
  }

  answer(command, value, data) {
    const status = this.stub ? data : [...data, 0, 0]; // the ROM's has four bytes
    const little = [0, 8, 16, 24].map((shift) => (value >>> shift) & 255);
    this.frame([1, command, status.length & 255, status.length >> 8, ...little, ...status]);
  }

  frame(body) {
    const escaped = body.flatMap((byte) => (byte === 0xc0 ? [0xdb, 0xdc] : byte === 0xdb ? [0xdb, 0xdd] : [byte]));
    this.out.enqueue(Uint8Array.from([0xc0, ...escaped, 0xc0]));
  }
}

window.rom = { magic: 0x00f01d83, badBit: 0, flash: new Uint8Array(1 << 18).fill(255), erased: false, spans: [] };
const chosen = new FakeRom();
Object.defineProperty(navigator, "serial", { value: { requestPort: async () => chosen } });
