"""Tracklets of rendered people as probable people: pairwise precision and recall, purity, groups for each person.

    python benchmarks/grouping.py [--data "world:default?seed=1"] [--people 100] [--out benchmarks/results/grouping.csv]

Of the people of the test split, the first half (at most --people) is a gallery that is calibrated on its labels,
the second half another one that is grouped with that calibration: nobody in it was calibrated on. Both are made as
`unveil gallery add` makes them, in a store of their own that is removed afterwards, and grouped as the command
`unveil gallery group` groups, at the thresholds of several rates of false alarms, with what two confirmed
results per person add, and by complete linkage beside average linkage. Labels of people are looked at only to calibrate
the first gallery and to give feedback.

Pairs: of tracklets. Precision: share of the pairs in one group that are of one person; recall: share of the pairs of
one person (in one outfit: of one person in the same clothes) that are in one group. Purity: share of tracklets that
belong to the person whom their group shows most.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.evaluation.distances import distance_matrix
from unveil.gallery.calibrate import calibrate_gallery
from unveil.gallery.grouping.group import group_gallery
from unveil.gallery.ingest.adding import open_gallery
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.records import Filter, Item, Mode
from unveil.gallery.scoring.ranking import in_mode
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import Store, all_items
from unveil.inference.load import load_engine
from unveil.models.evaluate import test_set
from unveil.pretrained import DEFAULT_MODEL
from unveil.recipe import DataSource
from unveil.records import Sample

RESULTS = Path(__file__).parent / "results" / "grouping.csv"
BEGIN = 1.7e9  # the world counts seconds from its first morning
RATES = (0.01, 0.05, 0.2)
CONFIRMED = 2  # results per person, of a search with one of their tracklets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="world:default?seed=1")
    parser.add_argument("--people", type=int, default=100, help="at most so many in each half")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV to write")
    args = parser.parse_args()
    (dataset, *_), _ = test_set(DataSource.model_validate(args.data), ())
    samples = [s for s in dataset.samples if s.split in ("query", "gallery")]
    people = sorted({str(s.person) for s in samples})[: 2 * args.people]
    halves = (set(people[: len(people) // 2]), set(people[len(people) // 2 :]))
    rows = []
    with tempfile.TemporaryDirectory(prefix="unveil-") as folder:
        store = open_store(folder=Path(folder))
        try:
            for name, half in zip(("known", "new"), halves, strict=True):
                fill(store, name, [s for s in samples if s.person in half])
            items = list(all_items(store, "new", where=Filter(rows="tracklet")))
            for mode in ("same", "changed"):
                for rate in RATES:
                    rows.append(grouped(store, items, mode, rate, feedback=False))
                    rows.append(completely(store, items, rows[-1]))
            give_feedback(store, items)
            rows.append(grouped(store, items, "same", 0.05, feedback=True))
        finally:
            store.close()
    write_rows(args.out, rows)


def fill(store: Store, name: str, samples: Sequence[Sample]) -> None:
    """Add crops to a new gallery, each tagged with the outfit."""
    engine, sees = load_engine(DEFAULT_MODEL), find_parser()
    open_gallery(store, name, engine=engine)
    tagged = [replace(s, extra={**s.extra, "tags": str(s.clothes)}) for s in samples]
    added = add_images(
        store, name, engine=engine, samples=tagged, settings=ImageSettings(start_time=BEGIN), parser=sees
    )
    print(name, added, flush=True)


def grouped(store: Store, items: Sequence[Item], mode: Mode, rate: float, *, feedback: bool) -> dict[str, object]:
    """Group the people who are new by the calibration of those who are known."""
    calibrate_gallery(store, "known", modes=(mode,), false_alarms=rate)
    store.set_calibration("new", store.info("known").calibration)
    start = time.process_time()
    done = group_gallery(store, "new", mode=mode)
    seconds = time.process_time() - start
    people = store.groups.people("new", 1_000)
    assert len(people) == done.people or done.people > 1_000
    offset, label = 1_000, {}
    while len(people) < done.people:
        people += store.groups.people("new", 1_000, offset=offset)
        offset += 1_000
    for one in people:
        label |= {row.item: one.number for row in store.groups.person("new", one.number)[1]}
    return figures(items, [label[item.id or 0] for item in items],
                   {"linkage": "average", "mode": mode, "false_alarms": rate, "feedback": feedback,
                    "threshold": f"{done.grouping.threshold:.4f}"}, seconds)  # fmt: skip


def completely(store: Store, items: Sequence[Item], beside: dict[str, object]) -> dict[str, object]:
    """Group by complete linkage at the same threshold, by SciPy and without anything that is known of pairs."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    mode: Mode = beside["mode"]  # type: ignore[assignment]
    _, embedding = store.embeddings("new", [item.id or 0 for item in items])
    start = time.process_time()
    between = distance_matrix(in_mode(embedding, mode), in_mode(embedding, mode))
    between = (between + between.T) / 2
    np.fill_diagonal(between, 0)
    tree = linkage(squareform(between, checks=False), "complete")
    labels = fcluster(tree, float(str(beside["threshold"])), "distance").tolist()
    how = {key: beside[key] for key in ("mode", "false_alarms", "feedback", "threshold")}
    return figures(items, labels, {"linkage": "complete", **how}, time.process_time() - start)


def give_feedback(store: Store, items: Sequence[Item]) -> None:
    """Say of each person that two tracklets in different clothes are one, as somebody would who knows them."""
    by_person: dict[str, dict[str, int]] = defaultdict(dict)
    for item in items:
        by_person[str(item.person)].setdefault(item.tags[0], item.id or 0)
    for person, outfits in by_person.items():
        for row in list(outfits.values())[:CONFIRMED]:
            store.feedback.give("new", f"{person:0>16}", item=row, same=True, who="benchmark")


def figures(items: Sequence[Item], labels: Sequence[int], how: dict[str, object], seconds: float) -> dict[str, object]:
    """Compare groups with the people and their outfits."""
    groups = np.unique(labels, return_inverse=True)[1]
    person = np.unique([str(item.person) for item in items], return_inverse=True)[1]
    outfit = np.unique([item.tags[0] for item in items], return_inverse=True)[1]
    upper = np.triu_indices(len(items), 1)
    together = (groups[:, None] == groups)[upper]
    same, clothes = ((truth[:, None] == truth)[upper] for truth in (person, outfit))
    main = sum(Counter(person[groups == g].tolist()).most_common(1)[0][1] for g in range(int(groups.max()) + 1))
    spread = [len(set(groups[person == p].tolist())) for p in range(int(person.max()) + 1)]
    row = {
        **how, "tracklets": len(items), "people": len(spread), "groups": int(groups.max()) + 1,
        "precision": f"{(together & same).sum() / max(together.sum(), 1):.3f}",
        "recall": f"{(together & same).sum() / same.sum():.3f}",
        "recall_in_one_outfit": f"{(together & clothes).sum() / clothes.sum():.3f}",
        "purity": f"{main / len(items):.3f}", "groups_per_person": f"{np.mean(spread):.2f}",
        "largest_group": int(np.bincount(groups).max()), "cpu_seconds": f"{seconds:.1f}", **measured_on(),
    }  # fmt: skip
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
