"""Occludes one sample after another, in any style, and says what it did."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from unveil.atomic_io import write_bytes
from unveil.data.images import read_labels, read_sample
from unveil.errors import DataError
from unveil.label_sets import PASCAL7, check_labels, get_scheme
from unveil.occlusion.blocks import hide_block
from unveil.occlusion.compose import (
    Image,
    Labels,
    Mask,
    Occlusion,
    fuse,
    keyed_rng,
    nothing,
    occluded_fraction,
    person_weight,
)
from unveil.occlusion.parts import hide_part, hide_parts_to
from unveil.occlusion.pasted import Cutout, cut_person, hide_behind, read_cutouts
from unveil.occlusion.settings import DEFAULT_RATIO, OcclusionSettings
from unveil.parsing.mapping import map_labels
from unveil.records import Dataset, Sample

Row = dict[str, str]
Translate = Callable[[Labels], Labels]
NO_PARSING = "no parsing map"
# Heights of what is pasted, as a fraction of the image's: other people are about as tall, things are not.
HEIGHTS = {"people": (0.85, 1.15), "cutouts": (0.35, 0.9)}
TRIES = 8
NEAR = 0.03  # a pole cannot occlude half of a person: beyond this share another thing is drawn


class Occluder:
    """Occludes the samples of a dataset, one a call; what they share is held here.

    Args:
        dataset: where samples and donors come from.
        source: root of the dataset.
        out: root of the copy.
        settings: how to occlude.
        parser: what made the parsing maps, for the table.
        translate: from the labels of the maps to Pascal-7.
        donors: people who may stand before others; those of the dataset by default.

    Raises:
        DataError: the style needs parsing maps and there are none.
    """

    def __init__(
        self,
        dataset: Dataset,
        source: Path,
        *,
        out: Path,
        settings: OcclusionSettings,
        parser: str,
        translate: Translate,
        donors: Sequence[Sample] | None = None,
    ) -> None:
        self.source, self.out, self.settings, self.parser, self.translate = source, out, settings, parser, translate
        known = dataset.samples if donors is None else donors
        self.donors = sorted((s for s in known if s.parsing), key=lambda s: s.key)
        self.things: Sequence[Cutout] = read_cutouts(settings.cutouts) if settings.cutouts else ()
        needed = {"parts": dataset.samples, "people": self.donors}.get(settings.style, ())
        if settings.style in ("parts", "people") and not any(s.parsing for s in needed):
            raise DataError(
                f"the style {settings.style!r} needs parsing maps, and {dataset.name!r} has none: parse it first "
                "(unveil parse), name their tree with --parsing, or choose the style blocks"
            )

    def __call__(self, sample: Sample) -> Row:
        """Write the occluded image of a sample and return its line of the table."""
        image = read_sample(sample)
        size = (image.shape[0], image.shape[1])
        labels = self._labels(sample, image)
        occlusion = self._occlude(sample, size, labels=labels)
        target = _inside(self.out, sample.key)
        if occlusion.empty:
            write_bytes(target, sample.path.read_bytes() if sample.path else sample.data or b"")
        else:
            write_bytes(target, encode(fuse(image, occlusion), target))
        self._write_parsing(sample, occlusion)
        weight = person_weight(size, labels)
        values = {
            "path": sample.key,
            "style": self.settings.style,
            "what": occlusion.what,
            "kernel": occlusion.kernel,
            "cells": occlusion.cells,
            "occluded": f"{occlusion.mask.mean(dtype=np.float64):.4f}",
            "occluded_person": f"{occluded_fraction(occlusion.mask, weight):.4f}",
            "seed": self.settings.seed,
            "parser": self.parser,
        }
        return {name: str(value) for name, value in values.items()}

    def _occlude(self, sample: Sample, size: tuple[int, int], *, labels: Labels | None) -> Occlusion:
        rng = keyed_rng(self.settings.seed, sample.key)
        style, ratio = self.settings.style, self.settings.ratio
        if style == "parts":
            if labels is None:
                return nothing(size, NO_PARSING)
            if ratio is None:
                return hide_part(labels, self.settings.parts, rng=rng)
            return hide_parts_to(labels, ratio, settings=self.settings.parts, rng=rng)
        wanted = DEFAULT_RATIO if ratio is None else ratio
        weight = person_weight(size, labels)
        if style == "blocks":
            return hide_block(weight, wanted, rng=rng)
        return self._paste(sample, weight, wanted=wanted, rng=rng)

    def _paste(self, sample: Sample, weight: Mask, *, wanted: float, rng: np.random.Generator) -> Occlusion:
        """Occlude behind the first drawn thing or person that can occlude so much, or the one that comes nearest."""
        style, best, off = self.settings.style, nothing(weight.shape, "nobody else"), np.inf
        for _ in range(TRIES):
            if style == "people":
                cutout = self._other_person(sample, rng)
            else:
                cutout = self.things[int(rng.integers(len(self.things)))]
            if cutout is None:
                break
            occlusion = hide_behind(cutout, weight, ratio=wanted, height=HEIGHTS[style], rng=rng)
            missed = abs(occluded_fraction(occlusion.mask, weight) - wanted)
            if missed < off:
                best, off = occlusion, missed
            if off <= NEAR:
                break
        return best

    def _other_person(self, sample: Sample, rng: np.random.Generator) -> Cutout | None:
        for _ in range(TRIES):
            donor = self.donors[int(rng.integers(len(self.donors)))]
            if donor.key == sample.key or (donor.person is not None and donor.person == sample.person):
                continue
            image = read_sample(donor)
            labels = self._labels(donor, image)
            cutout = cut_person(image, labels, name=donor.key) if labels is not None else None
            if cutout is not None:
                return cutout
        return None

    def _labels(self, sample: Sample, image: Image) -> Labels | None:
        if sample.parsing is None:
            return None
        labels = read_labels(sample.parsing)
        if labels.shape != image.shape[:2]:
            raise DataError(
                f"{sample.parsing}: the map is {labels.shape[1]}x{labels.shape[0]} but its image {sample.key} is "
                f"{image.shape[1]}x{image.shape[0]} (width x height)"
            )
        try:
            components = self.translate(labels)
        except DataError as e:
            raise DataError(f"{sample.parsing}: {e}") from None
        check_labels(components, PASCAL7, path=sample.parsing)
        return components

    def _write_parsing(self, sample: Sample, occlusion: Occlusion) -> None:
        # A map that lies in the dataset goes along, with what is occluded turned into background.
        if sample.parsing is None or not sample.parsing.is_relative_to(self.source):
            return
        target = _inside(self.out, sample.parsing.relative_to(self.source).as_posix())
        if occlusion.empty:
            write_bytes(target, sample.parsing.read_bytes())
            return
        labels = np.where(occlusion.mask >= 0.5, 0, read_labels(sample.parsing)).astype(np.uint8)
        write_bytes(target, encode(labels, target))


def to_components(dataset: Dataset) -> Translate:
    """Return the mapping of a dataset's labels to Pascal-7; maps without a scheme are taken as Pascal-7."""
    name = dataset.parsing_scheme
    if name is None:
        return lambda labels: labels
    scheme = get_scheme(name)

    def translate(labels: Labels) -> Labels:
        check_labels(labels, scheme, path=dataset.name)
        return map_labels(labels, scheme.name, target=PASCAL7.name)

    return translate


def encode(image: Image | Labels, target: Path) -> bytes:
    """Return the bytes of an image in the format that the suffix of ``target`` names; JPEG at quality 95."""
    suffixes = PillowImage.registered_extensions()
    form = suffixes.get(target.suffix.lower())
    if form is None:
        raise DataError(f"{target}: cannot write images of the kind {target.suffix!r}")
    buffer = io.BytesIO()
    options = {"quality": 95} if form in ("JPEG", "WEBP") else {}
    PillowImage.fromarray(image).save(buffer, format=form, **options)
    return buffer.getvalue()


def _inside(out: Path, key: str) -> Path:
    target = out / key
    if not target.resolve().is_relative_to(out.resolve()):
        raise DataError(f"{key!r} leads out of the dataset; keys must be relative paths below its root")
    return target
