"""Adapt a trained model to crops without labels, and judge whether it is better."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.adaptation.clusters import STATE, embed_crops, train_on_clusters
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.estimate import estimate
from unveil.adaptation.judge import compare, compare_feedback, is_worse, make_test
from unveil.adaptation.links import FeedbackPair, feedback_links, hold_out_feedback, seen_together
from unveil.adaptation.pseudo_labels import Links, mean_of_units
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.statistics import take_statistics
from unveil.errors import DataError, UnveilError
from unveil.files import write_text
from unveil.models.camera_statistics import batch_norms
from unveil.models.card import Adaptation
from unveil.models.checkpoint import NAME, TrainedModel, load_model, save_model
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Dataset

log = logging.getLogger(__name__)
REPORT = "adaptation.json"


class WorseModelError(UnveilError):
    """The adapted model finds less than the one before and was not written."""


@dataclass(frozen=True)
class _Parts:
    """Crops to learn from, tracklets of the same cameras to judge by, and crops of cameras that are held out."""

    learnt: UnlabelledCrops
    held_out: UnlabelledCrops
    new_cameras: UnlabelledCrops


def adapt(
    model: TrainedModel,
    datasets: Sequence[Dataset],
    out: Path,
    settings: AdaptSettings | None = None,
    *,
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
    crops = UnlabelledCrops.open(
        datasets, model.crop_size, per_tracklet=settings.crops_per_tracklet, cache=cache, parser=parser
    )
    parts = _hold_out(crops, settings)
    said, held_feedback = hold_out_feedback(feedback, settings.held_out, seed=settings.seed)
    links = _links(parts.learnt, said)
    _say(crops, parts, links, held_feedback)
    log.info(
        "estimate: %s", estimate(model, parts.learnt, settings, tested=len(parts.held_out) + len(parts.new_cameras))
    )
    adapted = dataclasses.replace(copy.deepcopy(model), camera_statistics=None)
    history: list[dict[str, float]] = []
    if "clusters" in settings.stages:
        identity = _identity(model, crops, settings, links)
        history = train_on_clusters(
            adapted, parts.learnt, settings, links, folder=out, identity=identity, restart=restart
        )
    # After training too: the running statistics of training are those of mixed, augmented crops.
    statistics = take_statistics(
        adapted.method, parts.learnt, adapted.input, prior=settings.prior, seed=settings.seed,
        by_camera="statistics" in settings.stages,
    )  # fmt: skip
    adapted = dataclasses.replace(adapted, camera_statistics=statistics)
    figures = _judged(model, adapted, crops, parts, held_feedback)
    report = {"crops": len(crops), "cameras": list(crops.known_cameras), "epochs": history, "judged": figures}
    write_text(out / REPORT, json.dumps(report, indent=2) + "\n")
    if is_worse(figures) and not keep_worse:
        raise WorseModelError(
            f"the adapted model is worse on what was held out ({_told(figures)}) and is not written; keep it all the "
            "same with --keep-worse"
        )
    card = model.card.model_copy(
        update={
            "adaptation": Adaptation(
                base=model.card.fingerprint, data=crops.sources, galleries=tuple(galleries), stages=settings.stages,
                judged=figures, cameras=statistics.cameras,
            ),
            "figures": (),
            "format": type(model.card).model_fields["format"].default,
        }
    )  # fmt: skip
    save_model(out / NAME, adapted.method, card, statistics if statistics.cameras else None)
    (out / STATE).unlink(missing_ok=True)
    return load_model(out / NAME, model.device)


def _check(model: TrainedModel, out: Path) -> None:
    if model.test_parsing:
        raise UnveilError(f"{model.recipe.method.name} tests with parsing maps, which crops of cameras do not have")
    if not batch_norms(model.method):
        raise UnveilError(f"{model.recipe.method.name} has no batch norm to adapt")
    if (out / NAME).exists():
        raise UnveilError(f"{out} already holds a model: choose another --out")


def _hold_out(crops: UnlabelledCrops, settings: AdaptSettings) -> _Parts:
    """Set cameras apart, and of the others a share of the tracklets, drawn at random."""
    away = np.zeros(len(crops), bool)
    if settings.hold_out_cameras:
        cameras = np.random.default_rng([settings.seed, 3]).permutation(crops.known_cameras).tolist()
        count = max(1, round(settings.hold_out_cameras * len(cameras)))
        if count >= len(cameras):
            raise DataError(f"--hold-out-cameras needs at least two cameras, the crops have {len(cameras)}")
        away = np.isin([str(camera) for camera in crops.cameras], cameras[:count])
        log.info("held out: %d crops of %s", away.sum(), ", ".join(sorted(cameras[:count])))
    tracklets = np.unique(crops.units[crops.tracked & ~away])
    count = round(settings.held_out * len(tracklets))
    drawn = np.random.default_rng([settings.seed, 2]).permutation(tracklets)[:count]
    tested = np.isin(crops.units, drawn) & ~away
    return _Parts(*(crops.select(np.flatnonzero(rows)) for rows in (~away & ~tested, tested, away)))


def _links(learnt: UnlabelledCrops, said: Sequence[FeedbackPair]) -> Links:
    told = feedback_links(learnt, said)
    return Links(told.must, np.concatenate([seen_together(learnt), told.cannot]))


def _say(crops: UnlabelledCrops, parts: _Parts, links: Links, held_feedback: Sequence[FeedbackPair]) -> None:
    tracklets, kept = (len(np.unique(c.units[c.tracked])) for c in (crops, parts.held_out))
    cameras = f"{len(crops.known_cameras)} cameras" if crops.known_cameras else "no camera named"
    log.info("%d crops, %d tracklets (%d held out to judge by), %s", len(crops), tracklets, kept, cameras)
    log.info(
        "known: %d pairs are one person, %d are two; %d pairs of feedback held out to judge by",
        len(links.must), len(links.cannot), len(held_feedback),
    )  # fmt: skip
    if len(crops.known_cameras) == 1:
        log.info("one camera only: nothing is learnt of the way from one camera to another")
    if not kept and not held_feedback:
        log.warning("neither tracklets nor feedback are held out: whether the model gets better cannot be judged")


def _judged(
    model: TrainedModel,
    adapted: TrainedModel,
    crops: UnlabelledCrops,
    parts: _Parts,
    held_feedback: Sequence[FeedbackPair],
) -> dict[str, Any]:
    figures = _tracklets_judged(model, adapted, parts.held_out)
    if new := _tracklets_judged(model, adapted, parts.new_cameras):
        figures["new_cameras"] = new
    pairs = feedback_links(crops, held_feedback)
    asked = np.unique(np.concatenate([pairs.must, pairs.cannot]))
    if len(asked):
        rows = np.flatnonzero(np.isin(crops.units, asked))
        some, units = crops.select(rows), np.searchsorted(asked, crops.units[rows])
        was, now = (mean_of_units(embed_crops(m, some, flip=True), units) for m in (model, adapted))
        told = compare_feedback(Links(*(np.searchsorted(asked, p) for p in (pairs.must, pairs.cannot))), was, now)
        figures |= {"feedback": told} if told else {}
    return figures


def _tracklets_judged(model: TrainedModel, adapted: TrainedModel, crops: UnlabelledCrops) -> dict[str, Any]:
    test = make_test(crops) if len(crops) else None
    if test is None:
        return {}
    tested = crops.select(test.crops)
    return compare(test, *(embed_crops(m, tested, flip=True) for m in (model, adapted)))


def _told(figures: dict[str, Any]) -> str:
    if "mrr" in figures:
        what, change = f"{figures['tracklets']} tracklets: mean reciprocal rank", figures["mrr"]
    else:
        what, change = "feedback: area under the ROC curve", figures["feedback"]["auc"]
    return f"{what} {change['before']} before, {change['after']} after"


def _identity(model: TrainedModel, crops: UnlabelledCrops, settings: AdaptSettings, links: Links) -> str:
    known = [links.must.tolist(), links.cannot.tolist()]
    text = json.dumps(
        [model.card.fingerprint, crops.store.content_hash, crops.rows.tolist(), dataclasses.asdict(settings), known]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
