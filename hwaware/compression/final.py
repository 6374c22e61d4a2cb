"""Training of what a search found: fine-tuned, or from scratch."""

from __future__ import annotations

from hwaware.compression.scratch import fresh
from hwaware.compression.search import Search
from hwaware.compression.train import fit
from hwaware.graph.model import GraphModel

FINE_TUNE, SCRATCH = "fine-tune", "scratch"
FINALS = (FINE_TUNE, SCRATCH)


def trained(model: GraphModel, search: Search, epochs: int, final: str) -> GraphModel:
    """`model` after `epochs` of training, in eval mode; with `final` SCRATCH its weights are new first."""
    if final == SCRATCH:
        model = GraphModel(fresh(model.graph, search.seed), model.example_inputs)
    if epochs < 1:
        return model.eval()
    fit(
        model,
        search.task,
        epochs=epochs,
        lr=search.lr,
        on_epoch=search.tell(final, epochs, dict),
        # Other random numbers than in the search: other orders of the same data.
        seed=search.seed + 1,
        checkpoint=search.checkpoint(final),
        precision=search.options.precision,
    )
    return model
