"""An interpreter of Xtensa programs that no emulator here runs: the base instructions that
compilers make, loops, and MAC16 and the ESP32-S3's PIE as far as our kernels use them (Xtensa ISA
reference; ESP32-S3 Technical Reference Manual, chapter "Processor Instruction Extensions").

It executes the bytes of a linked program, so that what is tested is what is shipped. An instruction
that it does not know is an error. It counts executed instructions, by function on request.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

RETURN = 0xFFFFFFFC  # where the outermost function returns to
SIZE = 2**20  # bytes of memory, from address 0
STACK = SIZE - 1024
MASK = 2**32 - 1
SAVED = 6  # of the registers q0 to q7: what ESP-IDF's tie-asm.h saves of a task
# MAC16: LDINC and LDDEC; MULA.DD.*.LDINC, MULA.DA.*.LDINC, .LDDEC and MULA.DA.*, of any halves.
MAC16 = {0x80, 0x90, *(kind << 4 | 8 | halves for kind in (0, 4, 5, 6) for halves in range(4))}
# ee.ld.qacc_* and ee.st.qacc_*: whether it stores, the half, its first word, bytes.
QACC = {
    0x000004: (False, 0, 0, 16),
    0x060004: (False, 1, 0, 16),
    0x160004: (False, 0, 4, 4),
    0x1E0004: (False, 1, 4, 4),
    0x0C0004: (True, 0, 0, 16),
    0x0D0004: (True, 1, 0, 16),
    0x1D0004: (True, 0, 4, 4),
    0x120004: (True, 1, 4, 4),
}
_B4 = (-1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256)
_B4U = (32768, 65536, *_B4[2:])

Step = tuple[int, int, int, int, int, int]  # word, op0, t, s, r, size


def signed(value: int, bits: int = 32) -> int:
    """``value`` as a two's complement number of so many bits."""
    value &= 2**bits - 1
    return value - 2**bits if value >> (bits - 1) else value


class Xtensa:
    """A core with a program in its memory."""

    def __init__(self, program: Path) -> None:
        self.memory = bytearray(SIZE)
        with program.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                at, data = segment["p_vaddr"], segment.data()
                self.memory[at : at + len(data)] = data
            table = elf.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            symbols = table.iter_symbols()
            self.symbols = {s.name: int(s["st_value"]) for s in symbols if s.name}
        self.a = [0] * 16
        self.q = [bytes(16)] * SAVED
        self.m = [0] * 4  # of MAC16
        self.acclo = 0
        self.qacc = [0] * 16  # 20 bits each
        self.accx = self.sar = self.lbeg = self.lend = self.lcount = 0
        self.count = 0  # executed instructions
        self.counts: Counter[str] = (
            Counter()
        )  # of those of `watched` functions, with what they call
        self.watched: dict[int, str] = {}
        self._decoded: dict[int, Step] = {}

    def watch(self, *functions: str) -> None:
        """Count the instructions of ``functions`` in `counts`."""
        self.watched = {self.symbols[name]: name for name in functions}

    def call(self, function: str, *arguments: int) -> int:
        """The function's answer; at most six arguments."""
        self.a[0], self.a[1] = RETURN, STACK
        self.a[2 : 2 + len(arguments)] = arguments
        self.count, pc = 0, self.symbols[function]
        inside, back, begun = "", -1, 0
        while pc != RETURN:
            if not inside and pc in self.watched:
                inside, back, begun = self.watched[pc], self.a[0], self.count
            elif pc == back and inside:
                self.counts[inside] += self.count - begun
                inside = ""
            pc = self._step(pc)
        return self.a[2]

    def read(self, symbol: str, size: int) -> bytes:
        """What is at ``symbol``."""
        at = self.symbols[symbol]
        return bytes(self.memory[at : at + size])

    def write(self, symbol: str, data: bytes) -> None:
        """Put ``data`` there."""
        at = self.symbols[symbol]
        self.memory[at : at + len(data)] = data

    def _step(self, pc: int) -> int:
        step = self._decoded.get(pc)
        if step is None:
            step = self._decoded[pc] = self._decode(pc)
        word, op0, t, s, r, size = step
        target = self._run(word, op0, (t, s, r), pc)
        self.count += 1
        if target is not None:
            return target
        if pc + size == self.lend and self.lcount:
            self.lcount -= 1
            return self.lbeg
        return pc + size

    def _decode(self, pc: int) -> Step:
        word = int.from_bytes(self.memory[pc : pc + 4], "little")
        op0 = word & 15
        size = 4 if op0 >= 14 else 2 if op0 >= 8 else 3
        word &= 2 ** (8 * size) - 1
        return word, op0, word >> 4 & 15, word >> 8 & 15, word >> 12 & 15, size

    def load(self, at: int, size: int) -> int:
        assert at % size == 0, f"{size} bytes at {at:#x}"
        assert 0 < at < SIZE, f"{at:#x}"
        return int.from_bytes(self.memory[at : at + size], "little")

    def store(self, at: int, value: int, size: int) -> None:
        assert at % size == 0, f"{size} bytes at {at:#x}"
        assert 0 < at < SIZE, f"{at:#x}"
        self.memory[at : at + size] = (value & (2 ** (8 * size) - 1)).to_bytes(size, "little")

    # Each of these answers where to go on, or None: behind the instruction.

    def _run(self, word: int, op0: int, fields: tuple[int, int, int], pc: int) -> int | None:
        t, s, r = fields
        if op0 == 0:
            return self._arithmetic(word, t, s, r, pc)
        if op0 == 1:  # L32R
            self.a[t] = self.load((pc + 3 & ~3) + signed(word >> 8 | 0xFFFF0000) * 4 & MASK, 4)
        elif op0 == 2:
            self._memory(word, t, s, r)
        elif op0 == 4 and word >> 16 in MAC16:
            self._mac16(word, t, s)
        elif op0 in {4, 14}:
            self._pie(word)
        elif op0 == 5:
            assert t & 3 == 0, f"{word:06x}"  # CALL0
            self.a[0] = pc + 3
            return (pc & ~3) + 4 + 4 * signed(word >> 6, 18)
        elif op0 == 6:
            return self._branch(word, s, r, pc)
        elif op0 == 7:
            return pc + 4 + signed(word >> 16, 8) if self._compares(t, s, r) else None
        else:
            return self._narrow(word, op0, fields, pc)
        return None

    def _arithmetic(self, word: int, t: int, s: int, r: int, pc: int) -> int | None:
        a, op1, op2 = self.a, word >> 16 & 15, word >> 20 & 15
        if op1 == 0 and op2 == 0:
            return self._jump(word, t, s, pc)
        if op1 == 0 and op2 == 4:
            self._shift_amount(r, t, s)
        elif op1 in {4, 5}:  # EXTUI
            a[r] = a[t] >> (s | (op1 & 1) << 4) & (2 << op2) - 1
        elif op1 == 1:
            a[r] = self._shifted(op2, t, s) & MASK
        elif op1 == 3 and op2 in {8, 9, 10, 11}:  # MOVEQZ, MOVNEZ, MOVLTZ, MOVGEZ
            y = signed(a[t])
            if (y == 0, y != 0, y < 0, y >= 0)[op2 - 8]:
                a[r] = a[s]
        elif op1 == 3 and op2 in {0, 1}:  # RSR, WSR
            assert word >> 8 & 255 == 16, "only ACCLO"
            if op2:
                self.acclo = a[t]
            else:
                a[t] = self.acclo
        elif (op1, op2) == (3, 14):  # RUR
            assert (s, t) == (0, 0), "only ACCX_0"
            a[r] = self.accx & MASK
        else:
            a[r] = self._result(op1, op2, t, s) & MASK
        return None

    def _result(self, op1: int, op2: int, t: int, s: int) -> int:
        u, v = self.a[s], self.a[t]
        x, y = signed(u), signed(v)
        if op1 == 0:
            if op2 in {1, 2, 3}:
                return (u & v, u | v, u ^ v)[op2 - 1]
            if op2 == 6:  # NEG, ABS
                return abs(y) if s else -y
            assert op2 >= 8, f"{op1}, {op2}"
            shift = op2 & 3
            return (u << shift) + v if op2 < 12 else (u << shift) - v
        if op1 == 2:
            return {8: x * y, 10: u * v >> 32, 11: x * y >> 32}[op2]
        assert op1 == 3, f"{op1}, {op2}"
        if op2 == 3:  # CLAMPS
            most = 1 << t + 7
            return min(max(x, -most), most - 1)
        return {4: min(x, y), 5: max(x, y), 6: min(u, v), 7: max(u, v)}[op2]

    def _shift_amount(self, r: int, t: int, s: int) -> None:
        amount = self.a[s]
        if r == 15:  # NSAU
            self.a[t] = 32 - amount.bit_length()
        elif r == 4:  # SSAI
            self.sar = s | (t & 1) << 4
        else:  # SSR, SSL, SSA8L
            self.sar = {0: amount & 31, 1: 32 - (amount & 31), 2: 8 * (amount & 3)}[r]

    def _shifted(self, op2: int, t: int, s: int) -> int:
        u, v, high = self.a[s], self.a[t], (op2 & 1) << 4
        if op2 < 2:  # SLLI
            return u << (32 - (t | high))
        if op2 < 4:  # SRAI
            return signed(v) >> (s | high)
        if op2 == 4:  # SRLI
            return v >> s
        if op2 in {12, 13}:  # MUL16U, MUL16S
            bits = [signed(n, 16) if op2 == 13 else n & 0xFFFF for n in (u, v)]
            return bits[0] * bits[1]
        # SRC, SRL, SLL, SRA
        return {
            8: (u << 32 | v) >> self.sar,
            9: v >> self.sar,
            10: u << (32 - self.sar),
            11: signed(v) >> self.sar,
        }[op2]

    def _jump(self, word: int, t: int, s: int, pc: int) -> int | None:
        """RET, JX, CALLX0; NOP and MEMW, which do nothing."""
        if word >> 12 == 2:
            return None
        assert word >> 12 == 0, f"{word:06x}"
        if t == 8:
            return self.a[0]
        target = self.a[s]
        if t == 12:
            self.a[0] = pc + 3
        else:
            assert t == 10, f"{word:06x}"
        return target

    def _memory(self, word: int, t: int, s: int, r: int) -> None:
        a, offset = self.a, word >> 16
        if r in {0, 1, 2}:
            a[t] = self.load(a[s] + (offset << r) & MASK, 1 << r)
        elif r in {4, 5, 6}:
            self.store(a[s] + (offset << (r - 4)) & MASK, a[t], 1 << (r - 4))
        elif r == 9:
            a[t] = signed(self.load(a[s] + 2 * offset & MASK, 2), 16) & MASK
        elif r == 10:
            a[t] = signed(s << 8 | offset, 12) & MASK
        else:
            assert r in {12, 13}, f"{word:06x}"  # ADDI, ADDMI
            a[t] = a[s] + (signed(offset, 8) << (8 if r == 13 else 0)) & MASK

    def _branch(self, word: int, s: int, r: int, pc: int) -> int | None:
        kind, value = word >> 4 & 15, self.a[s]
        x, target = signed(value), pc + 4 + signed(word >> 16, 8)
        if kind & 3 == 0:  # J
            return pc + 4 + signed(word >> 6, 18)
        if kind & 3 == 1:  # BEQZ, BNEZ, BLTZ, BGEZ
            taken = (x == 0, x != 0, x < 0, x >= 0)[kind >> 2]
            return pc + 4 + signed(word >> 12, 12) if taken else None
        if kind & 3 == 2:  # BEQI, BNEI, BLTI, BGEI
            other = _B4[r]
            return target if (x == other, x != other, x < other, x >= other)[kind >> 2] else None
        if kind >= 11:  # BLTUI, BGEUI
            return target if (value < _B4U[r]) == (kind == 11) else None
        assert (kind, r) == (7, 9), f"{word:06x}"  # LOOPNEZ
        self.lbeg, self.lend = pc + 3, pc + 4 + (word >> 16)
        self.lcount = value - 1 if value else 0
        return None if value else self.lend

    def _compares(self, t: int, s: int, r: int) -> bool:
        """Whether the branch of two registers is taken."""
        u, v = self.a[s], self.a[t]
        if r in {6, 7, 14, 15}:  # BBCI, BBSI
            return bool(u >> (t | (r & 1) << 4) & 1) == (r >= 14)
        x, y, bit = signed(u), signed(v), bool(u >> (v & 31) & 1)
        first = (u & v == 0, x == y, x < y, u < v, ~u & v == 0, not bit)
        return first[r] if r < 8 else not first[r - 8]

    def _narrow(self, word: int, op0: int, fields: tuple[int, int, int], pc: int) -> int | None:
        a, (t, s, r) = self.a, fields
        if op0 == 8:
            a[t] = self.load(a[s] + 4 * r & MASK, 4)
        elif op0 == 9:
            self.store(a[s] + 4 * r & MASK, a[t], 4)
        elif op0 == 10:
            a[r] = a[s] + a[t] & MASK
        elif op0 == 11:
            a[r] = a[s] + (t or -1) & MASK
        elif op0 == 12 and t < 8:  # MOVI.N
            value = r | (t & 7) << 4
            a[s] = (value - 128 if value >= 96 else value) & MASK
        elif op0 == 12:  # BEQZ.N, BNEZ.N
            return pc + 4 + (r | (t & 3) << 4) if (a[s] == 0) == (t < 12) else None
        elif op0 == 13 and r == 0:
            a[t] = a[s]
        elif op0 == 13 and (r, t) == (15, 0):
            return a[0]
        else:
            assert word == 0xF03D, f"{word:04x} at {pc:#x}"  # NOP.N
        return None

    def _mac16(self, word: int, t: int, s: int) -> None:
        kind, halves, loaded = word >> 20, word >> 16 & 3, word >> 12 & 3
        if word >> 18 & 3:
            x = self.m[word >> 14 & 1]
            y = self.m[2 + (word >> 6 & 1)] if kind == 0 else self.a[t]
            product = signed(x >> 16 * (halves & 1), 16) * signed(y >> 16 * (halves >> 1), 16)
            self.acclo = self.acclo + product & MASK
        if kind != 6:
            self.a[s] = self.a[s] + (-4 if kind in {5, 9} else 4) & MASK
            self.m[loaded] = self.load(self.a[s], 4)

    def _pie(self, word: int) -> None:
        """ee.zero.accx, ee.vld.128.ip, ee.vmulas.s8.accx and its form that loads, that of
        ee.vmulas.s8.qacc; and `_lanes`."""
        s = word >> 4 & 15
        if word == 0x250804:
            self.accx = 0
        elif self._lanes(word, s):
            return
        elif word & 0x8F000F == 0x830004:
            offset = signed(word >> 8 & 127 | (word >> 22 & 1) << 7, 8)
            self._load_vector(word >> 15 & 1 | (word >> 20 & 3) << 1, s, 16 * offset)
        elif word & 0xFFA0FF == 0x1A00C4:
            self._multiply(word >> 8 & 7, word >> 11 & 3 | (word >> 14 & 1) << 2)
        else:
            assert word & 0xF076000E == 0xF002000E, f"{word:08x}"
            x, y = word >> 14 & 3 | (word & 1) << 2, word >> 23 & 1 | (word >> 12 & 3) << 1
            (self._multiply_lanes if word >> 16 & 1 else self._multiply)(x, y)
            offset = signed(word >> 8 & 15 | (word >> 26 & 3) << 4, 6)
            self._load_vector(word >> 19 & 1 | (word >> 24 & 3) << 1, s, 16 * offset)

    def _lanes(self, word: int, s: int) -> bool:
        """ee.vld.128.xp, ee.vst.128.ip, ee.vmax.s8, ee.vmin.s8, ee.ld.qacc_* and ee.st.qacc_*;
        whether it is one of them."""
        q = word >> 15 & 1 | (word >> 20 & 3) << 1
        x, y = word >> 8 & 7, word >> 11 & 3 | (word >> 14 & 1) << 2
        offset = signed(word >> 8 & 127 | (word >> 22 & 1) << 7, 8)
        if word >> 24:
            return False
        if word & 0xCF700F == 0x8D2004:
            self._load_vector(q, s, self.a[word >> 8 & 15])
        elif word & 0x8F000F == 0x8A0004:
            at = self.a[s] & ~15
            assert 0 < at < SIZE, f"{at:#x}"
            self.memory[at : at + 16] = self.q[q]
            self.a[s] = self.a[s] + 16 * offset & MASK
        elif word & 0xCF20FF in {0x8E2044, 0x8E2074}:
            assert q < SAVED, f"q{q} is lost when ESP-IDF switches tasks"
            choose = max if word & 0xFF == 0x44 else min
            pairs = zip(self.q[x], self.q[y], strict=True)
            self.q[q] = bytes(choose(signed(a, 8), signed(b, 8)) & 255 for a, b in pairs)
        elif (kind := word & 0xBF800F) in QACC:
            self._move_sums(QACC[kind], s, offset)
        else:
            return False
        return True

    def _multiply_lanes(self, x: int, y: int) -> None:
        for k, (a, b) in enumerate(zip(self.q[x], self.q[y], strict=True)):
            total = self.qacc[k] + signed(a, 8) * signed(b, 8)
            self.qacc[k] = min(max(total, -(2**19)), 2**19 - 1)

    def _move_sums(self, kind: tuple[bool, int, int, int], s: int, step: int) -> None:
        """Bytes of a half's 160 bits to or from memory: a row of `QACC`."""
        stores, half, word, size = kind
        lanes = self.qacc[8 * half : 8 * half + 8]
        bits = sum((lane & 2**20 - 1) << 20 * k for k, lane in enumerate(lanes))
        data, at = bytearray(bits.to_bytes(20, "little")), self.a[s] & -size
        assert 0 < at < SIZE, f"{at:#x}"
        if stores:
            self.memory[at : at + size] = data[4 * word : 4 * word + size]
        else:
            data[4 * word : 4 * word + size] = self.memory[at : at + size]
            bits = int.from_bytes(data, "little")
            self.qacc[8 * half : 8 * half + 8] = [signed(bits >> 20 * k, 20) for k in range(8)]
        self.a[s] = self.a[s] + size * step & MASK

    def _load_vector(self, q: int, s: int, step: int) -> None:
        assert q < SAVED, f"q{q} is lost when ESP-IDF switches tasks"
        at = self.a[s] & ~15
        self.q[q] = bytes(self.memory[at : at + 16])
        self.a[s] = self.a[s] + step & MASK

    def _multiply(self, x: int, y: int) -> None:
        pairs = zip(self.q[x], self.q[y], strict=True)
        total = self.accx + sum(signed(a, 8) * signed(b, 8) for a, b in pairs)
        self.accx = min(max(total, -(2**39)), 2**39 - 1)
