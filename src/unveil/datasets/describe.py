"""What can be read, in words: every dataset with what it is and its options; ``unveil data list`` and its page."""

from __future__ import annotations

import inspect
import sys
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unveil.data.catalog import COMMON_OPTIONS, READERS, SPLITS_OPTION, options_of, reader

PAGE = """# Datasets

This page is the output of `unveil data list --markdown`; a test holds it against the code.

Name a dataset as `name:root?option=value&option=value`, for example `viper:/data/viper?split=3`. A root one level too
high or too low is found and said. `unveil data check name root` reads every file: counts against the published ones,
unreadable files, copies, image names outside the pattern (all of them with `--json` or `--csv FILE`), two files of one
person and frame, maps whose size or labels do not fit. Its exit code is 1 when something was found.

Every dataset takes `{common}`: the root of a tree of human-parsing maps,
its scheme where there are several, and `outfits=person`, which gives every person one outfit: so methods that train on
clothes labels take sets without them that were filmed within minutes. To test on a dataset that is halved ten times,
`{splits}=10` gives the mean of its ten splits; training on it takes one `split`, and
`unveil bench ... --data viper:ROOT?{splits}=10` trains one model a split.

{table}

Not one image of these comes with the package. DukeMTMC and what was made from it were withdrawn by their authors; they
are read from a copy of yours, and a note says so.
"""


@dataclass(frozen=True)
class Entry:
    """A dataset: name, one sentence, and option -> what it takes (with the default)."""

    name: str
    about: str
    options: dict[str, str]


def entries() -> list[Entry]:
    """Return every dataset, sorted by name."""
    found = []
    for name in sorted(READERS):
        read = reader(name)
        defaults = {p.name: p.default for p in inspect.signature(read).parameters.values()}
        about = (sys.modules[read.__module__].__doc__ or "").strip().splitlines()[0]
        options = {option: _kind(hint, defaults[option]) for option, hint in options_of(name).items()}
        found.append(Entry(name, about, options))
    return found


def as_page() -> str:
    """Return the page of the documentation."""
    lines = ["| name | what it is | options |", "|---|---|---|"]
    for entry in entries():
        options = "<br>".join(f"`{option}`: {kind}" for option, kind in entry.options.items())
        lines.append(f"| `{entry.name}` | {entry.about.replace('``', '`').replace('|', '/')} | {options} |")
    common = "`, `".join(COMMON_OPTIONS)
    return PAGE.format(common=common, splits=SPLITS_OPTION, table="\n".join(lines))


def _kind(hint: Any, default: Any) -> str:
    """Return what an option takes, in words."""
    least = most = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, field, *_ = typing.get_args(hint)
        limits = {type(limit).__name__: limit for limit in field.metadata}
        least = limits["Ge"].ge if "Ge" in limits else None
        most = limits["Lt"].lt - 1 if "Lt" in limits else None
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)] if _is_optional(hint) else [hint]
    (kind,) = kinds
    if typing.get_origin(kind) is Literal:
        text = " or ".join(str(choice) for choice in typing.get_args(kind))
    else:
        text = {bool: "true or false", int: "a number", str: "a name", Path: "a path"}[kind]
    if least is not None:
        text = f"{least} to {most}" if most is not None else f"{least} or more"
    if default is None:
        return text
    return f"{text}; {str(default).lower() if isinstance(default, bool) else default} by default"


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)
