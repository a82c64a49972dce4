"""What packing refuses: models that keep more than the weights of their method."""

from __future__ import annotations

from unveil.errors import CheckpointError
from unveil.models.checkpoint import TrainedModel


def refuse_adapted(model: TrainedModel) -> None:
    """Refuse a model with a whitening or statistics of cameras: without them it would embed otherwise, unsaid.

    Raises:
        CheckpointError: it has one of the two.
    """
    if model.method.whitening is not None or model.camera_statistics is not None:
        raise CheckpointError(
            f"{model.name} is adapted to cameras, and packing keeps neither its whitening nor its statistics of them: "
            "pack the model that it was adapted from, or hand on its .safetensors as it is"
        )
