"""Worker processes of a render: programs of their own, so that the caller's main module is never run a second time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from unveil.errors import UnveilError

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}


class Workers:
    """Some `unveil.world.worker` processes that render parts of one world.

    Args:
        count: how many.
        world: the parameters of the world, as JSON.
        folder: of the render.
    """

    def __init__(self, count: int, world: str, *, folder: Path) -> None:
        paths = os.pathsep.join(p for p in sys.path if p)
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-m", "unveil.world.worker", world, str(folder.absolute())]
        pipe = subprocess.PIPE
        self._started = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True, encoding="utf-8")
            for _ in range(count)
        ]
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for worker in self._started:
            self._free.put(worker)

    def run(self, part: str, numbers: Iterable[int]) -> Iterator[int]:
        """Render the parts of these numbers, each on a worker that is free; yield each number that is done.

        Raises:
            UnveilError: as the worker's.
            RuntimeError: a worker failed; with its traceback.
        """
        with ThreadPoolExecutor(len(self._started)) as threads:
            try:
                for done in as_completed([threads.submit(self._ask, part, number) for number in numbers]):
                    yield done.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise

    def _ask(self, part: str, number: int) -> int:
        worker = self._free.get()
        try:
            assert worker.stdin
            assert worker.stdout
            try:
                worker.stdin.write(json.dumps([part, number]) + "\n")
                worker.stdin.flush()
                answer = worker.stdout.readline()
            except OSError:
                answer = ""
            if not answer:
                raise UnveilError(
                    f"a process of the render ended with code {worker.wait()} at {part} {number} (is there enough "
                    "memory?); what is done is kept: render again, with fewer processes"
                )
            failure = json.loads(answer)
            if "error" in failure:
                raise UnveilError(failure["error"])
            if "traceback" in failure:
                raise RuntimeError(f"rendering {part} {number} failed:\n{failure['traceback']}")
            return number
        finally:
            self._free.put(worker)

    def _stop(self) -> None:
        for worker in self._started:
            worker.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            self._stop()
        for worker in self._started:
            worker.communicate()  # the end of its input ends a worker
