"""What a rounded graph loses on a dataset: mAP of the model and of the graph, under each of its protocols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unveil.errors import CheckpointError
from unveil.inference.engine import Engine
from unveil.models.checkpoint import TrainedModel
from unveil.models.evaluate import evaluate_model
from unveil.recipe import DataSource

MAX_LOSS = 0.5  # points of mAP


@dataclass(frozen=True)
class Loss:
    """mAP under one protocol, in [0, 1], of the model and of its graph."""

    dataset: str
    protocol: str
    before: float
    after: float

    @property
    def points(self) -> float:
        """How much lower the graph's mAP is, in points; negative where it is higher."""
        return 100 * (self.before - self.after)

    def __str__(self) -> str:
        return f"{self.dataset} {self.protocol}: mAP {100 * self.before:.1f}, exported {100 * self.after:.1f}"


def measure_loss(
    model: TrainedModel, exported: Engine, *, sources: Sequence[DataSource], max_loss: float = MAX_LOSS
) -> list[Loss]:
    """Evaluate a model and its graph on the same crops.

    Args:
        model: the model.
        exported: runs its graph.
        sources: datasets to evaluate on.
        max_loss: points of mAP that may be lost under each protocol.

    Raises:
        CheckpointError: more is lost.
        DataError: a dataset cannot be read.
    """
    before, after = evaluate_model(model, sources), evaluate_model(exported, sources)
    losses = [
        Loss(one.dataset, f"{one.protocol}#{one.protocol_hash}", one.mean_ap, other.mean_ap)
        for one, other in zip(before, after, strict=True)
    ]
    worst = max(losses, key=lambda loss: loss.points)
    if worst.points > max_loss:
        raise CheckpointError(
            f"the exported graph loses {worst.points:.2f} points of mAP ({worst}); at most {max_loss:g} are allowed: "
            "calibrate on more crops, or allow more with --max-loss"
        )
    return losses
