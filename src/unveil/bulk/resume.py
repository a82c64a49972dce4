"""Which shards of a plan a folder has already, so that a run that was stopped makes only the others."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from unveil.bulk.plan import Plan
from unveil.bulk.shards import DamagedShardError, Shard, read_head, read_shard, shard_files, shard_path
from unveil.data.store.build import BadFile, read_crop
from unveil.data.store.image_store import file_states, where_of
from unveil.errors import DataError
from unveil.records import Sample

log = logging.getLogger(__name__)


def files_hash(samples: Sequence[Sample], *, with_maps: bool) -> str:
    """Return a hash of size and time of change of the files of crops, and of their maps where these are asked for."""
    told = [[where_of(sample) for sample in samples], file_states(samples, with_parsing=with_maps)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def shards_there(folder: Path, plan: Plan, *, crops: Sequence[Sequence[Sample]], with_maps: bool) -> set[int]:
    """Return the numbers of the shards of a plan that are there and can stay.

    One that is damaged, whose files have changed since it was made, or that leaves out a crop which can be read by
    now, is said, and counts as missing.

    Args:
        folder: of the shards.
        plan: what it holds when it is whole.
        crops: those of each shard.
        with_maps: whether the model looks at their parsing maps.

    Raises:
        DataError: shards of another plan or other files are there under the names of shards; they are left alone.
    """
    there = set()
    own = {shard_path(folder, plan, number=number) for number in range(plan.shards)}
    for path in shard_files(folder):
        shard = None
        try:
            shard = read_shard(path)
            head = shard.head
        except DamagedShardError as e:
            if path not in own:
                raise
            log.warning("%s; it is made again", str(e).partition(": delete it")[0])
            try:
                head = read_head(path)  # its rows are damaged: it may be of another plan
            except DamagedShardError:
                continue
        if head.plan.fingerprint != plan.fingerprint:
            raise DataError(
                f"{folder} holds shards of model {head.plan.model} ({head.plan.fingerprint}), not of {plan.model} "
                f"({plan.fingerprint}): name another folder with --out"
            )
        if head.plan != plan or path not in own:
            raise DataError(
                f"{folder} holds shards of other crops, or of shards of another size ({head.plan.crops} crops in "
                f"{head.plan.shards} shards, not {plan.crops} in {plan.shards}): name another folder with --out"
            )
        if shard is None:
            continue
        why = _why_again(shard, crops[head.number], with_maps=with_maps)
        if why:
            log.warning("%s: %s; it is made again", path, why)
        else:
            there.add(head.number)
    return there


def _why_again(shard: Shard, crops: Sequence[Sample], *, with_maps: bool) -> str:
    """Return why a shard has to be made again from its crops; empty where it can stay."""
    if not shard.files:
        return "an older unveil did not note when its images changed"
    if shard.files != files_hash(crops, with_maps=with_maps):
        return "its images have changed"
    held = {sample.key for sample in shard.samples}
    for crop in crops:
        # What kept it back may have been a disk, a share or a limit of the system, which its file does not show.
        if crop.key not in held and not isinstance(read_crop(crop, with_parsing=with_maps), BadFile):
            return f"{crop.key} could not be read then, and can be now"
    return ""
