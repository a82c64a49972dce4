"""A shard: embeddings of some crops in one Parquet file, which names its model, its plan and a hash of what it holds.

Columns: ``row`` (number of the crop in its source), ``key``, ``path``, ``sha256`` of the image file, the labels of the
crop, ``extra`` (JSON), ``vectors`` (E * D float32) and ``visibility`` (E float32). The metadata of the file has, under
``unveil``, a JSON object with the rest, and under ``unveil-files`` a hash by which changed image files are known.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unveil.atomic_io import atomic_path
from unveil.bulk.plan import Plan
from unveil.errors import DataError, MissingExtraError
from unveil.models.embeddings import EmbeddedCrops, check_numbers, row_of, sample_of
from unveil.records import LABEL_COLUMNS, Embedding, Metric, Sample

FORMAT = 1
_NAME = re.compile(r"part-(\d{5,})-of-(\d{5,})\.parquet")
_HEAD = b"unveil"
_FILES = b"unveil-files"  # apart from the head, so that what reads shards without it still does
_MAGIC = b"PAR1"
_AGAIN = "delete it and run `unveil embed` again, which makes the missing shards"


class DamagedShardError(DataError):
    """A shard is cut or damaged: made again, it replaces nothing of worth."""


class _OtherFileError(ValueError):
    """A whole Parquet file that is not the shard which its name tells."""


@dataclass(frozen=True)
class Head:
    """What a shard says of itself, without its rows.

    Args:
        plan: of the folder.
        number: of the shard, from 0.
        rows: how many crops it holds.
        dimension: D, numbers of each vector.
        names: names of the E vectors.
        metric: per-vector distance.
        weights: E constants.
        engine: what ran the model.
        left_out: a sentence for each crop that could not be read.
    """

    plan: Plan
    number: int
    rows: int
    dimension: int
    names: tuple[str, ...]
    metric: Metric
    weights: tuple[float, ...]
    engine: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shard:
    """N crops of a plan with their embedding.

    Args:
        head: what the shard says of itself.
        rows: ``(N,)`` int64, numbers of the crops in their source.
        samples: the crops.
        digests: SHA-256 of their image files as they were embedded, 64 hex digits.
        embedding: of the crops, numpy.
        files: what `unveil.bulk.resume.files_hash` told of its files before they were read; empty where an older unveil
            wrote it.
    """

    head: Head
    rows: np.ndarray
    samples: tuple[Sample, ...]
    digests: tuple[str, ...]
    embedding: Embedding = field(repr=False)
    files: str = ""

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {sample.key: row for row, sample in enumerate(self.samples)}

    def digest_of(self, sample: Sample) -> str:
        """Return the SHA-256 of the file of one of its crops."""
        return self.digests[self._row_of[sample.key]]

    def embedding_of(self, samples: Sequence[Sample]) -> Embedding:
        """Return the embedding of some of its crops, in their order."""
        return self.embedding.select([self._row_of[sample.key] for sample in samples])


def require_parquet() -> None:
    """Raise MissingExtraError where Parquet files cannot be read or written."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("a folder of shards (Parquet)", "ray")


def shard_path(folder: Path, plan: Plan, *, number: int) -> Path:
    """Return where a shard of a plan is."""
    return folder / f"part-{number:05d}-of-{plan.shards:05d}.parquet"


def shard_files(folder: Path) -> list[Path]:
    """Return the shards in a folder, in order; none where it is no folder of shards."""
    return sorted(path for path in folder.glob("part-*.parquet") if _NAME.fullmatch(path.name))


def write_shard(folder: Path, shard: Shard) -> None:
    """Write a shard atomically.

    Raises:
        UnveilError: it cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    _, parts, dimension = shard.embedding.vectors.shape
    described = [row_of(sample) for sample in shard.samples]
    for row in described:
        row["time"] = None if row["time"] is None else float(row["time"])
    columns: dict[str, Any] = {
        "row": pyarrow.array(shard.rows, pyarrow.int64()), "sha256": pyarrow.array(shard.digests, pyarrow.string())
    }  # fmt: skip
    for name in ("key", "path", *LABEL_COLUMNS, "split"):
        columns[name] = pyarrow.array([row[name] for row in described], pyarrow.string())
    columns["time"] = pyarrow.array([row["time"] for row in described], pyarrow.float64())
    columns["extra"] = pyarrow.array([json.dumps(row["extra"]) for row in described], pyarrow.string())
    for name, width in (("vectors", parts * dimension), ("visibility", parts)):
        flat = np.ascontiguousarray(getattr(shard.embedding, name), np.float32).reshape(-1)
        columns[name] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(flat), width)
    head = _described(shard.head) | {"sha256": _digest(shard, described)}
    table = pyarrow.table(columns).replace_schema_metadata({_HEAD: json.dumps(head), _FILES: shard.files})
    with atomic_path(shard_path(folder, shard.head.plan, number=shard.head.number)) as temporary:
        parquet.write_table(table, temporary)


def read_head(path: Path) -> Head:
    """Read what a shard says of itself; its rows are not looked at.

    Raises:
        DamagedShardError: it is cut or damaged.
        DataError: it is something else, of a newer unveil, or cannot be read.
        MissingExtraError: Parquet cannot be read here.
    """
    require_parquet()
    import pyarrow
    from pyarrow import parquet

    try:
        found = parquet.read_metadata(path)
        return _head(path, found.metadata or {}, rows=found.num_rows)[0]
    except (pyarrow.ArrowException, OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise _damaged(path, e) from None


def read_shard(path: Path) -> Shard:
    """Read a shard and check it.

    Raises:
        DamagedShardError: it is cut or damaged.
        DataError: it is something else, of a newer unveil, cannot be read, or its numbers are no embedding.
        MissingExtraError: Parquet cannot be read here.
    """
    require_parquet()
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
        metadata = table.schema.metadata or {}
        head, digest = _head(path, metadata, rows=table.num_rows)
        files = metadata.get(_FILES, b"").decode()
        described = table.drop_columns(["row", "sha256", "vectors", "visibility"]).to_pylist()
        described = [row | {"extra": json.loads(row["extra"])} for row in described]
        vectors, visibility = (_numbers(table, name) for name in ("vectors", "visibility"))
        shape = (len(vectors), len(head.names), head.dimension)
        embedding = Embedding(vectors.reshape(shape), visibility, head.names, head.metric, head.weights)
        samples = tuple(sample_of(dict(row)) for row in described)
        shard = Shard(head, table["row"].to_numpy(), samples, tuple(table["sha256"].to_pylist()), embedding, files)
        if _digest(shard, described) != digest:
            raise ValueError("it does not have the hash that it names")
    except (pyarrow.ArrowException, OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise _damaged(path, e) from None
    check_numbers(path, embedding)
    return shard


def check_folder(folder: Path) -> list[Head]:
    """Return the heads of all shards of a folder, in order.

    Raises:
        DataError: there are none, some are missing or damaged, or they are of several plans.
        MissingExtraError: Parquet cannot be read here.
    """
    heads = [read_head(path) for path in shard_files(folder)]
    if not heads:
        raise DataError(f"{folder} holds no shards of embeddings: `unveil embed --ray` makes them")
    plan = heads[0].plan
    if any(head.plan != plan for head in heads):
        raise DataError(f"{folder} holds shards of different crops or models: each needs a folder of its own")
    missing = sorted(set(range(plan.shards)) - {head.number for head in heads})
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {plan.shards} shards are missing, the first is "
            f"{shard_path(folder, plan, number=missing[0]).name}: run `unveil embed` again, which makes them"
        )
    return heads


def load_shards(folder: Path) -> EmbeddedCrops:
    """Read a whole folder of shards into memory, the crops in the order of their source.

    Raises:
        DataError: it is not whole, or a shard is damaged.
        MissingExtraError: Parquet cannot be read here.
    """
    plan = check_folder(folder)[0].plan
    shards = [shard for shard in map(read_shard, shard_files(folder)) if shard.samples]
    if not shards:
        raise DataError(f"{folder} holds no crop: none could be read")
    order = np.argsort(np.concatenate([shard.rows for shard in shards]))
    samples = [sample for shard in shards for sample in shard.samples]
    embedding = Embedding.concatenate([shard.embedding for shard in shards]).select(order)
    return EmbeddedCrops(
        embedding, tuple(samples[row] for row in order), plan.fingerprint, plan.source, plan.model, plan.licence
    )


def _described(head: Head) -> dict[str, Any]:
    return (
        {"format": FORMAT}
        | {name: value for name, value in vars(head).items() if name != "plan"}
        | {"plan": head.plan.to_dict()}
    )


def _head(path: Path, metadata: dict[bytes, bytes], *, rows: int) -> tuple[Head, str]:
    """Return the head in the metadata of a file, and the hash that it names."""
    if _HEAD not in metadata:
        raise _OtherFileError("a Parquet file of something else")
    told = json.loads(metadata[_HEAD])
    if told["format"] > FORMAT:
        raise DataError(f"{path}: written in format {told['format']} by a newer unveil; this one reads {FORMAT}")
    head = Head(
        Plan(**told["plan"]), told["number"], told["rows"], told["dimension"], tuple(told["names"]),
        told["metric"], tuple(told["weights"]), told["engine"], tuple(told["left_out"]),
    )  # fmt: skip
    if rows != head.rows:
        raise ValueError(f"{rows} rows, {head.rows} were written")
    written = shard_path(path.parent, head.plan, number=head.number).name
    if path.name != written:
        raise _OtherFileError(f"it was written as {written}")
    return head, told["sha256"]


def _numbers(table: Any, name: str) -> np.ndarray:
    """Return a column of lists of numbers as ``(N, width)`` float32."""
    column = table[name].combine_chunks()
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32)
    return flat.reshape(table.num_rows, column.type.list_size)


def _digest(shard: Shard, described: list[dict[str, Any]]) -> str:
    """Return the SHA-256 of everything that a shard says and holds; its crops as they are described in the file."""
    told = [_described(shard.head), shard.rows.tolist(), shard.digests, described]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for array in (shard.embedding.vectors, shard.embedding.visibility):
        digest.update(np.ascontiguousarray(array, np.float32).data)
    return digest.hexdigest()


def _damaged(path: Path, error: Exception) -> DataError:
    said = " ".join(str(error).split())[:200]
    # What Parquet cannot decode has no number; what the system cannot read may be there whole.
    unread = isinstance(error, OSError) and error.errno is not None
    kind = DataError if unread or isinstance(error, _OtherFileError) or not _begins_well(path) else DamagedShardError
    return kind(f"{path} is no shard of embeddings, or is damaged ({said}): {_AGAIN}")


def _begins_well(path: Path) -> bool:
    """Return whether a file begins as Parquet does, or is empty."""
    try:
        with path.open("rb") as f:
            return f.read(len(_MAGIC)) in (b"", _MAGIC)
    except OSError:
        return False
