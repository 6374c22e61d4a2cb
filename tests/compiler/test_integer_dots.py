"""Products of 8-bit integers: exact whatever the values, and as many an instruction as the processor can."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tvm import tirx

from hwaware.compiler.build import compile_module
from hwaware.compiler.choice import Choice
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.schedules.integer import conv, x86
from hwaware.compiler.schedules.integer.dots import Vectors
from hwaware.compiler.targets import Target, base_target
from hwaware.compiler.tir import Expr, const
from hwaware.errors import BuildError
from hwaware.graph.lower import lower
from hwaware.graph.workload import Workload
from tests.compiler.inprocess import AVX2, run_programs
from tests.compiler.integer_layers import (
    ANY,
    LAYERS,
    PAIRS,
    SOME,
    Layer,
    Values,
    convolution,
    extremes,
    model,
    random_values,
)

SSE = base_target("x86_64")
here = pytest.mark.parametrize("target", [AVX2, SSE], ids=lambda target: target.name)
bounds = pytest.mark.parametrize("most", [ANY, PAIRS], ids=["any", "pairs"])


def check(layers: Sequence[Layer], values: Sequence[Values], target: Target) -> None:
    """Assert that each layer's sums are PyTorch's."""
    made = model(layers, values)
    (given,) = run_programs([lower(made.graph_for(made.example_inputs))], [made.example_inputs], target)
    with torch.no_grad():
        wanted = made(*made.example_inputs)
    for layer, found, right in zip(layers, given, wanted, strict=True):
        assert np.array_equal(found, right.numpy()), layer


@pytest.mark.parametrize(
    ("target", "most", "layers"),
    [(AVX2, PAIRS, LAYERS), (AVX2, ANY, SOME), (SSE, PAIRS, SOME), (SSE, ANY, SOME)],
    ids=["avx2-pairs", "avx2-any", "sse-pairs", "sse-any"],
)
def test_any_layer_is_exact(target: Target, most: int, layers: Sequence[Layer]) -> None:
    check(layers, random_values(layers, 1, most), target)


@here
@bounds
def test_the_largest_values_are_exact(target: Target, most: int) -> None:
    check(*extremes(most), target)


def _dpbusd(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    """What vpdpbusd is documented to do, an operation at a time."""
    levels, weights = (tirx.reinterpret(f"int32x{lanes}", vector[0]) for vector in (x, w))
    for byte in range(4):
        left, right = const(24 - 8 * byte, lanes, "int32"), const(24, lanes, "int32")
        level = tirx.bitwise_and(tirx.shift_right(levels, const(8 * byte, lanes, "int32")), const(255, lanes, "int32"))
        total = total + level * tirx.shift_right(tirx.shift_left(weights, left), right)
    return total


def test_vnni_is_exact_where_an_instruction_does_what_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processor here has it, and no emulator: the tiles of 16, 8 and 4 lanes with its meaning in its place."""
    dot = replace(x86.VNNI, add=_dpbusd)
    monkeypatch.setattr(conv, "dot_of", lambda *_: dot)
    check(SOME, random_values(SOME, 2, ANY), replace(AVX2, lanes=16, registers=32))


@pytest.mark.parametrize(("name", "plain"), [("x86_64-avx512vnni", "x86_64-avx512"), ("x86_64-avxvnni", "x86_64-avx2")])
def test_vnni_packs_weights_as_other_x86_does(name: str, plain: str) -> None:
    """Which is run, so that what is left is one instruction."""
    work, choice = convolution(9, 19, 37, 3), Choice.of("integer", positions=3, vectors=2)
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (37, 19, 3, 3)).astype(np.int8)
    numbers = {"bias": rng.integers(-99, 99, 37).astype(np.int32), "zero": np.array([7], np.int32)}
    constants = {"weight": weight, **numbers, "step0": np.ones(37), "step2": np.ones(2)}
    one, other = (generate(work, base_target(each), choice).pack(constants) for each in (name, plain))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    # Four neighbouring channels of each output channel of the first vector.
    lanes = base_target(name).lanes
    assert np.array_equal(one[0][: 4 * lanes].reshape(lanes, 4), weight[:lanes, :4, 0, 0])


@pytest.mark.parametrize("name", ["aarch64", "armv7"])
def test_weights_that_could_overflow_16_bits_are_refused(name: str) -> None:
    """-128 twice in one sum of two products; the quantiser makes none."""
    kernel = generate(convolution(4, 8, 8, 1), base_target(name))
    weight = np.full((8, 8, 1, 1), -128, np.int8)
    constants = {"weight": weight, "bias": np.zeros(8, np.int32), "zero": np.zeros(1, np.int32)}
    constants |= {"step0": np.ones(8, np.float32), "step2": np.ones(2, np.float32)}
    with pytest.raises(BuildError, match="quantise from -127 on"):
        kernel.pack(constants)
    weight[:, 2::4] = weight[:, 3::4] = -127
    assert kernel.pack(constants)[0].min() == -128


# Of the hot loop: the instructions that multiply, the products that each takes a part in, and the products that there
# are for each instruction of the loop, at least.
MADDUBS, MADDWD, MLAL = r"v?pmaddubsw", r"v?pmaddwd", r"(smull|smlal|vmull\.s8|vmlal\.s8)2?"
CODE = {
    ("x86_64-avx512vnni", True): (r"vpdpbusd", 64, 36.0),
    ("x86_64-avx512vnni", False): (r"vpdpbusd", 64, 36.0),
    ("x86_64-avxvnni", False): (r"(\{vex\} )?vpdpbusd", 32, 15.0),
    ("x86_64-avx512", True): (MADDUBS, 64, 16.0),
    ("x86_64-avx512", False): (MADDWD, 32, 9.0),
    ("x86_64-avx2", True): (MADDUBS, 32, 7.5),
    ("x86_64-avx2", False): (MADDWD, 16, 4.5),
    ("x86_64", True): (MADDUBS, 16, 3.0),
    ("x86_64", False): (MADDWD, 8, 1.5),
    ("aarch64-a76-i8mm", False): (r"usmmla", 32, 19.0),
    ("aarch64-a76-dotprod", False): (r"sdot", 16, 12.0),
    ("aarch64-a55-dotprod", False): (r"sdot", 16, 11.0),
    ("aarch64", False): (MLAL, 8, 3.8),
    ("aarch64-a53", False): (MLAL, 8, 3.8),
    ("aarch64-a72", False): (MLAL, 8, 3.8),
    ("armv7", False): (MLAL, 8, 2.8),
    ("armv7-neon", False): (MLAL, 8, 2.8),
}
_LABEL, _TARGET = re.compile(r"(\.?LBB\w+):"), re.compile(r"\S+\s+(\.?LBB\w+)$")
# Names of registers, or addresses, of the stack.
_STACK = re.compile(r"\b[re]?sp\b")


def _loops(work: Workload, target: Target, choice: Choice, multiply: str) -> list[list[str]]:
    """Innermost loops of a kernel that multiply, those that multiply most first."""
    text = compile_module([generate(work, target, choice)], target).mod.inspect_source("asm")
    lines, labels, spans = [], {}, []
    for line in text.splitlines():
        if found := _LABEL.match(line):
            labels[found[1]] = len(lines)
        elif line.startswith("\t") and not line.startswith(("\t.", "\t@", "\t#")):
            lines.append(" ".join(re.split(r"//|@|#(?= )", line)[0].split()))
            found = _TARGET.match(lines[-1])
            if found and found[1] in labels:
                spans.append((labels[found[1]], len(lines)))
    inner = [
        one for one in spans if not any(one != other and one[0] <= other[0] < other[1] <= one[1] for other in spans)
    ]
    loops = [lines[first:last] for first, last in inner]
    loops = [loop for loop in loops if _count(multiply, loop)]
    return sorted(loops, key=lambda loop: -_count(multiply, loop))


def _count(multiply: str, loop: list[str]) -> int:
    return sum(re.match(multiply + r"\s", line) is not None for line in loop)


@pytest.mark.parametrize(("name", "paired"), CODE, ids=[f"{name}-{paired}" for name, paired in CODE])
def test_the_hot_loop_does_little_but_multiply(name: str, paired: bool) -> None:
    multiply, products, least = CODE[name, paired]
    work, target = convolution(14, 384, 64, 1, paired=paired), base_target(name)
    hot = _loops(work, target, candidates(work, target)[0], multiply)[0]
    assert _count(multiply, hot) * products >= least * len(hot), hot
    assert not [line for line in hot if _STACK.search(line)]


@pytest.mark.parametrize(("name", "multiply"), [("aarch64-a76-dotprod", "sdot"), ("aarch64-i8mm", "sudot")])
def test_dot_products_take_one_lane_of_a_load(name: str, multiply: str) -> None:
    # One position, which a multiplication of matrices would double.
    spec = convolution(1, 384, 64, 1)
    target = base_target(name)
    hot = _loops(spec, target, candidates(spec, target)[0], multiply)[0]
    lanes = {line[line.index("[") :] for line in hot if line.startswith(multiply)}
    assert lanes == {"[0]", "[1]", "[2]", "[3]"}
    assert not any(line.startswith(("dup", "ld1r")) for line in hot)
