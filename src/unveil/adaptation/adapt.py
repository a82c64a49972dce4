"""Adapt a trained model to crops without labels, and judge whether it is better."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unveil.adaptation.clusters import STATE, embed_crops, train_on_clusters
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.judge import compare, is_worse, make_test
from unveil.adaptation.links import seen_together
from unveil.adaptation.pseudo_labels import Links
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.statistics import take_statistics
from unveil.errors import UnveilError
from unveil.files import write_text
from unveil.models.camera_statistics import batch_norms
from unveil.models.card import Adaptation
from unveil.models.checkpoint import NAME, TrainedModel, load_model, save_model
from unveil.records import Dataset

log = logging.getLogger(__name__)
REPORT = "adaptation.json"


class WorseModelError(UnveilError):
    """The adapted model finds less than the one before and was not written."""


def adapt(
    model: TrainedModel,
    datasets: Sequence[Dataset],
    out: Path,
    settings: AdaptSettings | None = None,
    *,
    links: Links | None = None,
    cache: Path | None = None,
    keep_worse: bool = False,
) -> TrainedModel:
    """Adapt a model and write it; the call that a kill ended goes on when it is made again.

    Args:
        model: of this package, on any device; it is not changed.
        datasets: crops; of a dataset with a training part only that, and no label of people or clothes is read.
        out: folder that gets the model, ``adaptation.json`` and, between epochs, the state.
        settings: see there.
        links: further pairs of units that are, or cannot be, one person, such as feedback.
        cache: folder of the image stores.
        keep_worse: write the model even if it is worse on the tracklets that were held out.

    Raises:
        WorseModelError: it is worse.
        DataError: there are too few crops, or too few clusters among them.
        UnveilError: the model tests with parsing maps or has no batch norm, or ``out`` holds another model.
    """
    settings = settings or AdaptSettings()
    _check(model, out)
    crops = UnlabelledCrops.open(datasets, model.crop_size, per_tracklet=settings.crops_per_tracklet, cache=cache)
    learnt, held_out = _hold_out(crops, settings)
    _say(crops, held_out)
    before = copy.deepcopy(model)
    adapted = dataclasses.replace(copy.deepcopy(model), camera_statistics=None)
    history: list[dict[str, float]] = []
    if "clusters" in settings.stages:
        known = Links(
            links.must if links else np.empty((0, 2), np.int64),
            np.concatenate([seen_together(learnt), links.cannot]) if links else seen_together(learnt),
        )
        history = train_on_clusters(
            adapted, learnt, settings, known, folder=out, identity=_identity(model, crops, settings)
        )
    # After training too: the running statistics of training are those of mixed, augmented crops.
    taken = take_statistics(adapted.method, learnt, adapted.input, prior=settings.prior, seed=settings.seed)
    statistics = taken if "statistics" in settings.stages else None
    adapted = dataclasses.replace(adapted, camera_statistics=statistics)
    test = make_test(held_out) if len(held_out) else None
    figures = {}
    if test:
        tested = held_out.select(test.crops)
        was, now = (embed_crops(m, tested, m.camera_statistics, flip=True) for m in (before, adapted))
        figures = compare(test, was, now)
    report = {"crops": len(crops), "cameras": list(crops.known_cameras), "epochs": history, "judged": figures}
    write_text(out / REPORT, json.dumps(report, indent=2) + "\n")
    if is_worse(figures) and not keep_worse:
        raise WorseModelError(
            f"the adapted model is worse on {figures['tracklets']} tracklets that were held out (mean reciprocal rank "
            f"{figures['mrr']['before']} before, {figures['mrr']['after']} after) and is not written; keep it all the "
            "same with --keep-worse"
        )
    card = model.card.model_copy(
        update={
            "adaptation": Adaptation(
                base=model.card.fingerprint, data=crops.sources, stages=settings.stages, judged=figures,
                cameras=statistics.cameras if statistics else (),
            ),
            "figures": (),
            "format": type(model.card).model_fields["format"].default,
        }
    )  # fmt: skip
    save_model(out / NAME, adapted.method, card, statistics if statistics and statistics.cameras else None)
    (out / STATE).unlink(missing_ok=True)
    return load_model(out / NAME, model.device)


def _check(model: TrainedModel, out: Path) -> None:
    if model.test_parsing:
        raise UnveilError(f"{model.recipe.method.name} tests with parsing maps, which crops of cameras do not have")
    if not batch_norms(model.method):
        raise UnveilError(f"{model.recipe.method.name} has no batch norm to adapt")
    if (out / NAME).exists():
        raise UnveilError(f"{out} already holds a model: choose another --out")


def _hold_out(crops: UnlabelledCrops, settings: AdaptSettings) -> tuple[UnlabelledCrops, UnlabelledCrops]:
    """Return the crops to learn from and those to judge by: a share of the tracklets, drawn at random."""
    tracklets = np.unique(crops.units[crops.tracked])
    count = round(settings.held_out * len(tracklets))
    drawn = np.random.default_rng([settings.seed, 2]).permutation(tracklets)[:count]
    out = np.isin(crops.units, drawn)
    return crops.select(np.flatnonzero(~out)), crops.select(np.flatnonzero(out))


def _say(crops: UnlabelledCrops, held_out: UnlabelledCrops) -> None:
    tracklets, kept = (len(np.unique(c.units[c.tracked])) for c in (crops, held_out))
    cameras = f"{len(crops.known_cameras)} cameras" if crops.known_cameras else "no camera named"
    log.info("%d crops, %d tracklets (%d held out to judge by), %s", len(crops), tracklets, kept, cameras)
    if not kept:
        log.warning("no tracklets are held out: whether the model gets better cannot be judged")


def _identity(model: TrainedModel, crops: UnlabelledCrops, settings: AdaptSettings) -> str:
    text = json.dumps([model.card.fingerprint, crops.store.content_hash, dataclasses.asdict(settings)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
