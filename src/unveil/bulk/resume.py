"""Which shards of a plan a folder has already, so that a run that was stopped makes only the others."""

from __future__ import annotations

import logging
from pathlib import Path

from unveil.bulk.plan import Plan
from unveil.bulk.shards import DamagedShardError, read_head, read_shard, shard_files, shard_path
from unveil.errors import DataError

log = logging.getLogger(__name__)


def shards_there(folder: Path, plan: Plan) -> set[int]:
    """Return the numbers of the shards of a plan that are there; one that is damaged is said, and counts as missing.

    Raises:
        DataError: shards of another plan or other files are there under the names of shards; they are left alone.
    """
    there = set()
    own = {shard_path(folder, plan, number=number) for number in range(plan.shards)}
    for path in shard_files(folder):
        whole = True
        try:
            head = read_shard(path).head
        except DamagedShardError as e:
            if path not in own:
                raise
            log.warning("%s; it is made again", str(e).partition(": delete it")[0])
            try:
                head, whole = read_head(path), False  # its rows are damaged: it may be of another plan
            except DamagedShardError:
                continue
        if head.plan.fingerprint != plan.fingerprint:
            raise DataError(
                f"{folder} holds shards of model {head.plan.model} ({head.plan.fingerprint}), not of {plan.model} "
                f"({plan.fingerprint}): name another folder with --out"
            )
        if head.plan != plan:
            raise DataError(
                f"{folder} holds shards of other crops, or of shards of another size ({head.plan.crops} crops in "
                f"{head.plan.shards} shards, not {plan.crops} in {plan.shards}): name another folder with --out"
            )
        if whole:
            there.add(head.number)
    return there
