import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unveil.models.device import has_bf16, use_bf16

# In a process of its own: this one has had gigabytes, and would have to hold more.
HELD = """
import re
import numpy as np
import torch
from unveil.models.device import peak_memory

def read():
    found = re.fullmatch(r"(\\d+\\.\\d) GiB of resident memory at most", peak_memory(torch.device("cpu")))
    return float(found[1])

before = read()
held = np.ones(2**29, np.uint8)
most = read()
del held
print(before, most, read())
"""


def test_the_most_memory_grows_with_what_is_held_and_never_shrinks():
    # From a shell: a process begins with the peak of the one that started it, which has run other tests.
    words = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, HELD]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    before, most, after = map(float, done.stdout.split())
    assert most >= before + 0.4
    assert after >= most


def test_a_processor_computes_in_bf16_where_it_can_and_where_that_is_asked_for():
    processor, told = torch.device("cpu"), Path("/proc/cpuinfo")
    if not told.is_file():
        pytest.skip("the system does not tell what its processor can do")
    flags = set(re.search(r"^(?:flags|Features)\s*:(.*)$", told.read_text(), re.MULTILINE)[1].split())
    assert has_bf16(processor) == bool(flags & {"avx512_bf16", "amx_tile"})
    assert use_bf16("bf16", processor) and not use_bf16("auto", processor) and not use_bf16("fp32", processor)
