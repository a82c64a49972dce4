"""The training loop: from a recipe to a run folder with model, metrics and recipe. Read it from top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

from unveil.atomic_io import alone_in, write_text
from unveil.data.samplers import epoch_batches
from unveil.data.training import TrainingSet
from unveil.errors import InterruptedRunError, RecipeError
from unveil.methods import method_settings
from unveil.methods.method import LabelSpace, Method
from unveil.models.checkpoint import NAME, TrainedModel, load_model, new_model
from unveil.models.device import peak_bytes, peak_memory
from unveil.models.evaluate import test_set
from unveil.models.parsing_maps import open_training_set, training_set_for
from unveil.nn.backbones.activation_checkpointing import checkpoint_activations
from unveil.nn.backbones.backbone import Backbone
from unveil.progress import track
from unveil.recipe import Recipe, save_recipe
from unveil.training.average import WeightAverage
from unveil.training.batches import batches_of, one_ahead
from unveil.training.frozen_prefix import use_frozen_engine
from unveil.training.keeping import evaluate_and_keep, is_kept
from unveil.training.memory import memory_explained
from unveil.training.metrics import MetricsLog
from unveil.training.optimisers import build_auxiliary_optimiser, build_optimiser
from unveil.training.processes.one import OneProcess
from unveil.training.processes.stop import stop_signal
from unveil.training.run import Run
from unveil.training.schedules import learning_rate
from unveil.training.start import start_of_run, write_start
from unveil.training.state import refuse_overwriting
from unveil.training.step import train_step

log = logging.getLogger(__name__)
KEPT_AT_MOST = 0.2  # of a GPU's free memory for crops, so that no step waits for the copy of its batch


def train(
    recipe: Recipe, out: Path, *, resume: bool = False, cache: Path | None = None, minutes: float | None = None
) -> TrainedModel:
    """Train a recipe on one device and return the model after the last epoch; see `train_with`."""
    train_with(OneProcess(), recipe, out=out, resume=resume, cache=cache, minutes=minutes)
    return load_model(out / NAME, OneProcess().device(recipe.train.device))


def train_with(
    processes: OneProcess,
    recipe: Recipe,
    *,
    out: Path,
    resume: bool = False,
    cache: Path | None = None,
    minutes: float | None = None,
) -> None:
    """Train a recipe; the model's card has its figures.

    Args:
        processes: of which this is one; each calls this with the same arguments, and the first writes for all.
        recipe: the run.
        out: folder of the run; gets ``recipe.yaml``, ``start.json``, ``metrics.jsonl``, ``model.safetensors`` (last
            epoch), ``best.safetensors`` (best mAP under the first protocol of the first test set) and ``resume.pt``.
        resume: continue the run in ``out``; on one device the result is bit-exactly the same. ``train.epochs`` may be
            larger than before: the run is then trained on, along the new schedule. The number of processes may differ.
        cache: folder of the image stores.
        minutes: stop as Ctrl-C does after so much training; evaluations run to their end. No bound for ``None``.

    Raises:
        RecipeError: the recipe names no training data or no start, the method needs labels that the data lack, or a
            batch has no equal parts for all processes.
        DownloadError: what the backbone starts from is not here and cannot be fetched.
        TrainingError: a loss is not finite.
        UnveilError: the folder holds a run and ``resume`` is off, or another process writes into it.
        InterruptedRunError: interrupted by Ctrl-C, or the minutes are over; the state is saved.
    """
    if not recipe.data.train:
        raise RecipeError("data.train is empty: name at least one dataset, for example data.train=viper:/data/viper")
    method_settings(recipe.method.name, recipe.method.settings)
    refuse_overwriting(out, resume=resume)
    run = _prepare(processes, recipe, out=out, cache=cache, resume=resume)
    with alone_in(out) if processes.leads else nullcontext():
        refuse_overwriting(out, resume=resume)  # a training that was quicker may have ended by now
        _train(run, resume=resume, minutes=minutes)


def _train(run: Run, *, resume: bool, minutes: float | None) -> None:
    """Train a run that is prepared, in a folder that no other process writes into."""
    if resume:
        _go_on(run, run.load())
    if run.recipe.train.frozen_engine == "openvino":
        # After the state: a resumed run is built with random weights.
        use_frozen_engine(run.method)
    metrics = None
    if run.processes.leads:
        write_text(run.out / "recipe.yaml", save_recipe(run.recipe))
        write_start(run.start, run.out)
        metrics = MetricsLog(run.out, run.state.iteration)
    try:
        _train_epochs(run, metrics, minutes=minutes)
        if metrics is not None and peak_memory(run.device):
            log.info("peak memory, evaluations included: %s", peak_memory(run.device))
    finally:
        if metrics is not None:
            metrics.close()


def _train_epochs(run: Run, metrics: MetricsLog | None, *, minutes: float | None) -> None:
    """Train the epochs that are left. Without ``metrics`` this process leaves measuring and keeping to another."""
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    began = run.state.iteration
    with stop_signal() as asked:

        def stopping() -> bool:
            # At least one step, so that slices too short for anything come to an end all the same.
            return run.processes.any(asked() or (time.monotonic() >= end and run.state.iteration > began))

        if metrics and run.state.epoch and not run.state.batch and not is_kept(run):
            evaluate_and_keep(run, metrics)
        for epoch in range(run.state.epoch, run.recipe.train.epochs):
            _train_epoch(run, epoch, metrics=metrics, stopping=stopping)
            run.state.epoch, run.state.batch = epoch + 1, 0
            if metrics:
                evaluate_and_keep(run, metrics)


def _go_on(run: Run, changed: tuple[str, ...]) -> None:
    """Say what a change of the recipe means for a run that is resumed."""
    if "train.epochs" in changed and run.recipe.schedule.kind == "cosine":
        log.warning("the cosine now ends at epoch %d: the learning rate rises again", run.recipe.train.epochs)
    if any(key.startswith("data.") for key in changed):
        run.state.best = -1.0  # figures on another test are not compared


def _prepare(processes: OneProcess, recipe: Recipe, *, out: Path, cache: Path | None, resume: bool) -> Run:
    device = processes.device(recipe.train.device)
    torch.manual_seed(recipe.train.seed)
    with processes.leader_first():
        for source in recipe.data.test:
            test_set(source, recipe.data.protocols)
        data = open_training_set(recipe, cache)
        start = start_of_run(recipe, out, resume=resume)
        method = new_model(recipe, LabelSpace(data.persons, data.clothes, data.outfits), weights=start.weights)
        _check_requirements(method, data, background=recipe.augment.background)
        if not resume:
            method.check_training()
        batches = epoch_batches(
            data, recipe.sampler, seed=recipe.train.seed, epoch=0, max_per_person=recipe.data.max_per_person
        )  # refuses too few people
        if recipe.train.accumulate > max(len(batches), 1):
            raise RecipeError(
                f"train.accumulate={recipe.train.accumulate}: an epoch has only {len(batches)} batches, so no step "
                "would have as many"
            )
        data = training_set_for(data, method.requirements, size=recipe.input)
    if recipe.train.activation_checkpointing:
        _checkpoint_activations(recipe, method)
    method = method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cuda" and data.pixel_bytes < KEPT_AT_MOST * torch.cuda.mem_get_info(device)[0]:
        data = data.kept_on(device)
    log.info(
        "%s on %d crops of %d people, %d parameters, %s%s",
        recipe.method.name,
        len(data),
        data.persons,
        sum(p.numel() for p in method.parameters()),
        f"{processes.count} x " if processes.count > 1 else "",
        device,
    )
    losses = processes.share(method)
    return Run(
        recipe,
        out,
        cache,
        data,
        method,
        losses,
        build_optimiser(method, recipe.optim),
        build_auxiliary_optimiser(method, recipe.optim),
        torch.Generator(device).manual_seed(recipe.train.seed),
        device,
        WeightAverage(method, recipe.train.average) if recipe.train.average else None,
        start.record,
        processes,
    )


def _train_epoch(run: Run, epoch: int, *, metrics: MetricsLog | None, stopping: Callable[[], bool]) -> None:
    recipe, state = run.recipe, run.state
    batches = batches_of(run, epoch)
    # The last step of an epoch takes the batches that are left, and the mean over as many.
    steps = [batches[i : i + recipe.train.accumulate] for i in range(0, len(batches), recipe.train.accumulate)]
    todo = steps[state.batch :]
    sums = state.sums
    started = last = time.monotonic()
    run.method.train()
    loaded = one_ahead(lambda step: [run.data.batch(indices, run.device) for indices in step], todo)
    for micro_batches in track(loaded, f"epoch {epoch + 1}/{recipe.train.epochs}", total=len(todo)):
        if stopping():
            run.save()
            run.processes.wait()  # none ends before the state is there: the first to end may end the others
            raise InterruptedRunError(
                f"stopped in epoch {epoch + 1}; the state is saved: the same command resumes (train: with --resume)"
            )
        position = epoch + state.batch / len(steps)
        rate = learning_rate(
            recipe.optim.lr, recipe.schedule, epoch=position, iteration=state.iteration, epochs=recipe.train.epochs
        )
        with memory_explained(recipe):
            values = train_step(run, micro_batches, epoch=epoch, rate=rate)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
        state.iteration += 1
        state.batch += 1
        now = time.monotonic()
        state.seconds += now - last
        last = now
    if todo and metrics:
        seconds = (time.monotonic() - started) / len(todo)
        means = {name: total / len(steps) for name, total in sums.items()}
        speed = sum(len(indices) for micro_batches in todo for indices in micro_batches) / len(todo) / seconds
        left = (recipe.train.epochs - epoch - 1) * len(steps) * seconds
        text = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        rest = (f"lr {rate:.2g}", f"{speed:.0f} images/s", peak_memory(run.device))
        text = "  ".join((text, *filter(None, rest), *([f"{left / 60:.0f} min left"] if left > 30 else [])))
        log.info("epoch %d/%d  %s", epoch + 1, recipe.train.epochs, text)
        memory = {f"peak_{kind}_bytes": used for kind, used in peak_bytes(run.device).items()}
        metrics.write(state.iteration - 1, epoch=epoch, lr=rate, images_per_second=speed, **memory, **means)
    if todo:
        state.sums, state.batches = {}, None


def _checkpoint_activations(recipe: Recipe, method: Method) -> None:
    if not method.has_backbone:
        raise RecipeError(f"train.activation_checkpointing: method {recipe.method.name} has no backbone to checkpoint")
    for backbone in [part for part in method.modules() if isinstance(part, Backbone)]:
        try:
            checkpoint_activations(backbone)
        except ValueError as e:
            raise RecipeError(
                f"train.activation_checkpointing: backbone {recipe.backbone.name} cannot be checkpointed: {e}"
            ) from None


def _check_requirements(method: Method, data: TrainingSet, *, background: float) -> None:
    requirements, name = method.requirements, type(method).__name__
    if requirements.train_clothes and not data.clothes:
        raise RecipeError(f"{name} trains on clothes labels, but not every training set has them")
    if requirements.train_parsing and data.parsing_scheme is None:
        raise RecipeError(
            f"{name} trains on parsing maps ({requirements.train_parsing}), but not every training set has them: "
            "`unveil parse` makes them"
        )
    if background and data.parsing_scheme is None:
        raise RecipeError(
            f"augment.background={background} takes people from their background by parsing maps, but not every "
            "training set has them, in one label set: `unveil parse` makes them; or set augment.background=0"
        )
