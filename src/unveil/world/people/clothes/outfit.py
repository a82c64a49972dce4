"""What a person wears, as plain choices: the recipe of an outfit. `garments` makes the geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unveil.world.render.fabric import Cloth, draw_cloth

TOPS = ("tee", "polo", "shirt", "sweater", "hoodie", "tank")
OUTERS = ("none", "jacket", "coat", "vest", "cardigan", "parka")
BOTTOMS = ("trousers", "jeans", "joggers", "leggings", "shorts", "skirt", "dress")
SHOES = ("sneakers", "boots", "shoes")
BAGS = ("none", "backpack", "crossbody", "handbag", "tote")
HATS = ("none", "cap", "beanie", "brim", "headscarf")

TOP_PATTERNS = {
    "heather": 0.10,
    "stripes": 0.09,
    "pinstripe": 0.02,
    "plaid": 0.04,
    "check": 0.01,
    "dots": 0.01,
    "camouflage": 0.01,
    "floral": 0.03,
    "block": 0.05,
    "band": 0.04,
}
SHIRT_PATTERNS = {"plaid": 0.2, "pinstripe": 0.15, "check": 0.08, "floral": 0.05, "dots": 0.04}
OUTER_PATTERNS = {"heather": 0.08, "plaid": 0.03, "block": 0.06, "camouflage": 0.01}
BOTTOM_PATTERNS = {"heather": 0.07, "pinstripe": 0.03, "plaid": 0.01, "camouflage": 0.01}
SKIRT_PATTERNS = {"plaid": 0.12, "floral": 0.15, "dots": 0.08, "pinstripe": 0.06, "stripes": 0.05}
DENIM = ("navy", "blue", "black", "grey")
# What most trousers, coats, shoes and bags are made of on a street.
PLAIN = ("black", "grey", "navy", "blue", "beige", "brown", "olive", "white")
COLOURFUL = {"bottom": 0.12, "outer": 0.3, "shoes": 0.25, "bag": 0.25}  # share in any colour at all


@dataclass(frozen=True)
class Outfit:
    """A recipe of clothes. Lengths along a limb: 0 its beginning, 1 wrist or ankle.

    Args:
        top, outer, bottom, shoes, bag, hat: kinds, from the tuples above.
        top_cloth, ...: their cloths.
        sleeve: length of the top's sleeves.
        ease: metres that the top stands off the body.
        tucked: the top ends in the waistband.
        neck_depth: metres that the neckline is cut below the neck.
        v_neck: the neckline is pointed.
        outer_open: the outer layer is worn open.
        outer_length: metres that it reaches below the crotch.
        outer_ease: metres.
        leg_length: of trousers.
        cut: width of the trouser leg at the ankle, as a share of the thigh.
        skirt_length: metres below the crotch.
        flare: width of the skirt's hem.
        tights: legs under a skirt, dress or shorts are covered.
        shoe_height: where the shoe ends, along the leg.
        scarf: a scarf is worn.
        bag_size: scale.
        right_hand: the bag is on the right.
    """

    top: str
    top_cloth: Cloth
    sleeve: float
    ease: float
    tucked: bool
    neck_depth: float
    v_neck: bool
    outer: str
    outer_cloth: Cloth
    outer_open: bool
    outer_length: float
    outer_ease: float
    bottom: str
    bottom_cloth: Cloth
    leg_length: float
    cut: float
    skirt_length: float
    flare: float
    tights: bool
    tights_cloth: Cloth
    shoes: str
    shoe_cloth: Cloth
    shoe_height: float
    bag: str
    bag_cloth: Cloth
    bag_size: float
    right_hand: bool
    hat: str
    hat_cloth: Cloth
    scarf: bool
    scarf_cloth: Cloth


def draw_outfit(rng: np.random.Generator, feminine: float) -> Outfit:
    """Return an outfit.

    Args:
        rng: source of chance.
        feminine: share of skirts and dresses among those who wear them at all, in [0, 1].
    """
    skirted = rng.random() < 0.34 * feminine
    kinds = ("skirt", "dress") if skirted else ("trousers", "jeans", "joggers", "leggings", "shorts")
    share = np.array([0.55, 0.45]) if skirted else np.array([0.32, 0.4, 0.06, 0.1 * feminine + 0.01, 0.13])
    bottom = str(kinds[rng.choice(len(kinds), p=share / share.sum())])
    top = str(rng.choice(TOPS, p=(0.32, 0.09, 0.2, 0.17, 0.17, 0.05)))
    outer = str(rng.choice(OUTERS, p=(0.54, 0.17, 0.09, 0.05, 0.08, 0.07)))
    if outer != "none" and top == "hoodie":
        top = "tee"
    if bottom == "dress":
        outer = outer if outer in ("none", "cardigan", "coat") else "none"
    sleeve = {"tee": rng.uniform(0.22, 0.4), "polo": rng.uniform(0.25, 0.38), "tank": -0.12}.get(top, 0.98)
    if top == "shirt" and rng.random() < 0.25:
        sleeve = float(rng.choice((0.42, 0.7)))
    ease = {"tee": (0.003, 0.018), "polo": (0.004, 0.012), "shirt": (0.005, 0.016), "sweater": (0.006, 0.019),
            "hoodie": (0.01, 0.024), "tank": (0.003, 0.01)}[top]  # fmt: skip
    length = {"shorts": rng.uniform(0.32, 0.56), "leggings": rng.uniform(0.86, 0.98)}.get(
        bottom, rng.uniform(0.93, 1.02)
    )
    wide = {"leggings": 0.0, "joggers": 0.55, "shorts": 1.0}.get(
        bottom, float(rng.choice((0.48, 0.62, 0.74, 0.95), p=(0.3, 0.33, 0.27, 0.1)))
    )
    outer_length = {"coat": rng.uniform(0.12, 0.42), "parka": rng.uniform(0.02, 0.15)}.get(
        outer, rng.uniform(-0.08, 0.05)
    )
    outer_ease = {"parka": (0.012, 0.03), "vest": (0.008, 0.02), "cardigan": (0.004, 0.01)}.get(outer, (0.004, 0.015))
    shoes = str(rng.choice(SHOES, p=(0.6, 0.2, 0.2)))
    prints = {"tee": 0.4, "hoodie": 0.4, "sweater": 0.15, "tank": 0.25}.get(top, 0.0)
    patterns = SHIRT_PATTERNS if top == "shirt" else TOP_PATTERNS
    return Outfit(
        top=top,
        top_cloth=draw_cloth(rng, SKIRT_PATTERNS if bottom == "dress" else patterns, prints=prints),
        sleeve=sleeve,
        ease=rng.uniform(*ease),
        tucked=bool(rng.random() < (0.4 if top == "shirt" else 0.15)),
        neck_depth=rng.uniform(0.05, 0.08) if top == "tank" else rng.uniform(0, 0.045),
        v_neck=bool(rng.random() < 0.2),
        outer=outer,
        outer_cloth=draw_cloth(rng, OUTER_PATTERNS, among=_among(rng, "outer")),
        outer_open=outer == "cardigan" or bool(rng.random() < 0.35),
        outer_length=outer_length,
        outer_ease=rng.uniform(*outer_ease),
        bottom=bottom,
        bottom_cloth=draw_cloth(
            rng,
            SKIRT_PATTERNS if skirted else {} if bottom == "jeans" else BOTTOM_PATTERNS,
            among=DENIM if bottom == "jeans" else None if skirted else _among(rng, "bottom"),
        ),
        leg_length=length,
        cut=wide,
        skirt_length=float(rng.choice((0.12, 0.3, 0.5), p=(0.35, 0.4, 0.25)) * rng.uniform(0.85, 1.15)),
        flare=rng.uniform(0.9, 1.35),
        tights=bool(rng.random() < 0.4 * feminine),
        tights_cloth=draw_cloth(rng, {}, among=("black", "grey", "navy", "brown")),
        shoes=shoes,
        shoe_cloth=draw_cloth(
            rng, {}, among=_among(rng, "shoes") if shoes == "sneakers" else ("black", "brown", "beige", "grey")
        ),
        shoe_height={"sneakers": 0.97, "boots": rng.uniform(0.6, 0.88), "shoes": 1.0}[shoes],
        bag=str(rng.choice(BAGS, p=(0.52, 0.2, 0.11, 0.09, 0.08))),
        bag_cloth=draw_cloth(rng, {}, among=_among(rng, "bag")),
        bag_size=rng.uniform(0.8, 1.15),
        right_hand=bool(rng.random() < 0.6),
        hat=str(rng.choice(HATS, p=(0.83, 0.07, 0.05, 0.02, 0.03))),
        hat_cloth=draw_cloth(rng, {}),
        scarf=bool(rng.random() < 0.06),
        scarf_cloth=draw_cloth(rng, {"stripes": 0.3, "plaid": 0.2}),
    )


def _among(rng: np.random.Generator, what: str) -> tuple[str, ...] | None:
    """Return the colours that a piece of clothing is drawn from; ``None`` is any."""
    return None if rng.random() < COLOURFUL[what] else PLAIN


def attributes(outfit: Outfit) -> dict[str, str]:
    """Return the outfit in the words of attribute labels: kinds and colours of what is worn."""
    dress = outfit.bottom == "dress"
    return {
        "top": "none" if dress else outfit.top,
        "top_colour": "none" if dress else outfit.top_cloth.name,
        "top_pattern": "none" if dress else outfit.top_cloth.pattern,
        "sleeves": "none" if outfit.sleeve < 0 else "short" if outfit.sleeve < 0.6 else "long",
        "outer": outfit.outer,
        "outer_colour": "none" if outfit.outer == "none" else outfit.outer_cloth.name,
        "bottom": outfit.bottom,
        "bottom_colour": outfit.top_cloth.name if dress else outfit.bottom_cloth.name,
        "shoes": outfit.shoes,
        "shoe_colour": outfit.shoe_cloth.name,
        "bag": outfit.bag,
        "hat": outfit.hat,
        "scarf": "yes" if outfit.scarf else "no",
    }
