"""All accessories of a dressed person, and the bones from which hung ones dangle."""

from __future__ import annotations

from unveil.world.people.accessories.aids import cane_pieces, walker_pieces
from unveil.world.people.accessories.bags import bag_pieces
from unveil.world.people.accessories.headwear import hat_pieces, scarf_pieces
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.garments import Dresser
from unveil.world.people.mesh import Piece


def accessory_pieces(dresser: Dresser) -> tuple[list[Piece], tuple[int, ...]]:
    """Return the pieces, and the bones from which hung ones dangle (they get the extra bones J, J + 1, ...)."""
    body, outfit, pack = dresser.body, dresser.outfit, load_pack()
    side = "R" if outfit.right_hand else "L"
    hung = (pack.bone(f"wrist.{side}"), pack.bone(f"wrist.{'L' if outfit.right_hand else 'R'}"))
    pieces = bag_pieces(dresser, side, hung=len(pack.bones))
    if outfit.scarf:
        pieces += scarf_pieces(body, outfit.scarf_cloth)
    if outfit.hat != "none":
        pieces += hat_pieces(body, outfit.hat, cloth=outfit.hat_cloth)
    if body.identity.aid == "cane":
        pieces += cane_pieces(body, len(pack.bones) + 1, side="L" if outfit.right_hand else "R")
    elif body.identity.aid == "walker":
        pieces += walker_pieces(body)
    return pieces, hung
