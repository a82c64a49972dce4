"""The five records that every package speaks: Sample, Dataset, Batch, Embedding, Protocol.

Labels (person, camera, clothes, tracklet) are strings exactly as the source wrote them; what a source does not
know is ``None``, never a made-up value. Integer codes exist only inside a Batch.
"""

from __future__ import annotations

from unveil.records.batch import UNLABELLED, Batch
from unveil.records.dataset import Dataset
from unveil.records.embedding import Embedding, Metric
from unveil.records.protocol import Protocol, Relation, Where
from unveil.records.sample import LABEL_COLUMNS, SPLITS, Sample, Split

__all__ = [
    "LABEL_COLUMNS", "SPLITS", "UNLABELLED", "Batch", "Dataset", "Embedding", "Metric", "Protocol", "Relation",
    "Sample", "Split", "Where",
]  # fmt: skip
