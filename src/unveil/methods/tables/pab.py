"""The ablation tables of PAB-ReID."""

from __future__ import annotations

from unveil.methods.tables.table import Row, Table

_FULL = (72.6, 63.5)
_TRIPLET = (67.1, 57.1)
ABLATIONS = {
    # What stands in for a removed part is not described; see the settings.
    "table3": Table(
        "Table III: one component less",
        "Occluded-Duke",
        ("R-1", "mAP"),
        (
            Row("without part attention block", {"part_attention": False}, (65.4, 56.2)),
            Row("without fine-grained focuser", {"focuser": False}, (67.3, 58.3)),
            Row("without pixel-level predictor", {"pixel_predictor": False}, (71.4, 61.7)),
            Row("without part triplet", {"part_loss": "tri"}, _TRIPLET),
            Row("all", {}, _FULL),
        ),
    ),
    # Two of the four bars have no numbers in the text.
    "fig5": Table(
        "Fig. 5: loss on the part vectors",
        "Occluded-Duke",
        ("R-1", "mAP"),
        (
            Row("identity", {"part_loss": "id"}),
            Row("triplet", {"part_loss": "tri"}, _TRIPLET),
            Row("identity + triplet", {"part_loss": "id_tri"}),
            Row("part triplet", {}, _FULL),
        ),
    ),
    # The text swaps the first values of mu and gamma; the cells of the heat map are not in it.
    "fig6": Table(
        "Fig. 6: visibility threshold mu x weight gamma of the part attention loss",
        "Occluded-Duke",
        ("R-1", "mAP"),
        tuple(
            Row(f"mu={mu} gamma={gamma}", {"mu": mu, "gamma": gamma}, _FULL if (mu, gamma) == (0.5, 0.35) else ())
            for mu in (0.3, 0.5, 0.7)
            for gamma in (0.15, 0.35, 0.55)
        ),
    ),
}
