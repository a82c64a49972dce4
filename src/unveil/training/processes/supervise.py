"""Processes on this machine that live and end together: one that is killed ends all, Ctrl-C reaches all."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from torch import multiprocessing
from torch.distributed import DistError

from unveil.errors import InterruptedRunError, UnveilError

GRACE = 10.0  # seconds for the others to end by themselves when one has failed; as many again between TERM and KILL
INTERRUPTED = 130
GONE = ("gloo", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
GO_ON = "what was saved is intact, and the same command with --resume continues"


class LostProcessError(UnveilError):
    """Another process has ended, which is why this one cannot go on."""


class _Plan(NamedTuple):
    """What every process does, how many there are, where the first one listens, and where errors are left."""

    function: Callable[[int], None]
    processes: int
    port: int
    said: Path


def supervise(function: Callable[[int], None], count: int) -> None:
    """Call ``function(rank)`` in new processes and wait for all of them.

    In each the environment says of which rank it is and where the first one listens, as torchrun would.

    Args:
        function: can be pickled.
        count: number of processes.

    Raises:
        UnveilError: one of them failed, with what it said, or was killed; the others have then ended too, after 20
            seconds at the latest.
        InterruptedRunError: they ended as Ctrl-C asked.
    """
    # DDP warns of parameters that are looked for and not found to be unused: of most methods none are, of some a few.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with tempfile.TemporaryDirectory() as said:
        context = multiprocessing.start_processes(
            _process,
            (_Plan(function, count, _free_port(), Path(said)),),
            nprocs=count,
            join=False,
            start_method="spawn",
        )
        with _forwarded(context.processes):
            try:
                while not context.join(grace_period=GRACE):
                    pass
            except multiprocessing.ProcessExitedException as e:
                codes = [process.exitcode or 0 for process in context.processes]
                raise _error(codes, first=e.error_index, said=Path(said)) from None


def _process(rank: int, plan: _Plan) -> None:
    """Be one of the processes; leave what went wrong in a file, for the one that waits."""
    if hasattr(os, "setsid"):  # not on Windows
        os.setsid()  # Ctrl-C in the terminal reaches the one that waits, which forwards it
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(plan.port),
        "WORLD_SIZE": str(plan.processes),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
    }
    try:
        plan.function(rank)
    except (KeyboardInterrupt, InterruptedRunError) as e:
        _end(plan.said, rank, kind="interrupted", text=str(e) or "interrupted", code=INTERRUPTED)
    except LostProcessError as e:
        _end(plan.said, rank, kind="lost", text=str(e), code=2)
    except UnveilError as e:
        _end(plan.said, rank, kind="error", text=str(e), code=2)
    except Exception as e:
        if os.environ.get("UNVEIL_TRACEBACK"):
            traceback.print_exc()
        place = traceback.extract_tb(e.__traceback__)[-1]
        where = f"{place.name}, {Path(place.filename).name}:{place.lineno}"
        _end(plan.said, rank, kind="error", text=f"unexpected {type(e).__name__}: {e} ({where})", code=2)


@contextmanager
def lost_process() -> Iterator[None]:
    """Turn what PyTorch raises where another process is gone into a `LostProcessError`; gloo has no type for it."""
    try:
        yield
    except RuntimeError as e:
        if isinstance(e, DistError) or any(text in str(e) for text in GONE):
            raise LostProcessError(f"another process of this training is gone, so this one ends too; {GO_ON}") from None
        raise


def _end(said: Path, rank: int, *, kind: str, text: str, code: int) -> None:
    (said / f"{rank}.json").write_text(json.dumps({"kind": kind, "text": text}), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # at once: threads of gloo and NCCL may wait for others


def _error(codes: list[int], *, first: int, said: Path) -> UnveilError:
    """Return the one error that tells why processes with these exit codes ended."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(said.glob("*.json"))]
    for kind, error in (("error", UnveilError), ("interrupted", InterruptedRunError)):
        texts = [report["text"] for report in reports if report["kind"] == kind]
        if texts:
            return error(texts[0])
    # The one that ended first; or, if another was quicker to say that it is gone, the one that was killed.
    killed = next((n for n in (first, *range(len(codes))) if codes[n] < 0 and codes[n] != -signal.SIGTERM), first)
    name = signal.Signals(-codes[killed]).name if codes[killed] < 0 else f"exit code {codes[killed]}"
    memory = " (as the system does when memory runs out)" if codes[killed] == -signal.SIGKILL else ""
    return UnveilError(f"process {killed + 1} of {len(codes)} ended by {name}{memory}, so all have ended; {GO_ON}")


@contextmanager
def _forwarded(processes: Iterable[BaseProcess]) -> Iterator[None]:
    """Send Ctrl-C on to the processes, which save what they have and end; this one waits for them."""

    def forward(*_: object) -> None:
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
