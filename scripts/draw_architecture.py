"""Draw docs/pictures/architecture.svg from docs/layers.yaml.

Usage: python scripts/draw_architecture.py [OUT.svg]
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

import yaml

DOCS = Path(__file__).parent.parent / "docs"
WIDTH, MARGIN, LABEL, GAP, BOX = 1120, 10, 30, 10, 46
COLUMNS = 5
STYLE = (
    ".f{fill:#f4f6fb;stroke:#c5cede}.r{fill:#fff;stroke:#5b76a8}.t{font-weight:600;fill:#20304f}"
    ".d{font-size:11px;fill:#55627c}.n{font-size:12px;fill:#5b6780}"
)


def draw(layers: list[list[tuple[str, str]]]) -> str:
    """Return the picture as SVG, the highest layer on top.

    Args:
        layers: from the lowest; each package with what it holds.
    """
    lines, y = [], MARGIN
    for number, packages in reversed(list(enumerate(layers))):
        rows = [packages[i : i + COLUMNS] for i in range(0, len(packages), COLUMNS)]
        height = (BOX + GAP) * len(rows) + GAP
        lines.append(f'<rect class="f" x="{MARGIN}" y="{y}" width="{WIDTH - 2 * MARGIN}" height="{height}"/>')
        lines.append(f'<text class="n" x="{MARGIN + 10}" y="{y + height // 2 + 4}">{number}</text>')
        for i, row in enumerate(rows):
            step = (WIDTH - 2 * MARGIN - LABEL - GAP) // len(row)
            for k, (name, about) in enumerate(row):
                left, top = MARGIN + LABEL + k * step, y + GAP + i * (BOX + GAP)
                lines.append(f'<rect class="r" x="{left}" y="{top}" width="{step - GAP}" height="{BOX}" rx="4"/>')
                lines.append(f'<text class="t" x="{left + 8}" y="{top + 19}">{escape(name)}</text>')
                lines.append(f'<text class="d" x="{left + 8}" y="{top + 37}">{escape(about)}</text>')
        y += height + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="system-ui, sans-serif" '
        'font-size="14" role="img" aria-label="The packages of unveil by layer; imports go down only">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *lines, "</svg>", ""])


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "pictures" / "architecture.svg"
    out.write_text(draw(yaml.safe_load((DOCS / "layers.yaml").read_text(encoding="utf-8"))), encoding="utf-8")
