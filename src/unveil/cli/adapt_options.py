"""Options of the two commands that adapt: ``unveil adapt`` and ``unveil gallery adapt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from unveil.cli import help_panels

if TYPE_CHECKING:
    from unveil.adaptation.base import Base
    from unveil.adaptation.settings import AdaptSettings, Stage

StagesOption = Annotated[
    str | None,
    typer.Option(
        help="What to do, with commas: statistics (seconds), tracklets, clusters (minutes), whitening (seconds). All "
        "that the model allows by default; for a model of another project that is statistics,whitening."
    ),
]
EpochsOption = Annotated[
    int, typer.Option(help="Rounds of clustering and training.", rich_help_panel=help_panels.ADAPTING)
]
GroupingOption = Annotated[
    str,
    typer.Option(
        help="How clusters are found: surest (people with few tracklets each) or jaccard (with many).",
        rich_help_panel=help_panels.ADAPTING,
    ),
]
PairsOption = Annotated[
    float,
    typer.Option(
        help="Of surest: pairs joined in the last epoch, for each tracklet or crop.",
        rich_help_panel=help_panels.ADAPTING,
    ),
]
ApartOption = Annotated[
    bool,
    typer.Option(
        "--apart",
        help="Nobody is in two of the DATA, such as those of two towns: no pair is looked for across them.",
        rich_help_panel=help_panels.ADAPTING,
    ),
]
RadiusOption = Annotated[
    float,
    typer.Option(
        help="Of jaccard: distance below which crops are neighbours, 0 to 1.", rich_help_panel=help_panels.ADAPTING
    ),
]
NeighboursOption = Annotated[
    int,
    typer.Option(
        help="Of jaccard: nearest crops that are compared; about as many as there are of a person.",
        rich_help_panel=help_panels.ADAPTING,
    ),
]
HeldOutOption = Annotated[
    float,
    typer.Option(
        help="Share of tracklets and of searches with feedback held out for evaluation.",
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


def settings_of(base: Base, stages: str | None, **options: Any) -> AdaptSettings:
    """Return the settings that the options of a command ask for.

    Args:
        base: the model; all of its stages are done where none is named.
        stages: names with commas; `AdaptSettings` checks them.
        options: the others, by their names in `AdaptSettings`.
    """
    from unveil.adaptation.settings import AdaptSettings

    named = base.stages if stages is None else tuple(stage.strip() for stage in stages.split(","))
    return AdaptSettings(stages=cast("tuple[Stage, ...]", named), **options)
