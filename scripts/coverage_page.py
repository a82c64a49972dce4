"""Write the badge of the README and the page of the docs from a coverage report; `make coverage` calls it."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
BADGE = Path("docs/pictures/coverage.svg")
PAGE = Path("docs/coverage.md")
GOOD, FAIR = 90, 75  # percent from which the badge is green, and yellow


def by_package(report: dict) -> dict[str, tuple[int, int]]:
    """Return package -> (covered lines, lines) of the JSON report of coverage.py, "all" last."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, file in report["files"].items():
        below = Path(name.replace("\\", "/")).as_posix().partition("src/unveil/")[2]
        package = below.split("/")[0] if "/" in below else "unveil"
        for key in (package, "all"):
            found[key][0] += file["summary"]["covered_lines"]
            found[key][1] += file["summary"]["num_statements"]
    return {key: (found[key][0], found[key][1]) for key in [*sorted(found.keys() - {"all"}), "all"]}


def badge(percent: float) -> str:
    """Return the badge as SVG."""
    colour = "#2e7d32" if percent >= GOOD else "#b58900" if percent >= FAIR else "#c62828"
    text = f"{percent:.0f} %"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="108" height="20" role="img" '
        f'aria-label="coverage: {text}"><title>coverage: {text}</title>'
        '<rect width="108" height="20" rx="3" fill="#444"/>'
        f'<rect x="62" width="46" height="20" rx="3" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="31" y="14">coverage</text><text x="85" y="14">{text}</text></g></svg>\n'
    )


def page(packages: dict[str, tuple[int, int]]) -> str:
    """Return the page as Markdown."""
    shares = {name: f"{100 * hit / max(total, 1):.1f} %" for name, (hit, total) in packages.items()}
    rows = "".join(f"| {name} | {packages[name][1]} | {share} |\n" for name, share in shares.items())
    return (
        "# Test coverage\n\n"
        "Statements of the package that `make test` runs, measured and written by `make coverage`. Not counted: what\n"
        "runs in other processes (servers, workers, an installed wheel) and inside functions that numba compiles.\n\n"
        f"| package | statements | covered |\n|---|---|---|\n{rows}"
    )


def main(report: Path, root: Path = ROOT) -> None:
    """Read a JSON report and write badge and page below a root."""
    packages = by_package(json.loads(report.read_text()))
    hit, total = packages["all"]
    (root / BADGE).write_text(badge(100 * hit / max(total, 1)))
    (root / PAGE).write_text(page(packages))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
