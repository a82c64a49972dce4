"""Write the tables of docs/results.md from the CSVs in benchmarks/results; what is between them is written by hand.

Usage: python scripts/results_page.py [--check] [PAGE.md]

A table lies between the lines ``<!-- table: NAME -->`` and ``<!-- end -->``. With ``--check`` nothing is written:
tables that are not what the CSVs say are named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from csv_tables import DUAL, MODE, ROOT, Where, markdown, matching, read
from figure_tables import Column, Row, Table, drawn, one, starts

from unveil.atomic_io import write_text

PAGE = ROOT / "docs/results.md"
RESULTS = ROOT / "benchmarks/results"
PACKAGE = ROOT / "src/unveil"
MARKED = re.compile(r"^<!-- table: (.+?) -->\n(.*?)(?=^<!-- (end|table: .+?) -->$|\Z)", re.DOTALL | re.MULTILINE)
# What the package had before.
FIFTH_STEP, FOURTH_STEP, THIRD_STEP = "565e1fbf8c75b128", "a82b440d58fb283b", "37974524ee00a7ab"
BEFORE_COLOURS, SECOND_STEP = "ad582ef9a8adb254", "6c768d519048a5c0"
NARROW, WIDE = "world:small?seed=1", "world:default?seed=1"
EPOCHS = "4"  # of the curve
BOTH = "{rank1:.1f} / {map:.1f}"


def rendered(seen: str, test_set: str, source: str) -> tuple[Row, ...]:
    """Return the rows of one rendered test set, which is called by its name in one CSV and by its source in another."""
    return (
        Row(seen, "real_people", {"fingerprint": DUAL, "data": test_set}),
        Row('the same, as "clothes may have changed"', "clothes_mode",
            {"fingerprint": DUAL, "data": source, "factor": MODE}, empty=("general",)),
        Row("the same, after its fifth step", "real_people", {"fingerprint": FIFTH_STEP, "data": test_set}),
    )  # fmt: skip


def seeds_of(rows: Sequence[dict[str, str]], column: str) -> dict[str, tuple[Where, ...]]:
    """Return the repetitions of each value of a column: one for each of its seeds, in their order."""
    seeds: dict[str, set[str]] = {}
    for row in rows:
        seeds.setdefault(row[column], set()).add(row["seed"])
    return {value: tuple({"seed": seed} for seed in sorted(own)) for value, own in seeds.items()}


def numbers_of_people(folder: Path) -> tuple[Row, ...]:
    """Return a row for each number of people of the curve, of all its seeds."""
    found = seeds_of(matching("people_curve", read(folder / "people_curve.csv"), {"epochs": EPOCHS}), "people")
    return tuple(
        Row(f"{int(people):,}" + (f" ({len(own)} seeds)" if len(own) > 1 else ""), "people_curve",
            {"people": people, "epochs": EPOCHS}, repeats=own)
        for people, own in sorted(found.items(), key=lambda one: int(one[0]))
    )  # fmt: skip


WAYS = {
    "recipe": "the recipe",
    "mixed": "statistics of maps mixed between crops",
    "normalised": "half of the channels normalised crop by crop",
    "taught": "taught by EfficientNet-Lite2",
    "teacher": "EfficientNet-Lite2 itself",
    "alike": "half of a batch people who look alike",
    "all_alike": "all of a batch people who look alike",
}


def ways_of_training(folder: Path) -> tuple[Row, ...]:
    """Return a row for each way of training that was tried, of all its seeds."""
    found = seeds_of(read(folder / "generalisation.csv"), "way")
    return tuple(
        Row(f"{label} ({len(found[way])} seed{'s' * (len(found[way]) > 1)})", "generalisation", {"way": way},
            repeats=found[way])
        for way, label in WAYS.items()
        if way in found
    )  # fmt: skip


def on_test_sets(best: str = "") -> tuple[Column, ...]:
    """Return the columns of a network that was trained here: real people, and rendered ones by protocol."""
    real = (("VIPeR", "viper"), ("SARC3D", "sarc3d"), ("3DPeS", "3dpes"))
    rendered = (("rendered: general", "world-general"), ("changed clothes", "world-cc"), ("occluded", "world-occ"))
    return (
        *(Column(head, BOTH, {"data": data}, best=best) for head, data in real),
        *(Column(head, BOTH, {"protocol": protocol}, best=best) for head, protocol in rendered),
    )


def aim(goal: float, *, found: float, by_mode: float | None = None) -> str:
    """Return a goal and whether it is reached, perhaps by the mode for changed clothes alone."""
    reached_by_mode = by_mode is not None and by_mode >= goal
    return f"{goal:g}: {'reached' if found >= goal else 'by the mode alone' if reached_by_mode else 'missed'}"


def least(goal: float, *, found: float, by_mode: float | None = None) -> str:
    """Return what was to be reached at least, and if it was not, that."""
    return f"{goal:g}" if found >= goal else aim(goal, found=found, by_mode=by_mode)


def aims(folder: Path) -> str:
    """Return what was aimed at beside what was reached, in Markdown."""

    def person(data: str, protocol: str) -> float:
        return float(one(folder, "real_people", {"fingerprint": DUAL, "data": data, "protocol": protocol})["rank1"])

    def speed(model: str, way: str) -> float:
        return float(one(folder, "inference", {"model": model, "way": way})["crops_per_second"])

    def mode(protocol: str) -> float:
        where = {"fingerprint": DUAL, "data": WIDE, "protocol": protocol, "factor": MODE}
        return float(one(folder, "clothes_mode", where)["rank1"])

    def above(data: str, goal: float) -> str:
        row = one(folder, "real_people", {"fingerprint": DUAL, "data": data})
        found = float(row["rank1"])
        return f"equal ({row['queries']} queries)" if found == goal else "reached" if found > goal else "missed"

    viper, sarc3d, three_d = person("viper", "viper"), person("sarc3d", "no_junk"), person("3dpes", "no_junk")
    changed, occluded, both = (person("world-default", f"world-{name}") for name in ("cc", "occ", "occ-cc"))
    changed_mode, both_mode = mode("world-cc"), mode("world-occ-cc")
    dual, parser, detector = (
        (PACKAGE / name).stat().st_size / 1e6
        for name in ("weights/dual.safetensors", "parsing/pack/parser.onnx", "video/detectors/pack/detector.onnx")
    )
    files = dual + parser + detector
    size = "16 MB" if files <= 16 else f"16 MB: missed{', by the detector' if files - detector <= 16 else ''}"
    fast, slower, half = (speed("unveil:dual", way) for way in ("openvino", "onnx", "openvino bf16"))
    return markdown(["", "reached", "at least", "aim"], [
        ["VIPeR", f"{viper:.1f}", least(28, found=viper), aim(41.8, found=viper)],
        ["SARC3D, 3DPeS", f"{sarc3d:.1f}, {three_d:.1f}", f"{least(84, found=sarc3d)}, {least(62, found=three_d)}",
         f"above: {above('sarc3d', 84)}, {above('3dpes', 62)}"],
        ["200 rendered people, changed clothes", f"{changed:.1f}; {changed_mode:.1f} in the mode for it",
         least(8, found=changed, by_mode=changed_mode), aim(20, found=changed, by_mode=changed_mode)],
        ["the same, occluded", f"{occluded:.1f}", least(30, found=occluded), aim(55, found=occluded)],
        ["the same, occluded and changed", f"{both:.1f}; {both_mode:.1f} in the mode",
         least(5, found=both, by_mode=both_mode), aim(15, found=both, by_mode=both_mode)],
        ["all networks in the package",
         f"{files:.1f} MB: `unveil:dual` {dual:.1f}, parser {parser:.1f}, detector {detector:.1f}", size, ""],
        ["crops per second, files to vectors, two cores",
         f"{fast:.0f} OpenVINO, {slower:.0f} ONNX Runtime, {half:.0f} OpenVINO in bfloat16",
         least(100, found=fast), f"{aim(200, found=half)}{', in bfloat16' if half >= 200 > fast else ''}"],
    ]) + starts(folder, [Row("", "real_people", {"fingerprint": DUAL})])  # fmt: skip


TABLES: dict[str, Table | Callable[[Path], str]] = {
    "real people": Table("", (
        Column("VIPeR", "{rank1:.1f} ± {rank1_std:.1f} / {map:.1f}", {"data": "viper"}, best="rank1"),
        Column("SARC3D, 50 people", BOTH, {"data": "sarc3d"}, best="rank1"),
        Column("3DPeS, 192 people", BOTH, {"data": "3dpes"}, best="rank1"),
    ), (
        Row("`unveil:dual`", "real_people", {"fingerprint": DUAL}),
        Row("after its fifth step", "real_people", {"fingerprint": FIFTH_STEP}),
        Row("after its fourth", "real_people", {"fingerprint": FOURTH_STEP}),
        Row("after its third", "real_people", {"fingerprint": THIRD_STEP}),
        Row("the same, before colours and projections", "real_people", {"fingerprint": BEFORE_COLOURS}),
        Row("after the second", "real_people", {"fingerprint": SECOND_STEP}),
        Row("after the first"),
        Row("colour histogram of six stripes"),
    )),
    "rendered people": Table("`unveil:dual`", (
        Column("general", BOTH, {"protocol": "world-general"}),
        Column("same clothes", BOTH, {"protocol": "world-sc"}),
        Column("changed clothes", BOTH, {"protocol": "world-cc"}),
        Column("occluded", BOTH, {"protocol": "world-occ"}),
        Column("occluded and changed", BOTH, {"protocol": "world-occ-cc"}),
    ), (
        *rendered(f"40 people of `{NARROW}`", "world-small", NARROW),
        Row(f"the 40 people, by street cameras (`{NARROW}&street=true`)", "real_people",
            {"fingerprint": DUAL, "data": "world-small-street"}),
        *rendered(f"200 people of `{WIDE}`", "world-default", WIDE),
    )),
    "aims": aims,
    "people curve": Table("people", on_test_sets(best="rank1"), numbers_of_people),
    "ways of training": Table("", on_test_sets(), ways_of_training),
    "evaluator": Table("", (
        Column("best of 5", "{best_seconds:#.3g} s"),
        Column("median", "{median_seconds:#.3g} s"),
        Column("beyond the features", "{gib_beyond_features:.2f} GiB"),
    ), (
        Row("`unveil evaluate`", "evaluator", {"what": "unveil"}),
        Row("compiled ranking of FastReID", "evaluator", {"what": "compiled ranking of fastreid"}),
        Row("compiled ranking of torchreid", "evaluator", {"what": "compiled ranking of torchreid"}),
        Row("full sort of every row, extrapolated from 100 queries", "evaluator",
            {"what": "naive full sort, extrapolated from 100 queries"}, empty=("beyond the features",)),
        Row("k-reciprocal re-ranking (once)", "evaluator", {"what": "re-ranking"}, empty=("median",)),
    )),
    "evaluator by size": Table("gallery", (
        Column("seconds", "{median_seconds:short}", {"what": "unveil"}),
        Column("memory with the features", "{gib:.1f} GiB", {"what": "unveil"}),
        Column("naive full sort, seconds", "{median_seconds:short}", {"what": (
            "naive full sort, extrapolated from 100 queries", "naive full sort, extrapolated from 67 queries",
        )}),
    ), tuple(Row(f"{size:,}", "evaluator_sizes", {"gallery": str(size)}) for size in (10_000, 100_000, 1_000_000))),
    "speed of the world": Table("", (
        Column("processes", "{processes:.0f}"),
        Column("crops per second", "{crops_per_second:.1f}", best="crops_per_second"),
        Column("CPU-ms per crop", "{cpu_ms_per_crop:.1f}"),
        Column("largest process", "{largest_process_mb:.0f} MB"),
    ), tuple(
        Row(what, "world_speed", {"what": what, "processes": processes})
        for what in ("warm loop", "whole render") for processes in ("1", "2")
    )),
}  # fmt: skip


def rewritten(text: str, folder: Path = RESULTS) -> tuple[str, list[str]]:
    """Return the page with its tables as the CSVs have them, and the names of those that differed.

    Args:
        text: the page in Markdown.
        folder: of the CSVs.

    Raises:
        ValueError: a table of the page is unknown or has no end, one that there should be is not on it, or a row or a
            figure is missing.
    """
    met, differing = set(), []

    def replaced(found: re.Match[str]) -> str:
        name, old, end = found.groups()
        if end != "end":
            raise ValueError(f"table {name!r} of the page has no <!-- end -->")
        if name not in TABLES:
            raise ValueError(f"the page has a table {name!r}, expected one of {', '.join(TABLES)}")
        met.add(name)
        table = TABLES[name]
        new = f"\n{drawn(table, folder, old) if isinstance(table, Table) else table(folder)}\n\n"
        if new != old:
            differing.append(name)
        return f"<!-- table: {name} -->\n{new}"

    new_text = MARKED.sub(replaced, text)
    if absent := [name for name in TABLES if name not in met]:
        raise ValueError(f"the page has no table {', '.join(map(repr, absent))}")
    return new_text, differing


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, nargs="?", default=PAGE)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a table differs")
    args = parser.parse_args()
    try:
        text, differing = rewritten(args.page.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise SystemExit(f"{args.page}: {e}") from None
    if not differing:
        print("all tables are as the CSVs say")
    elif args.check:
        raise SystemExit(f"not as the CSVs say: {', '.join(differing)}; to write: python scripts/results_page.py")
    else:
        write_text(args.page, text)
        print(f"written: {', '.join(differing)}")


if __name__ == "__main__":
    main()
