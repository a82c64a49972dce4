"""The ablation tables of the method of this package."""

from __future__ import annotations

from unveil.methods.tables.table import Row, Table

_NONE: dict[str, object] = {
    "parts": False,
    "screening": False,
    "centre": False,
    "compound": False,
    "erase_clothes": False,
    "mean_feature": False,
    "clothes_loss": False,
    "metric_loss": "tri",
}
_ALL: dict[str, object] = {**dict.fromkeys(_NONE, True), "metric_loss": "cross"}
# What doubles the batch sees half the crops in an epoch, so that every row costs the same.
_WHOLE, _HALF = ("sampler.persons=16",), ("sampler.persons=8", "data.max_per_person=12")
_QUARTER = ("sampler.persons=4", "data.max_per_person=6")
_ADDED: dict[str, dict[str, object]] = {
    "parts": {"parts": True},
    "clothes erasure and cross-clothes triplet": {"erase_clothes": True, "metric_loss": "cross"},
    "compound erasing": {"compound": True},
    "screened stripes": {"screening": True},
    "cross-clothes triplet": {"metric_loss": "cross"},
    "clothes adversary": {"clothes_loss": True},
    "centre": {"centre": True},
    "mean feature": {"mean_feature": True},
    "clothes erasure, cross-clothes triplet, maximum beside mean": {
        "erase_clothes": True,
        "metric_loss": "cross",
        "pool": "maxavg",
    },
    "the same, 60 % of the copies recoloured": {
        "erase_clothes": True,
        "metric_loss": "cross",
        "pool": "maxavg",
        "recoloured": 0.6,
    },
}


def _row(label: str, settings: dict[str, object]) -> Row:
    erase = "augment.erase=none" if settings["compound"] else "augment.erase=cal"
    budget = (_WHOLE, _HALF, _QUARTER)[bool(settings["compound"]) + bool(settings["erase_clothes"])]
    return Row(label, {"pool": "avg", "recoloured": 0.0} | settings, overrides=(*budget, erase))


def _table(title: str, *rows: Row) -> Table:
    return Table(title, "no paper", (), rows)


ABLATIONS = {
    "add": _table(
        "One component at a time",
        _row("global vector", _NONE),
        *(_row(f"+ {label}", _NONE | change) for label, change in _ADDED.items()),
    ),
    "less": _table(
        "All components, and one less each",
        _row("all", _ALL),
        *(_row(f"without {name}", _ALL | {name: off}) for name, off in _NONE.items()),
    ),
}
