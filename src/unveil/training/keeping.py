"""What a run keeps: state, model, best model, and the figures on their cards."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import torch

from unveil.errors import CheckpointError
from unveil.models.card import Card, Source
from unveil.models.checkpoint import NAME, TrainedModel, read_card_of, save_model
from unveil.models.evaluate import evaluate_model
from unveil.training.divergence import check_embedding
from unveil.training.metrics import MetricsLog
from unveil.training.run import Run

log = logging.getLogger(__name__)
BEST = "best.safetensors"


def evaluate_and_keep(run: Run, metrics: MetricsLog) -> None:
    """Measure and keep the model of an epoch: the average of the weights where there is one."""
    recipe, state = run.recipe, run.state
    last = state.epoch == recipe.train.epochs
    every = recipe.train.eval_every
    due = bool(recipe.data.test) and (last or (every > 0 and state.epoch % every == 0))
    if not (last or due or state.epoch % recipe.train.checkpoint_every == 0):
        return
    # The state first: what a kill then leaves out is made good on resuming, and a model is never without its state.
    run.save()
    with run.average.applied(run.method) if run.average else nullcontext():
        card = _card(run)
        check_embedding(run.method, run.data, size=recipe.input, epochs=state.epoch, device=run.device)
        # Before the evaluation, so that nothing that goes wrong in it can lose the training.
        save_model(run.out / NAME, run.method, card=card)
        if due:
            _measure(run, card, metrics=metrics)
    if due:
        run.save()


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


def is_kept(run: Run) -> bool:
    """Whether the model of the state's epoch is there, with figures if it is the last; a kill may have come before."""
    try:
        # The card alone: a network built to be read would draw from the random numbers that the run resumes with.
        card = read_card_of(run.out / NAME)
    except CheckpointError:
        return False
    if card is None:
        return False
    unmeasured = run.state.epoch == run.recipe.train.epochs and run.recipe.data.test and not card.figures
    return card.epoch == run.state.epoch and not unmeasured


def _card(run: Run) -> Card:
    data = run.data
    device = torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else run.device.type
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
        seconds=round(run.state.seconds, 1),
        device=f"{run.processes.count} x {device}" if run.processes.count > 1 else device,
    )
