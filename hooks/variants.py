"""The variants of the template: every combination of the choices in copier.yml."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, select_autoescape

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Variant:
    """One combination of choices, named after its values.

    A question that only some variants are asked counts where it is answered otherwise than by
    default, so that the others keep their names.
    """

    answers: Mapping[str, str]

    @property
    def name(self) -> str:
        return "-".join(self.answers.values())


def questions(template: Path = ROOT) -> dict[str, dict[str, Any]]:
    """Return the questions, without derived answers (`when: false`) and settings (`_…`)."""
    document = parsed((template / "copier.yml").read_text("utf-8"))
    return {
        name: question
        for name, question in document.items()
        if not name.startswith("_") and question.get("when") is not False
    }


@cache
def parsed(text: str) -> dict[str, Any]:
    """Parse once what is asked for hundreds of times: it takes 70 ms."""
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def axes(template: Path = ROOT) -> dict[str, list[str]]:
    """Return the questions that have choices, each with its values, default first."""
    return {
        # Choices are a list of values, or a mapping of labels to values.
        name: list(choices.values() if isinstance(choices, dict) else choices)
        for name, question in questions(template).items()
        if (choices := question.get("choices"))
    }


def variants(template: Path = ROOT) -> list[Variant]:
    choices = axes(template)
    combinations = [
        named(dict(zip(choices, values, strict=True)), template)
        for values in product(*choices.values())
    ]
    # Without what is not asked, some are equal.
    unique = {json.dumps(answers): answers for answers in combinations}
    return [Variant(answers) for answers in unique.values()]


def named(answers: Mapping[str, str], template: Path = ROOT) -> dict[str, str]:
    """Leave out answers that are not asked for, and defaults to what only some are asked."""
    conditional = {name: each for name, each in questions(template).items() if "when" in each}
    return {
        name: value
        for name, value in answers.items()
        if name not in conditional
        or (value != conditional[name]["default"] and name in asked(answers, template))
    }


def asked(answers: Mapping[str, Any], template: Path = ROOT) -> set[str]:
    """Return the questions that Copier asks whoever gives these answers."""
    jinja = Environment(autoescape=select_autoescape())  # only of HTML
    return {
        name
        for name, question in questions(template).items()
        if jinja.from_string(question.get("when", "True")).render(answers) == "True"
    }


def matrix(template: Path = ROOT) -> dict[str, list[dict[str, str]]]:
    """Return the variants in the form of GitHub's `strategy.matrix`."""
    return {
        "include": [
            {"variant": variant.name, "answers": json.dumps(variant.answers)}
            for variant in variants(template)
        ]
    }
