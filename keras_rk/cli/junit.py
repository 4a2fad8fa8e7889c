"""Results as JUnit XML, which most CI servers read.

The document obeys both schemas in use, that of Ant's JUnit task and that of Jenkins: one suite, a
case for each tableau, `failure` where something does not hold, `error` where it is unusable.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from keras_rk.cli.many import Result

__all__ = ["document"]

_SUITE = "keras-rk check"
# what XML 1.0 has no way to write, not even escaped; and lone halves of surrogate pairs
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(results: Sequence[Result]) -> bytes:
    """The results as a JUnit document, in UTF-8."""
    from keras_rk.cli.many import counted

    found = counted(results)
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name=_SUITE,
        package="keras_rk",
        id="0",
        tests=str(len(results)),
        failures=str(found["FAILED"]),
        errors=str(found["UNUSABLE"]),
        skipped="0",
        time=_seconds(sum(result.seconds for result in results)),
        timestamp=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        hostname=_writable(platform.node()) or "localhost",
    )
    ElementTree.SubElement(suite, "properties")
    for result in results:
        _add_case(suite, result)
    for stream in ("system-out", "system-err"):
        ElementTree.SubElement(suite, stream)
    ElementTree.indent(suites)
    written: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=_writable(result.method),
        classname="keras_rk.check",
        time=_seconds(result.seconds),
    )
    if result.state == "ok":
        return
    kind = "failure" if result.report is not None else "error"
    rule = result.report.failures[0].rule if result.report is not None else "unusable"
    message = _writable(result.headline)
    ElementTree.SubElement(case, kind, type=rule, message=message).text = _writable(result.details)


def _writable(text: str) -> str:
    """Text as XML may have it, other characters as Python escapes them."""
    return _NOT_IN_XML.sub(lambda match: ascii(match.group())[1:-1], text)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
