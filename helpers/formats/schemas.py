"""What Structured Outputs refuses in the JSON schema of an answer.

https://developers.openai.com/api/docs/guides/structured-outputs
"""

import re
from collections.abc import Iterator

_UNSUPPORTED = {
    "allOf", "oneOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else",
    "default", "minLength", "maxLength", "uniqueItems", "prefixItems", "contains", "minContains",
    "maxContains", "unevaluatedItems", "patternProperties", "propertyNames", "minProperties",
    "maxProperties", "unevaluatedProperties", "contentMediaType", "contentSchema",
}  # fmt: skip
_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid",
}  # fmt: skip
# What stands in a Pydantic model where a schema has another format; str in all other cases.
_INSTEAD = {"uuid": "UUID", "ipvany": "IPv4Address", "name-email": "EmailStr"}
# https://github.com/pydantic/pydantic-ai/issues/5508
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_MOST_PROPERTIES, _MOST_LEVELS, _MOST_VALUES, _MOST_LETTERS = 5_000, 10, 1_000, 120_000
_LONG_ENUM, _MOST_ENUM_LETTERS = 250, 15_000


def refusals(schema: dict, name: str) -> Iterator[str]:
    """What the API would refuse in the schema of this model: part by part, then as a whole."""
    if "$ref" in schema:
        yield f"{name}: a model that holds itself cannot be outermost; wrap it in another's field"
    elif schema.get("type") != "object":
        yield f"{name}: the outermost model has to be an object with fields"
    parts = list(_parts(schema, name))
    for place, part in parts:
        yield from _refusals_of(part, place)
    properties = [field for _, part in parts for field in part.get("properties", {})]
    values = [str(value) for _, part in parts for value in part.get("enum", [])]
    constants = [str(part["const"]) for _, part in parts if "const" in part]
    letters = sum(map(len, [*properties, *values, *constants, *schema.get("$defs", {})]))
    for what, found, most in (
        ("fields", len(properties), _MOST_PROPERTIES),
        ("values of enums and Literals", len(values), _MOST_VALUES),
        ("letters in names and values", letters, _MOST_LETTERS),
        ("levels of models in models", _levels(schema, schema, ()), _MOST_LEVELS),
    ):
        if found > most:
            yield f"{name}: it has {found:,} {what}, over the limit of {most:,}; ask for less"


def _parts(schema: dict, place: str) -> Iterator[tuple[str, dict]]:
    yield place, schema
    inner = [(f"{place}.{name}", part) for name, part in schema.get("properties", {}).items()]
    inner += [(f"{place}[]", schema["items"])] if "items" in schema else []
    inner += [(place, part) for part in schema.get("anyOf", [])]
    inner += list(schema.get("$defs", {}).items())
    for at, part in inner:
        yield from _parts(part, at)


def _levels(part: dict, schema: dict, inside: tuple[str, ...]) -> int:
    """How deep objects stand in objects; a model that holds itself counts once."""
    if (ref := part.get("$ref")) and ref not in inside:
        return _levels(schema["$defs"][ref.rpartition("/")[2]], schema, (*inside, ref))
    inner = [*part.get("properties", {}).values(), *part.get("anyOf", [])]
    inner += [part["items"]] if "items" in part else []
    deepest = max((_levels(one, schema, inside) for one in inner), default=0)
    return deepest + ("properties" in part)


def _refusals_of(part: dict, place: str) -> Iterator[str]:
    for keyword in sorted(_UNSUPPORTED & part.keys()):
        more = ", also '= ...' behind a field" if keyword == "default" else ""
        yield f"{place}: it has {keyword!r}, which is not supported; take it out of the model{more}"
    if (form := part.get("format", "uuid")) not in _FORMATS:
        instead = next((word for key, word in _INSTEAD.items() if form.startswith(key)), "str")
        kind = {"binary": "bytes", "password": "SecretStr"}.get(form, form.upper())
        yield f"{place}: it has the format {form!r} ({kind}), not supported; take {instead}"
    if _LOOK_AROUND.search(part.get("pattern", "")):
        yield f"{place}: its pattern looks around, with (?= or (?!, which is not supported"
    values = part.get("enum", [])
    if len(values) > _LONG_ENUM and sum(map(len, map(str, values))) > _MOST_ENUM_LETTERS:
        yield (
            f"{place}: its {len(values):,} values have more than {_MOST_ENUM_LETTERS:,} letters; "
            "shorten them"
        )
    if "$ref" in part and len(part.keys() - {"$defs"}) > 1:
        yield f"{place}: a nested model cannot have a description here; put it into its docstring"
    if not part.keys() & {"type", "enum", "const", "anyOf", "$ref", *_UNSUPPORTED}:
        yield f"{place}: it has no type; write one instead of Any"
    properties = part.get("properties", {})
    if isinstance(part.get("additionalProperties"), dict | bool) and not properties:
        yield f"{place}: free keys are not supported; use a list of pairs"
    elif part.get("type") == "object" and part.get("additionalProperties") is not False:
        yield f"{place}: give the model model_config = ConfigDict(extra='forbid')"
    for name in properties:
        if name not in part.get("required", []):
            yield f"{place}.{name}: every field is required; for an optional one, only 'X | None'"
