"""Seconds of what is called all day: import, help, and a search in a gallery whose server runs.

    python benchmarks/everyday.py FOLDER_OF_CROPS [--model unveil:dual] [--rounds 5] [--out CSV]

Each is a new process; the rounds go in turn, and the least of each counts. Processor time (user and system) stands
beside the time on the clock, and its ratio to an empty Python, for machines that are busy with other work. The gallery
is made of the crops in a temporary folder, and the query is one of them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from csv_rows import measured_on, write_rows


def spent(words: list[str]) -> tuple[float, float]:
    """Run a process; return seconds on the clock and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--model", default="unveil:dual")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    query = next(path for path in sorted(args.crops.rglob("*")) if path.suffix.lower() in (".jpg", ".png"))
    with tempfile.TemporaryDirectory(prefix="unveil-") as folder:
        unveil, place = ["-m", "unveil"], ["--folder", folder]
        add = ["gallery", "add", str(args.crops), "--gallery", "bench", "--model", args.model, "--no-parser"]
        # A process that has the store open keeps its server running, as `unveil serve` does.
        hold = (
            "from pathlib import Path; from unveil.gallery.store.opening import open_store; "
            f"store = open_store(folder=Path({folder!r})); store.galleries(); print(flush=True); input()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            spent([*unveil, *add, *place])
            search = ["search", str(query), "bench", "--model", args.model, "--skip-person-check", *place]
            asked = {
                "python": ["-c", "pass"], "import unveil": ["-c", "import unveil"],
                "unveil --help": [*unveil, "--help"],
                "unveil search --help": [*unveil, "search", "--help"], "unveil search": [*unveil, *search],
            }  # fmt: skip
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
            for _ in range(args.rounds):
                for name, words in asked.items():
                    found[name].append(spent(words))
        finally:
            holder.communicate("\n")
    empty = min(cpu for _, cpu in found["python"])
    rows = [
        {
            "what": name, "seconds": f"{min(s for s, _ in times):.3f}",
            "cpu_seconds": f"{min(c for _, c in times):.3f}",
            "times_python": f"{min(c for _, c in times) / empty:.1f}", "rounds": args.rounds, "model": args.model,
            **measured_on(),
        }
        for name, times in found.items()
    ]  # fmt: skip
    for row in rows:
        print(row)
    if args.out:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
