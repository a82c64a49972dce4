"""Speed and memory of rendering a world.

    python benchmarks/world_speed.py [--people 24] [--processes 2] [--out benchmarks/results/world_speed.csv]
    python benchmarks/world_speed.py --profile [--people 24]

Two kinds of rows. "whole render": all that a render does, starting its processes and preparing its cameras included.
"warm loop": the crops alone, files written, when cameras, passers-by and machine code are at hand. Compilation is never
counted. Crops per second depend on what else the machine does, so the load is beside them, and what the CPU time would
give on cores of one's own; CPU time rises too, where others use up caches and halves of cores. ``--profile`` shows
instead where the warm loop's CPU time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import pstats
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2

from csv_rows import measured_on, write_rows
from unveil.world.capture.crops import PASSERS_BY, passer_by
from unveil.world.config import World
from unveil.world.generate import PARTS, render_world

WARMING = 4  # people rendered before the clock starts


def used(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def largest() -> float:
    return max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def whole_render(world: World, processes: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        before = used(resource.RUSAGE_SELF) + used(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        render_world(world, Path(folder) / "world", processes=processes)
        wall = time.perf_counter() - start
        cpu = used(resource.RUSAGE_SELF) + used(resource.RUSAGE_CHILDREN) - before
    return row("whole render", world, processes, world.crops, wall, cpu, largest())


def warm_loop(world: World, processes: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for camera in range(world.cameras):
            PARTS["camera"](world, folder, camera)
        shares = [range(k, world.people, processes) for k in range(processes)]
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(partial(crops_of, world, folder), shares))
    crops, walls, cpus, megabytes = zip(*found, strict=True)
    return row("warm loop", world, processes, sum(crops), max(walls), sum(cpus), max(megabytes))


def profile(world: World) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for camera in range(world.cameras):
            PARTS["camera"](world, folder, camera)
        crops_of(world, folder, range(WARMING))
        profiler = cProfile.Profile(time.process_time)
        with profiler:
            for person in range(WARMING, world.people):
                PARTS["person"](world, folder, person)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30).sort_stats("cumtime").print_stats(40)


def crops_of(world: World, folder: Path, people: range) -> tuple[int, float, float, float]:
    """Render people in this process; return crops, seconds, CPU seconds and megabytes."""
    cv2.setNumThreads(1)
    for number in range(PASSERS_BY):
        passer_by(world.seed, number)
    for person in people[:WARMING]:
        PARTS["person"](world, folder, person)
    start, before = time.perf_counter(), used(resource.RUSAGE_SELF)
    for person in people[WARMING:]:
        PARTS["person"](world, folder, person)
    done = len(people[WARMING:]) * world.crops // world.people
    return done, time.perf_counter() - start, used(resource.RUSAGE_SELF) - before, largest()


def row(
    what: str, world: World, processes: int, crops: int, wall: float, cpu: float, megabytes: float
) -> dict[str, object]:
    return {
        "what": what,
        "processes": processes,
        "cameras": world.cameras,
        "crops": crops,
        "seconds": round(wall, 1),
        "crops_per_second": round(crops / wall, 1),
        "cpu_ms_per_crop": round(cpu / crops * 1000, 1),
        "crops_per_second_on_free_cores": round(processes * crops / cpu, 1),
        "largest_process_mb": round(megabytes),
        **measured_on(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    whole_render(World(people=2, outfits=1, visits=1, frames=1, cameras=4), 1)  # compiles
    world = World(people=asked.people, cameras=16)
    if asked.profile:
        profile(world)
        return
    rows = [measure(world, n) for measure in (warm_loop, whole_render) for n in sorted({1, asked.processes})]
    for found in rows:
        print(found)
    if asked.out:
        write_rows(asked.out, rows)


if __name__ == "__main__":
    main()
