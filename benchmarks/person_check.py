"""Measures the person check of the package's parser: drawn noise and textures, and crops of people.

    python benchmarks/person_check.py CROPS [CROPS ...] [--count 500]

``scripts/fit_person_check.py`` fits its rule, on textures of another seed and on rendered people. Results go to
``benchmarks/results/person_check.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.gallery.search.query import NoPersonDetectedError, check_people
from unveil.parsing.default import default_parser
from unveil.parsing.training.no_people import without_people

RESULTS = Path(__file__).parent / "results" / "person_check.csv"
TEST_SEED = 1


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="+", help="sources of crops of people: world:small, folder:..., a manifest ...")
    parser.add_argument("--count", type=int, default=500, help="textures, and at most so many crops of each source")
    args = parser.parse_args()
    tool = default_parser(1)
    found = []
    textures = [without_people(number, TEST_SEED)[1] for number in range(args.count)]
    found.append(("noise and textures", args.count, passed(textures, tool)))
    for source in args.people:
        crops = some(source, args.count)
        found.append((Path(source).name if "/" in source else source, len(crops), passed(crops, tool)))
    for name, count, number in found:
        print(f"{name}: {number} of {count} are taken for people ({number / count:.1%})")
    write_rows(
        RESULTS,
        [
            {
                "crops": name, "count": count, "taken for people": number, "share": f"{number / count:.4f}",
                "parser": tool.fingerprint, **measured_on(),
            }
            for name, count, number in found
        ],
    )  # fmt: skip


def some(source: str, count: int) -> list[np.ndarray]:
    """Return at most ``count`` crops of a source, drawn with a fixed seed."""
    samples = crops_of(source).samples
    order = np.random.default_rng(0).permutation(len(samples))[:count]
    return [read_sample(samples[i]) for i in sorted(order)]


def passed(images: list[np.ndarray], tool: object) -> int:
    """Return how many images are taken for people, asked one by one as queries are."""
    count = 0
    for image in images:
        try:
            check_people([image], ["it"], parser=tool)  # type: ignore[arg-type]
            count += 1
        except NoPersonDetectedError:
            pass
    return count


if __name__ == "__main__":
    main()
