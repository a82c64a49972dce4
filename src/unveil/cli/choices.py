"""Options that several commands share: which model, and what runs it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from unveil.cli import help_panels

MODEL = (
    "A run's folder, a model file, an exported file, a model of another project with its card (`unveil models add`), "
    "or a name (`unveil models list`)."
)
EngineOption = Annotated[
    Literal["auto", "torch", "onnx", "openvino"],
    typer.Option(
        help="What runs the model; auto is PyTorch for those of this package, in `embed` the fastest that agrees with "
        "it where there are many crops; others as they can be run.",
        rich_help_panel=help_panels.EXECUTION,
    ),
]
