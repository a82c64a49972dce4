"""The training loop: from a recipe to a run folder with model, metrics and recipe. Read it from top to bottom."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.optim import Optimizer

from unveil.atomic_io import write_text
from unveil.data.augment.pipeline import augment, shrink
from unveil.data.samplers import epoch_batches
from unveil.data.training import TrainingSet
from unveil.errors import CheckpointError, InterruptedRunError, RecipeError
from unveil.methods import method_settings
from unveil.methods.method import LabelSpace, Method, Step
from unveil.models.card import Card, Source, Start
from unveil.models.checkpoint import NAME, TrainedModel, load_model, new_model, save_model
from unveil.models.device import peak_memory, pick_device, use_bf16
from unveil.models.evaluate import evaluate_model, test_set
from unveil.models.parsing_maps import open_training_set, training_set_for
from unveil.progress import track
from unveil.recipe import Recipe, save_recipe
from unveil.training.average import WeightAverage
from unveil.training.divergence import check_embedding, check_finite
from unveil.training.frozen_prefix import compile_frozen
from unveil.training.metrics import MetricsLog
from unveil.training.optimisers import auxiliary_update, build_auxiliary_optimiser, build_optimiser, set_frozen
from unveil.training.resuming import Identity
from unveil.training.schedules import learning_rate
from unveil.training.start import start_of_run, write_start
from unveil.training.state import TrainState, load_state, refuse_overwriting, save_state

log = logging.getLogger(__name__)
BEST = "best.safetensors"


@dataclass
class Run:
    """Everything that moves during training."""

    recipe: Recipe
    out: Path
    cache: Path | None
    data: TrainingSet
    method: Method
    optimiser: Optimizer
    auxiliary: Optimizer | None
    generator: torch.Generator
    device: torch.device
    average: WeightAverage | None
    start: Start
    state: TrainState = field(default_factory=TrainState)

    @property
    def optimisers(self) -> list[Optimizer]:
        """The main optimiser and, where the method has one, the auxiliary one."""
        return [self.optimiser, *([self.auxiliary] if self.auxiliary else [])]

    @property
    def identity(self) -> Identity:
        """Recipe and data: a saved state belongs to these."""
        return Identity.of(self.recipe, self.data.content_hash)


def train(
    recipe: Recipe, out: Path, *, resume: bool = False, cache: Path | None = None, minutes: float | None = None
) -> TrainedModel:
    """Train a recipe and return the model after the last epoch, with its figures on its card.

    Args:
        recipe: the run.
        out: folder of the run; gets ``recipe.yaml``, ``start.json``, ``metrics.jsonl``, ``model.safetensors`` (last
            epoch), ``best.safetensors`` (best mAP under the first protocol of the first test set) and ``resume.pt``.
        resume: go on with the run in ``out``; on one device the result is the same to the bit. ``train.epochs`` may be
            larger than before: the run is then trained on, along the new schedule.
        cache: folder of the image stores.
        minutes: stop as Ctrl-C does after so much training; evaluations run to their end. No bound for ``None``.

    Raises:
        RecipeError: the recipe names no training data or no start, or the method needs labels that the data lack.
        DownloadError: what the backbone starts from is not here and cannot be fetched.
        TrainingError: a loss is not finite.
        InterruptedRunError: interrupted by Ctrl-C, or the minutes are over; the state is saved.
    """
    if not recipe.data.train:
        raise RecipeError("data.train is empty: name at least one dataset, for example data.train=viper:/data/viper")
    method_settings(recipe.method.name, recipe.method.settings)
    refuse_overwriting(out, resume=resume)
    run = _prepare(recipe, out, cache=cache, resume=resume)
    if resume:
        run.state, changed = load_state(
            out,
            run.method,
            optimisers=run.optimisers,
            generator=run.generator,
            identity=run.identity,
            average=run.average,
        )
        _go_on(run, changed)
    if recipe.train.frozen_engine == "openvino":
        # After the state: a resumed run is built with random weights.
        run.method.backbone.frozen_engine = compile_frozen(run.method.backbone)
    write_text(out / "recipe.yaml", save_recipe(recipe))
    write_start(run.start, out)
    metrics = MetricsLog(out, run.state.iteration)
    try:
        end = math.inf if minutes is None else time.monotonic() + 60 * minutes
        began = run.state.iteration
        with _stop_signal() as asked:

            def stopping() -> bool:
                # At least one step, so that slices too short for anything come to an end all the same.
                return asked() or (time.monotonic() >= end and run.state.iteration > began)

            if run.state.epoch and not run.state.batch and not _is_kept(run):
                _evaluate_and_keep(run, metrics)
            for epoch in range(run.state.epoch, recipe.train.epochs):
                _train_epoch(run, epoch, metrics=metrics, stopping=stopping)
                run.state.epoch, run.state.batch = epoch + 1, 0
                _evaluate_and_keep(run, metrics)
    finally:
        metrics.close()
    return load_model(out / NAME, run.device)


def _go_on(run: Run, changed: tuple[str, ...]) -> None:
    """Say what a change of the recipe means for a run that goes on."""
    if "train.epochs" in changed and run.recipe.schedule.kind == "cosine":
        log.warning("the cosine now ends at epoch %d: the learning rate rises again", run.recipe.train.epochs)
    if any(key.startswith("data.") for key in changed):
        run.state.best = -1.0  # figures on another test are not compared


def _prepare(recipe: Recipe, out: Path, *, cache: Path | None, resume: bool) -> Run:
    device = pick_device(recipe.train.device)
    for source in recipe.data.test:
        test_set(source, recipe.data.protocols)
    torch.manual_seed(recipe.train.seed)
    data = open_training_set(recipe, cache)
    start = start_of_run(recipe, out, resume=resume)
    method = new_model(recipe, LabelSpace(data.persons, data.clothes, data.outfits), weights=start.weights)
    method = method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    _check_requirements(method, data)
    epoch_batches(
        data, recipe.sampler, seed=recipe.train.seed, epoch=0, max_per_person=recipe.data.max_per_person
    )  # refuses too few people
    data = training_set_for(data, method.requirements, size=recipe.input)
    log.info(
        "%s on %d crops of %d people, %d parameters, %s",
        recipe.method.name,
        len(data),
        data.persons,
        sum(p.numel() for p in method.parameters()),
        device,
    )
    return Run(
        recipe,
        out,
        cache,
        data,
        method,
        build_optimiser(method, recipe.optim),
        build_auxiliary_optimiser(method, recipe.optim),
        torch.Generator(device).manual_seed(recipe.train.seed),
        device,
        WeightAverage(method, recipe.train.average) if recipe.train.average else None,
        start.record,
    )


def _train_epoch(run: Run, epoch: int, *, metrics: MetricsLog, stopping: Callable[[], bool]) -> None:
    recipe, state = run.recipe, run.state
    batches = epoch_batches(
        run.data, recipe.sampler, seed=recipe.train.seed, epoch=epoch, max_per_person=recipe.data.max_per_person
    )
    todo = batches[state.batch :]
    sums = state.sums
    started = time.monotonic()
    run.method.train()
    for indices in track(todo, f"epoch {epoch + 1}/{recipe.train.epochs}"):
        if stopping():
            _save_state(run)
            raise InterruptedRunError(
                f"stopped in epoch {epoch + 1}; the state is saved: the same command goes on (train: with --resume)"
            )
        position = epoch + state.batch / len(batches)
        rate = learning_rate(
            recipe.optim.lr, recipe.schedule, epoch=position, iteration=state.iteration, epochs=recipe.train.epochs
        )
        for name, value in _iteration(run, indices, epoch=epoch, rate=rate).items():
            sums[name] = sums.get(name, 0.0) + value
        state.iteration += 1
        state.batch += 1
    if todo:
        seconds = (time.monotonic() - started) / len(todo)
        means = {name: total / len(batches) for name, total in sums.items()}
        state.sums = {}
        speed = sum(map(len, todo)) / len(todo) / seconds
        left = (recipe.train.epochs - epoch - 1) * len(batches) * seconds
        text = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        rest = (f"lr {rate:.2g}", f"{speed:.0f} images/s", peak_memory(run.device))
        text = "  ".join((text, *filter(None, rest), *([f"{left / 60:.0f} min left"] if left > 30 else [])))
        log.info("epoch %d/%d  %s", epoch + 1, recipe.train.epochs, text)
        metrics.write(state.iteration - 1, epoch=epoch, lr=rate, images_per_second=speed, **means)


def _iteration(run: Run, indices: np.ndarray, *, epoch: int, rate: float) -> dict[str, float]:
    recipe, method, iteration = run.recipe, run.method, run.state.iteration
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    if iteration <= recipe.optim.freeze_iterations and recipe.optim.freeze_iterations:
        set_frozen(method.frozen_modules(), frozen=iteration < recipe.optim.freeze_iterations)
    batch = run.data.batch(indices, run.device)
    if epoch < recipe.augment.small_epochs:
        batch = shrink(batch, recipe.augment.small_scale)
    batch = method.expand_batch(batch)
    batch = augment(batch, recipe.augment, size=recipe.input, generator=run.generator, scheme=run.data.parsing_scheme)
    batch = batch.replace(images=batch.images.contiguous(memory_format=torch.channels_last))
    bf16 = use_bf16(recipe.train.precision, run.device)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=bf16):
        terms = method(batch, Step(epoch, iteration, auxiliary_update(run.auxiliary)))
    parts = torch.stack([term.float() for term in terms.values()])
    loss = parts.sum()
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    trained = [p for group in run.optimiser.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in trained])
    # Read together, once a step: each reading waits for the device.
    *read, gradient = torch.cat([loss.detach()[None], parts.detach(), norm.detach()[None]]).tolist()
    values = dict(zip(("loss", *terms), read, strict=True))
    check_finite(values, terms, epoch=epoch, iteration=iteration)
    check_finite({"gradient": gradient}, terms, epoch=epoch, iteration=iteration)
    if recipe.optim.clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(trained, recipe.optim.clip_norm, norm)
    run.optimiser.step()
    if run.average:
        run.average.update(method, iteration)
    return values


def _evaluate_and_keep(run: Run, metrics: MetricsLog) -> None:
    """Measure and keep the model of an epoch: the average of the weights where there is one."""
    recipe, state = run.recipe, run.state
    last = state.epoch == recipe.train.epochs
    every = recipe.train.eval_every
    due = bool(recipe.data.test) and (last or (every > 0 and state.epoch % every == 0))
    if not (last or due or state.epoch % recipe.train.checkpoint_every == 0):
        return
    # The state first: what a kill then leaves out is made good on resuming, and a model is never without its state.
    _save_state(run)
    with run.average.applied(run.method) if run.average else nullcontext():
        card = _card(run)
        check_embedding(run.method, run.data, size=recipe.input, epochs=state.epoch, device=run.device)
        # Before the evaluation, so that nothing that goes wrong in it can lose the training.
        save_model(run.out / NAME, run.method, card=card)
        if due:
            _measure(run, card, metrics=metrics)
    if due:
        _save_state(run)


def _measure(run: Run, card: Card, *, metrics: MetricsLog) -> None:
    """Evaluate what the method now holds, and keep it with its figures."""
    recipe, state = run.recipe, run.state
    results = evaluate_model(
        TrainedModel(run.method, recipe, card), recipe.data.test, protocols=recipe.data.protocols, cache=run.cache
    )
    for result in results:
        log.info("%s", result)
        where = f"{result.dataset}/{result.protocol}"
        metrics.write(state.iteration - 1, **{f"{where}/{name}": value for name, value in result.figures.items()})
    card = card.model_copy(update={"figures": tuple(result.to_json() for result in results)})
    if results[0].mean_ap > state.best:
        state.best = results[0].mean_ap
        save_model(run.out / BEST, run.method, card=card)
    save_model(run.out / NAME, run.method, card=card)


def _save_state(run: Run) -> None:
    save_state(
        run.out,
        run.method,
        optimisers=run.optimisers,
        generator=run.generator,
        train_state=run.state,
        identity=run.identity,
        average=run.average,
    )


def _is_kept(run: Run) -> bool:
    """Whether the model of the state's epoch is there, with figures if it is the last; a kill may have come before."""
    try:
        card = load_model(run.out / NAME).card
    except CheckpointError:
        return False
    unmeasured = run.state.epoch == run.recipe.train.epochs and run.recipe.data.test and not card.figures
    return card.epoch == run.state.epoch and not unmeasured


def _card(run: Run) -> Card:
    data = run.data
    return Card(
        recipe=run.recipe.model_dump(mode="json"),
        persons=data.persons,
        clothes=data.clothes,
        outfits=data.outfits,
        parsing_scheme=data.parsing_scheme,
        data=tuple(Source(name=s.name, hash=s.hash, images=s.images, persons=s.persons) for s in data.sources),
        content=data.content_hash,
        epoch=run.state.epoch,
        start=run.start,
        device=torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else run.device.type,
    )


def _check_requirements(method: Method, data: TrainingSet) -> None:
    requirements, name = method.requirements, type(method).__name__
    if requirements.train_clothes and not data.clothes:
        raise RecipeError(f"{name} trains on clothes labels, but not every training set has them")
    if requirements.train_parsing and data.parsing_scheme is None:
        raise RecipeError(
            f"{name} trains on parsing maps ({requirements.train_parsing}), but not every training set has them: "
            "`unveil parse` makes them"
        )


@contextmanager
def _stop_signal() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request that the loop honours between iterations; a second one ends at once."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
