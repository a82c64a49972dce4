"""Adapt a model of another project, whose layers are out of reach: its vectors are centred by camera, and whitened."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from unveil.adaptation.acceptance import refuse_worse
from unveil.adaptation.groups.links import FeedbackPair
from unveil.adaptation.settings import AdaptSettings, Stage
from unveil.adaptation.stages.whitening import take_whitening
from unveil.adaptation.task import Task, embed_as_used
from unveil.atomic_io import atomic_path, sha256, write_text
from unveil.errors import DataError, UnveilError
from unveil.inference.backends.external import external_engine
from unveil.inference.engine import Engine
from unveil.models.foreign.camera_centres import CameraCentres, take_centres, unit
from unveil.models.foreign.reid_card import CentresFile, read_reid_card
from unveil.models.locate import EXTERNAL_NAME
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Dataset, Embedding
from unveil.runtime.graph import model_files

CENTRES = "centres.safetensors"
EXTERNAL_STAGES: tuple[Stage, ...] = ("statistics", "whitening")


def adapt_external(
    model: Path,
    datasets: Sequence[Dataset],
    *,
    out: Path,
    settings: AdaptSettings,
    feedback: Sequence[FeedbackPair] = (),
    galleries: Sequence[str] = (),
    cache: Path | None = None,
    parser: OnnxParser | None = None,
    keep_worse: bool = False,
) -> Engine:
    """Measure the mean vectors of cameras and how those of one person differ, and write the model with them.

    The folder works wherever a model does.

    Args:
        model: the model file of another project, or its card.
        datasets: crops; see `unveil.adaptation.adapt.adapt`, as for the arguments that follow.
        out: folder that gets a copy of the model, its card, the means and ``adaptation.json``.
        settings: of its stages "statistics" centres by camera, "whitening" whitens as well; no other can be had.
        feedback: pairs of crops to evaluate on.
        galleries: names of the galleries that crops come from.
        cache: folder of the image stores.
        parser: crops on which it sees nobody are left out.
        keep_worse: write the model even if it is worse on what was held out.

    Raises:
        WorseModelError: it is worse.
        DataError: there are too few crops, or nothing but centring is asked for and no camera is named.
        UnveilError: the model is adapted already, a stage needs its layers, or ``out`` holds another model.
    """
    card, file = read_reid_card(model)
    if settings.trains:
        raise UnveilError(
            f"{file.name} is a model of another project: --stages {','.join(EXTERNAL_STAGES)} is all that can be "
            "adapted"
        )
    if card.centres is not None:
        raise UnveilError(f"{file.name} is adapted already: adapt the model that it was made from")
    if (out / EXTERNAL_NAME).exists():
        raise UnveilError(f"{out} already holds a model: choose another --out")
    before = external_engine(model)
    task = Task.open(
        datasets,
        before.crop_size,
        settings=settings,
        feedback=feedback,
        galleries=galleries,
        cache=cache,
        parser=parser,
    )
    if not task.learnt.known_cameras and "whitening" not in settings.stages:
        raise DataError(f"{file.name} can be centred by camera alone, and the crops name none")
    embedding = embed_as_used(before, task.learnt)
    if card.compares_directions:
        embedding = dataclasses.replace(embedding, vectors=unit(embedding.vectors))
    centres = _measured(embedding, task, settings=settings)
    copies = [out / f"{Path(EXTERNAL_NAME).stem}{part.suffix}" for part in model_files(file)]
    for part, copy in zip(model_files(file), copies, strict=True):
        with atomic_path(copy) as temporary:
            shutil.copyfile(part, temporary)
    centres.save(out / CENTRES)
    kept = CentresFile(file=CENTRES, sha256=sha256(out / CENTRES), cameras=centres.cameras)
    card = card.model_copy(update={"model": copies[0].name, "centres": kept})
    # Judged as it will be used: from its files.
    draft = out / f"draft-{EXTERNAL_NAME}"
    write_text(draft, json.dumps(card.model_dump(mode="json"), indent=2) + "\n")
    try:
        figures = task.evaluate(before, external_engine(draft))
    finally:
        draft.unlink()
    task.report(out, figures)
    refuse_worse(figures, keep_worse=keep_worse)
    told = task.record(before.fingerprint, settings, figures=figures, cameras=centres.cameras)
    card = card.model_copy(update={"adaptation": told})
    write_text(out / EXTERNAL_NAME, json.dumps(card.model_dump(mode="json"), indent=2) + "\n")
    return external_engine(out / EXTERNAL_NAME)


def _measured(embedding: Embedding, task: Task, *, settings: AdaptSettings) -> CameraCentres:
    learnt = task.learnt
    if "whitening" not in settings.stages:
        return take_centres(embedding, learnt.cameras, prior=settings.prior)
    found = take_whitening(
        embedding, learnt.cameras, units=learnt.units, links=task.links, pairs=settings.pairs,
        shrinkage=settings.shrinkage, prior=settings.prior,
    )  # fmt: skip
    return dataclasses.replace(found.centres, matrix=found.matrix)
