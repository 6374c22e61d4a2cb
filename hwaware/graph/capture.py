"""Capture any `nn.Module` with `torch.export` into a `Graph`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.constants import fold_constants, unsupported
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.model import GraphModel
from hwaware.graph.ops import EXPAND, KNOWN, SPLITS


def capture(module: nn.Module, example_inputs: Sequence[torch.Tensor]) -> Graph:
    """The graph of `module` in evaluation mode for inputs of exactly the given shapes.

    Raises `ModelError` when the module cannot be exported with fixed shapes or holds NaN weights, and
    `UnsupportedOpError`, with the operator and the module path it came from, for an operator without a lowering.
    """

    if isinstance(module, GraphModel):
        return module.graph_for(example_inputs)
    _check_weights(module)
    program = _export(module, tuple(example_inputs))
    return fold_constants(_translate(program, module))


def capture_batched(module: nn.Module, example_inputs: Sequence[torch.Tensor]) -> Graph:
    """Like `capture`, but runnable at any batch size, for training: captured at two sizes and compared.

    Dimension 0 of every example input is the batch. A reshape whose sizes differ between the two captures gets
    ``-1`` there; any other difference means that the batch cannot vary, which is a `ModelError`.
    """
    two, three = (capture(module, [_with_batch(value, size) for value in example_inputs]) for size in (2, 3))
    nodes = []
    for first, second in zip(two.nodes, three.nodes, strict=True):
        if first.op != second.op or first.name != second.name:
            raise ModelError(f"{first.path or 'the model'} changes its structure with the batch size")
        args = {key: _merge(first.args[key], second.args[key], first, second) for key in first.args}
        nodes.append(Node(first.name, first.op, args, first.spec, first.path))
    for name, tensor in two.tensors.items():
        if tensor.shape != three.tensors[name].shape:
            raise ModelError(f"{name}: a constant of the model changes its shape with the batch size")
    return Graph(two.inputs, nodes, two.outputs, two.tensors, two.parameters, batched=True)


def _with_batch(value: torch.Tensor, size: int) -> torch.Tensor:
    if value.dim() == 0:
        raise ModelError("an example input is a scalar: inputs need a batch dimension first")
    return value[:1].repeat(size, *[1] * (value.dim() - 1))


def _merge(a: Arg, b: Arg, node: Node, other: Node) -> Arg:
    if a == b:
        return a
    viewing = node.op.startswith(("view.", "_unsafe_view.", "reshape."))
    if viewing:
        # What the model leaves open is known by now: the -1 is for the batch.
        a, b = node.spec.shape, other.spec.shape
    if (viewing or node.op in EXPAND) and isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        merged = tuple(x if x == y else -1 for x, y in zip(a, b, strict=True))
        if merged.count(-1) == 1:
            return merged
    raise ModelError(
        f"{node.op} in {node.path or 'the model'} depends on the batch size in a way that is not a reshape"
    )


def _check_weights(module: nn.Module) -> None:
    broken = [(name, ~torch.isfinite(tensor)) for name, tensor in module.named_parameters()]
    # Masks of attention are buffers of minus infinity.
    broken += [(name, torch.isnan(tensor)) for name, tensor in module.named_buffers()]
    for name, where in broken:
        if bool(where.any()):
            raise ModelError(f"{name} holds NaN or infinite values: train or load the model again")


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


def _export(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    with warnings.catch_warnings(), _evaluating(module), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(module, inputs)
            program = program.run_decompositions({})
            for _ in range(3):
                unknown = {
                    node.target for node in program.graph.nodes if node.op == "call_function" and _unknown(node.target)
                }
                table = torch.export.default_decompositions()
                rules = {target: table[target] for target in unknown if target in table}
                if not rules:
                    break
                program = program.run_decompositions(rules)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise ModelError(
                f"the model cannot be captured with fixed shapes: {type(error).__name__}: {lines[0][:300]}; "
                "make its forward free of data-dependent control flow and shapes"
            ) from error
    return program


def _unknown(target: Any) -> bool:
    name = _op_name(target)
    return name is not None and name not in KNOWN and name not in SPLITS


def _op_name(target: Any) -> str | None:
    """``conv2d.default`` for an ATen overload; None for Python functions such as getitem."""
    if not isinstance(target, torch._ops.OpOverload):
        return None
    namespace, _, name = str(target).partition(".")
    return name if namespace == "aten" else str(target)


def _translate(program: Any, module: nn.Module) -> Graph:
    signature = program.graph_signature
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    stored |= signature.inputs_to_lifted_tensor_constants
    tensors: dict[str, torch.Tensor] = {}
    parameters = set()
    inputs: dict[str, Spec] = {}
    values: dict[str, Any] = {}  # fx node name -> Ref, or a tuple of Refs for several outputs
    nodes: list[Node] = []
    outputs: tuple[str, ...] = ()
    for fx in program.graph.nodes:
        if fx.op == "placeholder" and fx.name in stored:
            name = stored[fx.name]
            tensor = program.state_dict.get(name, program.constants.get(name))
            if tensor is None:
                raise ModelError(f"{name} is used by the model but is not among its tensors")
            tensors[name] = tensor.detach()
            if fx.name in signature.inputs_to_parameters:
                parameters.add(name)
            values[fx.name] = Ref(name)
        elif fx.op == "placeholder":
            value = fx.meta.get("val")
            if not isinstance(value, torch.Tensor):
                raise ModelError(f"input {fx.name} is not a tensor: hwaware takes tensors in, tensors out")
            inputs[fx.name] = _spec(fx)
            values[fx.name] = Ref(fx.name)
        elif fx.op == "call_function":
            values[fx.name] = _call(fx, values, nodes, module)
        elif fx.op == "output":
            refs = [_resolve(arg, values) for arg in fx.args[0]]
            if not all(isinstance(ref, Ref) for ref in refs):
                raise ModelError("the model returns something that is not a tensor")
            outputs = tuple(ref.name for ref in refs if isinstance(ref, Ref))
    used = {name for node in nodes for name in node.refs()} | set(outputs)
    kept = {name: tensor for name, tensor in tensors.items() if name in used}
    return Graph(inputs, nodes, outputs, kept, frozenset(parameters & kept.keys()))


def _spec(fx: Any) -> Spec:
    value = fx.meta["val"]
    if any(not isinstance(size, int) for size in value.shape):
        raise ModelError(f"{fx.name} has dynamic shape {tuple(value.shape)}: export the model with fixed shapes")
    return Spec.of(value)


def _path(fx: Any) -> str:
    stack = fx.meta.get("nn_module_stack")
    return str(list(stack.values())[-1][0]) if stack else ""


def _resolve(arg: Any, values: dict[str, Any]) -> Any:
    if isinstance(arg, torch.fx.Node):
        return values[arg.name]
    if isinstance(arg, (list, tuple)):
        return tuple(_resolve(item, values) for item in arg)
    if isinstance(arg, (torch.dtype, torch.device, torch.memory_format, torch.layout)):
        return str(arg)
    return arg


def _call(fx: Any, values: dict[str, Any], nodes: list[Node], module: nn.Module) -> Any:
    name = _op_name(fx.target)
    if name is None:  # getitem on an operator with several outputs
        source, index = values[fx.args[0].name], fx.args[1]
        return source[index]
    args = _named_args(fx, values)
    if name in SPLITS:
        return _split(fx, name, args, nodes)
    if name in {"_native_batch_norm_legit_no_training.default"}:
        # Its three outputs are the normalised value and two statistics that evaluation does not have.
        spec = Spec.of(fx.meta["val"][0])
        nodes.append(Node(fx.name, name, args, spec, _path(fx)))
        return (Ref(fx.name), None, None)
    if name == "convolution.default":
        name, args = _plain_convolution(args)
    if not isinstance(fx.meta.get("val"), torch.Tensor):
        raise unsupported(name, _path(fx))
    if name == "clone.default":
        rate = _dropout_rate(module, _path(fx))
        if rate is not None:
            name, args = "dropout.default", {"input": args["self"], "p": rate, "train": False}
    nodes.append(Node(fx.name, name, args, _spec(fx), _path(fx)))
    return Ref(fx.name)


def _plain_convolution(args: dict[str, Arg]) -> tuple[str, dict[str, Arg]]:
    """The operator that padding='same' and its like decompose to, as the one of its number of dimensions."""
    stride = args["stride"]
    assert isinstance(stride, tuple)
    dims = len(stride)
    plain = {key: args[key] for key in ("input", "weight", "bias", "stride", "padding")}
    if args["transposed"]:
        rest = {key: args[key] for key in ("output_padding", "groups", "dilation")}
        return ("conv_transpose2d.input" if dims == 2 else "conv_transpose1d.default"), plain | rest
    return f"conv{dims}d.default", plain | {key: args[key] for key in ("dilation", "groups")}


def _dropout_rate(module: nn.Module, path: str) -> float | None:
    """Export in evaluation mode leaves a clone of dropout; training the graph wants it back."""
    try:
        child = module.get_submodule(path)
    except AttributeError:
        return None
    return float(child.p) if isinstance(child, nn.Dropout) else None


def _named_args(fx: Any, values: dict[str, Any]) -> dict[str, Arg]:
    """Arguments by schema name, defaults filled in, in the schema's order."""
    args: dict[str, Arg] = {}
    for index, argument in enumerate(fx.target._schema.arguments):
        if index < len(fx.args):
            value = fx.args[index]
        elif argument.name in fx.kwargs:
            value = fx.kwargs[argument.name]
        else:
            value = argument.default_value
        args[argument.name] = _resolve(value, values)
    return args


def _split(fx: Any, name: str, args: dict[str, Arg], nodes: list[Node]) -> tuple[Ref, ...]:
    refs = []
    start = 0
    dim = args["dim"]
    assert isinstance(dim, int)
    for index, part in enumerate(fx.meta["val"]):
        out = f"{fx.name}_{index}"
        if name == "unbind.int":
            pick: dict[str, Arg] = {"self": args["self"], "dim": dim, "index": index}
            nodes.append(Node(out, "select.int", pick, Spec.of(part), _path(fx)))
        else:
            size = int(part.shape[dim])
            cut: dict[str, Arg] = {
                "self": args["self"],
                "dim": dim,
                "start": start,
                "end": start + size,
                "step": 1,
            }
            nodes.append(Node(out, "slice.Tensor", cut, Spec.of(part), _path(fx)))
            start += size
        refs.append(Ref(out))
    return tuple(refs)
