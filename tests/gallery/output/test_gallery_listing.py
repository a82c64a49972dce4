from __future__ import annotations

import csv
import json

from unveil.gallery.output.listing import write_listing
from unveil.gallery.records import Item


def rows_of(path):
    return list(csv.DictReader(path.open(newline="")))


def test_csv_is_no_formula(tmp_path):
    items = [
        Item("a", "crop", b"", "@SUM(A1)", "=1+1", person="+1", tags=('=HYPERLINK("http://x")', "b"), id=1),
        Item("b", "crop", b"", "gate.mp4", "gate", -0.5, tags=("wet", "=late"), id=2),
        Item("c", "crop", b"", id=3),
    ]
    assert write_listing(iter(items), tmp_path / "rows.csv", images=None, change=bytes) == 3
    first, second, third = rows_of(tmp_path / "rows.csv")
    assert (first["source"], first["camera"], first["person"]) == ("'@SUM(A1)", "'=1+1", "'+1")
    assert first["tags"] == '\'=HYPERLINK("http://x");b'
    assert (second["camera"], second["time"], second["tags"]) == ("gate", "-0.5", "wet;=late")
    assert (third["camera"], third["tags"], third["x"]) == ("", "", "")
    write_listing(iter(items), tmp_path / "rows.json", images=None, change=bytes)
    told = json.loads((tmp_path / "rows.json").read_text())
    assert told[0]["camera"] == "=1+1", "JSON is no spreadsheet"
