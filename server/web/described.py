"""What the generated documents share: their schemas, and the types of the events that travel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Union, cast

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_EVENTS: Final = "events"


class Schemas(GenerateJsonSchema):
    """Pydantic's schemas, with a discriminated union as a flat `oneOf`.

    Pydantic adds a `discriminator` in OpenAPI's form, which AsyncAPI does not know, and in neither's where unions are nested.
    The constants of the alternatives say the same.
    """

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """`{"oneOf": [...]}`."""
        choices = super().tagged_union_schema(schema)["oneOf"]
        return {"oneOf": [inner for choice in choices for inner in choice.get("oneOf", [choice])]}


def carrying(base: type[BaseModel], events: Iterable[Any], prefix: str = "") -> type[BaseModel]:
    """A model whose field `events` is a list of anything, with the events that it is known to carry; for documents only.

    Args:
        events: types such as a discriminated union of models; `base` itself is returned when there are none.
        prefix: of the new model's name, so that models of several places keep apart.
    """
    known = tuple(events)
    if not known:
        return base
    described = FieldInfo(description=base.model_fields[_EVENTS].description)
    fields: dict[str, Any] = {_EVENTS: (list[Union[known]], described)}  # type: ignore[valid-type]  # noqa: UP007
    model = create_model(prefix + base.__name__, __base__=base, __doc__=base.__doc__, **fields)
    return cast("type[BaseModel]", model)
