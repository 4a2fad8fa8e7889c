"""Results as GitHub Actions reads them: `::error file=...,title=...::message`.

Source: GitHub's documentation, "Workflow commands for GitHub Actions": in a message %, carriage
return and line feed are written %25, %0D and %0A; in a property colon and comma as well, %3A, %2C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_rk.cli.output import printable

if TYPE_CHECKING:
    from keras_rk.cli.many import Result

__all__ = ["annotated"]


def annotated(result: Result) -> str:
    """One line: an annotation where something does not hold, plain text where all does."""
    name = printable(result.method)
    if result.state == "ok":
        return f"ok {name}: {result.headline}"
    title = f"{name} {'does not hold' if result.report is not None else 'is unusable'}"
    properties = {"title": title}
    if result.is_file:
        properties = {"file": result.method.replace("\\", "/"), **properties}
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::error {listed}::{_message(result.details)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
