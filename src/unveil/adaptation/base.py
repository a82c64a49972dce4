"""The model that is adapted: of this package, with its layers, or of another project, by its vectors alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unveil.adaptation.adapt import adapt
from unveil.adaptation.centring import EXTERNAL_STAGES, adapt_external
from unveil.adaptation.groups.links import FeedbackPair
from unveil.adaptation.settings import AdaptSettings, Stage
from unveil.errors import UnveilError
from unveil.inference.backends.external import external_engine
from unveil.inference.engine import Engine
from unveil.models.card import Adaptation
from unveil.models.checkpoint import NAME, TrainedModel, load_model
from unveil.models.foreign.reid_card import read_reid_card
from unveil.models.locate import EXTERNAL_NAME, locate
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Dataset


@dataclass(frozen=True)
class Adapted:
    """An adapted model as it was written.

    Args:
        fingerprint: of it.
        path: of its weights, or of its card where it is a model of another project.
        adaptation: what its card says of how it was adapted; ``None`` where it was not.
    """

    fingerprint: str
    path: Path
    adaptation: Adaptation | None


@dataclass(frozen=True)
class Base:
    """A model to adapt.

    Args:
        fingerprint: of it.
        trained: a model of this package.
        external: file or card of a model of another project.
    """

    fingerprint: str
    trained: TrainedModel | None = None
    external: Path | None = None

    @classmethod
    def load(cls, model: Path | str, device: torch.device | str = "cpu") -> Base:
        """Load a model from a path or a name.

        Raises:
            CheckpointError: it cannot be read.
            UnveilError: it is an exported file, which has no layers to adapt.
        """
        found = locate(model)
        if found.kind == "external":
            return cls(external_engine(found.path).fingerprint, external=found.path)
        if found.kind == "exported":
            raise UnveilError(f"{model} is an exported file: adapt the weights that it was made from, and export again")
        trained = load_model(found.source, torch.device(device))
        return cls(trained.card.fingerprint, trained=trained)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All that can be done with it."""
        return AdaptSettings.stages if self.trained else EXTERNAL_STAGES

    def path_in(self, out: Path) -> Path:
        """Return where its adaptation lies in a folder."""
        return (out / (NAME if self.trained else EXTERNAL_NAME)).resolve()

    def finished(self, out: Path) -> Adapted | None:
        """Return the adapted model that a folder holds; ``None`` where there is none.

        Raises:
            CheckpointError: it is damaged.
        """
        path = self.path_in(out)
        if not path.exists():
            return None
        return self._told(load_model(path) if self.trained else external_engine(path), path)

    def adapt(
        self,
        datasets: Sequence[Dataset],
        out: Path,
        *,
        settings: AdaptSettings,
        feedback: Sequence[FeedbackPair] = (),
        galleries: Sequence[str] = (),
        cache: Path | None = None,
        parser: OnnxParser | None = None,
        keep_worse: bool = False,
        restart: bool = False,
    ) -> Adapted:
        """Adapt it and write the adapted model; see `unveil.adaptation.adapt.adapt` and `adapt_external`."""
        if self.trained:
            found: TrainedModel | Engine = adapt(
                self.trained, datasets, out=out, settings=settings, feedback=feedback, galleries=galleries, cache=cache,
                parser=parser, keep_worse=keep_worse, restart=restart,
            )  # fmt: skip
        else:
            assert self.external is not None
            found = adapt_external(
                self.external, datasets, out=out, settings=settings, feedback=feedback, galleries=galleries,
                cache=cache, parser=parser, keep_worse=keep_worse,
            )  # fmt: skip
        return self._told(found, self.path_in(out))

    def _told(self, found: TrainedModel | Engine, path: Path) -> Adapted:
        if isinstance(found, TrainedModel):
            return Adapted(found.card.fingerprint, path, found.card.adaptation)
        return Adapted(found.fingerprint, path, read_reid_card(path)[0].adaptation)
