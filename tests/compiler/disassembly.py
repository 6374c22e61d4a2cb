"""Reads object code: the innermost loops of a file's functions, and what their instructions do."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.requirements import need

_LINE = re.compile(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)")
_FUNCTION = re.compile(r"[0-9a-f]+ <(?!\$)")  # ARM marks code and data with symbols such as $a
_BRANCH = re.compile(r"j[a-z]+|b(\.[a-z]{2}|[a-z]{2})?|cbn?z|tbn?z")
_ABSOLUTE = re.compile(r"0x([0-9a-f]+) <")
_RELATIVE = re.compile(r"imm = #(-?\d+)")
_ARM_AHEAD = 8  # the program counter an instruction sees

# A multiply-add of full vectors, or of the two instructions that make one the addition, with the register of the sum.
_ADDS = {
    "x86_64-avx512": re.compile(r"vfmadd\d+ps .*%(zmm\d+)$"),
    "x86_64-avx2": re.compile(r"vfmadd\d+ps .*%(ymm\d+)$"),
    "x86_64": re.compile(r"addps .*%(xmm\d+)$"),
    "aarch64": re.compile(r"fmla (v\d+)\.4s,"),
    "armv7": re.compile(r"vfma\.f32 (q\d+),"),
    "armv7-neon": re.compile(r"vadd\.f32 (q\d+),"),
}
_SPLIT = ("x86_64", "armv7-neon")
_MULTIPLY = re.compile(r"(mulps|vmul\.f32 q\d)")
_STORE = re.compile(r"(?:v?mov\w* [^(]*, [^,]*\([^)]*\)|(?:st[pru]\w*|st\d|vst\w*(?:\.\d+)?|push) ).*")
_STACK = re.compile(r"\br?sp\b")
# ARM reaches vectors on the stack through an address made beside them.
_VECTOR_STACK = re.compile(r"(?=.*\br?sp\b)(add r|.*(%[xyz]mm\d|\b[qdsv]\d))")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its address, and mnemonic and operands as text with single spaces."""

    address: int
    text: str


@dataclass(frozen=True)
class Loop:
    """The instructions from a backward branch's target to the branch; `kind` is a target's name in `_ADDS`."""

    body: tuple[Instruction, ...]
    kind: str

    @cached_property
    def sums(self) -> Counter[str]:
        """How often each register is added to by a multiply-add."""
        found = (_ADDS[self.kind].match(instruction.text) for instruction in self.body)
        return Counter(match[1] for match in found if match)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of full vectors."""
        if self.kind not in _SPLIT:
            return self.sums.total()
        return min(self.sums.total(), sum(bool(_MULTIPLY.match(item.text)) for item in self.body))

    @property
    def stack(self) -> list[str]:
        """Instructions that use the stack pointer."""
        return [item.text for item in self.body if _STACK.search(item.text)]

    @property
    def spills(self) -> list[str]:
        """Those among them that move vectors."""
        return [text for text in self.stack if _VECTOR_STACK.match(text)]

    @property
    def stores(self) -> list[str]:
        """Instructions that write memory."""
        return [item.text for item in self.body if _STORE.fullmatch(item.text)]


def innermost_loops(path: Path, target: str) -> list[Loop]:
    """The loops of an object file that hold no other, the largest tile first; `target` is the target's name."""
    tool = need("llvm-objdump", package="llvm")
    command = [tool, "-d", "--no-show-raw-insn", "--mattr=+neon,+vfp4" if target.startswith("armv7") else "", str(path)]
    done = subprocess.run([word for word in command if word], capture_output=True, text=True, check=True)
    kind = "aarch64" if target.startswith("aarch64") else target
    loops = [Loop(body, kind) for function in _functions(done.stdout) for body in _innermost(function)]
    return sorted(loops, key=lambda loop: (-len(loop.sums), -loop.multiply_adds))


def _functions(listing: str) -> list[list[Instruction]]:
    """Addresses start anew with each section, so branches are followed within one function."""
    functions: list[list[Instruction]] = [[]]
    for line in listing.splitlines():
        if _FUNCTION.match(line):
            functions.append([])
        elif match := _LINE.fullmatch(line):
            text = f"{match[2]} {' '.join(match[3].split())}".split(" #")[0] if "%" in match[3] else None
            functions[-1].append(Instruction(int(match[1], 16), text or f"{match[2]} {' '.join(match[3].split())}"))
    return functions


def _innermost(function: list[Instruction]) -> list[tuple[Instruction, ...]]:
    index = {instruction.address: position for position, instruction in enumerate(function)}
    spans = []
    for position, instruction in enumerate(function):
        start = index.get(_destination(instruction), position + 1)
        if start <= position:
            spans.append((start, position))
    return [
        tuple(function[first : last + 1])
        for first, last in spans
        if not any((a, b) != (first, last) and first <= a and b <= last for a, b in spans)
    ]


def _destination(instruction: Instruction) -> int:
    """Where a branch goes, -1 for other instructions."""
    mnemonic, _, operands = instruction.text.partition(" ")
    if not _BRANCH.fullmatch(mnemonic):
        return -1
    if match := _ABSOLUTE.search(operands):
        return int(match[1], 16)
    match = _RELATIVE.search(operands)
    return instruction.address + _ARM_AHEAD + int(match[1]) if match else -1
