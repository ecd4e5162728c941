"""What the OpenAPI document needs beyond FastAPI: problems, exact numbers, unique names."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic.json_schema import models_json_schema
from starlette.routing import compile_path

from app.problems import Problem, ValidationProblem, phrase

REF_TEMPLATE = "#/components/schemas/{model}"


class Api(FastAPI):
    """FastAPI, with problems and exact numbers in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"] |= problem_schemas()
            self.openapi_schema = with_integers(document)
        return self.openapi_schema


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare, for `responses=`, the problems that an operation can answer."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        is_invalid = status == HTTPStatus.UNPROCESSABLE_ENTITY
        model = ValidationProblem if is_invalid else Problem
        schema = {"$ref": REF_TEMPLATE.format(model=model.__name__)}
        responses[status] = {
            "description": phrase(status),
            "content": {"application/problem+json": {"schema": schema}},
        }
    return responses


def problem_schemas() -> dict[str, Any]:
    """Return the schemas that `problems` refers to."""
    _, schemas = models_json_schema(
        [(Problem, "serialization"), (ValidationProblem, "serialization")],
        ref_template=REF_TEMPLATE,
    )
    return dict(schemas["$defs"])


def with_integers(document: Any) -> Any:
    """Write whole numbers as integers: FastAPI makes limits floats, 2**63 among them."""
    if isinstance(document, dict):
        return {name: with_integers(value) for name, value in document.items()}
    if isinstance(document, list):
        return [with_integers(value) for value in document]
    return int(document) if isinstance(document, float) and document.is_integer() else document


def allowed_methods(request: Request) -> str:
    """Return the methods of the request's path, for the `Allow` header of a 405.

    They are read from the OpenAPI document: the router names only those of the first route that
    matches the path, and nested routers hide their routes.
    """
    path = request.scope["path"].removeprefix(request.scope["root_path"])
    for template, operations in request.app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(path):
            head = ["head"] if "get" in operations else []
            return ", ".join([*operations, *head]).upper()
    return ""


def operation_id(route: APIRoute) -> str:
    """Name an operation after its function: generated clients show this name."""
    return route.name


def refuse_duplicate_operations(app: FastAPI) -> None:
    """Raise RuntimeError when two operations share a name: a generated client would lose one."""
    seen: dict[str, str] = {}
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            name = route.operation_id or route.unique_id
            for method in route.methods or ():
                operation = f"{method} {route.path}"
                if name in seen:
                    raise RuntimeError(
                        f"Rename a function: {seen[name]} and {operation} are both called {name}."
                    )
                seen[name] = operation
