"""All datasets by name: the readers of `unveil.data` and the world's, which lies in a layer above them."""

from __future__ import annotations

from unveil.data.catalog import READERS, load_dataset, options_of, reader, register

__all__ = ["READERS", "load_dataset", "options_of", "reader"]

register("world", "unveil.world.dataset:read")
