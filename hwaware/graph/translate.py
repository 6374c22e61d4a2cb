"""From an exported program to a `Graph`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.constants import unsupported
from hwaware.graph.export import RESHAPED, arguments, op_name
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.ops import SPLITS


def translate(program: Any, module: nn.Module) -> Graph:
    """The graph of the `program` that `module` was exported to. Raises `ModelError`, `UnsupportedOpError`."""
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
    name = op_name(fx.target)
    if name is None:  # getitem on an operator with several outputs
        source, index = values[fx.args[0].name], fx.args[1]
        return source[index]
    args = {name: _resolve(value, values) for name, value in arguments(fx).items()}
    if name in SPLITS:
        return _split(fx, name, args, nodes)
    if name in RESHAPED or name == "contiguous.default":
        source = fx.args[0]
        if _spec(fx) == _spec(source):
            return values[source.name]
        name, args = "view.default", {"self": values[source.name], "size": _spec(fx).shape}
    if name == "batch_norm.default":
        name = "_native_batch_norm_legit_no_training.default"
        args = {key: args[key] for key in ("input", "weight", "bias", "running_mean", "running_var", "momentum", "eps")}
        nodes.append(Node(fx.name, name, args, _spec(fx), _path(fx)))
        return Ref(fx.name)
    if name == "_native_batch_norm_legit_no_training.default":
        # Its three outputs are the normalised value and two statistics that evaluation does not have.
        spec = Spec.of(fx.meta["val"][0])
        nodes.append(Node(fx.name, name, args, spec, _path(fx)))
        return (Ref(fx.name), None, None)
    if name == "convolution.default":
        name, args = _plain_convolution(args)
    if not isinstance(fx.meta.get("val"), torch.Tensor):
        raise unsupported(name, _path(fx))
    if name in {"clone.default", "dropout.default"}:
        name, args = _dropout(name, args, module, _path(fx))
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


def _dropout(name: str, args: dict[str, Arg], module: nn.Module, path: str) -> tuple[str, dict[str, Arg]]:
    """In evaluation mode dropout is a copy, and taken apart it is one; training the graph wants a module's back."""
    source = args["self" if name == "clone.default" else "input"]
    try:
        child = module.get_submodule(path)
    except AttributeError:
        child = None
    if isinstance(child, nn.Dropout):
        return "dropout.default", {"input": source, "p": float(child.p), "train": False}
    return "clone.default", (args if name == "clone.default" else {"self": source, "memory_format": None})


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
