"""Does the package's parser help a model of others? Crops as they are, and with other people and occluders blanked.

    python benchmarks/parser_blanking.py MODEL [MODEL ...] --data NAME:ROOT [--queries OCCLUDED_COPY] [--people 150]

Whatever the parser does not take for the person becomes grey: on the queries alone, or on the gallery too. A band
around the person is kept, because the parser's borders are coarse. Prints Rank-1 and mAP and writes
``benchmarks/results/parser_blanking.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from csv_rows import measured_on, write_rows
from unveil.data.fitting import CropSize, fit_image
from unveil.data.images import read_image, read_sample
from unveil.datasets.splits import hash_of
from unveil.evaluation.evaluate import evaluate, evaluation_samples
from unveil.evaluation.protocols import select
from unveil.evaluation.splits import mean_of_splits
from unveil.inference.load import load_embedder
from unveil.models.embed import embed_images
from unveil.models.embedder import Embedder
from unveil.models.evaluate import test_set
from unveil.parsing.default import default_parser
from unveil.recipe import DataSource
from unveil.records import Dataset, Embedding, Protocol, Sample

RESULTS = Path(__file__).parent / "results" / "parser_blanking.csv"
GREY = 120
KEY = ("data", "people", "queries", "protocol", "model", "blanked", "band", "parser")  # of a row
BANDS = (0.0, 0.1)  # of the height of a crop
CHUNK = 64


def main() -> None:
    """Measure every model on the dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="models, by path or name")
    parser.add_argument("--data", required=True, metavar="NAME:ROOT", help="dataset; ?splits=10 gives the mean of ten")
    parser.add_argument("--queries", type=Path, help="occluded copy of the dataset, whose queries are taken")
    parser.add_argument("--protocol", help="by name; the first of the dataset by default")
    parser.add_argument("--people", type=int, help="take the first so many people of the test alone")
    parser.add_argument("--label", help="what the rows are called in the table; the dataset by default")
    args = parser.parse_args()
    splits, (protocol, *_) = test_set(DataSource.of(args.data), [args.protocol] if args.protocol else ())
    taking_part = {s.key: s for split in splits for s in chosen(split, protocol, args.people)[0]}
    asked = {s.key for split in splits for s in chosen(split, protocol, args.people)[1]}
    samples = tuple(taking_part.values())
    is_query = np.array([sample.key in asked for sample in samples])
    images = [read_image(moved(s.path, args)) if args.queries and s.key in asked else read_sample(s) for s in samples]
    tool = default_parser(1)
    parsed: dict[CropSize, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    label = args.label or DataSource.of(args.data).name
    rows: list[dict[str, object]] = []
    for name in args.models:
        model = load_embedder(name)
        if model.crop_size not in parsed:
            fitted = [fit_image(image, model.crop_size) for image in images]
            parsed[model.crop_size] = fitted, [labels > 0 for labels in in_chunks(tool, fitted)]
        for blanked, band, embedding in ways(model, *parsed[model.crop_size], is_query):
            row_of = {sample.key: n for n, sample in enumerate(samples)}
            results = []
            for split in splits:
                some, _ = chosen(split, protocol, args.people)
                results.append(
                    evaluate(embedding.select([row_of[s.key] for s in some]), some, protocol=protocol, dataset=split)
                )
            found = mean_of_splits(results, hash_of(splits))
            rows.append(
                {
                    "data": label, "people": args.people or "all",
                    "queries": "occluded" if args.queries else "as they are",
                    "protocol": f"{protocol.name}#{protocol.hash}", "model": model.summary.name,
                    "blanked": blanked, "band": band, "rank1": f"{100 * found.cmc[1]:.1f}",
                    "mAP": f"{100 * found.mean_ap:.1f}", "parser": tool.fingerprint, **measured_on(),
                }
            )  # fmt: skip
            print(*rows[-1].values(), flush=True)
    write_rows(RESULTS, rows, key=KEY)


def chosen(split: Dataset, protocol: Protocol, people: int | None) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Return the crops that take part in a protocol, and the queries among them, of the first so many people."""
    samples = evaluation_samples(split)
    wanted = set(sorted({s.person for s in samples if s.person is not None})[:people])
    samples = tuple(sample for sample in samples if sample.person in wanted)
    query, gallery = select(samples, protocol)
    part = sorted({*query.tolist(), *gallery.tolist()})
    return tuple(samples[n] for n in part), tuple(samples[n] for n in query)


def moved(path: Path | None, args: argparse.Namespace) -> Path:
    """Return where the occluded copy has the crop of this path."""
    root = DataSource.of(args.data).root
    assert path is not None and root is not None
    return args.queries / path.relative_to(root if root.is_dir() else root.parent)


def ways(
    model: Embedder, fitted: list[np.ndarray], persons: list[np.ndarray], is_query: np.ndarray
) -> Iterator[tuple[str, float, Embedding]]:
    """Yield what was blanked, the band that was kept as a share of the height, and the embedding of all crops."""
    plain = embed_images(model, fitted)
    yield "nothing", 0.0, plain
    for band in BANDS:
        blanked = embed_images(model, [blank(*pair, band) for pair in zip(fitted, persons, strict=True)])
        yield "queries", band, merge(plain, blanked, is_query)
        yield "all", band, blanked


def in_chunks(tool: Callable[[list[np.ndarray]], list[np.ndarray]], images: list[np.ndarray]) -> list[np.ndarray]:
    """Return the parser's label maps of crops, a few at a time."""
    return [labels for start in range(0, len(images), CHUNK) for labels in tool(images[start : start + CHUNK])]


def blank(image: np.ndarray, person: np.ndarray, band: float) -> np.ndarray:
    """Return a crop in which only the person and a band around it are left; as it is where nobody is seen."""
    if not person.any():
        return image
    kept = person.astype(np.uint8)
    if reach := round(band * len(image)):
        kept = cv2.dilate(kept, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return np.where(kept[..., None] > 0, image, np.uint8(GREY))


def merge(gallery: Embedding, query: Embedding, is_query: np.ndarray) -> Embedding:
    """Return rows of ``query`` where a crop is a query, of ``gallery`` elsewhere."""
    vectors = np.where(is_query[:, None, None], query.vectors, gallery.vectors)
    visibility = np.where(is_query[:, None], query.visibility, gallery.visibility)
    return Embedding(vectors, visibility, gallery.names, gallery.metric, gallery.weights)


if __name__ == "__main__":
    main()
