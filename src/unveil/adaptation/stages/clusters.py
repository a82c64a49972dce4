"""Stages 2 and 3: a network trains on tracklets, then on pseudo-labels of its teacher, the average of its own weights.

Each epoch groups the units by the teacher's vectors and contrasts crops with the proxies of groups (Dai et al., Cluster
Contrast, ACCV 2022) and of groups in cameras (Wang et al., CAP, AAAI 2021). Of crops that are alone in their group, and
in no tracklet, nothing is learnt: whose they are is not known. More pairs are joined from epoch to epoch, the surest
first. The teacher (Tarvainen and Valpola, NeurIPS 2017; Ge et al., MMT, ICLR 2020) is what is clustered by and what is
kept.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.optim import Optimizer

from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.groups.pseudo_labels import Links, mean_of_units, pseudo_labels
from unveil.adaptation.groups.surest_pairs import Groups, group_surest, with_own_groups
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages.proxies import Proxies
from unveil.adaptation.stages.statistics import take_statistics
from unveil.data.augment.pipeline import augment
from unveil.data.samplers import pk_unique
from unveil.errors import CheckpointError, DataError, UnveilError
from unveil.methods.inference import embed_batches
from unveil.models.camera_statistics import CameraStatistics, batch_norms, read_statistics
from unveil.models.checkpoint import TrainedModel
from unveil.models.embed import embed_by_camera
from unveil.progress import track
from unveil.recipe import AugmentSettings, OptimSettings
from unveil.records import Batch, Embedding
from unveil.training.average import WeightAverage
from unveil.training.optimisers import build_optimiser
from unveil.training.state import write_state

log = logging.getLogger(__name__)
STATE = "resume.pt"
AUGMENT = AugmentSettings(crop="affine", flip=0.5, erase="cal", erase_p=0.4, sensor=0.3)
CROPS_PER_CLUSTER = 16  # in an epoch, so that one long stay does not fill it
MIN_CLUSTERS = 4
BATCH = 16  # whose layers fit into the caches of a processor


@dataclass
class _Run:
    model: TrainedModel
    crops: UnlabelledCrops
    settings: AdaptSettings
    links: Links
    optimiser: Optimizer
    teacher: WeightAverage
    epoch: int = 0
    steps: int = 0


def train_on_clusters(
    model: TrainedModel,
    crops: UnlabelledCrops,
    *,
    settings: AdaptSettings,
    links: Links,
    folder: Path,
    identity: str,
    restart: bool = False,
) -> list[dict[str, float]]:
    """Train a model in place; it ends as its teacher.

    Args:
        model: on any device; while it trains its batch norms have the statistics of all crops.
        crops: to learn from.
        settings: see there.
        links: between units, by their numbers in ``crops``.
        folder: gets the state after each epoch; a killed run resumes from it, bit-exactly.
        identity: of base model, crops, links and settings; a state of others is refused.
        restart: begin anew where the state is of others, in place of refusing it.

    Returns:
        What each epoch did: clusters, outliers (share of the units), loss.

    Raises:
        DataError: fewer than `MIN_CLUSTERS` clusters were found.
        CheckpointError: the state in the folder is damaged or of another run.
    """
    codes, units = np.unique(crops.units, return_inverse=True)
    cameras = {camera: i for i, camera in enumerate(crops.known_cameras)}
    camera_codes = np.array([-1 if c is None else cameras[c] for c in crops.cameras])
    before = read_statistics(model.method)

    def statistics_of(*, by_camera: bool, seed: int) -> CameraStatistics:
        return take_statistics(
            model.method, crops, size=model.input, prior=settings.prior, share=settings.share, seed=seed, before=before,
            by_camera=by_camera, quick=True,
        )  # fmt: skip

    statistics_of(by_camera=False, seed=settings.seed)
    run = _Run(
        model, crops, settings, links.among(codes),
        build_optimiser(model.method, OptimSettings(name="adamw", lr=settings.lr, weight_decay=5e-4)),
        WeightAverage(model.method, settings.teacher),
    )  # fmt: skip
    history = _load(run, folder, identity=identity, restart=restart)
    for epoch in range(run.epoch, settings.epochs):
        torch.manual_seed(settings.seed * 1000 + epoch)
        with run.teacher.applied(model.method):
            statistics = statistics_of(by_camera=True, seed=settings.seed + epoch)
            embedding = embed_crops(dataclasses.replace(model, camera_statistics=statistics), crops)
        clusters, undecided = _groups(
            run, epoch, means=mean_of_units(embedding, units), units=units, cameras=camera_codes
        )
        found = int(clusters.max()) + 1
        if found < MIN_CLUSTERS:
            raise DataError(
                f"{found} clusters were found among {len(codes)} tracklets and crops, too few to train on: expected at "
                f"least {MIN_CLUSTERS}. Give more crops, join more pairs (--pairs), or adapt the statistics alone"
            )
        labels = clusters[units]
        between = clusters[undecided]
        proxies = Proxies.of(
            embedding, labels, cameras=camera_codes, undecided=between[(between >= 0).all(axis=1)], device=model.device
        )
        loss = _train_epoch(run, epoch, labels=labels, proxies=proxies, by_camera=len(cameras) > 1)
        said = {"clusters": found, "outliers": round(float((clusters < 0).mean()), 4), "loss": round(loss, 4)}
        log.info(
            "epoch %d/%d  %d clusters, %.0f %% outliers, loss %.3f",
            epoch + 1, settings.epochs, found, 100 * said["outliers"], loss,
        )  # fmt: skip
        history.append(said)
        run.epoch = epoch + 1
        _save(run, history, folder=folder, identity=identity)
    model.method.load_state_dict(run.teacher.state)
    return history


def embed_crops(model: TrainedModel, crops: UnlabelledCrops) -> Embedding:
    """Return the numpy embedding of crops in order, not mirrored, each by the statistics of its camera."""

    def embed(rows: list[int]) -> Embedding:
        return embed_batches(model.method, [crops.batch(np.array(rows), model.input, device=model.device)], flip=False)

    return embed_by_camera(model, crops.cameras, embed=embed, size=BATCH, what=f"embedding {len(crops)} crops")


def _groups(run: _Run, epoch: int, *, means: Embedding, units: np.ndarray, cameras: np.ndarray) -> Groups:
    """Return the group of each unit code; -1 for those of which nothing is learnt."""
    settings = run.settings
    counts = np.bincount(units, minlength=len(means))
    tracklets = (counts > 1) & ("tracklets" in settings.stages)
    first = settings.epochs // 3 if tracklets.sum() >= MIN_CLUSTERS else 0
    joins = "clusters" in settings.stages and (epoch >= first or settings.epochs == 1)
    if joins and settings.grouping == "jaccard":
        found = pseudo_labels(
            means, run.links, radius=settings.radius, neighbours=settings.neighbours, smallest=settings.smallest
        )
        groups = Groups(found, np.empty((0, 2), np.int64))
    else:
        camera_of = np.full(len(means), -1)
        camera_of[units] = cameras
        pairs = settings.pairs * (epoch + 1) / settings.epochs if joins else 0.0
        groups = group_surest(means, camera_of, links=run.links, pairs=pairs)
    return Groups(with_own_groups(groups.labels, tracklets), groups.undecided)


def _train_epoch(run: _Run, epoch: int, *, labels: np.ndarray, proxies: Proxies, by_camera: bool) -> float:
    settings, method, device = run.settings, run.model.method, run.model.device
    inside = np.flatnonzero(labels >= 0)
    persons = min(settings.persons, int(labels.max()) + 1)
    batches = pk_unique(
        labels[inside],
        persons,
        images=settings.images,
        seed=settings.seed,
        epoch=epoch,
        max_per_person=CROPS_PER_CLUSTER,
    )
    generator = torch.Generator(device).manual_seed(settings.seed * 1000 + epoch)
    for group in run.optimiser.param_groups:
        group["lr"] = settings.lr if 2 * epoch < settings.epochs else settings.lr / 10
    total = 0.0
    method.train()
    for norm in batch_norms(method):
        norm.eval()  # statistics of batches of a few people would pull at what the network knows
    for rows in track(batches, f"epoch {epoch + 1}/{settings.epochs}"):
        crops = inside[rows]
        images = torch.from_numpy(run.crops.images(crops)).permute(0, 3, 1, 2)
        own = torch.from_numpy(labels[crops]).to(device)
        batch = augment(Batch(images.to(device), own), AUGMENT, size=run.model.input, generator=generator)
        batch = batch.replace(images=batch.images.contiguous(memory_format=torch.channels_last))
        embedding = method.embed(batch)
        loss = proxies.loss(embedding, own, temperature=settings.temperature, cameras=by_camera)
        if not torch.isfinite(loss):
            raise UnveilError(f"the loss is {loss.item()} in epoch {epoch + 1}: lower the learning rate")
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 10.0)
        run.optimiser.step()
        run.teacher.update(method, run.steps)
        proxies.move(embedding, own, crops=torch.from_numpy(crops).to(device), momentum=settings.momentum)
        run.steps += 1
        total += loss.item()
    method.eval()
    return total / len(batches)


def _save(run: _Run, history: list[dict[str, float]], *, folder: Path, identity: str) -> None:
    state = {
        "identity": identity, "epoch": run.epoch, "steps": run.steps, "history": history,
        "student": run.model.method.state_dict(), "teacher": run.teacher.state,
        "optimiser": run.optimiser.state_dict(),
    }  # fmt: skip
    write_state(folder / STATE, state)


def _load(run: _Run, folder: Path, *, identity: str, restart: bool) -> list[dict[str, float]]:
    path = folder / STATE
    if not path.is_file():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        same, epoch, steps = state["identity"] == identity, int(state["epoch"]), int(state["steps"])
        if same:
            run.model.method.load_state_dict(state["student"])
            run.teacher.state = {name: tensor.to(run.model.device) for name, tensor in state["teacher"].items()}
            run.optimiser.load_state_dict(state["optimiser"])
            history = list(state["history"])
    except Exception as e:  # a damaged file can make the unpickler raise anything
        raise CheckpointError(f"{path} is damaged ({type(e).__name__}): delete it to start afresh") from None
    if not same and restart:
        log.warning("crops or feedback have changed since the run was stopped: it begins anew")
        path.unlink()
        return []
    if not same:
        raise CheckpointError(f"{path} belongs to another model, other crops or other settings: choose another --out")
    run.epoch, run.steps = epoch, steps
    log.info("resuming after epoch %d", epoch)
    return history
