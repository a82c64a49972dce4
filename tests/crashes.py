"""Why a worker of the test run ended: its exit status, and the stacks of its threads where it was a fault of memory.

The workers share the terminal, where what one says at its end is lost among the dots of the others.
"""

from __future__ import annotations

import contextlib
import faulthandler
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

FOLDER = pytest.StashKey[Path]()
STACKS = pytest.StashKey[IO[str]]()
ENDED: dict[str, str] = {}


@pytest.hookimpl(trylast=True)  # after pytest's own, which has the terminal written to
def pytest_configure(config: pytest.Config) -> None:
    told = getattr(config, "workerinput", None)
    if told is None:
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="unveil-test-crashes-"))
        return
    config.stash[STACKS] = (Path(told["crashes"]) / told["workerid"]).open("w")
    faulthandler.enable(config.stash[STACKS])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["crashes"] = str(node.config.stash[FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    if error:
        process = getattr(getattr(node.gateway, "_io", None), "popen", None)
        status = "not known"
        if process:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe is closed, and it goes on
                status = process.wait(10)
        ENDED[node.gateway.id] = f"{error}, exit status {status} (a negative one is a signal)"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for worker, why in ENDED.items():
        terminalreporter.section(f"worker {worker} crashed: {why}")
        file = config.stash[FOLDER] / worker
        terminalreporter.write_line(file.read_text() if file.is_file() else "it wrote no stacks")


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(FOLDER, None)
    if folder is not None:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
