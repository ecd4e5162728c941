"""The variants of the template: every combination of the choices in copier.yml."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Variant:
    """One combination of choices, named after its values."""

    answers: Mapping[str, str]

    @property
    def name(self) -> str:
        return "-".join(self.answers.values())


def questions(template: Path = ROOT) -> dict[str, dict[str, Any]]:
    """Return the questions, without derived answers (`when: false`) and settings (`_…`)."""
    document: dict[str, Any] = yaml.safe_load((template / "copier.yml").read_text("utf-8"))
    return {
        name: question
        for name, question in document.items()
        if not name.startswith("_") and question.get("when") is not False
    }


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
    return [
        Variant(dict(zip(choices, values, strict=True))) for values in product(*choices.values())
    ]


def matrix(template: Path = ROOT) -> dict[str, list[dict[str, str]]]:
    """Return the variants in the form of GitHub's `strategy.matrix`."""
    return {
        "include": [
            {"variant": variant.name, "answers": json.dumps(variant.answers)}
            for variant in variants(template)
        ]
    }
