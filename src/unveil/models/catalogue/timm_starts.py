"""Where timm's pretrained weights are: a release whose name carries its digest, or a repository of Hugging Face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unveil.errors import MissingExtraError, OfflineError, RecipeError, nearest
from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.download import by_hand, is_offline
from unveil.models.catalogue.starts import PublishedStart
from unveil.nn.backbones.torchvision_guard import guard_torchvision

HUB = "https://huggingface.co"
HUB_FILE = "model.safetensors"


@dataclass(frozen=True)
class HubStart(PublishedStart):
    """A file of a repository of Hugging Face, which its own client fetches and keeps."""

    repository: str = ""
    remote_file: str = HUB_FILE


def timm_start(name: str) -> PublishedStart:
    """Return the default pretrained weights of a model of timm.

    Raises:
        MissingExtraError: timm is not installed.
        RecipeError: timm has no such model, or no weights for it that can be checked.
    """
    guard_torchvision()
    try:
        import timm
    except ImportError:
        raise MissingExtraError(f"backbone timm/{name}", "timm") from None
    if not timm.is_model(name):
        raise RecipeError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    known = timm.get_pretrained_cfg(name)
    licence = (known.license if known else None) or "unstated"
    if known and isinstance(known.url, str) and known.url:
        file = known.url.rpartition("/")[2]
        try:
            return PublishedStart(file, known.url, licence, Digest.in_name(file))
        except ValueError:
            pass  # without a digest in its name, what comes could not be checked
    if known and known.hf_hub_id:
        repository, remote = known.hf_hub_id, known.hf_hub_filename or HUB_FILE
        file = f"{repository.rpartition('/')[2]}{Path(remote).suffix}"
        return HubStart(
            file, f"{HUB}/{repository}/resolve/main/{remote}", licence, repository=repository, remote_file=remote
        )
    raise RecipeError(f"timm has no pretrained weights for timm/{name}: choose backbone.init=random, or a file")


def fetch_from_hub(start: HubStart, target: Path) -> Path:
    """Return the file in the cache of Hugging Face's client, which fetches it where it may.

    Args:
        start: what to fetch.
        target: where the message says to put it when it cannot be fetched.

    Raises:
        MissingExtraError: the client is not installed (it comes with timm).
        OfflineError: it is not there and there is no network.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    except ImportError:
        raise MissingExtraError(f"fetching {start.address}", "timm") from None
    try:
        return Path(hf_hub_download(start.repository, start.remote_file, local_files_only=is_offline()))
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        hint = by_hand(start.address, target, licence=start.licence)
        raise OfflineError(f"{start.repository} cannot be fetched ({reason}): {hint}") from None
