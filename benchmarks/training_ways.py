"""One way of training, in a process of its own that trains in its turns: a part of ``benchmarks/training.py``."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from PIL import Image

from unveil.cli import allocator
from unveil.data.samplers import epoch_batches
from unveil.data.training import TrainingSet
from unveil.methods.method import LabelSpace, Step
from unveil.models.checkpoint import new_model
from unveil.models.device import pick_device
from unveil.models.parsing_maps import open_training_set
from unveil.nn.backbones.torchvision_guard import guard_torchvision
from unveil.progress import show_progress
from unveil.recipe import Recipe, load_recipe
from unveil.records import Batch
from unveil.training import loop
from unveil.training import step as step_module
from unveil.training.batches import one_ahead
from unveil.training.processes.one import OneProcess


class Settings(NamedTuple):
    """What is trained: as the options of ``benchmarks/training.py`` have it."""

    way: str
    backbone: str
    cache: str
    data: str
    device: str
    persons: int
    images: int
    steps: int
    warm_up: int
    threads: int
    workers: int

    def recipe(self) -> Recipe:
        """Return the recipe of BoT at the size of the benchmark; its end is never reached."""
        changes = [
            "method.name=bot", f"backbone.name={self.backbone}", "backbone.init=random", "input.height=256",
            "input.width=128", f"data.train={self.data}", f"sampler.persons={self.persons}",
            f"sampler.images={self.images}", "train.epochs=1000000", "train.eval_every=0",
            "train.checkpoint_every=1000000", f"train.precision={'bf16' if 'bf16' in self.way else 'auto'}",
            f"train.device={self.device}",
        ]  # fmt: skip
        return load_recipe(None, changes)


class Turns:
    """Counts the steps of one way, and waits between rounds for its turn."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.steps, self.left, self.device = settings.steps, settings.warm_up, device
        self.start, self.waiting, self.augmenting = time.perf_counter(), 0.0, 0.0

    def before_step(self) -> None:
        """Say what the round took when it is over, and return when the next one begins."""
        if self.left == 0:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            seconds = time.perf_counter() - self.start
            found = {"seconds": seconds, "waiting": self.waiting / seconds, "augmenting": self.augmenting / seconds}
            print(json.dumps({**found, "memory": self._peak()}), flush=True)
            if not sys.stdin.readline():
                raise SystemExit
            self.left, self.waiting, self.augmenting = self.steps, 0.0, 0.0
            self.start = time.perf_counter()
        self.left -= 1

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is added to the attribute of that name."""

        def run(*args: Any, **more: Any) -> Any:
            start = time.perf_counter()
            result = call(*args, **more)
            setattr(self, name, getattr(self, name) + time.perf_counter() - start)
            return result

        return run

    def _peak(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class InTurns(OneProcess):
    """The one process of a training, which the loop asks before every step whether to stop."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def any(self, flag: bool) -> bool:
        """Wait for the turn of this way."""
        self.turns.before_step()
        return flag


def train_here(recipe: Recipe, turns: Turns, cache: Path) -> None:
    """Train as ``unveil train`` does."""

    def waited(load: Callable[[Any], Any], steps: Iterable[Any]) -> Iterator[Any]:
        take = turns.timed("waiting", partial(next, one_ahead(load, steps), None))
        return iter(take, None)

    allocator.keep_freed_memory()
    with (
        mock.patch.object(loop, "one_ahead", waited),
        mock.patch.object(step_module, "augment", turns.timed("augmenting", step_module.augment)),
        tempfile.TemporaryDirectory() as out,
    ):
        loop.train_with(InTurns(turns), recipe, out=Path(out), cache=cache)


class Crops(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Files of crops, changed at random as BoT wants it."""

    def __init__(self, data: TrainingSet, recipe: Recipe) -> None:
        guard_torchvision()
        from torchvision import transforms as t

        size, augment = recipe.input, recipe.augment
        self.paths = [str(sample.path) for store in data.stores for sample in store.samples]
        self.persons = data.person_codes.tolist()
        self.transform = t.Compose(
            [
                t.Resize((size.height, size.width)), t.RandomHorizontalFlip(augment.flip), t.Pad(10),
                t.RandomCrop((size.height, size.width)), t.ToTensor(), t.Normalize(size.mean, size.std),
                t.RandomErasing(augment.erase_p, (0.02, 0.4), (0.3, 3.3), list(size.mean)),
            ]
        )  # fmt: skip

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.open(self.paths[row]).convert("RGB")), self.persons[row]


def train_usual(recipe: Recipe, turns: Turns, cache: Path, *, variant: str, workers: int) -> None:
    """Train as people do today: DataLoader, eager PyTorch, Adam."""
    device, data = turns.device, open_training_set(recipe, cache)
    gpu = device.type == "cuda"
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant != ""
    torch.manual_seed(0)
    model = new_model(recipe, LabelSpace(data.persons, data.clothes, data.outfits)).to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.optim.lr, weight_decay=recipe.optim.weight_decay)
    scaler = torch.amp.GradScaler(device.type, enabled=gpu and variant == "amp")
    half = torch.float16 if gpu else torch.bfloat16
    batches: Iterator[np.ndarray] = itertools.chain.from_iterable(
        epoch_batches(data, recipe.sampler, seed=0, epoch=epoch) for epoch in itertools.count()
    )
    loader = iter(
        torch.utils.data.DataLoader(Crops(data, recipe), batch_sampler=batches, num_workers=workers, pin_memory=gpu)  # type: ignore[arg-type]
    )

    def following() -> Batch:
        images, persons = next(loader)
        return Batch(images.to(device, non_blocking=True), persons.to(device, non_blocking=True))

    take = turns.timed("waiting", following)
    while True:
        turns.before_step()
        batch = take()
        with torch.autocast(device.type, half, enabled=variant == "amp"):
            terms = model.losses(batch, Step())
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        loss.item()  # every such loop shows it


def main() -> None:
    settings = Settings(*json.loads(sys.argv[1]))
    show_progress(on=False)
    torch.set_num_threads(settings.threads)
    kind, _, variant = settings.way.partition(" ")
    turns = Turns(settings, pick_device(settings.device))
    if kind == "unveil":
        train_here(settings.recipe(), turns, Path(settings.cache))
    else:
        train_usual(settings.recipe(), turns, Path(settings.cache), variant=variant, workers=settings.workers)


if __name__ == "__main__":
    main()
