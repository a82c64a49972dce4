"""Reads a world as a dataset: ``world:tiny|small|default|large``, rendered on first use, or the folder of one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import cache_dir, sha256, write_bytes
from unveil.data.parsing_tree import parsing_path
from unveil.data.readers.manifest import FILE, read_manifest
from unveil.errors import DataError, nearest
from unveil.progress import track
from unveil.records import Dataset, Protocol, Relation, Where
from unveil.world.capture.sensor import to_png
from unveil.world.config import OCCLUDED_BELOW, PRESETS, World, preset
from unveil.world.generate import CARD, PLAN, render_world
from unveil.world.labels import SCHEMES, table

_OCCLUDED = (Where("visible", "<", OCCLUDED_BELOW),)
_SEEN = (Where("visible", ">=", OCCLUDED_BELOW),)
_OTHER_CLOTHES: tuple[Relation, ...] = ("same_camera", "same_clothes")
PROTOCOLS = (
    Protocol("world-general", about="Every crop of the test people; the query's own camera does not count."),
    Protocol("world-sc", junk=("same_camera", "other_clothes"), about="Only the same outfit counts."),
    Protocol("world-cc", junk=_OTHER_CLOTHES, about="Only other outfits count."),
    Protocol("world-occ", query=_OCCLUDED, gallery=_SEEN, about="Occluded queries, whole gallery."),
    Protocol(
        "world-occ-cc",
        _OTHER_CLOTHES,
        _OCCLUDED,
        _SEEN,
        about="Occluded queries, only other outfits count.",
    ),
)
_MADE_FILE = ".complete"


def read(
    root: Path | None = None,
    *,
    people: int | None = None,
    seed: int | None = None,
    street: bool = False,
    processes: int | None = None,
    scheme: str = "lip20",
    train: str = "split",
    first: int | None = None,
) -> Dataset:
    """Return a world as a dataset with its five protocols.

    Args:
        root: a preset's name, or the folder of a rendered world; ``None`` is "default".
        people: number of people, instead of the preset's.
        seed: another world of the same size.
        street: each camera has faults of cheap street cameras: casts, few pixels, noise, combs, rings, hard JPEG.
        processes: of the render, if there has to be one.
        scheme: label set of the parsing maps: "lip20", "world", "atr18", "pascal7", "cre7", "pab6" or "bpb8".
        train: "split", or "all" to train on everybody, where the test is of another seed.
        first: train on the first so many people alone; the test stays.

    Raises:
        DataError: unknown preset or label set, a number out of range, or a folder that is no finished world.
        UnveilError: the cache cannot be written.
    """
    if train not in ("split", "all"):
        raise DataError(f"train={train}: expected split or all")
    if first is not None and first < 2:
        raise DataError(f"first={first}: expected at least 2 people")
    if scheme not in SCHEMES:
        raise DataError(f"the world has no labels {scheme!r}{nearest(scheme, SCHEMES)}; it has {', '.join(SCHEMES)}")
    name = str(root) if root is not None else "default"
    folder, world = source_of(root, people=people, seed=seed, street=street)
    if world:
        render_world(world, folder, processes=processes)
    card = read_card(folder)
    called = name + "-street" * street if name in PRESETS else card["hash"]
    dataset = read_manifest(folder / FILE, f"world-{called}")
    # A manifest that was cut or edited is another world, and must not be one of this name.
    if sha256(folder / FILE) != card["manifest_sha256"]:
        raise DataError(f"{folder / FILE} is not the one of {CARD}: remove {folder} and render it again")
    dataset = dataclasses.replace(dataset, protocols=PROTOCOLS)
    if scheme != dataset.parsing_scheme:
        dataset = _with_parsing(dataset, folder, scheme=scheme)
    if train == "all":
        everybody = tuple(dataclasses.replace(sample, split="train") for sample in dataset.samples)
        dataset = dataclasses.replace(dataset, samples=everybody)
    return dataset if first is None else _first_people(dataset, first)


def _first_people(dataset: Dataset, count: int) -> Dataset:
    """Return a dataset that trains on the first so many people alone."""
    people = set(sorted({s.person or "" for s in dataset.samples if s.split == "train"})[:count])
    kept = tuple(s for s in dataset.samples if s.split != "train" or s.person in people)
    return dataclasses.replace(dataset, samples=kept)


def source_of(
    root: Path | None = None, *, people: int | None = None, seed: int | None = None, street: bool = False
) -> tuple[Path, World | None]:
    """Return the folder of a source, and the world to render there: ``None`` where the folder is a rendered one.

    Raises:
        DataError: unknown preset, or a number that goes with presets only.
    """
    name = str(root) if root is not None else "default"
    if root is None or name in PRESETS or not root.is_dir():
        world = preset(name, people, seed=seed, street=street)
        return world_folder(name, world), world
    if people is not None or seed is not None or street:
        raise DataError(f"{root} is rendered already; people=, seed= and street= are for presets: {', '.join(PRESETS)}")
    return root, None


def world_folder(name: str, world: World) -> Path:
    """Return where the cache keeps a world of a preset's name."""
    return cache_dir() / "world" / f"{name}-{world.hash}"


def read_card(folder: Path) -> dict[str, Any]:
    """Return what the card of a rendered world says.

    Raises:
        DataError: the render was stopped, the folder is no world, or its card is damaged.
    """
    path = folder / CARD
    if not path.is_file():
        state = "its render was stopped: render it again to resume" if (folder / PLAN).is_file() else "it is no world"
        raise DataError(f"{folder} has no {CARD}: {state}")
    try:
        card = json.loads(path.read_text())
        World(**card["world"])
        if not all(isinstance(card[name], str) for name in ("hash", "manifest_sha256")):
            raise TypeError("hash and manifest_sha256 must be texts")
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise DataError(f"{path} is no card of a world ({e}); remove {folder} and render it again") from None
    return dict(card)


def plan_of(root: Path, seed: int | None = None) -> World:
    """Return the parameters of a preset, rendered or not, or of a rendered folder.

    Raises:
        DataError: unknown preset, a folder that is no finished world, or a seed for one that has its own.
    """
    folder, world = source_of(root, seed=seed)
    return world or World(**read_card(folder)["world"])


def read_labels(folder: Path, key: str) -> NDArray[np.uint8]:
    """Return the world labels ``(h, w)`` of a crop.

    Raises:
        DataError: the map is missing or damaged.
    """
    path = parsing_path(folder, "world", key=key)
    found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise DataError(f"{path} is missing or no PNG; render the world again")
    return found.astype(np.uint8)


def _with_parsing(dataset: Dataset, folder: Path, *, scheme: str) -> Dataset:
    """Return the dataset with its maps in another label set, translated from the world's own on first use."""
    made = folder / "parsing" / scheme / _MADE_FILE
    if scheme != "world" and not made.is_file():
        for sample in track(dataset.samples, f"translating parsing maps to {scheme}"):
            labels = table(scheme)[read_labels(folder, sample.key)]
            write_bytes(parsing_path(folder, scheme, key=sample.key), to_png(labels))
        write_bytes(made, b"")
    samples = tuple(dataclasses.replace(s, parsing=parsing_path(folder, scheme, key=s.key)) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=samples, parsing_scheme=scheme)
