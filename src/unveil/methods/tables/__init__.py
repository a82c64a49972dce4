"""The ablation tables of the papers as data, one file a method."""

from __future__ import annotations

from collections.abc import Mapping

from unveil.methods.tables import cal, combined, cre, oc4, ocnet, pab, ssgr
from unveil.methods.tables.table import Table

TABLES: Mapping[str, Mapping[str, Table]] = {
    "cal": cal.ABLATIONS,
    "cre": cre.ABLATIONS,
    "oc4": oc4.ABLATIONS,
    "ocnet": ocnet.ABLATIONS,
    "pab": pab.ABLATIONS,
    "ssgr": ssgr.ABLATIONS,
    "combined": combined.ABLATIONS,
}
