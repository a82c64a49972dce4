"""What more people in the training bring: a run for each number of people, each crop seen as often, and a plot.

    python benchmarks/people_curve.py DATA --runs runs/curve [--people 125 250 500 1000] [--epochs 4] [--seeds 1]
        [--out benchmarks/results/people_curve.csv] [--plot docs/pictures/people-curve.svg]

Each run is the recipe ``dual`` at 192 x 96 from ImageNet weights on the first so many people of one world, in four
outfits each. Measured as in ``benchmarks/real_people.py`` and on ``world:small?seed=1``. A run that was stopped
resumes; one that is in the CSV is not trained again.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from csv_rows import measured_on, read_rows, write_rows
from plots import save_svg
from real_people import measured
from unveil.cli.allocator import keep_freed_memory
from unveil.cli.models.recipes import find_recipe
from unveil.inference.load import load_embedder
from unveil.recipe import load_recipe
from unveil.training.loop import train

ALSO = ["world:small?seed=1"]
WORLD = "world:large?seed=31&people={most}&train=all&first={people}"
WARM = 0.1  # share of the training in which the rate rises
AVERAGE = 0.98  # of the weights: runs are short
SHOWN = {"viper": "VIPeR", "sarc3d": "SARC3D", "3dpes": "3DPeS", "world-general": "rendered, 40 people"}
KEY = ("people", "epochs", "seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--people", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "people_curve.csv")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    rows = read_rows(args.out) if args.out.is_file() else []
    for seed in range(args.seeds):
        for people in args.people:
            key = (people, args.epochs, seed)
            if not any(tuple(int(row[name]) for name in KEY) == key for row in rows):
                out = args.runs / "-".join(map(str, key))
                found = run(args.data, out, people=people, most=max(args.people), epochs=args.epochs, seed=seed)
                write_rows(args.out, found, key=(*KEY, "data", "protocol"))
    if args.plot:
        draw([row for row in read_rows(args.out) if int(row["epochs"]) == args.epochs], args.plot)


def run(
    data: Path, out: Path, *, people: int, most: int, epochs: int, seed: int, changes: Sequence[str] = ()
) -> list[dict[str, object]]:
    """Train on so many people, or resume that, and measure the last weights; changes come after those made here."""
    changes = [
        "input={height: 192, width: 96, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}",
        f"data.train={WORLD.format(most=most, people=people)}", f"train.epochs={epochs}", f"train.seed={seed}",
        f"train.average={AVERAGE}", f"schedule.warmup_epochs={WARM * epochs}", "augment.small_epochs=0",
        *changes,
    ]  # fmt: skip
    train(load_recipe(find_recipe("dual"), changes), out, resume=(out / "resume.pt").is_file())
    model = load_embedder(out)
    return [
        {
            "people": people, "epochs": epochs, "seed": seed, "data": result.dataset, "protocol": result.protocol,
            "rank1": f"{100 * result.cmc[1]:.1f}", "map": f"{100 * result.mean_ap:.1f}",
            "rank1_std": f"{100 * result.std.get('cmc-1', 0):.1f}", "fingerprint": model.summary.fingerprint,
            "start": model.summary.start, **measured_on(),
        }
        for result in measured(model, data, ALSO)
    ]  # fmt: skip


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Draw Rank-1 against the number of people, a line a test set."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    for name, label in SHOWN.items():
        found: dict[int, list[float]] = defaultdict(list)
        for row in rows:
            if name in (row["data"], row["protocol"]):
                found[int(row["people"])].append(float(row["rank1"]))
        if found:
            axes.plot(sorted(found), [np.mean(found[n]) for n in sorted(found)], "o-", label=label)
    axes.set(xlabel="people in the training", ylabel="Rank-1 in percent", xscale="log", ylim=(0, 100))
    axes.set_xticks(sorted({int(row["people"]) for row in rows}))
    axes.get_xaxis().set_major_formatter("{x:.0f}")
    axes.minorticks_off()
    axes.legend()
    save_svg(figure, path)


if __name__ == "__main__":
    main()
