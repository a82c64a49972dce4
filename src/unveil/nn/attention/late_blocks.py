"""Where FastReID's SBS and SSGR put attention: after some blocks of the second and third stage of a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from unveil.nn.backbones.backbone import FeatureHook, Stage

Placement = Literal["last", "alternate"]


class LateBlocks(nn.Module):
    """One module after each of some blocks of the stages.

    Args:
        stages: stages of the backbone, low to high.
        make: returns a module for a number of channels.
        counts: modules in each stage from the first on, at most; stages that the backbone does not have get none.
        placement: after the "last" blocks of a stage, as in FastReID, or after "alternate" ones, the second, the fourth
            and so on, as Wang et al. (Non-local Neural Networks, CVPR 2018, section 4.1) place theirs.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        make: Callable[[int], nn.Module],
        *,
        counts: Sequence[int] = (0, 2, 3),
        placement: Placement = "last",
    ) -> None:
        super().__init__()
        late = []
        for stage, count in zip(stages, counts, strict=False):
            places = stage.blocks[1::2] if placement == "alternate" else stage.blocks
            late += [(block, stage.channels) for block in places[max(len(places) - count, 0) :]]
        self.addresses = [block for block, _ in late]
        self.blocks = nn.ModuleList(make(channels) for _, channels in late)

    def hooks(self) -> dict[str, FeatureHook]:
        """Return the hooks to run the backbone with."""
        return dict(zip(self.addresses, self.blocks, strict=True))
