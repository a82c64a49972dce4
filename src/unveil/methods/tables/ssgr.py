"""The ablation tables of SSGR."""

from __future__ import annotations

from unveil.methods.tables.table import Row, Table, sweep


def _steps() -> tuple[Row, ...]:
    """Return the rows of Table 5: each adds one component to the row before."""
    names = ("cbe", "bed", "dnl", "rp", "me")
    printed = (
        (62.8, 51.9, 61.1, 62.1, 95.4, 88.6, 89.9, 79.8),
        (64.1, 53.3, 62.5, 63.5, 95.6, 88.9, 90.3, 80.0),
        (66.8, 54.5, 64.1, 65.7, 95.7, 88.9, 90.5, 80.5),
        (67.0, 54.8, 64.8, 65.9, 95.9, 89.0, 90.7, 80.8),
        (68.1, 56.1, 65.2, 66.4, 96.0, 89.0, 90.8, 80.9),
        (69.0, 57.2, 65.8, 67.2, 96.1, 89.3, 91.1, 81.3),
    )
    rows = []
    for on, figures in enumerate(printed):
        # Up to BED a row is SBS with its one head, its places of the blocks and its vector behind the neck. With BED
        # come the two heads, which the paper never isolates, and the pooled vector, on which BED works; with DNL its
        # places.
        settings = {
            **{name: i < on for i, name in enumerate(names)},
            "heads": 1 if on < 2 else 2,
            "test_feature": "neck" if on < 2 else "pooled",
            "placement": "last" if on < 3 else "alternate",
        }
        rows.append(Row(" + ".join(("baseline", *names[:on])), settings, figures))
    return tuple(rows)


_LEGEND = "the data that the legend of the figure names (not transcribed here)"
_BETAS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
_DATASETS = ("Occluded-Duke", "OPReID", "Market-1501", "DukeMTMC-reID")
ABLATIONS = {
    "table5": Table(
        "Table 5: one component after the other",
        ", ".join(_DATASETS),
        tuple(f"{dataset} {metric}" for dataset in _DATASETS for metric in ("R-1", "mAP")),
        _steps(),
    ),
    # Plotted without numbers; the values are a free choice around the paper's best, 0.3 and 0.9.
    "alpha": sweep(
        "Fig. 5: alpha", _LEGEND, columns=("R-1", "mAP"), setting="alpha", values=(0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
    ),
    "beta": sweep("Fig. 5: beta", _LEGEND, columns=("R-1", "mAP"), setting="beta", values=_BETAS, betas=_BETAS),
    # Not a table of the paper: eq. 5 sums the heads' cross-entropies, the classifier's own paper their logits.
    "heads": Table(
        "Eq. 5: two heads",
        "no paper",
        (),
        (Row("sum of cross-entropies", {}), Row("cross-entropy of summed logits", {"heads_mode": "sum_logits"})),
    ),
}
