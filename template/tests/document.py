"""The operations of the OpenAPI document, and what each of their inputs may hold."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.database_url import DATABASE_URL_EXAMPLE
from app.main import create_app
from app.settings import Settings
from tests.hostile import MARK
from tests.samples import JSON, PASSWORD
from tests.service import SECRET_KEY

Schema = dict[str, Any]

# Of formats that limit a text by themselves.
EXAMPLES = {
    "date": "2026-11-21",
    "date-time": "2026-11-21T12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "time": "12:00:00Z",
    "uri": "https://example.com",
    "uuid": "6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10",
}


@dataclass(frozen=True)
class Input:
    """A parameter, or a field of a body at any depth."""

    place: str
    name: str
    # What it may be: its schema, or each part of an `anyOf`.
    parts: list[Schema]
    # The JSON of a body that has only this field, as a format.
    body: str = "%s"

    @property
    def is_outermost(self) -> bool:
        """Whether it is a field of the body itself."""
        return self.body == f'{{"{self.name}": %s}}'

    @property
    def types(self) -> set[str]:
        return {part.get("type", "anything") for part in self.parts}

    @property
    def kind(self) -> str:
        """Name the hostile values that it must refuse."""
        types = self.types - {"null"}
        formats = {part.get("format", "") for part in self.parts}
        if formats & {"date-time", "time"}:
            return "moment"
        if formats & {"date", "uuid"}:
            return "date" if "date" in formats else "uuid"
        return "price" if types == {"number", "string"} else "".join(sorted(types))

    @property
    def is_bounded(self) -> bool:
        if self.kind not in {"string", "array"}:
            return True
        return all(
            part.get("type") == "null"
            or part.get("format") in EXAMPLES
            or {"maxItems", "maxLength", "enum", "const"} & part.keys()
            or not matches(part, MARK * 1000)
            for part in self.parts
        )


class Operation:
    def __init__(self, method: str, path: str, document: Schema) -> None:
        self.method = method.upper()
        self.path = path
        self.paths = list(document["paths"])
        self.definition: Schema = document["paths"][path][method]
        self.schemas: Schema = document.get("components", {}).get("schemas", {})

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def table(self) -> str:
        """The last name in its path, which is that of the table, if it is about rows of one."""
        return [part for part in self.path.split("/") if "{" not in part][-1]

    @property
    def creates(self) -> str | None:
        """The parameter by which paths name the rows that it creates, such as `item_id`."""
        pattern = re.escape(self.path) + r"/\{(\w+)\}"
        matches = [re.fullmatch(pattern, path) for path in self.paths if self.method == "POST"]
        return next((match[1] for match in matches if match), None)

    @property
    def is_protected(self) -> bool:
        """Whether it needs a token."""
        return bool(self.definition.get("security"))

    def parameters(self, *places: str) -> list[Input]:
        return [
            Input(parameter["in"], parameter["name"], self.single_parts(parameter["schema"]))
            for parameter in self.definition.get("parameters", [])
            if parameter["in"] in places
        ]

    def body(self, headers: Mapping[str, str]) -> Schema | None:
        """Return the schema of a body that is sent with these headers."""
        content = self.definition.get("requestBody", {}).get("content", {})
        schema: Schema | None = content.get(headers["Content-Type"], {}).get("schema")
        return schema

    def fields(self, headers: Mapping[str, str]) -> Iterator[Input]:
        """Yield the fields of such a body at any depth, and one that it does not have."""
        schema = self.body(headers)
        return self._fields(schema) if schema else iter(())

    def _fields(
        self, schema: Schema, name: str = "", body: str = "%s", depth: int = 0
    ) -> Iterator[Input]:
        parts = self.parts(schema)
        if name:
            yield Input("body", name, parts, body)
        for part in parts if depth < 5 else []:  # a schema may contain itself
            if "items" in part:
                yield from self._fields(part["items"], name, body % "[%s]", depth + 1)
            if "properties" in part and not part.get("additionalProperties"):
                yield Input("body", "unknown", [], body % '{"unknown": %s}')
            for each, inner in part.get("properties", {}).items():
                yield from self._fields(inner, each, body % f'{{"{each}": %s}}', depth + 1)

    def parts(self, schema: Schema) -> list[Schema]:
        if "$ref" in schema:
            return self.parts(self.schemas[schema["$ref"].rpartition("/")[2]])
        # Not `oneOf`: the error in a tagged union is at the union if there is no tag.
        parts = schema.get("anyOf") or schema.get("allOf")
        return [part for each in parts for part in self.parts(each)] if parts else [schema]

    def single_parts(self, schema: Schema) -> list[Schema]:
        """Return the parts of one value: a parameter that is a list repeats its name."""
        return [each for part in self.parts(schema) for each in self.parts(part.get("items", part))]

    def example(self, ids: Mapping[str, int], nth: int = 0) -> Any:
        """Make a valid JSON body, which refers to rows with these ids; another for each `nth`."""
        schema = self.body(JSON)
        return self._example(schema, ids, "", nth) if schema else None

    def _example(self, schema: Schema, ids: Mapping[str, int], name: str, nth: int) -> Any:
        part = self.parts(schema.get("oneOf", [schema])[0])[0]
        if name in ids:
            return ids[name]
        if valid := schema.get("examples") or choices(part):
            value = valid[nth % len(valid)]
            return f"{nth}{value}" if nth and "@" in str(value) else value
        if part.get("type") == "array":
            # As few as possible: a schema may contain itself.
            items = range(part.get("minItems", 0))
            return [self._example(part["items"], ids, "", nth) for _ in items]
        if part.get("type") == "object":
            fields = part.get("properties", {}).items()
            required = {each for each, field in fields if {"type": "null"} not in self.parts(field)}
            return {
                each: self._example(field, ids, each, nth)
                for each, field in fields
                if each in required
            }
        if part.get("type") == "string":
            return text_of(part.get("format", ""), nth)[: part.get("maxLength")]
        return nth % 2 == 0 if part.get("type") == "boolean" else number_of(part, nth)

    def beyond(self, field: Input) -> dict[str, Any]:
        """Make values just beyond the bounds in the document."""
        values: dict[str, Any] = {}
        for part in field.parts:
            values |= numbers_beyond(part) | texts_beyond(part)
            if part.get("minItems"):
                values["too few"] = []
            if "maxItems" in part:
                example = self._example(part.get("items", {}), {}, "", 0)
                values["too many"] = [example] * (part["maxItems"] + 1)
        return values


def number_of(schema: Schema, nth: int) -> Any:
    """Count from 1, or from the nearest bound; go on with the first number after the last."""
    last = schema.get("maximum", nth + 1)
    first = min(schema.get("minimum", 1), last)
    number = max(first, min(1, last)) + nth
    return number if number <= last else first + (number - first) % (last - first + 1)


def text_of(form: str, nth: int) -> str:
    """Make a text of this format; another for each `nth`, where the format has room for it."""
    text = EXAMPLES.get(form, PASSWORD)
    if form == "uuid":
        return f"{text[:-12]}{nth:012}"
    if form in {"date", "date-time"}:
        return text.replace("2026", str(2026 + nth % 1000))
    if form == "uri":
        return f"{text}/{nth}"
    return text if form in {"duration", "time"} or not nth else f"{nth}{text}"


def matches(schema: Schema, text: str) -> bool:
    try:
        return re.search(schema.get("pattern", ""), text) is not None
    except re.error:  # pydantic's syntax is larger
        return True


def choices(schema: Schema) -> list[Any]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


def numbers_beyond(schema: Schema) -> dict[str, int | float]:
    step = Decimal(str(schema.get("multipleOf", 1)))
    changes: dict[str, Decimal | int]
    changes = {"minimum": -step, "exclusiveMinimum": 0, "maximum": step, "exclusiveMaximum": 0}
    values = {
        f"beyond {bound}": Decimal(str(schema[bound])) + change
        for bound, change in changes.items()
        if bound in schema
    }
    if "multipleOf" in schema:
        values["too precise"] = step / 2
    return {name: int(value) if value % 1 == 0 else float(value) for name, value in values.items()}


def texts_beyond(schema: Schema) -> dict[str, str]:
    values: dict[str, str] = {}
    if valid := choices(schema):
        others = [MARK, "7", "1", "", f"{valid[0]},{valid[-1]}", f"{valid[0]};DROP TABLE items"]
        values |= {other: other for other in others if other not in valid}
    if not matches(schema, MARK):
        values["another form"] = MARK
    if schema.get("minLength"):
        values["too short"] = ""
    if "maxLength" in schema:
        length = schema["maxLength"] + 1
        values["too long"] = (MARK * length)[:length]
    return values


# The document needs no database, only the name of one.
SETTINGS = Settings(_env_file=None, database_url=DATABASE_URL_EXAMPLE, secret_key=SECRET_KEY)
DOCUMENT = create_app(SETTINGS).openapi()
OPERATIONS = [
    Operation(method, path, DOCUMENT)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
]
