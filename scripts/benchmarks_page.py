"""Write docs/benchmarks.md from the docstrings of benchmarks/ and the CSVs in benchmarks/results.

Usage: python scripts/benchmarks_page.py [OUT.md]
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from csv_tables import DUAL, MODE, ROOT, Where, markdown, matching, read

PAGE = Path("docs/benchmarks.md")
MAX_ROWS = 20
HEAD = """# Benchmarks

Each claim has a script in `benchmarks/`, and each script a CSV in `benchmarks/results`. `python
scripts/benchmarks_page.py` draws this page from both: the main figures alone, the CSVs have the rest. Rows say on which
machine and under which load they were measured, with which versions, and of which commit (`+`: the tree differed from
it). Rows from before say less, and nothing is added to them afterwards. Figures of one table can be compared; those of
two hardly, for the machines and their loads were others.

`make bench` runs short ones at reduced sizes in some minutes, without data or downloads. Each gives a line, with the
ratio to its alternative where it has one, and a CSV in `build/bench`: run it before and after a change.
"""
# CSVs that commands of the package write, and the pages that show them.
ELSEWHERE = {"ablations": "[Ablations](ablations.md)", "robustness": "[Occluding people](occlusion.md)"}


@dataclass(frozen=True)
class Table:
    """What is shown of a CSV.

    Args:
        csv: name of the file, without ".csv".
        columns: in their order.
        where: values of a column that a row must have; all rows by default.
        means: columns that are averaged over rows that agree in the others; how many these are is shown.
        note: sentence before the table.
    """

    csv: str
    columns: tuple[str, ...]
    where: Where = field(default_factory=dict)
    means: tuple[str, ...] = ()
    note: str = ""


MILLION = {"crops": ["1000000"], "parts": ["1"]}
SHARDS = {"shards": ["64"], "setting": ["at random, 6 of each", "by camera, 6 of each", "as measured", "stalls",
          "stalls, hedged"], "what": ["recall at 100", "p50 ms", "p99 ms"]}  # fmt: skip
SIZES = ("what", "queries", "gallery", "numbers", "median_seconds", "gib_beyond_features")
BENCHMARKS: dict[str, tuple[Table, ...]] = {
    "evaluator": (
        Table("evaluator", SIZES),
        Table("evaluator_sizes", SIZES, note="With more crops:"),
    ),
    "real_people": (
        Table("real_people", ("model", "data", "protocol", "queries", "rank1", "map"), {"fingerprint": [DUAL]}),
    ),
    "people_curve": (
        Table("people_curve", ("people", "epochs", "data", "rank1", "map"), {"data": ["viper", "3dpes"]}),
    ),
    "generalisation": (
        Table("generalisation", ("way", "seed", "data", "rank1", "map"), {"data": ["viper", "3dpes"]}),
    ),
    "vector_shares": (
        Table("vector_shares", ("data", "vectors", "rank1", "map"), {"fingerprint": [DUAL], "data": ["viper"]}),
    ),
    "clothes_mode": (
        Table("clothes_mode", ("data", "protocol", "factor", "rank1", "map"),
              {"fingerprint": [DUAL], "factor": ["0.0", "1.0", MODE]}),
    ),
    "adaptation": (
        Table("adaptation", ("test", "way", "rank1", "map"), {"model": [DUAL]}, means=("rank1", "map")),
        Table("adaptation", ("test", "way", "rank1", "map", "seconds"),
              {"model": ["ad582ef9a8adb254"], "test": ["viper"],
               "way": ["zero-shot", "statistics, places apart", "statistics and whitening, places apart",
                       "all, places apart", "floor: plain pseudo-labels, places apart",
                       "ceiling: supervised, places apart"]}, means=("rank1", "map", "seconds"),
              note="Before it had colours, after its third step; some ways on fewer splits than others:"),
    ),
    "camera_centring": (
        Table("camera_centring", ("model", "vectors", "rank1", "map", "rank1_gain", "map_gain")),
    ),
    "backbones": (
        Table("backbones", ("backbone", "height", "width", "million_multiply_adds", "train_crops_per_second",
                            "embed_crops_per_second"), {"precision": ["fp32"], "height": ["256"]}),
    ),
    "training": (
        Table("training", ("backbone", "way", "crops_per_second", "times_loop", "times_loop_cpu", "memory_gib")),
    ),
    "training_memory": (
        Table("training_memory", ("row", "mib_for_steps", "mib_for_steps_ratio", "cpu_seconds_per_step_ratio")),
    ),
    "inference": (
        Table("inference", ("model", "way", "crops_per_second", "times_loop", "milliseconds_of_one_crop"),
              {"model": ["unveil:dual", "resnet50", "osnet_x1_0"]}),
        Table("inference_network", ("backbone", "engine", "batch", "median_crops_per_second", "times_torch"),
              {"method": ["bot"]},
              note="Networks alone, measured by an earlier version of the script:"),
    ),
    "foreign_speed": (
        Table("foreign_speed", ("model", "way", "crops_per_cpu_second", "crops_per_second", "difference")),
    ),
    "bulk": (
        Table("bulk", ("what", "crops_per_second", "crops_per_second_between_shards"),
              means=("crops_per_second", "crops_per_second_between_shards")),
    ),
    "gallery": (
        Table("gallery", ("what", "value"), {**MILLION, "what": [
            "insert, vectors per second", "first search, s",
            "second search until all first-stage vectors are in memory, s",
            "filtered top-100 with re-scoring of 500, p50 ms", "unfiltered top-100 with re-scoring of 500, p50 ms",
            "unfiltered top-100 with re-scoring of 500, p95 ms",
            "unfiltered top-100 in numpy, all in memory, no re-scoring, p50 ms",
            "first stage in memory, recall at 100 against float32", "reopen after kill -9, s",
            "most memory of this process, GiB", "on the disk, GiB",
        ]}, note="A million crops:"),
    ),
    "gallery_milvus": (
        Table("gallery_milvus", ("crops", "what", "value"), {"what": [
            "insert without Milvus, vectors per second", "insert, vectors per second",
            "unfiltered, before the graph is whole, first stage by Milvus, recall at 100",
            "unfiltered first stage by Milvus, recall at 100", "unfiltered first stage by Milvus, p50 ms",
            "filtered first stage by Milvus, recall at 100", "filtered first stage by Milvus, p50 ms",
            "unfiltered first stage by PostgreSQL, reading all rows, p50 ms",
            "unfiltered first stage by numpy, exact, all in memory, p50 ms",
            "memory of Milvus, GiB", "Milvus from kill -9 to its first answer, s",
        ]}),
    ),
    "sharded_search": (
        Table("sharded_search", ("question", "setting", "what", "value"), SHARDS, note="64 shards:"),
    ),
    "server": (Table("server", ("what", "requests", "failed", "p50_ms", "p95_ms", "per_second")),),
    "everyday": (Table("everyday", ("what", "seconds", "cpu_seconds", "times_python")),),
    "grouping": (
        Table("grouping", ("linkage", "mode", "false_alarms", "precision", "recall", "purity", "groups_per_person"),
              {"feedback": ["False"], "linkage": ["average"]}),
    ),
    "attributes": (Table("attributes", ("attribute", "count", "seen", "accuracy", "near", "auc"), {"of": ["crop"]}),),
    "tracklets": (
        Table("tracklets", ("video", "detector", "purity", "tracklets_per_person", "recall", "IDF1", "HOTA")),
    ),
    "detectors": (
        Table("detectors", ("video", "detector", "recall", "precision", "boxes_per_frame", "cpu_seconds"),
              {"boxes": ["begins a track"]}),
    ),
    "best_crops": (Table("best_crops", ("rule", "kept", "tracks", "rank1", "mean_reciprocal_rank")),),
    "parser_accuracy": (
        Table("parser_accuracy", ("data", "parser", "what", "IoU", "mean absolute error"),
              {"label": ["mean"], "what": ["pascal7", "pab6", "lip20", "share error"]}),
    ),
    "parser_speed": (
        Table("parser_speed", ("what", "threads", "median_crops_per_second", "processor_ms_per_crop")),
    ),
    "parser_blanking": (
        Table("parser_blanking", ("data", "model", "blanked", "band", "rank1", "mAP"), {"data": ["VIPeR 150 people"]}),
    ),
    "person_check": (Table("person_check", ("crops", "count", "taken for people", "share")),),
    "world_speed": (
        Table("world_speed", ("what", "processes", "crops", "crops_per_second", "cpu_ms_per_crop")),
    ),
    "attacks": (Table("attacks", ("attack", "memory, MiB", "slowest health check, s", "failed checks", "withstood")),),
    "kills": (
        Table("kills", ("what", "count"), {"what": [
            "kills in all", *(f"{what} (rows, rounds or findings)" for what in
                              ("lost", "doubled", "back", "unaudited", "broken"))]}),
    ),
    "blurring": (),
}  # fmt: skip


def averaged(table: Table, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a row for those that agree in what is not averaged, with their number as "mean of"."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in table.columns if name not in table.means), []).append(row)

    def mean(group: list[dict[str, str]], name: str) -> str:
        return f"{statistics.mean(float(row[name]) for row in group):.1f}" if group[0][name] else ""

    return [
        {**group[0], **{name: mean(group, name) for name in table.means}, "mean of": str(len(group))}
        for group in groups.values()
    ]


def origin(rows: list[dict[str, str]]) -> str:
    """Return what the networks of rows started from, where that is a column, and on what rows were measured."""
    said, unsaid = [], []
    for name in (*(["start"] if "start" in rows[0] else []), "machine", "load", "versions", "commit"):
        # Rows of training said the model of their processor in a column of its own.
        values = [row.get(name) or (row.get("device", "") if name == "machine" else "") for row in rows]
        distinct = list(dict.fromkeys(filter(None, values)))
        if not distinct:
            unsaid.append(name)
            continue
        if name == "load" and len(distinct) > 1:
            distinct = [f"{min(map(float, distinct))} to {max(map(float, distinct))}"]
        silent = [f"not recorded in {values.count('')} of {len(rows)} rows"] if "" in values else []
        said.append(f"{name.capitalize()}: {'; '.join([*distinct, *silent])}.")
    return " ".join([*said, *([f"Not recorded: {', '.join(unsaid)}."] if unsaid else [])])


def section(name: str, tables: Sequence[Table], root: Path) -> str:
    """Return what the page says of a benchmark."""
    text = ast.get_docstring(ast.parse((root / f"benchmarks/{name}.py").read_text(encoding="utf-8"))) or ""
    command = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    if not command:
        raise ValueError(f"the docstring of benchmarks/{name}.py has no command")
    parts = [f"## {name}", text.splitlines()[0], f"```text\n{command}\n```"]
    if not tables:
        parts.append("No figures of it are in `benchmarks/results`.")
    for table in tables:
        rows = matching(table.csv, read(root / f"benchmarks/results/{table.csv}.csv"), table.where, table.columns)
        note = f"{table.note} " if table.note else ""
        parts.append(f"{note}`benchmarks/results/{table.csv}.csv`. {origin(rows)}")
        heads = [*table.columns, *(["mean of"] if table.means else [])]
        rows = averaged(table, rows) if table.means else rows
        parts.append(markdown(heads, [[row[name] for name in heads] for row in rows[:MAX_ROWS]]))
        if len(rows) > MAX_ROWS:
            parts.append(f"These are the first {MAX_ROWS} of {len(rows)} rows.")
    return "\n\n".join(parts)


def page(root: Path = ROOT) -> str:
    """Return the page as Markdown."""
    sections = [section(name, tables, root) for name, tables in BENCHMARKS.items()]
    links = "\n".join(f"- `benchmarks/results/{name}.csv`: {link}" for name, link in ELSEWHERE.items())
    last = f"## Written by commands\n\n{links}\n"
    return "\n\n".join([HEAD.rstrip("\n"), *sections, last])


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / PAGE
    out.write_text(page(), encoding="utf-8")
