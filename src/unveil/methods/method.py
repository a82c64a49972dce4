"""The three questions that every method answers: what it needs, how it embeds, what it trains on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from unveil.nn.backbones.backbone import Backbone
from unveil.nn.projections.whitening import Whitening
from unveil.records import Batch, Embedding

Share = Annotated[float, Field(ge=0, le=1)]  # a setting of a method that is a share or a probability


@dataclass(frozen=True)
class Requirements:
    """Inputs beside the image that a method uses; without them it refuses to train, or says what it does instead.

    Args:
        train_parsing: label set of the parsing maps to train with.
        train_clothes: outfits to train with.
        test_parsing: label set of the parsing maps to test with.
        train_erased: crops whose clothes were erased at native resolution (`Batch.erased`).
    """

    train_parsing: str | None = None
    train_clothes: bool = False
    test_parsing: str | None = None
    train_erased: bool = False


@dataclass(frozen=True)
class LabelSpace:
    """How many identities and outfits the training set has; ``outfits`` maps each outfit code to its identity code."""

    persons: int
    clothes: int = 0
    outfits: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """Where training is, handed to `Method.losses` by the loop.

    Args:
        epoch: 0-based.
        iteration: 0-based, over the whole run.
        auxiliary_step: takes a scalar loss, steps the optimiser of `Method.auxiliary_parameters` on it at once; where
            gradients of several batches make a step, in the last of them. Call it in all batches of an epoch or none.
    """

    epoch: int = 0
    iteration: int = 0
    auxiliary_step: Callable[[Tensor], None] = lambda loss: None


class Method(nn.Module):
    """Base of all methods. A subclass is one readable file that composes blocks of ``nn/`` and losses of ``losses/``.

    Its constructor is ``__init__(self, backbone, space, settings)`` with ``settings`` an instance of ``Settings``, the
    frozen dataclass whose defaults are the paper's. ``has_backbone`` is false where the backbone is not used: then
    nothing has to be said about what it starts from.
    """

    Settings: ClassVar[type]
    paper: ClassVar[str]
    flip_test: ClassVar[bool] = False
    has_backbone: ClassVar[bool] = True

    backbone: Backbone
    whitening: Whitening | None  # of an adapted model

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.space = space
        self.settings = settings
        self.whitening = None

    @property
    def requirements(self) -> Requirements:
        """What this configuration of the method needs beside images and identities; looks at its settings alone."""
        return Requirements()

    @property
    def test_settings(self) -> frozenset[str]:
        """Names of the settings that only `embed` looks at: neither training nor weights depend on them.

        Like `requirements` it follows from the settings alone.
        """
        return frozenset()

    def expand_batch(self, batch: Batch) -> Batch:
        """Return the training batch before augmentation (uint8); a method may add images of its own making."""
        return batch

    def erase(self, batch: Batch) -> Batch:
        """Return the augmented and normalised training batch with what the method itself erases or adds.

        Like `expand_batch` it sees the whole batch, also where several devices share it; `losses` sees one's part.
        """
        return batch

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the named, already weighted terms whose sum is minimised.

        On several devices each calls this with its part of the batch, and the mean of what they return must be the term
        of the whole: so are means over crops, and losses that `unveil.nn.global_batch.gather` what they compare.

        Args:
            batch: augmented and normalised.
            step: where training is.
        """
        raise NotImplementedError

    def diagnostics(self) -> dict[str, Tensor]:
        """Return scalars of the last batch that `losses` saw, by name: logged beside its terms, never in the sum."""
        return {}

    def check_training(self) -> None:
        """Refuse to begin a training with settings that only a trained model can have.

        Raises:
            RecipeError: there is such a setting.
        """

    def embed(self, batch: Batch) -> Embedding:
        """Return the embedding of a normalised batch, without labels; call in ``eval()`` mode."""
        raise NotImplementedError

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return parameters that `Step.auxiliary_step` trains and the main optimiser never touches."""
        return []

    def frozen_modules(self) -> list[nn.Module]:
        """Return what ``optim.freeze_iterations`` keeps fixed: the backbone and what sits between its stages."""
        return [self.backbone]

    def no_weight_decay(self) -> list[nn.Parameter]:
        """Return parameters that weight decay must spare."""
        return []

    def forward(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Alias of `losses`, so that wrappers for several devices see the training pass."""
        return self.losses(batch, step)
