"""Malformed and malicious input, by name."""

from base64 import urlsafe_b64encode

from httpx2 import Response

from tests.samples import JSON

__all__ = ["JSON"]  # until 2.0.0; import it from `tests.samples`

# Part of most texts below, and never of an answer.
MARK = "hunter2"

UNREADABLE_BODIES = {
    "empty": b"",
    "cut off": b'{"name": "hunter2',
    "not JSON": b"hunter2",
    "null": b"null",
    "a number": b"1",
    "text": b'"hunter2"',
    "an array": b"[]",
    "invalid UTF-8": b'{"name": "hunter2 \xff"}',
    "NUL": b'{"name": "hunter2 \0"}',
    "5000 deep": b'{"name": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "5000 deep, and cut off": b"[" * 5000,
    "5000 digits": b'{"price": ' + b"9" * 5000 + b"}",
    "NaN for all": b"NaN",
    "a lone surrogate for a name": b'{"\\ud800": 1}',
    "NUL for a name": b'{"\\u0000": 1}',
}
MEDIA_TYPES = {
    "none": b"",
    "text": b"text/plain",
    "form": b"application/x-www-form-urlencoded",
    "multipart": b"multipart/form-data; boundary=x",
    "no slash": b"json",
    "invalid UTF-8": b"application/json\xff",
    "NUL": b"application/\0json",
}

# Values of fields, as JSON writes them, or as those write them who do not know JSON.
NOT_FINITE = {
    "NaN": "NaN",
    "infinity": "Infinity",
    "-infinity": "-Infinity",
    "1e999": "1e999",
}
BOOLEAN = {"boolean": "true"}
OBJECT = {"object": '{"hunter2": 1}'}
LISTS = {"array": "[1]", "empty array": "[]", "nested": "[" * 500 + "]" * 500}
TEXTS = {
    "text": '"hunter2"',
    "NUL": '"1\\u0000"',
    "lone surrogate": '"1\\ud800"',
    "digits of another script": '"\\u0661"',
}
NO_VALUES = NOT_FINITE | BOOLEAN | OBJECT | LISTS
DIGITS = {"4000 digits": "9" * 4000}
VALUES = {
    "anything": NOT_FINITE,
    "string": NO_VALUES | {
        "number": "1",
        "NUL": '"hunter2 \\u0000"',
        "lone surrogate": '"hunter2 \\ud800"',
    },
    "integer": NO_VALUES | TEXTS | DIGITS | {
        "a number as text": '"1"',
        "2**63": str(2**63),
        "2**64": str(2**64),
        "-2**63 - 1": str(-(2**63) - 1),
        "fraction": "1.5",
    },
    "number": NO_VALUES | TEXTS | {"a number as text": '"1"'},
    "price": NO_VALUES | TEXTS | DIGITS | {
        "60 decimals, as text": '"1.' + "0" * 59 + '1"',
        "1e400 as text": '"1e400"',
        "NaN as text": '"NaN"',
        "infinity as text": '"Infinity"',
    },
    "boolean": NOT_FINITE | OBJECT | LISTS | TEXTS | {"number": "1", "true as text": '"true"'},
    "date": NO_VALUES | {
        "text": '"hunter2"',
        "number": "0",
        "NUL": '"2026-11-21\\u0000"',
        "lone surrogate": '"\\ud800"',
        "a moment": '"2026-11-21T00:00:00Z"',
        "a day too many": '"2026-02-30"',
        "year 0": '"0000-01-01"',
        "digits of another script": '"\\u0662026-11-21"',
    },
    "uuid": NO_VALUES | {
        "text": '"hunter2"',
        "number": "0",
        "NUL": '"6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10\\u0000"',
        "lone surrogate": '"\\ud800"',
        "no hyphens": '"6f1f2b360f4c4b529d3c4f6a1c2f7f10"',
        "braces": '"{6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10}"',
        "URN": '"urn:uuid:6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10"',
    },
    "moment": NO_VALUES | {
        "text": '"hunter2"',
        "number": "0",
        "NUL": '"2026-11-21T12:00:00Z\\u0000"',
        "lone surrogate": '"\\ud800"',
        "no offset": '"2026-11-21T12:00:00"',
        "year 1 at +14:00": '"0001-01-01T00:00:00+14:00"',
        "year 9999 at -14:00": '"9999-12-31T23:59:59-14:00"',
    },
    "array": NOT_FINITE | BOOLEAN | OBJECT | {
        "text": '"hunter2"',
        "number": "1",
        "nested": "[" * 500 + "]" * 500,
    },
    "object": NOT_FINITE | BOOLEAN | LISTS | {"text": '"hunter2"', "number": "1"},
}  # fmt: skip

# Values of paths, queries and forms, as they are written there.
NO_NUMBERS = {
    "5000 digits": "9" * 5000,
    "NaN": "NaN",
    "infinity": "Infinity",
    "-infinity": "-Infinity",
    "1e999": "1e999",
    "boolean": "true",
    "text": MARK,
    "NUL": "1%00",
    "invalid UTF-8": "1%FF",
    "lone surrogate": "1%ED%A0%80",
    "digits of another script": "%D9%A1",
    "fullwidth digits": "%EF%BC%91",
    "a plus": "%2B1",
    "a plus, or a blank": "+1",
    "a blank before": "%201",
    "a blank after": "1%20",
    "a line before": "%0A1",
    "a line after": "1%0A",
    "underscore": "1_0",
    "hexadecimal": "0x1",
    "exponent": "1e0",
    "empty": "",
}
ENCODED_VALUES = {
    "string": {"NUL": f"{MARK}%00"},
    "integer": NO_NUMBERS | {
        "minus zero": "-0",
        "leading zero": "01",
        "no fraction": "1.0",
        "fraction": "1.5",
        "2**63": str(2**63),
        "2**64": str(2**64),
        "-2**63 - 1": str(-(2**63) - 1),
    },
    "number": {name: NO_NUMBERS[name] for name in (*NOT_FINITE, "text", "NUL", "empty")},
    "price": NO_NUMBERS | {"60 decimals": "1." + "0" * 59 + "1"},
    "boolean": {
        "number": "7",
        "one": "1",
        "on": "on",
        "yes": "yes",
        "capital": "True",
        "two": "true,false",
        "NUL": "true%00",
        "text": MARK,
        "empty": "",
    },
    "date": {
        "text": MARK,
        "number": "0",
        "NUL": "2026-11-21%00",
        "a moment": "2026-11-21T00:00:00Z",
        "year 0": "0000-01-01",
        "empty": "",
    },
    "uuid": {
        "text": MARK,
        "NUL": "6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10%00",
        "no hyphens": "6f1f2b360f4c4b529d3c4f6a1c2f7f10",
        "empty": "",
    },
    "moment": {
        "text": MARK,
        "number": "0",
        "NUL": "2026-11-21T12:00:00Z%00",
        "no offset": "2026-11-21T12:00:00",
        "year 1 at +14:00": "0001-01-01T00:00:00%2B14:00",
        "year 9999 at -14:00": "9999-12-31T23:59:59-14:00",
        "empty": "",
    },
}  # fmt: skip

# Idempotency keys, in Latin-1 as all headers.
KEYS = {
    "empty": "",
    "blank": " ",
    "a blank before": f" {MARK}",
    "a blank after": f"{MARK} ",
    "a tab": f"{MARK}\t1",
    "a line": f"{MARK}\n",
    "NUL": f"{MARK}\0",
    "DEL": f"{MARK}\x7f",
    "a letter beyond ASCII": f"{MARK}\u00e9",
    "256 characters": "x" * 256,
}

# Cursors, before they are encoded.
MOMENT = "2026-11-21T12:00:00Z"
CURSORS = {
    "not JSON": "hunter2",
    "cut off": '["-created_at", ',
    "deep": "[" * 140,
    "5000 deep": "[" * 5000,
    "null": "null",
    "object": "{}",
    "too short": f'["-created_at", "{MOMENT}"]',
    "too long": f'["-created_at", "{MOMENT}", 1, 1]',
    "another order": f'["another", "{MOMENT}", 1]',
    "NUL": f'["-created_at\\u0000", "{MOMENT}", 1]',
    "lone surrogate": f'["\\ud800", "{MOMENT}", 1]',
    "invalid UTF-8": '["\udcff", 1]',
    "no moment": '["-created_at", "hunter2", 1]',
    "no offset": '["-created_at", "2026-11-21T12:00:00", 1]',
    "year 1 at +14:00": '["-created_at", "0001-01-01T00:00:00+14:00", 1]',
    "year 9999 at -14:00": '["-created_at", "9999-12-31T23:59:59-14:00", 1]',
    "the moment NaN": '["-created_at", NaN, 1]',
    "the moment 1e999": '["-created_at", 1e999, 1]',
    "the moment 2**63": f'["-created_at", {2**63}, 1]',
    "id 0": f'["-created_at", "{MOMENT}", 0]',
    "id -1": f'["-created_at", "{MOMENT}", -1]',
    "id 2**63": f'["-created_at", "{MOMENT}", {2**63}]',
    "id of 90 digits": f'["-created_at", "{MOMENT}", {"9" * 90}]',
    "id NaN": f'["-created_at", "{MOMENT}", NaN]',
    "id 1.5": f'["-created_at", "{MOMENT}", 1.5]',
    "id null": f'["-created_at", "{MOMENT}", null]',
}
UNREADABLE_CURSORS = ["", "A", "%25", "%00", "%FF", "ä", "A" * 201]

# Until 2.0.0, for tests that were written before 0.3.0.
VALUES |= {"text": VALUES["string"], "list": VALUES["array"]}
IDS = ENCODED_VALUES["integer"] | {"zero": "0", "negative": "-1"}
del IDS["empty"]
QUERIES = ENCODED_VALUES | {
    "text": ENCODED_VALUES["string"],
    "id": IDS,
    "count": ENCODED_VALUES["integer"],
}


def encoded(cursor: str) -> str:
    return urlsafe_b64encode(cursor.encode(errors="surrogateescape")).decode().rstrip("=")


def is_refused(response: Response, *location: str) -> bool:
    """Tell whether the answer is a 422 about that location, and sends nothing back."""
    return (
        response.status_code == 422
        and response.headers["Content-Type"] == "application/problem+json"
        and all(error.keys() == {"loc", "msg", "type"} for error in response.json()["errors"])
        and any({*location} <= {*error["loc"]} for error in response.json()["errors"])
        and MARK not in response.text
    )


def assert_refused(response: Response, *location: str) -> None:
    assert is_refused(response, *location), f"{response.status_code} {response.text}"
