"""What embeds and writes a shard: it loads the model once, and knows nothing of who calls it."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unveil.bulk.plan import Plan
from unveil.bulk.resume import files_hash
from unveil.bulk.shards import Head, Shard, write_shard
from unveil.data.store.build import BadFile, read_crop
from unveil.errors import CheckpointError, DataError, UnveilError
from unveil.inference.engine import Engine
from unveil.inference.load import load_embedder
from unveil.models.embed import embed_samples
from unveil.models.embedder import Embedder
from unveil.records import Embedding, Sample

Unit = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What all shards of a folder have in common.

    Args:
        plan: of the folder.
        folder: where shards are written.
        model: path or name of the model.
        engine: what runs it; see `unveil.inference.load.load_embedder`.
        device: of PyTorch.
        threads: threads of one inference.
        scheme: label set of the crops' parsing maps; ``None`` where the model looks at none.
    """

    plan: Plan
    folder: Path
    model: str
    engine: str
    device: str
    threads: int
    scheme: str | None


def packed(samples: Sequence[Sample], rows: Sequence[int], *, number: int) -> Unit:
    """Return a shard to be made as a row that can be sent to a `ShardEmbedder`.

    Args:
        samples: all crops of the plan.
        rows: those of the shard.
        number: of the shard.
    """
    content = pickle.dumps((list(rows), [_absolute(samples[row]) for row in rows]))
    return {"number": number, "content": zlib.compress(content, 1)}  # paths are alike: a tenth of the bytes


class ShardEmbedder:
    """Embeds and writes a shard each time that it is called. What was written before is written again, the same.

    Args:
        job: what all shards have in common.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._embedder: Embedder | None = None

    def __call__(self, unit: Unit) -> Unit:
        """Return what came of a unit that `packed` made.

        A mistake of the input comes back as the text ``error``: raised, it would be retried in vain.
        """
        try:
            shard = self._shard(unit["number"], pickle.loads(zlib.decompress(unit["content"])))
            write_shard(self.job.folder, shard)
        except UnveilError as e:
            return {"number": unit["number"], "crops": 0, "error": str(e)}
        return {"number": unit["number"], "crops": len(shard.samples), "error": ""}

    def _shard(self, number: int, content: tuple[list[int], list[Sample]]) -> Shard:
        rows, samples = content
        model = self._model()
        # Before they are read: a later change is then noticed.
        files = files_hash(samples, with_maps=self.job.scheme is not None)
        digests = {sample.key: _sha256(sample) for sample in samples}
        embedding, kept, left_out = self._embedded(model, samples)
        head = Head(
            self.job.plan,
            number,
            rows=len(kept),
            dimension=embedding.vectors.shape[2],
            names=embedding.names,
            metric=embedding.metric,
            weights=embedding.weights,
            engine=model.kind if isinstance(model, Engine) else "torch",
            left_out=left_out,
        )
        row_of = {sample.key: row for sample, row in zip(samples, rows, strict=True)}
        numbers = np.array([row_of[sample.key] for sample in kept], np.int64)
        return Shard(head, numbers, kept, tuple(digests[sample.key] for sample in kept), embedding, files)

    def _model(self) -> Embedder:
        if self._embedder is None:
            job = self.job
            model = load_embedder(
                job.model, job.engine, device=job.device, threads=job.threads, crops=job.plan.crops
            )  # fmt: skip
            if model.summary.fingerprint != job.plan.fingerprint:
                raise CheckpointError(
                    f"{job.model} is model {model.summary.fingerprint} on a machine where a worker runs, and "
                    f"{job.plan.fingerprint} where the command was given: the same file must be seen by both"
                )
            self._embedder = model
        return self._embedder

    def _embedded(
        self, model: Embedder, samples: list[Sample]
    ) -> tuple[Embedding, tuple[Sample, ...], tuple[str, ...]]:
        # Decoded crops are of no use once they are embedded: a shard is embedded once.
        with tempfile.TemporaryDirectory(prefix="unveil-") as cache:
            try:
                embedding, store = embed_samples(model, samples, cache=Path(cache), scheme=self.job.scheme)
            except DataError:
                read = [read_crop(sample, with_parsing=False) for sample in samples]
                bad = tuple(str(crop) for crop in read if isinstance(crop, BadFile))
                if len(bad) < len(samples):
                    raise
                return _nothing(model), (), bad
            return embedding, store.samples, tuple(map(str, store.bad))


def _absolute(sample: Sample) -> Sample:
    """Return a crop whose paths mean the same wherever an actor was started."""
    path, parsing = (found and found.absolute() for found in (sample.path, sample.parsing))
    return replace(sample, path=path, parsing=parsing)


def _nothing(model: Embedder) -> Embedding:
    size = model.crop_size
    return model.embed_crops(np.zeros((1, size.height, size.width, 3), np.uint8)).select(slice(0, 0))


def _sha256(sample: Sample) -> str:
    """Return the SHA-256 of an image file; empty where it cannot be read."""
    try:
        data = sample.data if sample.path is None else sample.path.read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(data or b"").hexdigest()
