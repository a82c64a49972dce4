import re

import numpy as np
import torch

from unveil.models.device import peak_memory


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
