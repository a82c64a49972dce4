"""What ``unveil export`` says of an option that needs another one, before a model is opened."""

from __future__ import annotations

import pytest

from command_line import refused


@pytest.mark.parametrize(
    ("words", "named"),
    [(("--precision", "int8"), "--calibrate"), (("--precision", "bfloat16"), "--format openvino")],
)
def test_the_missing_option_is_named(words, named):
    assert named in refused("export", "unveil:dual", *words)
