"""The ablation tables of CAL."""

from __future__ import annotations

from unveil.methods.tables.table import Row, Table

ABLATIONS = {
    "clothes": Table(
        "Clothes-based adversarial loss",
        "changed clothes",
        (
            "PRCC R-1",
            "PRCC mAP",
            "LTCC R-1",
            "LTCC mAP",
            "Occ-PRCC R-1",
            "Occ-PRCC mAP",
            "Occ-LTCC R-1",
            "Occ-LTCC mAP",
        ),
        (
            Row("identity alone", {"clothes_loss": False}),
            Row("CAL", {}, (55.21, 55.83, 34.41, 16.12, 45.34, 43.21, 29.94, 9.23)),
        ),
        "The figures are those that OC4-ReID prints for CAL in its Table I.",
    ),
}
