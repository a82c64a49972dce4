"""Options of the two commands that adapt: ``unveil adapt`` and ``unveil gallery adapt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from unveil.cli import help_panels

if TYPE_CHECKING:
    from unveil.adaptation.settings import Stage

StagesOption = Annotated[
    str, typer.Option(help="What to do: statistics (seconds), clusters (minutes), or both, with a comma.")
]
EpochsOption = Annotated[
    int, typer.Option(help="Rounds of clustering and training.", rich_help_panel=help_panels.ADAPTING)
]
RadiusOption = Annotated[
    float,
    typer.Option(
        help="Jaccard distance below which crops are neighbours, 0 to 1.", rich_help_panel=help_panels.ADAPTING
    ),
]
NeighboursOption = Annotated[
    int,
    typer.Option(
        help="Nearest crops that are looked at; about as many as there are of a person.",
        rich_help_panel=help_panels.ADAPTING,
    ),
]
HeldOutOption = Annotated[
    float,
    typer.Option(
        help="Share of tracklets and of searches with feedback to judge by, not learnt from.",
        rich_help_panel=help_panels.ADAPTING,
    ),
]
HoldOutCamerasOption = Annotated[
    float,
    typer.Option(
        help="Share of the cameras not learnt from, to see what happens on others.",
        rich_help_panel=help_panels.ADAPTING,
    ),
]


def stages_of(text: str) -> tuple[Stage, ...]:
    """Return the stages that an option names; `AdaptSettings` checks the names."""
    return cast("tuple[Stage, ...]", tuple(stage.strip() for stage in text.split(",")))
