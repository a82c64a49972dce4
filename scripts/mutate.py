"""Change the code a little in many places, and list the changes that no test notices.

    python scripts/mutate.py [PACKAGE ...] [--minutes 60]

Each package is copied to ``build/mutants/`` and handed to mutmut with the tests of its own folder; nothing in the
working tree is touched. The time is shared among the packages. A run that is cut off, by the clock or by Ctrl-C, is
taken up where it stopped; functions that changed since are done again. What survives is printed and written to
``build/mutants/survivors.csv``: ``python scripts/mutate.py --show NAME`` prints one as a diff. Functions with a
decorator (compiled loops, properties) are left out by mutmut, and tests of the page in a browser, minutes long, by us.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build/mutants"
PACKAGES = ("losses", "evaluation", "methods", "gallery/search", "server")
NOT_CAUGHT = ("survived", "no tests", "suspicious")
SETTINGS = """[mutmut]
source_paths=src
only_mutate=src/unveil/{package}/*
pytest_add_cli_args=
    -p
    no:cacheprovider
    -p
    no:xdist
    --ignore=tests/server/page
pytest_add_cli_args_test_selection=tests/{package}
also_copy=
    docs
process_isolation=forkserver
use_git_change_detection=False
on_dependency_change=ignore
"""


def folder_of(package: str) -> Path:
    """Return where a package is mutated."""
    return WORK / package.replace("/", "-")


def prepare(package: str) -> Path:
    """Copy the sources and the tests, with the settings of mutmut, and return the folder."""
    folder = folder_of(package)
    # There before Python starts: a folder of PYTHONPATH that was missing then is not looked at again.
    (folder / "mutants/src").mkdir(parents=True, exist_ok=True)
    for name in ("src", "tests", "docs"):  # a test compares the page of methods with them
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    (folder / "setup.cfg").write_text(SETTINGS.format(package=package))
    return folder


@contextlib.contextmanager
def one_database_server() -> Iterator[None]:
    """Have all runs of tests use one database server: starting it takes longer than most tests."""
    sys.path.append(str(ROOT / "tests"))
    from own_postgres import SHARED, new_folder, remove, start

    folder = new_folder()
    try:
        start(folder)
        os.environ[SHARED] = str(folder)
        yield
    finally:
        remove(folder)


def mutmut(folder: Path, *arguments: str, seconds: float | None = None) -> tuple[str, bool]:
    """Run mutmut in a folder and return what it printed, and whether it came to its end within ``seconds``."""
    log = folder / f"{arguments[0]}.log"
    environment = os.environ | {"PYTHONPATH": str(folder / "mutants/src"), "OMP_NUM_THREADS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mutmut", *arguments],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
            ended = True
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            ended = False
    return log.read_text(errors="replace"), ended


def results(package: str) -> dict[str, str]:
    """Return what became of each mutant that was made, by its name."""
    text, _ = mutmut(folder_of(package), "results", "--all", "true")
    lines = (line.strip().rsplit(": ", 1) for line in text.splitlines() if ": " in line)
    return {name: state for name, state in lines if name.startswith("unveil.")}


def main() -> int:
    """Run, and return 1 where a package could not be mutated at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(PACKAGES)}; all when not given")
    parser.add_argument("--minutes", type=float, default=60, help="for all packages together")
    parser.add_argument("--workers", type=int, default=1, help="processes that test mutants")
    parser.add_argument("--show", metavar="NAME", help="print one mutant as a diff and stop")
    asked = parser.parse_args()
    if unknown := set(asked.packages) - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(PACKAGES)}")
    packages = asked.packages or PACKAGES
    if asked.show:
        package = next(p for p in PACKAGES if asked.show.startswith(f"unveil.{p.replace('/', '.')}."))
        print(mutmut(folder_of(package), "show", asked.show)[0])
        return 0
    end, failed, rows = time.monotonic() + asked.minutes * 60, 0, []
    for position, package in enumerate(packages):
        share = (end - time.monotonic()) / (len(packages) - position)
        with one_database_server():
            text, ended = mutmut(prepare(package), "run", "--max-children", str(asked.workers), seconds=max(1.0, share))
        found = results(package)
        tested = {name: state for name, state in found.items() if state != "not checked"}
        if not tested:
            print(f"{package}: no mutant was tested; the end of {folder_of(package) / 'run.log'} says:\n{text[-1000:]}")
            failed = 1
        rows += [(package, name, state) for name, state in tested.items() if state in NOT_CAUGHT]
        missed = sum(state in NOT_CAUGHT for state in tested.values())
        rest = "" if ended else f"; {len(found) - len(tested)} not yet: run it again to resume"
        print(f"{package}: {len(tested) - missed} of {len(tested)} mutants noticed{rest}", flush=True)
    with (WORK / "survivors.csv").open("w", newline="") as f:
        csv.writer(f, lineterminator="\n").writerows([("package", "mutant", "state"), *rows])
    for _, name, state in rows:
        print(f"{name}: {state}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
