"""Going on with an interrupted training, and leaving what is needed for it."""

from __future__ import annotations

from dataclasses import dataclass

from hwaware.compression.checkpoint import Arguments, Checkpoint
from hwaware.compression.distributed import Processes
from hwaware.compression.training_state import TrainingState
from hwaware.errors import ArtifactError


@dataclass(frozen=True)
class Resumption:
    """The checkpoint of one training on `processes`, if it has one."""

    checkpoint: Checkpoint | None
    arguments: Arguments
    epochs: int
    state: TrainingState
    processes: Processes

    def restore(self) -> tuple[int, int]:
        """Put back what is stored; the epochs that are over and the steps of an epoch, zeros where nothing is stored.

        Raises ArtifactError for a checkpoint that does not fit, or that some process does not see.
        """
        if self.checkpoint is None:
            return 0, 0
        snapshot = self.checkpoint.load(self.arguments)
        epoch = snapshot.epoch if snapshot is not None else 0
        if epoch > self.epochs:
            raise self.checkpoint.corrupt(f"{epoch} of {self.epochs} epochs are over")
        (of_main,) = self.processes.total([epoch if self.processes.main else 0], self.state.device)
        if of_main != epoch:
            raise ArtifactError(
                f"{self.checkpoint.path} is not the same file in all processes: choose an --out that all can read"
            )
        if snapshot is None:
            return 0, 0
        self.state.restore(snapshot, self.checkpoint)
        return epoch, snapshot.batches

    def store(self, epoch: int, batches: int) -> None:
        """Store the state behind `epoch` epochs, for all processes to see when this returns."""
        if self.checkpoint is None:
            return
        if self.processes.main:
            self.checkpoint.save(self.arguments, self.state.snapshot(epoch, batches))
        self.processes.total([0.0], self.state.device)  # comes back when all have come here
