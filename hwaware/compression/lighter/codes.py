"""Product quantisation as a method: layers become indices into codebooks."""

from __future__ import annotations

from hwaware.compression.codebook.automatic import forms_for_accuracy, forms_for_bytes
from hwaware.compression.codebook.method import Settings, coded_network
from hwaware.compression.codebook.report import LayerReport
from hwaware.compression.codebook.stored import codebooked
from hwaware.compression.codebook.tune import GlobalTuning
from hwaware.compression.lighter.goal import LayerRow, Made, Work
from hwaware.compression.quantize.fold import folded


def codebooks(work: Work) -> Made:
    """ "And the bit goes down" (Stock et al. 2019, arXiv:1907.05686), d and k of each layer chosen for the goal.

    BatchNorms are folded first: a codeword cannot be scaled for each of the channels that it serves.
    """
    graph = folded(work.graph)
    work.report("choosing codebooks", 0, 1, "")
    if work.goal.times is not None:
        dense = 4.0 * sum(graph.tensors[name].numel() for name in graph.parameters)
        forms = forms_for_bytes(graph, work.task, dense / work.goal.times)
    else:
        forms = forms_for_accuracy(graph, work.task, work.goal.loss or 0.0)
    done = 0

    def layer(report: LayerReport) -> None:
        nonlocal done
        done += 1
        work.report("coding layers", done, len(forms), report.name)

    made = coded_network(
        graph,
        work.task,
        forms,
        settings=Settings(tuning=GlobalTuning(epochs=work.epochs, lr=work.lr), seed=work.seed),
        folder=work.folder,
        about=work.about,
        on_layer=layer,
        on_epoch=work.epoch("codewords"),
    )
    rows = tuple(LayerRow(each.name, each.vectors * each.d, each.k * each.d, _said(each)) for each in made.reports)
    note = f"{made.size.ratio:.1f} times smaller by the paper's count"
    return Made(codebooked(made.graph, made.layers), rows, made.left, note)


def _said(each: LayerReport) -> str:
    lost = f"{each.output_error:.2%} of its outputs' energy lost"
    return f"{each.vectors:,} blocks of {each.d} in {each.k} codewords, {lost}"
