"""What the API takes and gives of floor plans; points are in pixels of the plan's image."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from unveil.gallery.plan_records import LONGEST_METRES, MAX_CAMERAS, FloorPlan, PlanScale
from unveil.server.schemas.base import In, Label
from unveil.server.schemas.rows import DistanceOut

Coordinate = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class PointIn(In):
    """A point of a plan."""

    x: Coordinate
    y: Coordinate


class PlacedCameraIn(PointIn):
    """Where a camera stands."""

    camera: Label


class ScaleIn(In):
    """Two points, and how many metres lie between them."""

    start: PointIn
    end: PointIn
    metres: Annotated[float, Field(gt=0, le=LONGEST_METRES, allow_inf_nan=False)]

    def to_scale(self) -> PlanScale:
        """Return it as a record."""
        return PlanScale((self.start.x, self.start.y), (self.end.x, self.end.y), self.metres)


class PlanIn(In):
    """Where all cameras of a plan stand; ``version`` is that which was read."""

    cameras: Annotated[tuple[PlacedCameraIn, ...], Field(max_length=MAX_CAMERAS)] = ()
    scale: ScaleIn | None = None
    version: int = Field(ge=1, le=2**62)


class PointOut(BaseModel):
    """A point of a plan."""

    x: float
    y: float


class PlacedCameraOut(PointOut):
    """Where a camera stands."""

    camera: str


class ScaleOut(BaseModel):
    """Two points, and how many metres lie between them."""

    start: PointOut
    end: PointOut
    metres: float


class FloorPlanOut(BaseModel):
    """A floor plan; its image is at ``.../plan/image``."""

    width: int
    height: int
    cameras: list[PlacedCameraOut]
    scale: ScaleOut | None
    version: int
    who: str
    changed: float
    distances: list[DistanceOut] = Field(description="between its cameras as the crow flies; empty without a scale")

    @staticmethod
    def of(plan: FloorPlan) -> FloorPlanOut:
        """Describe a plan."""
        scale = None
        if plan.scale is not None:
            start, end = (PointOut(x=x, y=y) for x, y in (plan.scale.start, plan.scale.end))
            scale = ScaleOut(start=start, end=end, metres=plan.scale.metres)
        apart = sorted((sorted(pair), metres) for pair, metres in plan.distances.items())
        return FloorPlanOut(
            width=plan.width, height=plan.height, scale=scale, version=plan.version, who=plan.who, changed=plan.changed,
            cameras=[PlacedCameraOut(camera=name, x=x, y=y) for name, (x, y) in sorted(plan.cameras.items())],
            distances=[DistanceOut(cameras=(one, other), metres=metres) for (one, other), metres in apart],
        )  # fmt: skip
