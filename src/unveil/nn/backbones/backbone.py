"""What every backbone offers: a feature map, named stages, and hooks after any stage or block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

FeatureHook = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Stage:
    """One of the stages of a backbone.

    Args:
        name: address of the stage, for example "layer2".
        channels: channels of its output.
        stride: total stride of its output with respect to the image.
        blocks: addresses of its blocks, in order, for example ``("layer2.0", "layer2.1")``; empty when the stage is a
            single module.
    """

    name: str
    channels: int
    stride: int
    blocks: tuple[str, ...]


class Backbone(nn.Module):
    """A network from images ``(B, 3, H, W)`` to a map ``(B, C, h, w)``.

    Subclasses set ``stages`` (low to high) and implement ``forward``. A hook is a function from map to map that is
    called on the output of the stage or block of that address and whose result is passed on; so a method adds attention
    where it wants without the backbone knowing, and the keys of the state dict stay those of the field's checkpoints.
    """

    stages: tuple[Stage, ...]
    frozen: tuple[str, ...] = ()
    frozen_stages = 0
    frozen_engine: Callable[[Tensor], Tensor] | None = None  # runs the frozen stages in training mode

    def freeze_stages(self, count: int) -> None:
        """Keep the first stages and what comes before them as they are: no gradient, batch norms in evaluation mode.

        Raises:
            ValueError: there are fewer stages, or none would be left to train.
        """
        if count >= len(self.stages):
            raise ValueError(f"cannot freeze {count} of {len(self.stages)} stages: at least one has to train")
        self.frozen_stages = count
        trained = tuple(f"{stage.name}." for stage in self.stages[count:])
        leaves = [name for name, module in self.named_modules() if name and not list(module.children())]
        self.frozen = tuple(
            name for name in leaves if count and not f"{name}.".startswith(trained) and not self.is_head(name)
        )
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(requires_grad=False)
        self.train(self.training)

    def run_frozen(self, images: Tensor) -> Tensor:
        """Return the map of the last frozen stage, ``(B, c, h, w)``.

        Raises:
            NotImplementedError: this backbone does not run them apart.
        """
        raise NotImplementedError(f"{type(self).__name__} does not run its frozen stages apart")

    def checkpointable(self) -> list[nn.Module]:
        """Return the blocks of the stages, and stages without blocks, as far as they are modules of their own."""
        return self._addressed(self)

    def _addressed(self, root: nn.Module) -> list[nn.Module]:
        modules = dict(root.named_modules())
        addresses = [address for stage in self.stages for address in stage.blocks or (stage.name,)]
        return [modules[address] for address in addresses if address in modules]

    def is_head(self, module: str) -> bool:
        """Whether a module outside of the stages comes after them."""
        return False

    def train(self, mode: bool = True) -> Self:
        """Set the mode of everything but the frozen stages, which stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    @property
    def channels(self) -> int:
        """Channels of the last map."""
        return self.stages[-1].channels

    def forward(self, images: Tensor, hooks: Mapping[str, FeatureHook] | None = None) -> Tensor:
        """Return the last map.

        Args:
            images: ``(B, 3, H, W)`` normalised float.
            hooks: address of a stage or block -> function applied to its output.

        Raises:
            ValueError: a hook names an address that the backbone does not have.
        """
        raise NotImplementedError

    def own_keys(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of a file under this backbone's own keys; for families whose files come in several namings."""
        return dict(tensors)

    def check_hooks(self, hooks: Mapping[str, FeatureHook] | None) -> Mapping[str, FeatureHook]:
        """Return the hooks, refusing unknown addresses."""
        known = {address for stage in self.stages for address in (stage.name, *stage.blocks)}
        for address in hooks or {}:
            if address not in known:
                raise ValueError(f"no stage or block {address!r}; this backbone has {', '.join(sorted(known))}")
        return hooks or {}

    def run_stages(self, x: Tensor, hooks: Mapping[str, FeatureHook]) -> Tensor:
        """Send the output of the stem through the stages; for subclasses whose addresses are their submodules."""
        for stage in self.stages:
            for address in stage.blocks:
                x = self.get_submodule(address)(x)
                x = hooks[address](x) if address in hooks else x
            x = x if stage.blocks else self.get_submodule(stage.name)(x)
            x = hooks[stage.name](x) if stage.name in hooks else x
        return x
