"""A model of a core's cycles, from the instructions that an emulator executes.

An emulated board counts instructions; a core takes one cycle for most of them, and more for loads,
for several registers at a time and for jumps. Here each executed block of instructions is weighed
with the timings of Arm's Cortex-M4 Technical Reference Manual (100166, sections 3.3.1 and 3.3.3),
memories without wait states. It is a model and always called one: docs/performance.md says what it
leaves out.

QEMU (any build: `-d in_asm,exec,nochain`) writes each translated block once and its name each time
that it runs. Blocks end where the program may jump, so what is executed is a walk from block to
block, of which only the number of times each step was taken has to be kept.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from nanotool.boards import Board
from nanotool.errors import NanoError

# Each model, and the boards whose core it is of.
MODELS: Mapping[str, tuple[str, ...]] = MappingProxyType({"m4": ("stm32", "mps2_an386")})

_CONDITIONS = "eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
_DIRECT = re.compile(rf"(b|bl|cbz|cbnz)({_CONDITIONS})?")
_INDIRECT = re.compile(rf"(bx|blx|tbb|tbh)({_CONDITIONS})?")
_SEVERAL = re.compile(r"v?(ldm|stm|push|pop).*")
_DIVIDE = 7  # 2 to 12 cycles, by the operands
_FLOAT = MappingProxyType({"vdiv": 14, "vsqrt": 14, "vmla": 3, "vmls": 3, "vfma": 3, "vfms": 3})
# Functions that call kernels: what they call last before a kernel begins is that kernel.
_CALLERS = frozenset({"run_op", "nano_step", "nano_run"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction as QEMU's disassembler has it."""

    address: int
    size: int  # bytes: 2 or 4
    mnemonic: str  # without the width
    operands: str

    @property
    def jumps(self) -> bool:
        """Whether it may be the last one of a block as it changes where the program goes on."""
        name = self.mnemonic
        if _DIRECT.fullmatch(name) or _INDIRECT.fullmatch(name):
            return True
        if name.startswith(("pop", "ldm")):
            return "pc" in self.operands
        return self.operands.startswith("pc,") and not name.startswith(("cmp", "tst", "str"))

    @property
    def registers(self) -> int:
        """How many registers are in its list."""
        count = 0
        for part in self.operands[self.operands.find("{") + 1 : self.operands.find("}")].split(","):
            first, dash, last = part.strip().partition("-")
            count += int(last[1:]) - int(first[1:]) + 1 if dash else bool(first)
        return count


@dataclass(frozen=True, eq=False)
class Block:
    """Instructions that are executed one after the other."""

    symbol: str  # the function they are in
    instructions: tuple[Instruction, ...]
    counts: bool = True  # False: only the jump to it does

    @cached_property
    def begin(self) -> int:
        """The first one's address."""
        return self.instructions[0].address

    @cached_property
    def end(self) -> int:
        """The address behind the last one."""
        return self.instructions[-1].address + self.instructions[-1].size


def _is_load(one: Instruction) -> bool:
    return one.mnemonic.startswith(("ldr", "vldr")) and not one.mnemonic.startswith("ldrd")


def _is_store(one: Instruction) -> bool:
    return one.mnemonic.startswith(("str", "vstr")) and not one.mnemonic.startswith("strd")


def _follows(one: Instruction, before: Instruction | None) -> bool:
    """Whether a load or store begins while the load before it is still under way: it does not need
    what that loads for its address."""
    if before is None or not _is_load(before):
        return False
    loaded = before.operands.partition(",")[0].strip()
    address = one.operands[one.operands.find("[") :]
    return re.search(rf"\b{re.escape(loaded)}\b", address) is None


def instruction_cycles(one: Instruction, before: Instruction | None) -> int:
    """Cycles of an instruction that does not jump, behind ``before`` (None: behind a jump)."""
    name = one.mnemonic
    if _SEVERAL.fullmatch(name):
        return 1 + one.registers
    if name.startswith(("ldrd", "strd")):
        return 3
    if _is_load(one):
        return 1 if _follows(one, before) else 2
    if _is_store(one):
        # With an offset in the instruction, or none, the data are written behind the next one.
        by_register = re.search(r"\[\w+, \w+", one.operands) is not None
        return 2 if by_register and not _follows(one, before) else 1
    if name.startswith(("sdiv", "udiv")):
        return _DIVIDE
    return next((cycles for start, cycles in _FLOAT.items() if name.startswith(start)), 1)


def jump_cycles(one: Instruction, target: Instruction, *, taken: bool) -> int:
    """Cycles of a jump to ``target``. Filling the pipeline takes 1 to 3: one more than the least
    where the address is not in the instruction, and where the target is in two words."""
    if not taken:
        return 1
    split = target.size == 4 and target.address % 4 != 0
    direct = _DIRECT.fullmatch(one.mnemonic) is not None
    fill = 1 + (not direct) + split
    if one.mnemonic.startswith(("pop", "ldm")):
        return 1 + one.registers + fill
    if one.mnemonic.startswith(("tbb", "tbh", "ldr")):
        return 2 + fill
    return 1 + fill


def _body(block: Block, before: Instruction | None) -> int:
    """All of ``block`` but the jump at its end."""
    total = 0
    for one in block.instructions if block.counts else ():
        if one is block.instructions[-1] and one.jumps:
            break
        total += instruction_cycles(one, before)
        before = one
    return total


def step_cycles(last: Block | None, block: Block) -> int:
    """Cycles from the end of ``last`` (None: elsewhere), its jump included, to that of ``block``,
    without its own."""
    if last is None:
        return _body(block, None)
    jump = last.instructions[-1]
    taken = block.begin != last.end
    if not jump.jumps:
        return _body(block, None if taken else jump)
    return jump_cycles(jump, block.instructions[0], taken=taken) + _body(block, None)


Steps = Counter[tuple["Block | None", Block]]


def walk_cycles(steps: Mapping[tuple[Block | None, Block], int]) -> int:
    """Cycles of all ``steps``, each as often as it was taken."""
    return sum(count * step_cycles(*step) for step, count in steps.items())


# --- What an emulator executes --------------------------------------------------------------------

_INSTRUCTION = re.compile(rb"0x([0-9a-f]+):\s+([0-9a-f]{4}(?: [0-9a-f]{4})?)\s+(\S+)\s*(.*)")
_TRACE = re.compile(rb"Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/\S+\] ?(.*)")


@dataclass
class Walk:
    """What is read from a log: the steps of each op of a model's runs."""

    kernels: Sequence[str]  # of the ops, in their order
    runs: list[list[Steps]] = field(default_factory=list)  # each op's, of every whole run
    _blocks: dict[bytes, Block] = field(default_factory=dict)  # by the line that says it runs
    _fresh: list[Instruction] = field(default_factory=list)  # of the block just translated
    _ops: list[Steps] = field(default_factory=list)  # of the run under way
    _last: Block | None = None
    _back: int = -1  # where the op under way returns to; -1: there is none

    def read(self, lines: Iterable[bytes]) -> None:
        """Take the log's next ``lines``."""
        for line in lines:
            block = self._blocks.get(line) if not self._fresh else None
            if block is not None:
                self._execute(block)
            elif line.startswith(b"Trace"):
                self._first_time(line)
            elif line.startswith(b"IN:"):
                self._fresh.clear()
            elif match := _INSTRUCTION.match(line):
                address, code, name, operands = match.groups()
                mnemonic = name.decode().partition(".")[0]
                one = (int(address, 16), 4 if b" " in code else 2, mnemonic, operands.decode())
                self._fresh.append(Instruction(*one))

    def _first_time(self, line: bytes) -> None:
        match = _TRACE.match(line)
        if match is None:
            return
        if self._fresh and self._fresh[0].address == int(match[1], 16):
            self._blocks[line] = Block(match[2].decode().strip(), tuple(self._fresh))
        self._fresh.clear()
        if line in self._blocks:
            self._execute(self._blocks[line])

    def _execute(self, block: Block) -> None:
        last, self._last = self._last, block
        if self._back >= 0:
            self._ops[-1][last, block] += 1
            if block.begin == self._back:
                self._end_op(last, block)
        elif last is not None and last.symbol in _CALLERS and last.instructions[-1].jumps:
            number = len(self._ops)
            if block.symbol == self.kernels[number]:
                self._ops.append(Counter({(None, block): 1}))
                self._back = last.end

    def _end_op(self, last: Block | None, block: Block) -> None:
        """The jump back is the op's, the block that it leads to is not."""
        self._back = -1
        ops = self._ops[-1]
        del ops[last, block]
        if last is not None:
            ops[last, replace(block, counts=False)] += 1
        if len(self._ops) == len(self.kernels):
            self.runs.append(self._ops)
            self._ops = []


_END = b"nanotool: end of log\n"


@contextmanager
def logged(walk: Walk) -> Iterator[tuple[str, ...]]:
    """Arguments for QEMU with which ``walk`` takes what it executes; all of it is there at the
    end."""
    with tempfile.TemporaryDirectory(prefix="nanotool-") as folder:
        pipe = Path(folder) / "log"
        os.mkfifo(pipe)
        # For reading and writing: opening waits for nobody, and the end is a line of our own.
        with os.fdopen(os.open(pipe, os.O_RDWR), "r+b", buffering=0) as both:
            lines = os.fdopen(os.dup(both.fileno()), "rb", buffering=1 << 20)

            def take() -> None:
                with lines:
                    walk.read(iter(lines.readline, _END))

            reader = threading.Thread(target=take, daemon=True)
            reader.start()
            try:
                yield ("-d", "in_asm,exec,nochain", "-D", str(pipe))
            finally:
                both.write(b"\n" + _END)
                reader.join()


def check_model(model: str, board: Board, *, emulated: bool) -> None:
    """`NanoError` where ``model`` is not that of the emulated ``board``'s core."""
    if model not in MODELS:
        raise NanoError(f"There is no cycles model {model!r}.", f"There is {', '.join(MODELS)}.")
    if not emulated:
        raise NanoError(
            "A cycles model counts what an emulator executes; a real board counts cycles itself.",
            "Leave out --port, or --cycles-model.",
        )
    if model_of(board) != model:
        raise NanoError(
            f"The cycles model {model} is of another core than that of {board.name}.",
            f"Take --board {' or '.join(MODELS[model])}.",
        )


def model_of(board: Board) -> str:
    """The model of the core that ``board``'s emulator has; "" if there is none."""
    return next((model for model, boards in MODELS.items() if board.name in boards), "")
