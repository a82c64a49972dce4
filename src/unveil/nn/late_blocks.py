"""Where FastReID's SBS and SSGR put attention: after the last blocks of the second and third stage of a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from unveil.nn.backbone import Stage, Tap


class LateBlocks(nn.Module):
    """One module after each of the last blocks of some stages.

    Args:
        stages: stages of the backbone, low to high.
        make: returns a module for a number of channels.
        counts: modules in each stage from the first on; a stage with fewer blocks gets one after each of its blocks,
            and stages that the backbone does not have get none.
    """

    def __init__(
        self, stages: Sequence[Stage], make: Callable[[int], nn.Module], counts: Sequence[int] = (0, 2, 3)
    ) -> None:
        super().__init__()
        late = [
            (block, stage.channels)
            for stage, count in zip(stages, counts, strict=False)
            for block in stage.blocks[max(len(stage.blocks) - count, 0) :]
        ]
        self.addresses = [block for block, _ in late]
        self.blocks = nn.ModuleList(make(channels) for _, channels in late)

    def taps(self) -> dict[str, Tap]:
        """Return the taps to run the backbone with."""
        return dict(zip(self.addresses, self.blocks, strict=True))
