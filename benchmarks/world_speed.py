"""Speed and memory of rendering a world.

    python benchmarks/world_speed.py [--people 30] [--processes 2] [--out benchmarks/results/world_speed.csv]

The first run compiles the inner loops and is not counted. CPU time is that of all processes, so it does not depend on
what else the machine does; crops a second do.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

from unveil.world.build import render_world
from unveil.world.plan import World


def used(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measure(world: World, processes: int) -> dict[str, float | int | str]:
    with tempfile.TemporaryDirectory() as folder:
        before = used(resource.RUSAGE_SELF) + used(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        render_world(world, Path(folder) / "world", processes)
        wall = time.perf_counter() - start
        cpu = used(resource.RUSAGE_SELF) + used(resource.RUSAGE_CHILDREN) - before
    memory = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return {
        "people": world.people,
        "cameras": world.cameras,
        "crops": world.crops,
        "processes": processes,
        "cores": os.cpu_count() or 0,
        "seconds": round(wall, 1),
        "crops_a_second": round(world.crops / wall, 1),
        "cpu_ms_a_crop": round(cpu / world.crops * 1000, 1),
        "largest_process_mb": round(memory),
        "machine": platform.machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    measure(World(people=2, outfits=1, visits=1, frames=1, cameras=4), 1)
    rows = [measure(World(people=asked.people, cameras=16), n) for n in sorted({1, asked.processes})]
    for row in rows:
        print(row)
    if asked.out:
        with asked.out.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
