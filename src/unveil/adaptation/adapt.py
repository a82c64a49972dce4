"""Adapt a trained model to crops without labels, and evaluate whether it is better."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from unveil.adaptation.acceptance import refuse_worse
from unveil.adaptation.estimate import estimate
from unveil.adaptation.groups.links import FeedbackPair
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages.clusters import STATE, train_on_clusters
from unveil.adaptation.stages.statistics import take_statistics
from unveil.adaptation.stages.whitening import take_whitening
from unveil.adaptation.task import Task, embed_as_used
from unveil.errors import UnveilError
from unveil.models.camera_statistics import CameraStatistics, batch_norms, read_statistics
from unveil.models.checkpoint import NAME, TrainedModel, load_model, save_model
from unveil.nn.projections.whitening import Whitening
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Dataset

log = logging.getLogger(__name__)


def adapt(
    model: TrainedModel,
    datasets: Sequence[Dataset],
    *,
    out: Path,
    settings: AdaptSettings | None = None,
    feedback: Sequence[FeedbackPair] = (),
    galleries: Sequence[str] = (),
    cache: Path | None = None,
    parser: OnnxParser | None = None,
    keep_worse: bool = False,
    restart: bool = False,
) -> TrainedModel:
    """Adapt a model and write it; the call that a kill ended resumes when it is made again.

    Args:
        model: of this package, on any device; it is not changed.
        datasets: crops; of a dataset with a training part only that, and no label of people or clothes is read.
        out: folder that gets the model, ``adaptation.json`` and, between epochs, the state.
        settings: see there.
        feedback: pairs of crops of which somebody said whether they show one person.
        galleries: names of the galleries that crops come from, for the card.
        cache: folder of the image stores.
        parser: crops on which it sees nobody are left out; ``None`` takes every crop.
        keep_worse: write the model even if it is worse on what was held out.
        restart: begin anew where the state in ``out`` is that of other crops or feedback; by default it is refused.

    Raises:
        WorseModelError: it is worse.
        DataError: there are too few crops, too few clusters among them, or no camera is left to learn from.
        UnveilError: the model tests with parsing maps or has no batch norm, or ``out`` holds another model.
    """
    settings = settings or AdaptSettings()
    _check(model, out)
    task = Task.open(
        datasets, model.crop_size, settings=settings, feedback=feedback, galleries=galleries, cache=cache, parser=parser
    )
    log.info(
        "estimate: %s",
        estimate(model, task.learnt, settings=settings, tested=len(task.held_out) + len(task.new_cameras)),
    )
    adapted = dataclasses.replace(copy.deepcopy(model), camera_statistics=None)
    adapted.method.whitening = None
    history: list[dict[str, float]] = []
    if settings.trains:
        identity = _identity(model, task, settings=settings)
        history = train_on_clusters(
            adapted, task.learnt, settings=settings, links=task.links, folder=out, identity=identity, restart=restart
        )
    adapted = _with_statistics(adapted, task, settings=settings, before=read_statistics(model.method))
    if "whitening" in settings.stages:
        adapted = _with_whitening(adapted, task, settings=settings)
    statistics = adapted.camera_statistics
    figures = task.evaluate(model, adapted)
    task.report(out, figures, epochs=history)
    refuse_worse(figures, keep_worse=keep_worse)
    card = model.card.model_copy(
        update={
            "adaptation": task.record(model.card.fingerprint, settings, figures=figures, cameras=adapted.cameras),
            "figures": (),
            "format": type(model.card).model_fields["format"].default,
        }
    )  # fmt: skip
    save_model(out / NAME, adapted.method, card=card, statistics=statistics if adapted.cameras else None)
    (out / STATE).unlink(missing_ok=True)
    return load_model(out / NAME, model.device)


def _with_statistics(
    model: TrainedModel, task: Task, *, settings: AdaptSettings, before: tuple[Tensor, Tensor]
) -> TrainedModel:
    """Return the model with statistics of each camera, where they are asked for; those of all after a training."""
    by_camera = "statistics" in settings.stages
    if not by_camera and not settings.trains:
        return model
    statistics = take_statistics(
        model.method, task.learnt, size=model.input, prior=settings.prior, share=settings.share, seed=settings.seed,
        before=before, by_camera=by_camera,
    )  # fmt: skip
    return dataclasses.replace(model, camera_statistics=statistics)


def _with_whitening(model: TrainedModel, task: Task, *, settings: AdaptSettings) -> TrainedModel:
    """Return the model with its vectors centred by camera and whitened."""
    learnt = task.learnt
    found = take_whitening(
        embed_as_used(model, learnt), learnt.cameras, units=learnt.units, links=task.links, pairs=settings.pairs,
        shrinkage=settings.shrinkage, prior=settings.prior,
    )  # fmt: skip
    own = model.camera_statistics
    if own is None or not own.cameras:
        # No statistics of cameras: each has those of the weights.
        each = [one.expand(len(found.centres.cameras), -1).contiguous() for one in read_statistics(model.method)]
        own = CameraStatistics(found.centres.cameras, each[0], each[1])
    pooled, *means = (torch.from_numpy(found.centres.of(camera)) for camera in (None, *own.cameras))
    model.method.whitening = Whitening(pooled, torch.from_numpy(found.matrix)).to(model.device)
    centres = torch.stack(means) if means else pooled.new_empty(0, *pooled.shape)
    return dataclasses.replace(model, camera_statistics=dataclasses.replace(own, centres=centres))


def _check(model: TrainedModel, out: Path) -> None:
    if model.test_parsing:
        raise UnveilError(f"{model.recipe.method.name} tests with parsing maps, which crops of cameras do not have")
    if not batch_norms(model.method):
        raise UnveilError(f"{model.recipe.method.name} has no batch norm to adapt")
    if (out / NAME).exists():
        raise UnveilError(f"{out} already holds a model: choose another --out")


def _identity(model: TrainedModel, task: Task, *, settings: AdaptSettings) -> str:
    """Return a hash of all that the state of a run follows from."""
    crops = task.crops
    known = [
        task.links.must.tolist(), task.links.cannot.tolist(), crops.places.tolist(), list(crops.cameras),
        crops.units.tolist(), task.learnt.rows.tolist(),
    ]  # fmt: skip
    text = json.dumps(
        [model.card.fingerprint, crops.store.content_hash, crops.rows.tolist(), dataclasses.asdict(settings), known]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
