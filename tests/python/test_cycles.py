"""The model of a Cortex-M4's cycles, on sequences whose timings Arm's manual states."""

from __future__ import annotations

import pytest

from nanotool.boards import find_board
from nanotool.cycles import Block, Instruction, Walk, check_model, model_of, walk_cycles
from nanotool.errors import NanoError


def block(text: str, begin: int = 0x100, symbol: str = "f") -> Block:
    """``text``'s instructions, separated by ";", all of them 2 bytes, or 4 with ".w"."""
    made = []
    for line in text.split(";"):
        name, _, operands = line.strip().partition(" ")
        mnemonic, _, width = name.partition(".")
        made.append(Instruction(begin, 4 if width == "w" else 2, mnemonic, operands))
        begin = made[-1].address + made[-1].size
    return Block(symbol, tuple(made))


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("adds r0, r0, #1; smlad r1, r2, r3, r1; ssat r1, #8, r1", 3),
        # The pairs and the three of "Load/store timings".
        ("ldr r0, [r1]; ldr r1, [r2]", 3),
        ("ldr r0, [r1, r2]; str r0, [r3, #20]", 3),
        ("ldr r0, [r1, r2]; str r1, [r3, r2]", 3),
        ("ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]", 4),
        ("ldr r0, [r1]; ldr r2, [r0]", 4),  # the address is what the first one loads
        ("ldr r0, [r1]; adds r0, r0, #1; ldr r2, [r1]", 5),
        ("str r0, [r1, #4]", 1),
        ("str r0, [r1, r2]", 2),
        ("str r0, [r1]; ldr r2, [r3]", 3),  # nothing is pipelined behind a store
        ("ldrd r0, r1, [r2]; strd r0, r1, [r3]", 6),
        ("ldm r0!, {r1, r2, r3}; push {r4-r7, lr}", 10),
        ("udiv r0, r1, r2", 7),
        ("vldr s0, [r0]; vmla.f32 s1, s0, s2", 5),
        ("bic r0, r1, r2; bfi r0, r1, #0, #4", 2),  # no branches
    ],
)
def test_instructions(text: str, cycles: int) -> None:
    assert walk_cycles({(None, block(text)): 1}) == cycles


def test_jumps() -> None:
    """A loop's jump back takes 2 where it is taken and 1 where not; a jump to where a register
    points one more; an instruction in two words one more."""
    body, behind = block("ldr r1, [r0], #4; subs r2, #1; bne #0x100"), block("bx lr", 0x106)
    caller = block("movs r0, #1", 0x204)
    once = walk_cycles({(None, body): 1})
    assert once == 3
    assert walk_cycles({(None, body): 1, (body, body): 9}) == once + 9 * (2 + 3)
    assert walk_cycles({(body, behind): 1}) == 1
    assert walk_cycles({(behind, caller): 1}) == 3 + 1
    split = block("mov.w r0, #1", 0x202)
    assert walk_cycles({(behind, split): 1}) == 4 + 1
    popped = block("pop {r4, pc}", 0x106)
    assert walk_cycles({(popped, caller): 1}) == 1 + 2 + 2 + 1
    table = block("tbb [pc, r0]", 0x106)
    assert walk_cycles({(table, caller): 1}) == 4 + 1


LOG = b"""----------------
IN: run_op
0x00000010:  4798       blx      r3

Trace 0: 0x7f01 [00800408/00000010/00000110/ff020200] run_op
----------------
IN: kernel
0x00000100:  6801       ldr      r1, [r0]
0x00000102:  3a01       subs     r2, #1
0x00000104:  d1fc       bne      #0x100

Trace 0: 0x7f02 [00800408/00000100/00000110/ff020200] kernel
Trace 0: 0x7f02 [00800408/00000100/00000110/ff020200] kernel
----------------
IN: kernel
0x00000106:  4770       bx       lr

Trace 0: 0x7f03 [00800408/00000106/00000110/ff020200] kernel
----------------
IN: run_op
0x00000012:  f04f 0000  mov.w    r0, #0
0x00000016:  4770       bx       lr

Trace 0: 0x7f04 [00800408/00000012/00000110/ff020200] run_op
Trace 0: 0x7f04 [00800408/00000012/00000110/ff020200] run_op
"""


def test_what_qemu_writes() -> None:
    """Of a run what its kernels execute, from their first instruction to their return."""
    walk = Walk(["kernel"])
    for _ in range(2):  # the second time all blocks are known
        walk.read(LOG.splitlines(keepends=True))
    # Twice through the loop, the jump between, not taken at the end, and back to 4 bytes at 0x12.
    assert [[walk_cycles(op) for op in run] for run in walk.runs] == [[3 + 2 + 3 + 1 + 4]] * 2


def test_which_boards_have_a_model() -> None:
    assert model_of(find_board("stm32")) == model_of(find_board("mps2_an386")) == "m4"
    assert not model_of(find_board("mps3_an547"))
    stm32 = find_board("stm32")
    check_model("m4", stm32, emulated=True)
    with pytest.raises(NanoError, match="real board counts cycles"):
        check_model("m4", stm32, emulated=False)
    with pytest.raises(NanoError, match="no cycles model 'm3'"):
        check_model("m3", stm32, emulated=True)
    with pytest.raises(NanoError, match="another core"):
        check_model("m4", find_board("riscv_virt"), emulated=True)
