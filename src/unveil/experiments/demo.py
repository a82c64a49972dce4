"""The demonstration: render people, find them again, fine-tune on others for a minute, and show both on one page."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unveil.atomic_io import write_text
from unveil.datasets import load_dataset
from unveil.evaluation.evaluate import Result, evaluate, evaluation_samples
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import TrainedModel, load_model, new_model
from unveil.models.embed import embed_samples
from unveil.models.embeddings import embedded_by, save_embeddings
from unveil.pretrained import DEFAULT_MODEL
from unveil.recipe import DataSource, Recipe, with_overrides
from unveil.records import Dataset, Embedding, Protocol, Sample
from unveil.report.answer import Answer
from unveil.report.curves import cmc_curve, training_curves
from unveil.report.page import Panel, write_page
from unveil.report.ranked import findable, ranked_answer
from unveil.report.sheet import ranked_sheet
from unveil.training.loop import train
from unveil.training.metrics import NAME as METRICS
from unveil.training.metrics import read_metrics
from unveil.training.state import NAME as STATE
from unveil.world.contact_sheet import save_sheet
from unveil.world.dataset import source_of

log = logging.getLogger(__name__)
RESULTS_SHOWN = 12
NEAR = 2.0  # a mAP below this many times that of chance is called near chance
QUERIES = {
    "world-sc": "A query in the same clothes, under another camera.",
    "world-occ": "An occluded query: part of the person is behind something, someone, or outside the image.",
    "world-cc": "A query in other clothes: every right answer wears another outfit.",
    "world-occ-cc": "Both at once: occluded, and in other clothes.",
}
BASELINES = {
    "colour histogram": ("method={name: histogram}", "backbone={name: resnet18}"),
    "untrained network": ("backbone.init=random", "backbone.frozen_stages=0"),
}
PACKAGE, TUNED = SEARCHING = "network in the package", "fine-tuned here"  # whose answers are shown


@dataclass(frozen=True)
class Demo:
    """What the demonstration found: figures by name of the contestant, where the page is, and a crop to search with."""

    results: dict[str, list[Result]]
    page: Path
    query: str


def run_demo(recipe: Recipe, world: DataSource, *, out: Path, cache: Path | None = None) -> Demo:
    """Run every step; called again after a stop, finished steps are not done again.

    Args:
        recipe: how to fine-tune; its data are replaced by the world.
        world: a source with protocols of its own, of people whom the network in the package never saw.
        out: folder that gets the run, the embeddings, images, ``figures.json`` and ``report.html``.
        cache: folder of the image stores.
    """
    started = time.monotonic()
    log.info("1 of 5  rendering people (kept for the next time)")
    dataset = load_dataset(world)
    # The contestants are measured together, so the run itself tests nothing.
    people = len({s.person for s in dataset.train})
    persons = min(recipe.sampler.persons, people)
    recipe = with_overrides(recipe, [f"data.train={world}", "data.test=[]", f"sampler.persons={persons}"])
    log.info("2 of 5  searching with the network in the package, and with what needs no training")
    crops, scheme = evaluation_samples(dataset), dataset.parsing_scheme
    package = load_model(DEFAULT_MODEL)
    shipped, store = embed_samples(package, crops, cache=cache, scheme=scheme)
    samples = store.samples
    baselines: dict[str, Embedding] = {}
    for name, overrides in BASELINES.items():
        bare = with_overrides(recipe, overrides)
        card = Card(recipe=bare.model_dump(mode="json"), persons=1)
        contestant = TrainedModel(new_model(bare, LabelSpace(1)), bare, card)
        baselines[name] = embed_samples(contestant, crops, cache=cache, scheme=scheme)[0]
    log.info("3 of 5  fine-tuning it on %d crops of %d other people", len(dataset.train), people)
    model = train(recipe, out / "run", resume=(out / "run" / STATE).exists(), cache=cache)
    tuned = embed_samples(model, crops, cache=cache, scheme=scheme)[0]
    embeddings = {PACKAGE: shipped, TUNED: tuned, **baselines, "chance": _random(len(samples))}
    results = {
        name: [evaluate(embedding, samples, protocol=protocol, dataset=dataset) for protocol in dataset.protocols]
        for name, embedding in embeddings.items()
    }
    log.info("4 of 5  drawing what was found")
    save_embeddings(
        out / "crops.safetensors", embedded_by(package.summary, shipped, samples=samples, source=str(world))
    )
    answers = [
        ranked_answer(
            embeddings[by], samples, protocol=dataset.protocol(name), number=_middle(samples, dataset.protocol(name)),
            top=RESULTS_SHOWN, title=by, text=text,
        )
        for name, text in QUERIES.items()
        for by in SEARCHING
    ]  # fmt: skip
    ranked_sheet(answers, out / "found.png", title=f"models {package.card.fingerprint}, {model.card.fingerprint}")
    log.info("5 of 5  writing the report")
    models = {PACKAGE: package.summary.title, TUNED: model.summary.title}
    page = _report(
        dataset, world, results=results, answers=answers, out=out, models=models, seconds=time.monotonic() - started
    )
    return Demo(results, page, samples[0].key)


def _random(count: int) -> Embedding:
    vectors = np.random.default_rng(0).standard_normal((count, 1, 64)).astype(np.float32)
    return Embedding(vectors, np.ones((count, 1), np.float32))


def _middle(samples: Sequence[Sample], protocol: Protocol) -> int:
    """Return the query in the middle of those that can be found: chosen before anything is ranked."""
    numbers = findable(samples, protocol)
    return int(numbers[len(numbers) // 2])


def _report(
    dataset: Dataset,
    world: DataSource,
    *,
    results: dict[str, list[Result]],
    answers: list[Answer],
    out: Path,
    models: dict[str, str],
    seconds: float,
) -> Path:
    numbers = {key: int(text) for key, text in world.options.items() if key in ("people", "seed")}
    folder, _ = source_of(world.root, people=numbers.get("people"), seed=numbers.get("seed"))
    save_sheet(folder / "manifest.csv", out / "people.jpg", people=8, columns=12)
    save_sheet(folder / "manifest.csv", out / "masks.jpg", people=3, columns=12, show="both")
    training_curves(read_metrics(out / "run" / METRICS), out / "training.png")
    cmc_curve(results[PACKAGE], out / "cmc.png")
    head = ("", *(p.name.removeprefix("world-") for p in dataset.protocols))
    rows = tuple((name, *(_figure(result) for result in found)) for name, found in results.items())
    rules = tuple((p.name, p.hash, p.about) for p in dataset.protocols)
    sections: list[Answer | Panel] = [
        Panel(
            "Figures",
            "Rank-1 / mAP in percent, with the 95 % interval of mAP over queries. "
            + verdict(results)
            + f" Nobody here was in the training of the network in the package. {change(results)}",
            head,
            rows,
            (out / "cmc.png",),
        ),
        *answers,
        Panel(
            "The people",
            "Rendered here, each row one person in two or more outfits under several cameras; nobody in it exists.",
            images=(out / "people.jpg",),
        ),
        Panel("What is known of each pixel", "Crops above their human-parsing maps.", images=(out / "masks.jpg",)),
        Panel("Fine-tuning", images=(out / "training.png",)),
        Panel("Protocols", "What takes part, by name and hash.", ("protocol", "hash", "rule"), rules),
    ]
    seen, asked = (len({s.person for s in dataset.subset(split)}) for split in ("train", "query"))
    header = {
        "world": f"{world}, {len(dataset.samples)} crops; {seen} people to train on, {asked} others to find",
        "queries shown": "the one in the middle of each protocol's list, chosen before the search",
        **models,
        "time": f"{seconds / 60:.1f} minutes",
    }
    write_page(sections, out / "report.html", title="People occluded, people in other clothes", header=header)
    write_text(out / "figures.json", _json(results))
    return out / "report.html"


def verdict(results: dict[str, list[Result]]) -> str:
    """Say in a sentence for each protocol how far the network in the package gets beyond chance and beyond colours."""
    sentences = []
    for index, result in enumerate(results[PACKAGE]):
        low = result.intervals["mAP"][0]
        chance, colours = results["chance"][index].mean_ap, results["colour histogram"][index].mean_ap
        if low <= chance:
            found = "not distinguishable from chance"
        elif result.mean_ap < NEAR * chance:
            found = f"still near chance (mAP {100 * result.mean_ap:.1f} against {100 * chance:.1f})"
        elif low <= colours:
            found = "better than chance, not clearly better than colours"
        else:
            found = "clearly better than chance and than colours"
        sentences.append(f"{result.protocol.removeprefix('world-')}: {found}.")
    return " ".join(sentences)


def change(results: dict[str, list[Result]]) -> str:
    """Say what fine-tuning changed: the difference of mAP under each protocol, in percent."""
    pairs = zip(results[PACKAGE], results[TUNED], strict=True)
    changes = (f"{new.protocol.removeprefix('world-')} {100 * (new.mean_ap - old.mean_ap):+.1f}" for old, new in pairs)
    return f"What fine-tuning changed, in mAP: {', '.join(changes)}."


def _figure(result: Result) -> str:
    low, high = result.intervals["mAP"]
    return f"{100 * result.cmc[1]:.1f} / {100 * result.mean_ap:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _json(results: dict[str, list[Result]]) -> str:
    return json.dumps({name: [r.to_json() for r in found] for name, found in results.items()}, indent=1) + "\n"
