"""What a model's configuration says about the calls of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def layers_called_with(config: Any, argument: str) -> Iterator[str]:
    """The names of layers that a functional model calls with an argument by keyword."""
    nodes = config.get("inbound_nodes") if isinstance(config, dict) else None
    for node in nodes or ():
        if isinstance(node, dict) and node.get("kwargs", {}).get(argument) is not None:
            yield config["name"]
    for value in values_of(config):
        yield from layers_called_with(value, argument)


def values_of(config: Any) -> list[Any]:
    """What is in a dictionary or list of a configuration."""
    if isinstance(config, dict):
        return list(config.values())
    return list(config) if isinstance(config, (list, tuple)) else []
