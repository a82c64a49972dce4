"""What a model is adapted to and evaluated on: crops to learn from, crops that are held out, what is known of pairs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.adaptation.acceptance import MIN_TRACKLETS, compare, compare_feedback, make_test
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.groups.links import FeedbackPair, feedback_links, hold_out_feedback, seen_together, unit_places
from unveil.adaptation.groups.pseudo_labels import Links, mean_of_units
from unveil.adaptation.settings import AdaptSettings
from unveil.atomic_io import write_text
from unveil.data.fitting import CropSize
from unveil.errors import DataError
from unveil.models.card import Adaptation
from unveil.models.embed import embed_by_camera
from unveil.models.embedder import Embedder
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Dataset, Embedding

log = logging.getLogger(__name__)
REPORT = "adaptation.json"


@dataclass(frozen=True)
class Task:
    """Crops and what is known of them.

    Args:
        crops: all of them.
        learnt: crops to learn from.
        held_out: tracklets of the same cameras to evaluate on.
        new_cameras: crops of cameras that are not learnt from.
        links: between units of ``learnt``.
        held_feedback: pairs to evaluate on.
        galleries: names of those that crops come from.
    """

    crops: UnlabelledCrops
    learnt: UnlabelledCrops
    held_out: UnlabelledCrops
    new_cameras: UnlabelledCrops
    links: Links
    held_feedback: Sequence[FeedbackPair]
    galleries: Sequence[str]

    @classmethod
    def open(
        cls,
        datasets: Sequence[Dataset],
        size: CropSize,
        *,
        settings: AdaptSettings,
        feedback: Sequence[FeedbackPair] = (),
        galleries: Sequence[str] = (),
        cache: Path | None = None,
        parser: OnnxParser | None = None,
    ) -> Task:
        """Decode crops and hold some out; the arguments are those of `unveil.adaptation.adapt.adapt`.

        Raises:
            DataError: there are too few crops, or no camera is left to learn from.
        """
        crops = UnlabelledCrops.open(
            datasets, size, per_tracklet=settings.crops_per_tracklet, apart=settings.apart, cache=cache, parser=parser
        )
        learnt, held_out, away = _hold_out(crops, settings)
        said, held_feedback = hold_out_feedback(feedback, settings.held_out, seed=settings.seed)
        told = feedback_links(learnt, said)
        links = Links(told.must, np.concatenate([seen_together(learnt), told.cannot]), unit_places(crops))
        task = cls(crops, learnt, held_out, away, links, held_feedback, tuple(galleries))
        task._say()
        return task

    def evaluate(self, before: Embedder, after: Embedder) -> dict[str, Any]:
        """Return figures of both models on what was held out; none where nothing was."""
        figures = _evaluated(before, after, crops=self.held_out)
        if new := _evaluated(before, after, crops=self.new_cameras):
            figures["new_cameras"] = new
        pairs = feedback_links(self.crops, self.held_feedback)
        asked = np.unique(np.concatenate([pairs.must, pairs.cannot]))
        if len(asked):
            rows = np.flatnonzero(np.isin(self.crops.units, asked))
            some, units = self.crops.select(rows), np.searchsorted(asked, self.crops.units[rows])
            was, now = (mean_of_units(embed_as_used(model, some), units) for model in (before, after))
            told = compare_feedback(
                Links(*(np.searchsorted(asked, p) for p in (pairs.must, pairs.cannot))), was, after=now
            )
            figures |= {"feedback": told} if told else {}
        return figures

    def report(self, out: Path, figures: dict[str, Any], *, epochs: Sequence[dict[str, float]] = ()) -> None:
        """Write ``adaptation.json``: what each epoch did, and the figures before and after."""
        told = {
            "crops": len(self.crops), "cameras": list(self.crops.known_cameras), "epochs": list(epochs),
            "evaluation": figures,
        }  # fmt: skip
        write_text(out / REPORT, json.dumps(told, indent=2) + "\n")

    def record(
        self, base: str, settings: AdaptSettings, *, figures: dict[str, Any], cameras: tuple[str, ...]
    ) -> Adaptation:
        """Return what the card of the adapted model says of it."""
        return Adaptation(
            base=base, data=self.crops.sources, galleries=tuple(self.galleries), stages=settings.stages,
            evaluation=figures, cameras=cameras,
        )  # fmt: skip

    def _say(self) -> None:
        crops, links = self.crops, self.links
        tracklets, kept = (len(np.unique(c.units[c.tracked])) for c in (crops, self.held_out))
        cameras = f"{len(crops.known_cameras)} cameras" if crops.known_cameras else "no camera named"
        log.info("%d crops, %d tracklets (%d held out for evaluation), %s", len(crops), tracklets, kept, cameras)
        log.info(
            "known: %d pairs are one person, %d are two; %d pairs of feedback held out for evaluation",
            len(links.must), len(links.cannot), len(self.held_feedback),
        )  # fmt: skip
        if len(crops.known_cameras) == 1:
            log.info("one camera only: nothing is learnt of the way from one camera to another")
        if not kept and not self.held_feedback:
            log.warning(
                "there are fewer than %d tracklets of two crops and nobody's feedback is held out: whether the model "
                "gets better cannot be evaluated",
                2 * MIN_TRACKLETS,
            )


def embed_as_used(model: Embedder, crops: UnlabelledCrops) -> Embedding:
    """Return the numpy embedding of crops in order, as a gallery would have it: mirrored, by camera."""
    return embed_by_camera(
        model, crops.cameras, embed=lambda rows: model.embed_crops(crops.images(np.array(rows))), size=model.batch,
        what=f"embedding {len(crops)} crops",
    )  # fmt: skip


def tracklets_to_hold_out(share: float, *, tracklets: int) -> int:
    """Return how many tracklets to hold out: a share, but no fewer than say something, and none where few are left."""
    if not share or tracklets < 2 * MIN_TRACKLETS:
        return 0
    return max(MIN_TRACKLETS, round(share * tracklets))


def _hold_out(
    crops: UnlabelledCrops, settings: AdaptSettings
) -> tuple[UnlabelledCrops, UnlabelledCrops, UnlabelledCrops]:
    """Return crops to learn from, a share of their tracklets, drawn at random, and the crops of cameras set apart."""
    away = np.zeros(len(crops), bool)
    if settings.hold_out_cameras:
        cameras = np.random.default_rng([settings.seed, 3]).permutation(crops.known_cameras).tolist()
        count = max(1, round(settings.hold_out_cameras * len(cameras)))
        if count >= len(cameras):
            raise DataError(f"--hold-out-cameras needs at least two cameras, the crops have {len(cameras)}")
        away = np.isin([str(camera) for camera in crops.cameras], cameras[:count])
        log.info("held out: %d crops of %s", away.sum(), ", ".join(sorted(cameras[:count])))
    # A tracklet of one crop has no halves.
    tracklets, sizes = np.unique(crops.units[crops.tracked & ~away], return_counts=True)
    count = tracklets_to_hold_out(settings.held_out, tracklets=int((sizes > 1).sum()))
    drawn = np.random.default_rng([settings.seed, 2]).permutation(tracklets[sizes > 1])[:count]
    tested = np.isin(crops.units, drawn) & ~away
    learnt, held_out, new = (crops.select(np.flatnonzero(rows)) for rows in (~away & ~tested, tested, away))
    return learnt, held_out, new


def _evaluated(before: Embedder, after: Embedder, *, crops: UnlabelledCrops) -> dict[str, Any]:
    test = make_test(crops) if len(crops) else None
    if test is None:
        return {}
    tested = crops.select(test.crops)
    return compare(test, embed_as_used(before, tested), after=embed_as_used(after, tested))
