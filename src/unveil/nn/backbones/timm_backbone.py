"""Every model of timm as a backbone: convolutional ones and vision transformers alike.

State-dict keys below ``model.`` are timm's own, without a classifier. Nothing is downloaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unveil.errors import CheckpointError, MissingExtraError, RecipeError, nearest
from unveil.nn.backbones.backbone import Backbone, FeatureHook, Stage
from unveil.nn.backbones.torchvision_guard import guard_torchvision
from unveil.nn.backbones.weights import load_weights, read_weights

PREFIX = "timm/"
PROBE = (448, 224)  # a multiple of every usual stride and patch, 14, 16 and 32
SMALLEST_STRIDE = 4
# What makes a model take images of any size; families understand different words, and some need none.
_ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"dynamic_img_size": True},
    {"strict_img_size": False, "dynamic_mask": True},
    {"strict_img_size": False},
    {},
)


class TimmBackbone(Backbone):
    """A model of timm without its classifier.

    Stages are what timm calls the features of the model, from stride 4 on, and ``features`` where the map that comes
    out has other channels than the last of them.

    Args:
        name: name of the model in timm.
        last_stride: 1 asks for a map of 1/16 of the image, which timm reaches by dilation where the model can;
            ``stages`` tells the stride that came out.
        weights: file of weights, with the keys of the model or as its publisher has them, which timm converts.

    Raises:
        MissingExtraError: timm is not installed.
        RecipeError: timm has no such model, or its output is no map.
        CheckpointError: the weights do not fit.
    """

    def __init__(self, name: str, last_stride: int = 1, *, weights: Path | None = None) -> None:
        super().__init__()
        self.model = (
            _create(name, last_stride) if weights is None else _with_weights(name, last_stride, weights=weights)
        )
        try:
            self.stages = self._probe()
        except Exception as e:  # models that insist on their own size fail in many ways
            raise RecipeError(f"{PREFIX}{name} cannot be a backbone for images of any size: {e}") from None

    def forward(self, images: Tensor, hooks: Mapping[str, FeatureHook] | None = None) -> Tensor:
        """Return the last map; see `Backbone.forward`."""
        hooks = self.check_hooks(hooks)
        with ExitStack() as stack:
            for address, hook in hooks.items():
                if address != "features":
                    handle = self.model.get_submodule(address).register_forward_hook(self._hooked(hook, images))
                    stack.callback(handle.remove)
            out = self._as_map(self.model.forward_features(images), images)[0]  # type: ignore[operator]
        return hooks["features"](out) if "features" in hooks else out

    def checkpointable(self) -> list[nn.Module]:
        """Return the blocks of timm's stages; none where only ``features`` is known of the model."""
        return self._addressed(self.model)

    def _hooked(self, hook: FeatureHook, images: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def forward_hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            x, restore = self._as_map(output, images)
            return restore(hook(x))

        return forward_hook

    def _as_map(self, x: Tensor, images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return ``(B, C, h, w)`` of a map or of tokens, and the function that goes back."""
        if x.ndim == 4 and getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            return x.permute(0, 3, 1, 2), lambda y: y.permute(0, 2, 3, 1)
        if x.ndim == 4:
            return x, lambda y: y
        if x.ndim != 3:
            raise ValueError(f"expected a map or tokens, got {tuple(x.shape)}")
        prefix = int(getattr(self.model, "num_prefix_tokens", 0))
        height, width = _grid(x.shape[1] - prefix, images.shape[2:])
        first, patches = x[:, :prefix], x[:, prefix:]
        tokens = patches.transpose(1, 2).unflatten(2, (height, width))
        return tokens, lambda y: torch.cat([first, y.flatten(2).transpose(1, 2)], dim=1)

    @torch.no_grad()
    def _probe(self) -> tuple[Stage, ...]:
        """Find the stages and what comes out of them by looking at one image."""
        images = torch.zeros(1, 3, *PROBE)
        shapes: dict[str, torch.Size] = {}
        modules = dict(self.model.named_modules())
        training = self.model.training
        self.model.eval()
        with ExitStack() as hooks:
            for name in [
                info["module"] for info in getattr(self.model, "feature_info", []) if info["module"] in modules
            ]:

                def note(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
                    if isinstance(output, Tensor) and output.ndim in (3, 4):
                        shapes[name] = self._as_map(output, images)[0].shape

                hooks.callback(modules[name].register_forward_hook(note).remove)
            out = self._as_map(self.model.forward_features(images), images)[0].shape  # type: ignore[operator]
        self.model.train(training)
        stages = [
            Stage(name, shape[1], round(PROBE[0] / shape[2]), _blocks(name, modules[name]))
            for name, shape in shapes.items()
            if round(PROBE[0] / shape[2]) >= SMALLEST_STRIDE
        ]
        if not stages or shapes[stages[-1].name] != out:
            stages.append(Stage("features", out[1], round(PROBE[0] / out[2]), ()))
        return tuple(stages)


def _with_weights(name: str, last_stride: int, *, weights: Path) -> nn.Module:
    model = _create(name, last_stride)
    try:
        load_weights(model, weights)
    except CheckpointError as wrong:
        read_weights(weights)  # a file that cannot be read at all is told as that
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            fresh = dict(_create(name, last_stride).named_parameters())
            torch.manual_seed(0)
            try:
                model = _create(name, last_stride, pretrained=True, pretrained_cfg_overlay={"file": str(weights)})
            except Exception:  # timm's conversions fail in many ways on a file of another model
                raise wrong from None
        # timm passes over what is missing without a word; what it did not load is as it was drawn.
        drawn = [k for k, v in model.named_parameters() if v.ndim > 1 and v.any() and torch.equal(v, fresh[k])]
        if drawn:
            raise wrong from None
    return model


def _create(name: str, last_stride: int, **pretrained: Any) -> nn.Module:
    guard_torchvision()
    try:
        import timm
    except ImportError:
        raise MissingExtraError(f"backbone {PREFIX}{name}", "timm") from None
    if not timm.is_model(name):
        raise RecipeError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    dilated: tuple[dict[str, Any], ...] = ({"output_stride": 16},) if last_stride == 1 else ()
    for options in (*dilated, *_ANY_SIZE):
        try:
            return timm.create_model(name, num_classes=0, **pretrained, **options)
        except (TypeError, AssertionError, NotImplementedError):
            if not options:
                raise
    raise AssertionError("unreachable: the last options are empty")


def _grid(count: int, image: Sequence[int]) -> tuple[int, int]:
    """Return rows and columns of tokens in the shape of an image ``(height, width)``, up to rounding."""
    pairs = [(h, count // h) for h in range(1, count + 1) if count % h == 0]
    return min(pairs, key=lambda pair: abs(pair[0] * image[1] - pair[1] * image[0]))


def _blocks(name: str, stage: nn.Module) -> tuple[str, ...]:
    for path, module in ((name, stage), (f"{name}.blocks", getattr(stage, "blocks", None))):
        if isinstance(module, nn.Sequential):
            return tuple(f"{path}.{child}" for child, _ in module.named_children())
    return ()
