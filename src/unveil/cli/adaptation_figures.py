"""The figures of an adaptation on what was held out, as lines of text."""

from __future__ import annotations

from typing import Any


def figure_lines(evaluation: dict[str, Any]) -> list[str]:
    """Return one line for each figure of an adapted model's card."""
    lines = []
    for title, figures in (("", evaluation), (" of cameras that were held out", evaluation.get("new_cameras", {}))):
        if "mrr" in figures:
            lines.append(f"{figures['tracklets']} held-out tracklets{title}, one half among {figures['among']}:")
            lines += [_line("Rank-1", figures["rank1"]), _line("mean reciprocal rank", figures["mrr"])]
    if "feedback" in evaluation:
        told = evaluation["feedback"]
        lines.append(f"{told['confirmed']} confirmed and {told['rejected']} rejected pairs of feedback, held out:")
        lines.append(_line("area under the ROC curve", told["auc"]))
    return lines or ["not evaluated: there were too few tracklets and too little feedback to hold out"]


def _line(title: str, figures: dict[str, Any]) -> str:
    low, high = figures["difference"]
    return f"  {title} {figures['before']} before, {figures['after']} after ({low:+} to {high:+})"
