"""What clients send who mean harm, or no harm: each input has a name."""

from base64 import urlsafe_b64encode

from httpx2 import Response

# Part of all that is sent as text, and so of no answer.
MARK = "hunter2"
JSON = {"Content-Type": "application/json"}

# Bodies --------------------------------------------------------------------------------

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

# As JSON writes them, or as those write them who do not know JSON.
NO_VALUES = {
    "NaN": "NaN",
    "infinity": "Infinity",
    "-infinity": "-Infinity",
    "1e999": "1e999",
    "boolean": "true",
    "object": '{"hunter2": 1}',
    "nested": "[" * 500 + "]" * 500,
}
VALUES = {
    "text": NO_VALUES | {
        "NUL": '"hunter2 \\u0000"',
        "lone surrogate": '"hunter2 \\ud800"',
        "too long": f'"{MARK * 150}"',
        "number": "1",
        "array": "[]",
    },
    "integer": NO_VALUES | {
        "2**63": str(2**63),
        "2**64": str(2**64),
        "4000 digits": "9" * 4000,
        "negative": "-1",
        "fraction": "1.5",
        "text": '"1"',
        "text with NUL": '"1\\u0000"',
        "array": "[1]",
    },
    "price": NO_VALUES | {
        "negative": "-0.01",
        "too precise": "1.005",
        "too precise, as text": '"1.005"',
        "too large": "100000000",
        "4000 digits": "9" * 4000,
        "1e400 as text": '"1e400"',
        "NaN as text": '"NaN"',
        "infinity as text": '"Infinity"',
        "text": '"hunter2"',
        "text with NUL": '"1\\u0000"',
        "lone surrogate": '"1\\ud800"',
        "digits of another script": '"\\u0661"',
        "array": "[1]",
    },
    "list": NO_VALUES | {
        "text": '"hunter2"',
        "number": "1",
        "no lines": "[]",
        "lines that are null": "[null]",
        "lines that are lists": "[[1, 1]]",
        "an object of lines": '{"0": {"item_id": 1, "quantity": 1}}',
    },
}  # fmt: skip

# Not what JSON is sent as.
MEDIA_TYPES = {
    "none": b"",
    "text": b"text/plain",
    "form": b"application/x-www-form-urlencoded",
    "multipart": b"multipart/form-data; boundary=x",
    "no slash": b"json",
    "invalid UTF-8": b"application/json\xff",
    "NUL": b"application/\0json",
}
# Paths and queries, as they are written there ------------------------------------------

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
}
IDS = NO_NUMBERS | {
    "zero": "0",
    "negative": "-1",
    "2**63": str(2**63),
    "2**64": str(2**64),
    "fraction": "1.5",
}

QUERIES = {
    "text": {"NUL": f"{MARK}%00", "too long": MARK * 150},
    "id": IDS | {"empty": ""},
    "count": NO_NUMBERS | {
        "negative": "-1",
        "2**31": str(2**31),
        "2**63": str(2**63),
        "fraction": "1.5",
        "empty": "",
    },
    "price": NO_NUMBERS | {
        "negative": "-0.01",
        "too precise": "1.005",
        "too large": "100000000",
        "empty": "",
    },
    "choice": {
        "another": MARK,
        "number": "7",
        "two": "price,-price",
        "statement": "price;DROP TABLE items",
        "NUL": "price%00",
        "empty": "",
    },
}  # fmt: skip

# Cursors, as they are before they are encoded ------------------------------------------

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
    "another order": f'["created_at", "{MOMENT}", 1]',
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


def encoded(cursor: str) -> str:
    return urlsafe_b64encode(cursor.encode(errors="surrogateescape")).decode().rstrip("=")


def assert_refused(response: Response, *location: str) -> None:
    """Check that it was refused, because of what is there, and that nothing is sent back."""
    assert response.status_code == 422, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert all(error.keys() == {"loc", "msg", "type"} for error in errors)
    assert any({*location} <= {*error["loc"]} for error in errors), errors
    assert MARK not in response.text
