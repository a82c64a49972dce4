"""Find a person in a folder of crops: python examples/find_in_folder.py QUERY.png CROPS/ [MODEL]."""

from __future__ import annotations

import sys

import unveil


def main(query: str, crops: str, *model: str) -> None:
    """Print the five nearest crops, the nearest first."""
    network = unveil.load_model(*model)
    gallery = unveil.embed(network, crops)
    (found,) = unveil.search(unveil.embed(network, query), gallery, top=5)
    for hit in found.hits:
        nearest = min(hit.parts, key=hit.parts.__getitem__) if hit.parts else "whole crop"
        print(f"{hit.rank}  {hit.distance:.3f}  {hit.sample.key}  ({nearest})")


if __name__ == "__main__":
    main(*sys.argv[1:])
