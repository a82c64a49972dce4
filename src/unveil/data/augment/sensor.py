"""What street cameras do to an image: light, colour, optics, sampling, compression, as batched tensor operations.

Rendered and studio crops are told from those of a street by the camera more than by the person. Each change below is
one that cameras make, in the order in which they make it; every crop draws its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.data.augment.colour import grey

SHADOW_P, BLUR_P, MOTION_P, SMALL_P, CHROMA_P, INTERLACE_P, RINGING_P, JPEG_P, GREY_P = (
    0.3, 0.15, 0.12, 0.5, 0.4, 0.05, 0.3, 0.5, 0.03,
)  # fmt: skip
SMALLEST = 0.22  # of the height, for crops of low resolution
JPEG_BLOCK = 8


def sensor(images: Tensor, strength: float, *, generator: torch.Generator, smallest: float = SMALLEST) -> Tensor:
    """Change a batch as street cameras would.

    Args:
        images: ``(B, 3, H, W)`` float in [0, 1].
        strength: 0 changes nothing, 1 is a poor street camera; scales the spread of every change and its probability.
        generator: on the device of the images.
        smallest: share of the size to which images of low resolution are brought at most.

    Returns:
        The images ``(B, 3, H, W)`` in [0, 1].
    """
    if strength == 0:
        return images
    draw = _Draw(len(images), strength, generator=generator)
    x = _shadow(images.clone(memory_format=torch.contiguous_format), draw)
    x = _tone(x, draw)
    x = _colour(x, draw)
    x = _optics(x, draw)
    x = _resolution(x, draw, smallest=smallest)
    x = _noise(x, draw)
    return _compression(x, draw).clamp_(0, 1)


class _Draw:
    """Random numbers of one batch, one for each image, of shape ``(B, 1, 1, 1)``."""

    def __init__(self, count: int, strength: float, *, generator: torch.Generator) -> None:
        self.count, self.strength, self.generator = count, strength, generator
        self.device = generator.device

    def uniform(self, low: float, high: float, *, channels: int = 1) -> Tensor:
        """Draw uniformly; the range is not scaled."""
        shape = (self.count, channels, 1, 1)
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def factor(self, spread: float, channels: int = 1) -> Tensor:
        """Draw factors ``exp(N(0, spread x strength))``, cut at two standard deviations."""
        shape = (self.count, channels, 1, 1)
        normal = torch.randn(shape, generator=self.generator, device=self.device).clamp_(-2, 2)
        return (normal * (spread * self.strength)).exp()

    def chosen(self, p: float) -> Tensor:
        """Draw which images are changed, as a ``(B,)`` boolean."""
        return torch.rand(self.count, generator=self.generator, device=self.device) < p * self.strength

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Draw standard normal numbers of any shape."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def number(self, low: float, high: float) -> float:
        """Draw one number for the whole batch."""
        return low + (high - low) * float(torch.rand((), generator=self.generator, device=self.device))


def _shadow(x: Tensor, draw: _Draw) -> Tensor:
    """Sun and shadow on the same body: a soft edge across the crop, darker and bluer on one side."""
    height, width = x.shape[2:]
    across = torch.linspace(-1, 1, width, device=x.device).view(1, 1, 1, width)
    down = torch.linspace(-1, 1, height, device=x.device).view(1, 1, height, 1)
    angle = draw.uniform(0, 2 * math.pi)
    side = torch.sigmoid((across * angle.cos() + down * angle.sin() - draw.uniform(-0.6, 0.6)) * draw.uniform(3, 20))
    blue = torch.tensor([1.0, 0.97, 0.88], device=x.device).view(1, 3, 1, 1)
    chosen = draw.chosen(SHADOW_P)
    light = side[chosen] * draw.uniform(0.2, 0.7)[chosen]
    return _changed(x, chosen, change=lambda some: some * (1 - light * blue))


def _tone(x: Tensor, draw: _Draw) -> Tensor:
    """Exposure, contrast about the mean, gamma, lifted or crushed black."""
    x = x * draw.factor(0.3)
    mean = x.mean((1, 2, 3), keepdim=True)
    contrast = draw.factor(0.3)
    x.mul_(contrast).add_(mean * (1 - contrast)).clamp_(0, 1).pow_(draw.factor(0.3))
    black = draw.uniform(-0.12, 0.15) * draw.strength
    return x.mul_(1 - black).add_(black).clamp_(0, 1)


def _colour(x: Tensor, draw: _Draw) -> Tensor:
    """Saturation, then a cast: a gain and a small offset of each channel; some cameras are grey at night."""
    saturation = draw.factor(0.5)
    saturation = saturation.masked_fill(draw.chosen(GREY_P).view(-1, 1, 1, 1), 0.0)
    gain, offset = draw.factor(0.16, 3), draw.uniform(-0.05, 0.05, channels=3) * draw.strength
    return torch.addcmul(offset, x, saturation * gain).addcmul_(grey(x), (1 - saturation) * gain).clamp_(0, 1)


def _optics(x: Tensor, draw: _Draw) -> Tensor:
    """Out of focus, and motion along the ground."""
    kernel = _gaussian(draw.number(0.6, 1.6), x)
    x = _changed(x, draw.chosen(BLUR_P), change=lambda some: _separable(some, kernel))
    length = 2 * round(draw.number(1, max(1.0, x.shape[3] / 24))) + 1

    def moved(some: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(some, (length // 2, length // 2, 0, 0), mode="replicate"), (1, length), 1)

    return _changed(x, draw.chosen(MOTION_P), change=moved)


def _resolution(x: Tensor, draw: _Draw, *, smallest: float) -> Tensor:
    """Far away: few pixels, enlarged; the chosen images share one of three sizes a batch."""
    height, width = x.shape[2:]
    chosen = draw.chosen(SMALL_P)
    which = torch.randint(3, (draw.count,), generator=draw.generator, device=draw.device)
    out = x
    for group in range(3):
        rows = torch.nonzero(chosen & (which == group)).flatten()
        share = draw.number(smallest, 0.8)
        if len(rows):
            size = (max(8, round(height * share)), max(4, round(width * share)))
            small = F.interpolate(x[rows], size, mode="bilinear", antialias=True)
            out = out.index_copy(0, rows, F.interpolate(small, (height, width), mode="bilinear"))
    return out


def _noise(x: Tensor, draw: _Draw) -> Tensor:
    """Noise of the pixels, blotches of colour, and the comb of an interlaced image."""
    height, width = x.shape[2:]
    x = torch.addcmul(x, draw.normal(tuple(x.shape)), draw.uniform(0, 0.045) * draw.strength)
    blotched = torch.nonzero(draw.chosen(CHROMA_P)).flatten()
    small = draw.normal((len(blotched), 3, height // 4, width // 4)) * draw.uniform(0, 0.07)[blotched] * draw.strength
    x.index_add_(0, blotched, F.interpolate(small, (height, width), mode="bilinear"))
    offset = round(draw.number(1, max(1.0, width / 32)))

    def combed(some: Tensor) -> Tensor:
        some[:, :, 1::2] = some[:, :, 1::2].roll(offset, dims=3)
        return some

    return _changed(x, draw.chosen(INTERLACE_P), change=combed)


def _compression(x: Tensor, draw: _Draw) -> Tensor:
    """Sharpening with its rings, then the loss of JPEG: quantised cosines of blocks, without entropy coding."""
    kernel = _gaussian(1.0, x)
    x = _changed(
        x, draw.chosen(RINGING_P), change=lambda some: some + (some - _separable(some, kernel)) * draw.number(0.4, 1.6)
    )
    step = draw.uniform(0.01, 0.09)
    chosen = draw.chosen(JPEG_P)
    return _changed(x.clamp_(0, 1), chosen, change=lambda some: _quantised(some, step[chosen]))


def _changed(x: Tensor, chosen: Tensor, *, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Replace the chosen images ``(B,)`` by what a function makes of them; most changes concern a few of a batch."""
    rows = torch.nonzero(chosen).flatten()
    return x.index_copy_(0, rows, change(x[rows])) if len(rows) else x


def _quantised(x: Tensor, step: Tensor) -> Tensor:
    """Return images after quantising the cosines of their 8x8 blocks; higher frequencies by coarser steps."""
    count, channels, height, width = x.shape
    size = JPEG_BLOCK
    padded = F.pad(x, (0, -width % size, 0, -height % size), mode="replicate")
    down, across = padded.shape[2] // size, padded.shape[3] // size
    blocks = padded.reshape(count, channels, down, size, across, size).permute(0, 1, 2, 4, 3, 5)
    n = torch.arange(size, dtype=x.dtype, device=x.device)
    basis = torch.cos(math.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * size)) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    both = torch.kron(basis, basis)  # rows: the cosines of a whole block as one vector
    coarse = 1 + 0.5 * (n[:, None] + n[None, :])
    steps = step.view(count, 1, 1) * coarse.flatten()
    cosines = blocks.reshape(count, -1, size * size) @ both.T
    back = cosines.div_(steps).round_().mul_(steps) @ both
    return back.view(blocks.shape).permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)[:, :, :height, :width]


def _gaussian(sigma: float, like: Tensor) -> Tensor:
    radius = max(1, round(2 * sigma))
    n = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-(n**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def _separable(x: Tensor, kernel: Tensor) -> Tensor:
    channels, radius = x.shape[1], len(kernel) // 2
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
