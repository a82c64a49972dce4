"""What the API says of what people wear and carry, and how it is asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from unveil.attributes.records import Attributes
from unveil.attributes.wanted import wanted_of
from unveil.errors import DataError

MAX_ASKED = 60  # values of attributes in one filter; there are fewer


def _known(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        wanted_of(texts)
    except DataError as e:
        raise ValueError(str(e)) from None
    return texts


Asked = Annotated[
    tuple[Annotated[str, StringConstraints(max_length=60)], ...], Field(max_length=MAX_ASKED), AfterValidator(_known)
]


class AttributeOut(BaseModel):
    """One attribute: how sure each value is, or which share of the part it covers; and what shows of the part."""

    values: dict[str, float]
    main: list[str] = Field(description="the surest value; of colours the second too where it covers much")
    shown: float = Field(description="share of the part that shows, in [0, 1]")

    @staticmethod
    def of(attributes: Attributes | None) -> dict[str, AttributeOut] | None:
        """Describe the attributes of a row to clients; what is absent cannot be seen, ``None``: nobody looked."""
        if attributes is None:
            return None
        return {
            name: AttributeOut(values=dict(one.values), main=list(one.main), shown=one.shown)
            for name, one in attributes.seen.items()
        }
