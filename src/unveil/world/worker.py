"""One process of a render, ``python -m unveil.world.worker WORLD FOLDER``; see `unveil.world.workers`.

It reads a line ``[part, number]`` of JSON for each camera or person, and answers with a line when that is written.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import cv2

from unveil.errors import UnveilError
from unveil.world.config import World
from unveil.world.generate import PARTS


def main() -> None:
    """Answer until there is no more input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, who ends the input
    cv2.setNumThreads(1)
    world, folder = World(**json.loads(sys.argv[1])), Path(sys.argv[2])
    # What a library prints must not be read as an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        part, number = json.loads(line)
        answer = {}
        try:
            PARTS[part](world, folder, number)
        except UnveilError as e:
            answer["error"] = str(e)
        except Exception:  # a fault of the program itself: the caller shows where
            answer["traceback"] = traceback.format_exc()
        try:
            print(json.dumps(answer), file=answers, flush=True)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
