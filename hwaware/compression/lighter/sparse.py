"""Surgery and Net-Trim as methods: what they leave at 0 is neither stored nor multiplied."""

from __future__ import annotations

from torch import Tensor

from hwaware.compression.lighter.goal import LayerRow, Made, Work
from hwaware.compression.lighter.ladder import most_times
from hwaware.compression.nettrim.finetune import finetune
from hwaware.compression.nettrim.layer import LayerReport as Trimmed
from hwaware.compression.nettrim.target import Reached, for_loss, for_share
from hwaware.compression.quantize.choices import layers
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.samples import samples
from hwaware.compression.sparsify import sparsified
from hwaware.compression.surgery.method import Course, for_times, operate
from hwaware.compression.surgery.surgeon import LayerReport
from hwaware.compression.task import evaluate
from hwaware.encoding.forms import Dense, encode
from hwaware.graph.arguments import optional_ref
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from hwaware.graph.ops import CONV

# Samples that Net-Trim's programmes are set up with: a convolution makes as many rows of each as its output has pixels.
SAMPLES, IMAGES = 8192, 128
# Above it a kernel that looks up each weight's place is slower than one that multiplies zeros, and half as small.
_MOST_KEPT = 0.5


def surgery(work: Work) -> Made:
    """Dynamic Network Surgery (Guo, Yao, Chen 2016, arXiv:1608.04493)."""
    if work.goal.times is not None:
        model, reports = _operated(work, work.goal.times)
        note = ""
    else:
        least = evaluate(work.task, GraphModel(work.graph, work.task.example_inputs)) - (work.goal.loss or 0.0)
        times, (model, reports) = most_times(
            lambda times: _operated(work, times), lambda found: evaluate(work.task, found[0]) >= least, work.graph
        )
        note = f"{times:.1f} times fewer parameters is the most of those tried that loses no more"
    rows = tuple(
        LayerRow(each.name, each.before, each.after, f"{each.cut:,} cut, {each.spliced:,} spliced back")
        for each in reports
    )
    graph, left = without_zeros(folded(model.graph))
    return Made(graph, rows, left, note)


def _operated(work: Work, times: float) -> tuple[GraphModel, tuple[LayerReport, ...]]:
    model = GraphModel(work.graph, work.task.example_inputs)
    course = Course(work.epochs, work.lr, work.seed)
    phase = f"surgery for {times:.1f}×"
    reports = operate(
        model,
        work.task,
        for_times(model, work.task, times, course),
        course,
        checkpoint=work.checkpoint(f"surgery-{round(100 * times)}"),
        on_epoch=work.epoch(phase),
    )
    return model.eval(), reports


def net_trim(work: Work) -> Made:
    """Net-Trim (Aghasi et al. 2017, arXiv:1611.05162), then training of what is left."""
    graph = folded(work.graph)
    batches = _calibration(graph, work)
    work.report("convex programmes", 0, 1, "")
    reached: Reached
    if work.goal.times is not None:
        reached = for_share(graph, batches, 1 - 1 / work.goal.times)
    else:
        reached = for_loss(graph, work.task, batches, work.goal.loss or 0.0)
    trim = reached.trim
    before = evaluate(work.task, GraphModel(trim.graph, work.task.example_inputs))
    tuned = finetune(
        trim.graph,
        trim.layers,
        work.task,
        epochs=work.epochs,
        lr=work.lr,
        seed=work.seed,
        checkpoint=work.checkpoint("net-trim"),
    )
    rows = tuple(LayerRow(each.layer, each.weights, each.left, _said(each)) for each in trim.layers)
    made, left = without_zeros(tuned)
    return Made(made, rows, {**trim.left, **left}, f"gain {reached.gain:.3g}; metric before fine-tuning {before:.4f}")


def _said(each: Trimmed) -> str:
    said = f"residual {each.achieved:.4g} of {each.epsilon:.4g} allowed"
    if each.untrimmed:
        said += f"; {each.untrimmed} units as they were: no sparser ones hold the constraints"
    return said if each.satisfied else f"{said}; the constraints do NOT hold"


def _calibration(graph: Graph, work: Work) -> list[tuple[Tensor, ...]]:
    """The first inputs of the training data, as many as the programmes can bear."""
    left = IMAGES if any(node.op in CONV for node in graph.nodes) else SAMPLES
    kept = []
    for inputs in samples(graph, work.task, left):
        kept.append(tuple(x[:left] for x in inputs))
        left -= len(inputs[0])
        if left <= 0:
            break
    return kept


def without_zeros(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """`graph` with those layers sparse that are smaller so, and by layer why others are not."""
    names, left = [], {}
    for node in layers(graph):
        weight = optional_ref(node, "weight")
        if weight not in graph.tensors or "transpose" in node.op:
            left[node.name] = "its weights cannot be stored sparse"
            continue
        values = graph.tensors[weight].detach()
        kept = float((values != 0).float().mean())
        if kept > _MOST_KEPT or isinstance(encode(values.numpy()), Dense):
            left[node.name] = f"{kept:.0%} of its weights are left: it is stored dense"
        else:
            names.append(node.name)
    return sparsified(graph, names), left
