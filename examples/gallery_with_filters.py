"""Keep crops in a gallery and search one camera: python examples/gallery_with_filters.py QUERY.png GATE/ HALL/ [MODEL].

Needs the extra ``gallery``. The data are kept in $UNVEIL_GALLERIES, or in the user's data folder.
"""

from __future__ import annotations

import sys

import unveil
from unveil.gallery.records import Filter


def main(query: str, gate: str, hall: str, *model: str) -> None:
    """Add two cameras, look for a person in the hall, and print where they were seen."""
    options = {"model": model[0]} if model else {}
    with unveil.open_gallery("example", engine="torch", **options) as gallery:
        for camera, folder in (("gate", gate), ("hall", hall)):
            print(gallery.add(folder, camera=camera))
        # Generated figures are no photographs: real crops need no skip_person_check.
        found = gallery.search(query, where=Filter(cameras=("hall",)), top=3, why="example", skip_person_check=True)
        for hit in found.hits:
            print(f"{hit.distance:.3f}  {hit.item.camera}  {hit.item.source}  {hit.reason}")
        print(*found.notes, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
