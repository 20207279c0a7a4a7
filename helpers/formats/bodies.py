"""What the API refuses in the body of a request, by the SDK's types and beyond them."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import orjson
from openai.types.chat import completion_create_params as chat
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.image_edit_params import ImageEditParamsNonStreaming
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming
from openai.types.moderation_create_params import ModerationCreateParams
from openai.types.responses import response_create_params as responses
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import SchemaValidator, ValidationError

from helpers.formats.pictures import is_link, token_bound, url_fault
from helpers.paths import DATA


class _ImageEdit(ImageEditParamsNonStreaming):
    # Its pictures are files for the SDK, and links in a batch.
    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)  # type: ignore[misc]


# What batches serve (openai/types/batch_create_params.py; videos are not in the guide), with the
# SDK's own description of a body.
ENDPOINTS: dict[str, Any] = {
    "/v1/responses": responses.ResponseCreateParamsNonStreaming,
    "/v1/chat/completions": chat.CompletionCreateParamsNonStreaming,
    "/v1/embeddings": EmbeddingCreateParams,
    "/v1/completions": CompletionCreateParamsNonStreaming,
    "/v1/moderations": ModerationCreateParams,
    "/v1/images/generations": ImageGenerateParamsNonStreaming,
    "/v1/images/edits": _ImageEdit,
}


# The names of the cap on the answer, the one to write first.
CAPS = {
    "/v1/chat/completions": ("max_completion_tokens", "max_tokens"),
    "/v1/responses": ("max_output_tokens",),
    "/v1/completions": ("max_tokens",),
}


def problems_of(body: dict, url: str) -> list[str]:
    """What is wrong with a body that names its model, as JSON holds it: one sentence each."""
    return [*_misfits(body, url), *_unsuited(body, url)]


# What the API's own types refuse


def _misfits(body: dict, url: str) -> list[str]:
    """Where the body is not what the SDK's types say; parameters that they do not know pass."""
    try:
        _validator(url).validate_python(body, strict=True)
    except ValidationError as error:
        errors = [(found["loc"], found) for found in error.errors(include_url=False)]
        return list(islice(_closest(errors, body, "body"), _MOST_NAMED))
    return []


_MOST_NAMED = 10


@cache
def _validator(url: str) -> SchemaValidator:
    schema = _with_lists(TypeAdapter(ENDPOINTS[url]).core_schema)
    if url == "/v1/images/edits":
        for name in ("image", "mask", "markup"):
            del schema["fields"][name]
    return SchemaValidator(schema)


def _with_lists(schema: Any) -> Any:
    """The schema with every Iterable a list: pydantic does not look into the former by itself."""
    if isinstance(schema, list):
        return [_with_lists(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "json-or-python":
        return _with_lists(schema["json_schema"])
    schema = {key: _with_lists(part) for key, part in schema.items()}
    return schema | {"type": "list"} if schema.get("type") == "generator" else schema


def _closest(errors: list[tuple[tuple, Any]], value: Any, place: str) -> Iterator[str]:
    """What is wrong, in the value's own places, of what pydantic says of all that it could be."""
    inner: dict[Any, list] = {}
    could_be: dict[str, list] = {}
    here = [error for loc, error in errors if not loc]
    for loc, error in errors:
        if loc and _is_inside(loc, error, value):
            inner.setdefault(loc[0], []).append((loc[1:], error))
        elif loc:
            could_be.setdefault(loc[0], []).append((loc[1:], error))
    for step, found in inner.items():
        if isinstance(step, int):
            yield from _closest(found, value[step], f"{place}[{step}]")
        elif step in value:
            yield from _closest(found, value[step], f"{place}.{step}")
        else:
            yield f"{place} has no {step}{_hint(place)}"
    branches = list(could_be.values())
    if tag := next(
        (tag for tag in _TAGS if branches and all(_wrong(b, tag) for b in branches)), ""
    ):
        # It is of no kind that there is.
        yield from _closest([error for b in branches for error in _wrong(b, tag)], value, place)
    elif branches:
        least = min(map(_distance, branches))
        best = [found for found in branches if _distance(found) == least]
        here += [error for found in best for loc, error in found if not loc]
        if not here:
            yield from _closest(best[0], value, place)
    if here:
        yield _sentence(here, place)


# Where the types of the SDK say which of them an object is.
_TAGS = ("type", "role")


def _wrong(found: list[tuple[tuple, Any]], tag: str) -> list[tuple[tuple, Any]]:
    return [(loc, error) for loc, error in found if loc == (tag,)]


def _is_inside(loc: tuple, error: Any, value: Any) -> bool:
    """Whether a step of pydantic's leads into the value, or names a type that it could have."""
    if isinstance(value, dict):
        return loc[0] in value or (len(loc) == 1 and error["type"] == "missing")
    return isinstance(value, list) and isinstance(loc[0], int)


def _distance(found: list[tuple[tuple, Any]]) -> tuple[int, int, int]:
    """How far a value is from a type: by tag, by what it lacks, by how deep it fits."""
    own = [(loc[0], error["type"] == "missing") for loc, error in found if len(loc) == 1]
    # Messages need no type, and what has an id came from the API: these are rarely what is meant.
    weights = {("role", False): 2, ("id", True): 3, ("type", True): 3}
    lacks = sum(weights.get(one, one[1] or one[0] in _TAGS) for one in own)
    return ("type", False) in own, lacks, -max(len(loc) for loc, _ in found)


def _sentence(errors: list[Any], place: str) -> str:
    wanted = dict.fromkeys(
        error.get("ctx", {}).get("expected") or error["msg"].removeprefix("Input should be ")
        for error in errors
    )
    words = " or ".join(wanted).replace("valid ", "").replace("a dictionary", "an object")
    words = words.replace("a integer", "an integer")
    return f"{place} is {errors[0]['input']!r:.60}; it should be {words:.300}{_hint(place)}"


def _hint(place: str) -> str:
    return next((hint for key, hint in _HINTS.items() if re.search(key, place)), "")


_HINTS = {
    r"^body\.stream$": "; take 'stream' out, a batch cannot do streaming",
    r"^body\.response_format": "; its response_format is not one of the API; make it with "
    "answer_format",
    r"^body\.text": '; make it with answer_format(..., endpoint="/v1/responses")',
    r"^body\.messages.*\.image_url$": ', such as {"url": "https://..."}; image_part makes it',
}


# What types cannot say


def _unsuited(body: dict, url: str) -> Iterator[str]:
    """What the endpoint or the model refuses in a body that names its model."""
    # A word that is unknown altogether may be one of another server's; one of the other API is not.
    for word in sorted(body.keys() & _words(_SISTERS.get(url, url)) - _words(url)):
        way = f"write {_INSTEAD[word]}" if word in _INSTEAD else "take it out"
        yield f"has {word}, which {url} does not know; {way}"
    if url == "/v1/chat/completions" and body.get("messages") == []:
        yield "has no messages"
    if url == "/v1/responses" and not (body.get("input") or body.get("prompt")):
        yield "has no input"
    text = body.get("text")
    if url == "/v1/responses" and isinstance(text, dict) and "type" in text:
        yield 'has a format in place of text; write text={"format": ...}'
    model, effort = body["model"], body.get("reasoning_effort")
    if isinstance(reasoning := body.get("reasoning"), dict):
        effort = reasoning.get("effort")
    limits = next((line for line in models() if model.startswith(line["model"])), None)
    if limits is None:
        return
    if effort in limits["refused_efforts"].split():
        yield f"asks for the effort {effort!r}, which {model} refuses; take 'low' or more"
    for name in sorted(_SAMPLING & body.keys() & _words(url)):
        if limits["sampling"] == "refused":
            yield f"has {name}, which {model} refuses; take {name} out"
        elif effort != "none":
            yield f"has {name}, which is refused unless the reasoning effort is 'none'"
    if limits["max_tokens"] and url == "/v1/chat/completions" and "max_tokens" in body:
        yield "has max_tokens, which is refused; write max_completion_tokens"


@cache
def _words(url: str) -> frozenset[str]:
    return ENDPOINTS[url].__required_keys__ | ENDPOINTS[url].__optional_keys__


_SISTERS = {
    "/v1/responses": "/v1/chat/completions",
    "/v1/chat/completions": "/v1/responses",
}
# What each of them calls otherwise: openai/types/chat/completion_create_params.py,
# openai/types/responses/response_create_params.py.
_INSTEAD = {
    "messages": "input", "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens", "reasoning_effort": 'reasoning={"effort": ...}',
    "response_format": 'text={"format": answer_format(..., endpoint="/v1/responses")}',
    "input": "messages", "instructions": "a message with the role system",
    "max_output_tokens": "max_completion_tokens", "reasoning": "reasoning_effort",
    "text": "response_format=answer_format(...)",
}  # fmt: skip
# https://developers.openai.com/api/docs/guides/deployment-checklist
_SAMPLING = {"temperature", "top_p", "top_logprobs", "logprobs"}


@cache
def models() -> list[dict[str, str]]:
    """What models refuse, from ``data/models.csv``: a line for each family of names.

    The most special first: the first whose ``model`` is the beginning of a name holds for it.
    """
    with (DATA / "models.csv").open(encoding="utf-8", newline="") as file:
        return sorted(csv.DictReader(file), key=lambda line: -len(line["model"]))


def picture_problems(pictures: Iterable[tuple[Any, Any]]) -> Iterator[str]:
    """What is wrong with the pictures in a body, given as the address and detail of each."""
    for number, (url, _) in enumerate(pictures, start=1):
        if fault := url_fault(url):
            yield f"its picture {number}, {url!r:.60}, {fault}"


# openai/types/embedding_create_params.py: "any array must be 2048 dimensions or less".
MAX_TEXTS = 2_048


def embedding_inputs(texts: Any) -> tuple[int, str]:
    """How many texts are asked about, and what is wrong with them.

    One text, a list of texts, one text as a list of tokens, or a list of those:
    openai/types/embedding_create_params.py.
    """
    several = isinstance(texts, list | tuple) and not (texts and isinstance(texts[0], int))
    listed = texts if several else [texts]
    if empty := next((place for place, text in enumerate(listed) if text in ("", [], ())), -1) + 1:
        return len(listed), f"has no input: its text {empty} is empty; take the row out"
    if not listed:
        return 0, "has no input"
    if len(listed) > MAX_TEXTS:
        return len(listed), f"has {len(listed):,} texts, over the limit of {MAX_TEXTS:,}; split it"
    return len(listed), ""


# What is in it


# English text has about four bytes a token: an assumption.
TOKENS_PER_BYTE = 0.25


class Size(NamedTuple):
    """How much a model reads in a request: what its prompt costs can be bounded by it.

    ``text_bytes`` are those of its texts in UTF-8; ``image_tokens`` what its embedded pictures cost
    by the rule of `image_tokens`; ``link_tokens`` the most that its ``links`` to pictures can cost.
    """

    text_bytes: int = 0
    image_tokens: int = 0
    links: int = 0
    link_tokens: int = 0

    @property
    def tokens(self) -> float:
        """About how many tokens these are, before any was counted by the API."""
        return self.text_bytes * TOKENS_PER_BYTE + self.image_tokens + self.link_tokens


class Reader:
    """Goes through a body once: the text that the model reads, the pictures, and its shape.

    The shape is what the API's rules depend on: all keys, all words, the types of everything else.
    Bodies that differ only in their numbers, and in what texts say that are not empty, have one.
    """

    def __init__(self) -> None:
        self.text = 0
        self.odd = False
        self.pictures: list[tuple[Any, Any]] = []
        self._schemas: dict[str, tuple[Any, bytes]] = {}

    def read(self, body: dict) -> tuple:
        """The shape of a body; ``odd`` says that it holds values which JSON does not have."""
        self.text, self.odd, self.pictures = 0, False, []
        return self._shape_of(body, _SCHEMAS)

    def size(self, body: dict) -> Size:
        """How much there is in the body that was read last."""
        if not self.pictures:
            return Size(self.text)
        model = str(body.get("model"))
        tokens = [token_bound(url, detail, model) for url, detail in self.pictures]
        links = [is_link(url) for url, _ in self.pictures]
        linked = sum(count for count, link in zip(tokens, links, strict=True) if link)
        return Size(self.text, sum(tokens) - linked, sum(links), linked)

    def _shape_of(self, value: dict, schemas: Collection[str] = ()) -> tuple:
        # Text is by far the commonest value, and dealt with here to save the call.
        parts: list[tuple[str, Any]] = []
        for key, part in value.items():
            if key in schemas:
                parts.append((key, self._schema(key, part)))
            elif type(part) is not str:
                parts.append((key, self._shape(part, key)))
            elif key in _TEXTS:
                self.text += len(part) if part.isascii() else len(part.encode())
                parts.append((key, str if part else ""))
            else:
                parts.append((key, str if key in _LOOSE else part))
        return tuple(parts)

    def _shape(self, value: Any, key: str) -> Any:
        kind = type(value)
        if kind is dict:
            if "image_url" in value:
                self._picture(value)
            return self._shape_of(value)
        if kind is list or kind is tuple:
            shape = self._shape
            return frozenset([shape(part, key) for part in value])
        if kind is str:
            return self._shape_of({key: value})[0][1]
        if kind is int and key in _TEXTS:
            # A token in place of text.
            self.text += round(1 / TOKENS_PER_BYTE)
        elif kind is bool:
            return (value,)
        self.odd = self.odd or kind not in _PLAIN
        return kind

    def _schema(self, key: str, value: Any) -> bytes:
        """Large, and nearly always the one of the body before."""
        known, encoded = self._schemas.get(key, (None, b""))
        if known is not value and not _equal(known, value):
            encoded = orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY)
            self._schemas[key] = value, encoded
        self.text += len(encoded)
        return encoded

    def _picture(self, part: dict[str, Any]) -> None:
        image: Any = part["image_url"]
        detail = part.get("detail")
        if isinstance(image, dict):
            image, detail = image.get("url"), image.get("detail", detail)
        self.pictures.append((image, detail))


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except ValueError:
        # There are arrays in them.
        return False


# Text that the model reads; other text that varies from row to row; what is large and does not.
_TEXTS = {"content", "text", "input", "prompt", "instructions", "arguments", "output", "refusal"}
_LOOSE = {
    "url", "image_url", "data", "file_data", "user", "safety_identifier", "prompt_cache_key", "id",
    "call_id", "tool_call_id", "name", "filename",
}  # fmt: skip
_SCHEMAS = {"response_format", "text", "tools", "functions"}
_PLAIN = {int, float, type(None)}
