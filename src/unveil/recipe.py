"""The recipe: everything that a training run is, typed and validated; an unknown key is an error.

A recipe is a YAML file plus ``key=value`` overrides (``train.epochs=5``). Settings of a method stand beside its name
(``method: {name: oc4, k: 6}``) and are checked by the method itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unveil.errors import RecipeError, nearest
from unveil.source_text import root_and_options, sources_in
from unveil.yaml_text import MAX_BYTES, read_yaml

MAX_SHOWN = 200  # characters of a wrong value
PATHS = frozenset(("data.train", "data.test", "backbone.init"))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MethodChoice(BaseModel):
    """A method by name; every other key is one of its own settings."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "bot"

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings of the method, without its name."""
        return dict(self.model_extra or {})


class BackboneChoice(_Strict):
    """A backbone by name (``unveil doctor`` lists them) and what its weights are before training.

    ``init`` is ``imagenet`` (published weights), ``random``, ``unveil:NAME``, or a file of weights; training refuses to
    begin without it. ``licences``: where set, only weights under one of these licences are taken.
    """

    name: str = "resnet50"
    last_stride: Literal[1, 2] = 1
    frozen_stages: int = Field(0, ge=0, description="first stages, and what is before them, that keep their start")
    init: str | None = None
    licences: tuple[str, ...] = ()

    @field_validator("init", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value


class InputSettings(_Strict):
    """What the network sees: size in pixels, interpolation, and the mean and standard deviation of RGB in [0, 1]."""

    height: int = Field(256, ge=32, le=1024)
    width: int = Field(128, ge=16, le=1024)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class AugmentSettings(_Strict):
    """Random changes of a training batch; numbers are probabilities unless said otherwise."""

    crop: Literal["none", "scale", "pad", "affine"] = "pad"
    flip: float = Field(0.5, ge=0, le=1)
    erase: Literal["none", "cal", "bot", "fastreid"] = "bot"
    erase_p: float = Field(0.5, ge=0, le=1)
    coarse_dropout: float = Field(0.0, ge=0, le=1)
    autoaugment: float = Field(0.0, ge=0, le=1)
    brightness: float = Field(0.0, ge=0, le=1, description="largest relative change")
    contrast: float = Field(0.0, ge=0, le=1, description="largest relative change")
    saturation: float = Field(0.0, ge=0, le=1, description="largest relative change")
    sensor: float = Field(0.0, ge=0, le=1, description="strength of what street cameras do to an image")
    background: float = Field(0.0, ge=0, le=1, description="share of crops before another background; needs maps")
    small_epochs: int = Field(0, ge=0, description="first epochs that train on smaller images")
    small_scale: float = Field(0.75, ge=0.25, le=1, description="their share of the height and width")


class DataSource(_Strict):
    """A dataset by reader name, root and options; as text ``viper:/data/viper?split=0``."""

    name: str
    root: Path | None = None
    options: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, _, rest = value.partition(":")
        root, options = root_and_options(rest)
        pairs = [part.partition("=") for part in options.split("&") if part]
        for key, equals, _ in pairs:
            if not equals:
                raise ValueError(f"option {key!r}: expected option=value, as in {name}:{root}?{key}=...")
        return {"name": name, "root": root or None, "options": {key: text for key, _, text in pairs}}

    @classmethod
    def of(cls, text: str) -> DataSource:
        """Return the source that a text names.

        Raises:
            RecipeError: an option has no value.
        """
        try:
            return cls.model_validate(text)
        except ValidationError as e:
            raise RecipeError(f"{text}: {e.errors()[0]['msg'].removeprefix('Value error, ')}") from None

    def __str__(self) -> str:
        options = "&".join(f"{k}={v}" for k, v in sorted(self.options.items()))
        return self.name + (f":{self.root}" if self.root else "") + (f"?{options}" if options else "")


class DataSettings(_Strict):
    """Datasets to train on (identities kept apart) and to test on, as a list or as text separated by commas.

    ``max_per_person`` bounds one person's crops in an epoch.
    """

    train: tuple[DataSource, ...] = ()
    test: tuple[DataSource, ...] = ()
    protocols: tuple[str, ...] = ()
    max_per_person: int | None = Field(None, ge=2)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        listed = ("train", "test")
        return {
            k: v if not isinstance(v, str) else sources_in(v) if k in listed else [p for p in v.split(",") if p]
            for k, v in value.items()
        }


class SamplerSettings(_Strict):
    """Batches of P persons x K images (``pk_unique``: P different ones; ``pk_groups``: a person may come
    twice; ``pk_outfits``: P different ones, each in two outfits)."""

    kind: Literal["pk_unique", "pk_groups", "pk_outfits"] = "pk_unique"
    persons: int = Field(16, ge=1)
    images: int = Field(4, ge=1)
    cross_clothes: bool = False
    alike: float = Field(
        0, ge=0, le=1, description="share of a batch's people who look most alike to the network so far; 0: all random"
    )


class OptimSettings(_Strict):
    """Optimiser; ``freeze_iterations`` keeps the backbone fixed, and in evaluation mode, at the start."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(3.5e-4, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    clip_norm: float | None = Field(None, gt=0)
    freeze_iterations: int = Field(0, ge=0)


class ScheduleSettings(_Strict):
    """Learning rate over training: linear warm-up, then steps, a cosine from ``hold`` epochs on, or constant."""

    kind: Literal["step", "cosine", "constant"] = "step"
    milestones: tuple[int, ...] = (40, 70)
    gamma: float = Field(0.1, gt=0, le=1)
    warmup_epochs: float = Field(0, ge=0)
    warmup_iterations: int = Field(0, ge=0)
    warmup_from: float = Field(0.01, gt=0, le=1, description="factor on lr at the first iteration")
    hold: int = Field(0, ge=0, description="epochs at the full lr before the cosine")
    min_lr: float = Field(7e-7, ge=0)


class TrainSettings(_Strict):
    """Length, precision, memory and rhythm of a run; iterations are optimiser steps, also with ``accumulate``."""

    epochs: int = Field(120, ge=1)
    frozen_engine: Literal["pytorch", "openvino"] = "pytorch"
    average: float = Field(0.0, ge=0, lt=1, description="decay of the running average of the weights; 0: none")
    accumulate: int = Field(
        1, ge=1, description="batches of the sampler that make one optimiser step; each is mined by itself"
    )
    activation_checkpointing: bool = Field(
        default=False, description="compute the backbone's blocks again going backward: less memory, more time"
    )
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    eval_every: int = Field(10, ge=0, description="epochs between evaluations; 0 evaluates only at the end")
    checkpoint_every: int = Field(1, ge=1, description="epochs between checkpoints to resume from")
    eval_batch: int = Field(128, ge=1)


class Recipe(_Strict):
    """A whole run."""

    method: MethodChoice = MethodChoice()
    backbone: BackboneChoice = BackboneChoice()
    input: InputSettings = InputSettings()
    data: DataSettings = DataSettings()
    augment: AugmentSettings = AugmentSettings()
    sampler: SamplerSettings = SamplerSettings()
    optim: OptimSettings = OptimSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    train: TrainSettings = TrainSettings()


def load_recipe(path: Path | str | None = None, overrides: Iterable[str] = ()) -> Recipe:
    """Read a YAML recipe and apply ``key=value`` overrides (values are YAML: ``data.train=[viper:/data/viper]``).

    Raises:
        RecipeError: the file is missing or not a mapping, or a key or a value is wrong.
    """
    source = str(path) if path else "recipe"
    tree: Any = {}
    if path is not None:
        try:
            with Path(path).open("rb") as f:
                tree = read_yaml(f.read(MAX_BYTES + 1)) or {}
        except OSError as e:
            raise RecipeError(f"cannot read recipe {source}: {e.strerror}") from None
        except ValueError as e:
            raise RecipeError(f"recipe {source} is not valid YAML: {e}") from None
        if not isinstance(tree, dict):
            raise RecipeError(f"recipe {source}: expected keys and values, found {type(tree).__name__}")
    for override in overrides:
        _apply(tree, override)
    return recipe_from(tree, source)


def recipe_from(tree: dict[str, Any], source: str = "recipe") -> Recipe:
    """Validate a mapping as a Recipe; see `load_recipe` for the errors."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as e:
        raise RecipeError("\n".join(_explain(error, source) for error in e.errors())) from None


def with_overrides(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """Return the recipe with ``key=value`` overrides applied; see `load_recipe` for the errors."""
    tree = recipe.model_dump(mode="json")
    for override in overrides:
        _apply(tree, override)
    return recipe_from(tree)


def save_recipe(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML text."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"override {override!r}: expected key=value, for example train.epochs=5")
    *parents, last = key.strip().split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"override {override!r}: {parent!r} holds a value, not keys")
    tree[last] = text.lstrip() if _is_path(key.strip(), text) else _value(override, text)


def _is_path(key: str, text: str) -> bool:
    """Whether a value is a path or a source as it stands, and no YAML: quotes, lists and null are YAML."""
    start = text.lstrip()
    return key in PATHS and start not in ("", "null", "~") and start[0] not in "[{\"'"


def _value(override: str, text: str) -> Any:
    try:
        value = read_yaml(text)
    except ValueError as e:
        raise RecipeError(f"override {override!r}: the value is not valid YAML: {e}") from None
    if text.count("#") > yaml.safe_dump(value, allow_unicode=True).count("#"):
        raise RecipeError(f"override {override!r}: YAML drops what follows the '#'; put the value in quotes")
    return value


def _explain(error: Any, source: str) -> str:
    location = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        found = repr(error["input"])
        shown = found if len(found) <= MAX_SHOWN else f"{found[:MAX_SHOWN]}..."
        return f"{source}: {'.'.join(location)}: {error['msg']}, found {shown}"
    model: type[BaseModel] = Recipe
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else DataSource
    return f"{source}: unknown key {'.'.join(location)!r}{nearest(location[-1], model.model_fields)}"
