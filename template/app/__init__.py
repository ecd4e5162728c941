"""The service. Each package in here is a resource; its routes and models are found by name."""

import pkgutil
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def resource_modules(name: str) -> list[ModuleType]:
    """Import the module `name`, such as `routes`, of each resource that has one.

    In alphabetical order of the resources: of two routes that match a path, the first answers.
    """
    resources = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    return [
        import_module(f"{__name__}.{resource}.{name}")
        for resource in resources
        if find_spec(f"{__name__}.{resource}.{name}")
    ]
