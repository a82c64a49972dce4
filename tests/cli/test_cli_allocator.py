"""Freed memory stays in the process: its pages are not asked for again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from unveil.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
filled = b"x" * (40 << 20)
del filled
before = faults()
for _ in range(5):
    filled = b"x" * (40 << 20)
    del filled
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_pages_of_large_blocks_are_not_asked_for_again():
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("keep") < 50
    assert faults("leave") > 50  # at least one for each huge page


def test_every_command_but_the_server_keeps_it(monkeypatch, capsys):
    from unveil import cli

    kept = []
    monkeypatch.setattr("unveil.cli.allocator.keep_freed_memory", lambda: kept.append(True))
    for words, expected in ((["methods", "--help"], 1), (["serve", "--help"], 1), (["--help"], 1)):
        monkeypatch.setattr("sys.argv", ["unveil", *words])
        with pytest.raises(SystemExit):
            cli.main()
        assert len(kept) == expected, words
