"""``unveil doctor``."""

from __future__ import annotations

from unveil.cli.doctor import examine
from unveil.pretrained import DEFAULT_MODEL


def test_models_of_the_package_are_named_as_every_command_takes_them():
    assert DEFAULT_MODEL in examine()["models"]["shipped"].split(", ")
