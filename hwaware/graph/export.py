"""A module as `torch.export` sees it in evaluation mode, in operators that `graph.translate` takes."""

from __future__ import annotations

import contextlib
import operator
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.ops import KNOWN, SPLITS

# All are views of the shape they end with.
RESHAPED = frozenset({"reshape.default", "flatten.using_ints", "unflatten.int"})


def export(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """The exported program of `module` for inputs of these shapes. Raises `ModelError` where there is none."""
    with warnings.catch_warnings(), _evaluating(module), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(module, inputs)
            program.graph.eliminate_dead_code()
            if not _is_plain(program):
                program = _decomposed(program)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise ModelError(
                f"the model cannot be captured with fixed shapes: {type(error).__name__}: {lines[0][:300]}; "
                "make its forward free of data-dependent control flow and shapes"
            ) from error
    return program


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = {name: child.training for name, child in module.named_modules()}
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # The fast path is one opaque operator for a whole encoder layer.
    torch.backends.mha.set_fastpath_enabled(False)
    with contextlib.suppress(NotImplementedError):  # exported programs have no mode to set
        module.eval()
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for name, child in module.named_modules():
            child.training = modes[name]


def _is_plain(program: Any) -> bool:
    """Whether `graph.translate` takes every operator as it was exported: to trace it all again takes twice as long.

    What depends on no input and no parameter is folded, whatever it is.
    """
    signature = program.graph_signature
    constant = {*signature.inputs_to_buffers, *signature.inputs_to_lifted_tensor_constants}
    for fx in program.graph.nodes:
        if fx.op != "call_function":
            continue
        if not _call_is_plain(fx):
            one = isinstance(fx.target, torch._ops.OpOverload) and isinstance(fx.meta.get("val"), torch.Tensor)
            if not one or fx.target._schema.is_mutable or any(arg.name not in constant for arg in fx.all_input_nodes):
                return False
        if all(arg.name in constant for arg in fx.all_input_nodes):
            constant.add(fx.name)
    return True


def _call_is_plain(fx: Any) -> bool:
    if fx.target is operator.getitem:
        return True
    name = op_name(fx.target)
    if name is None or fx.target._schema.is_mutable:
        return False
    if name == "batch_norm.default":
        args = arguments(fx)
        return args["running_mean"] is not None and args["running_var"] is not None and not args["training"]
    if name == "dropout.default":
        return not arguments(fx)["train"]
    return name in RESHAPED or not _unknown(fx.target)


def _decomposed(program: Any) -> Any:
    """Without operators that write, and with what hwaware does not know taken apart as far as torch can."""
    program = program.run_decompositions({})
    for _ in range(3):
        unknown = {node.target for node in program.graph.nodes if node.op == "call_function" and _unknown(node.target)}
        table = torch.export.default_decompositions()
        rules = {target: table[target] for target in unknown if target in table}
        if not rules:
            break
        program = program.run_decompositions(rules)
    return program


def _unknown(target: Any) -> bool:
    name = op_name(target)
    return name is not None and name not in KNOWN and name not in SPLITS


def op_name(target: Any) -> str | None:
    """``conv2d.default`` for an ATen overload; None for Python functions such as getitem."""
    if not isinstance(target, torch._ops.OpOverload):
        return None
    namespace, _, name = str(target).partition(".")
    return name if namespace == "aten" else str(target)


def arguments(fx: Any) -> dict[str, Any]:
    """The arguments of an operator's call by their names in its schema, defaults filled in, in the schema's order."""
    named = {}
    for index, argument in enumerate(fx.target._schema.arguments):
        given = fx.args[index] if index < len(fx.args) else fx.kwargs.get(argument.name, argument.default_value)
        named[argument.name] = given
    return named
