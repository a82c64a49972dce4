import re
from pathlib import Path

import numpy as np
import pytest
import torch

from unveil.models.device import has_bf16, peak_memory, use_bf16


def test_the_most_memory_grows_with_what_is_held_and_never_shrinks():
    def read() -> float:
        found = re.fullmatch(r"(\d+\.\d) GiB of resident memory at most", peak_memory(torch.device("cpu")))
        assert found
        return float(found[1])

    before = read()
    held = np.ones(int((before + 0.5) * 2**30), np.uint8)
    most = read()
    assert len(held) and most >= before + 0.4
    del held
    assert read() >= most


def test_a_processor_computes_in_bf16_where_it_can_and_where_that_is_asked_for():
    processor, told = torch.device("cpu"), Path("/proc/cpuinfo")
    if not told.is_file():
        pytest.skip("the system does not tell what its processor can do")
    flags = set(re.search(r"^(?:flags|Features)\s*:(.*)$", told.read_text(), re.MULTILINE)[1].split())
    assert has_bf16(processor) == bool(flags & {"avx512_bf16", "amx_tile"})
    assert use_bf16("bf16", processor) and not use_bf16("auto", processor) and not use_bf16("fp32", processor)
