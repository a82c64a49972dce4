"""Adapting to the gallery "shop" shortly, and what is in it before and after."""

from __future__ import annotations

import numpy as np

from unveil.gallery.records import Filter

SHORT = ("--epochs", 2, "--neighbours", 3, "--held-out", 0.4, "--keep-worse", "--device", "cpu")


def vectors(store, name="shop"):
    ids, found = store.embeddings(name, store.ids(name, Filter()))
    return dict(zip(ids.tolist(), found.vectors, strict=True))


def alike(one, other):
    return all(np.allclose(one[number], other[number], atol=2e-3, rtol=2e-3) for number in one | other)


def actions(store, since=0):
    kept = [entry for entry in store.entries("shop") if entry["number"] > since]
    return [(entry["action"], entry["details"]["state"]) for entry in kept]
