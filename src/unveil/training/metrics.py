"""Metrics of a run as JSON lines, and as TensorBoard events where tensorboardX is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unveil.atomic_io import write_text

NAME = "metrics.jsonl"


class MetricsLog:
    """Appends records with an ``iteration``; on resume, records past the restored iteration are dropped first."""

    def __init__(self, folder: Path, iteration: int) -> None:
        path = folder / NAME
        kept = [record for record in read_metrics(path) if record["iteration"] < iteration] if path.exists() else []
        write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
        self._file = path.open("a", encoding="utf-8")
        self._board = _board(folder, iteration)

    def write(self, iteration: int, **values: Any) -> None:
        """Append one record; numbers also go to TensorBoard."""
        self._file.write(json.dumps({"iteration": iteration, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            if self._board is not None and isinstance(value, int | float):
                self._board.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Flush and close both logs."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the records of a run up to the first line that is none: a kill cuts the last one short."""
    records: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict) or not isinstance(record.get("iteration"), int):
            break
        records.append(record)
    return records


def _board(folder: Path, iteration: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=iteration or None)
