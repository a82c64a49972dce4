"""What a run keeps: state, model, best model, and the figures on their cards."""

from __future__ import annotations

import logging

import torch

from unveil.errors import CheckpointError
from unveil.models.card import Card, Source
from unveil.models.checkpoint import NAME, TrainedModel, read_card_of, save_model
from unveil.models.evaluate import evaluate_model
from unveil.training.metrics import MetricsLog
from unveil.training.run import Run

log = logging.getLogger(__name__)
BEST = "best.safetensors"


def evaluate_and_keep(run: Run, metrics: MetricsLog) -> None:
    """Measure and keep the model of an epoch: the average of the weights where there is one."""
    recipe, state = run.recipe, run.state
    due = _due(run)
    if not (due or state.epoch == recipe.train.epochs or state.epoch % recipe.train.checkpoint_every == 0):
        return
    # The state first: what a kill then leaves out is made good on resuming, and a model is never without its state.
    run.save()
    with run.weights_to_keep():
        card = _card(run)
        # Before the evaluation, so that nothing that goes wrong in it can lose the training.
        save_model(run.out / NAME, run.method, card=card)
        if due:
            card = _measure(run, card, metrics=metrics)
    if due:
        # The best figure before the card that has it: a run that finds figures on resuming does not measure again.
        run.save()
        with run.weights_to_keep():
            save_model(run.out / NAME, run.method, card=card)


def _due(run: Run) -> bool:
    """Whether the model of the state's epoch is measured."""
    epoch, every = run.state.epoch, run.recipe.train.eval_every
    return bool(run.recipe.data.test) and (epoch == run.recipe.train.epochs or (every > 0 and epoch % every == 0))


def _measure(run: Run, card: Card, *, metrics: MetricsLog) -> Card:
    """Evaluate what the method now holds, keep it if it is the best, and return its card with the figures."""
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
    return card


def is_kept(run: Run) -> bool:
    """Whether the model of the state's epoch is there, with the figures that are due; a kill may have come before."""
    try:
        # The card alone: a network built to be read would draw from the random numbers that the run resumes with.
        card = read_card_of(run.out / NAME)
    except CheckpointError:
        return False
    if card is None:
        return False
    return card.epoch == run.state.epoch and (not _due(run) or (bool(card.figures) and _tested_alike(card, run)))


def _tested_alike(card: Card, run: Run) -> bool:
    """Whether the figures of a card are those that the run asks for; a run may be resumed with other tests."""
    then, now = card.recipe.get("data", {}), run.recipe.model_dump(mode="json")["data"]
    return all(then.get(key) == now[key] for key in ("test", "protocols"))


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
