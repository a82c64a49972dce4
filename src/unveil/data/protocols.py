"""The protocols that need nothing but their columns; benchmarks with rules of their own define them in their files."""

from __future__ import annotations

from unveil.records import Protocol

MARKET = Protocol("market", about="Single query, one camera is no match for itself (Zheng et al., ICCV 2015).")
NO_JUNK = Protocol("no_junk", junk=(), about="Every gallery crop counts; for data without cameras.")
CROSS_CLOTHES = Protocol(
    "cross_clothes", junk=("same_camera", "same_clothes"), about="Only other outfits count (Qian et al., ACCV 2020)."
)
SAME_CLOTHES = Protocol(
    "same_clothes", junk=("same_camera", "other_clothes"), about="Only the same outfit counts (Qian et al., ACCV 2020)."
)
OTHER_TRACKLET = Protocol(
    "other_tracklet", junk=("same_tracklet",), about="A track is no match for itself; for recordings of one camera."
)
PROTOCOLS = {p.name: p for p in (MARKET, NO_JUNK, CROSS_CLOTHES, SAME_CLOTHES, OTHER_TRACKLET)}
