"""YAML, as far as tableaux need it: keys, lists in brackets or with dashes, and scalars.

    # a comment
    name: heun
    A: [[], [1]]
    b:
      - 1/2
      - 1/2
    claimed_order: 2

Scalars need no quotes: 1/2 and sqrt(2)/2 are coefficients as they stand. What else YAML has
(anchors, tags, mappings within mappings, texts over several lines) is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from keras_rk.butcher.formats.numerals import Numeral, plain_outside_coefficients
from keras_rk.errors import TableauError, shown

__all__ = ["read_yaml"]

_RULE = (
    "A tableau in YAML has keys with lists, [1/2, 1/2] or one item a line after a dash, "
    "and with texts or numbers"
)
_KEY = re.compile(r"([A-Za-z_]\w*)[ \t]*:(?:[ \t]+|$)(.*)")
_TOKEN = re.compile(
    r"""[ \t]*(?:(?P<mark>[\[\],])|(?P<double>"(?:[^"\\]|\\.)*")|(?P<single>'(?:[^']|'')*')"""
    r"""|(?P<plain>[^\s\[\],"'{}&*!|>%@`#][^\[\],"'{}]*))"""
)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_FLOW = ("[", '"', "'")
_OTHER_YAML = tuple("{}&*!|>%@`")
_DEEPEST = 4


def read_yaml(text: str) -> dict[str, Any]:
    """What `Tableau.from_dict` takes, from a mapping in YAML."""
    data: dict[str, Any] = {}
    for key, lines in _entries(text):
        if key in data:
            raise TableauError(f"A tableau file has each key once. Received: {shown(key)} twice.")
        value = _value(lines, 0)
        if value is not None:
            data[key] = value
    return plain_outside_coefficients(data)


def _entries(text: str) -> list[tuple[str, list[tuple[int, str]]]]:
    """Each key, with the lines of its value, as pairs of indentation and content."""
    found: list[tuple[str, list[tuple[int, str]]]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _without_comment(raw).rstrip()
        content = line.lstrip()
        if not content or (line == "---" and not found):
            continue
        indentation = len(line) - len(content)
        match = _KEY.fullmatch(content) if indentation == 0 else None
        if match:
            rest = match[2].strip()
            found.append((match[1], [(1, rest)] if rest else []))
        elif found and (indentation or content[0] in "-]"):
            found[-1][1].append((indentation, content))
        else:
            _refuse(f"line {number}, {shown(content)}")
    return found


def _without_comment(line: str) -> str:
    """The line up to a # that begins a comment: one in no quotes, after a space."""
    quote = ""
    for i, character in enumerate(line if "#" in line else ""):
        if quote:
            quote = "" if character == quote and line[i - 1] != "\\" else quote
        elif character in "\"'" and (i == 0 or line[i - 1] in " \t[,"):
            quote = character
        elif character == "#" and (i == 0 or line[i - 1] in " \t"):
            return line[:i]
    return line


def _value(lines: list[tuple[int, str]], depth: int) -> Any:
    """What stands in these lines: a list in either form, a text, a number, or nothing."""
    if lines and _item(lines[0][1]) is not None:
        return _block(lines, depth)
    text = " ".join(content for _, content in lines).rstrip()
    if text[:1] in _FLOW:
        return _flow(text)
    if text[:1] in _OTHER_YAML:
        _refuse(shown(text))
    return _scalar(text)


def _item(content: str) -> str | None:
    """What stands after a dash that begins an item of a list."""
    return content[2:].lstrip() if content.startswith("- ") else "" if content == "-" else None


def _block(lines: list[tuple[int, str]], depth: int) -> list[Any]:
    """A list with a dash before each item; an item may be such a list itself."""
    if depth > _DEEPEST:
        _refuse("lists nested deeper")
    indentation = lines[0][0]
    items: list[list[tuple[int, str]]] = []
    for at, content in lines:
        inner = _item(content)
        if at == indentation and inner is not None:
            items.append([(at + len(content) - len(inner), inner)] if inner else [])
        elif at > indentation and items:
            items[-1].append((at, content))
        else:
            _refuse(shown(content))
    return [_value(item, depth + 1) for item in items]


def _flow(text: str) -> Any:
    """A list in brackets, or a text in quotes."""
    stack: list[list[Any]] = [[]]
    needs_comma = False
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _refuse(shown(text[position:]))
        position = match.end()
        mark = match["mark"]
        if mark == "," and needs_comma and len(stack) > 1:
            needs_comma = False
        elif mark == "]" and len(stack) > 1:
            stack.pop()
            needs_comma = True
        elif mark == "," or mark == "]" or needs_comma or len(stack) > _DEEPEST:
            _refuse(f"{shown(match[0].strip())} in {shown(text)}")
        elif mark == "[":
            stack[-1].append([])
            stack.append(stack[-1][-1])
        else:
            stack[-1].append(_token(match))
            needs_comma = True
    if len(stack) > 1:
        _refuse(f"a list without its last ], {shown(text)}")
    return stack[0][0]


def _token(match: re.Match[str]) -> Any:
    if match["single"]:
        return match["single"][1:-1].replace("''", "'")
    if match["double"]:
        try:
            return json.loads(match["double"], strict=False)
        except ValueError:
            _refuse(shown(match["double"]))
    return _scalar(match["plain"].strip())


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return Numeral(text) if _NUMBER.fullmatch(text) else text


def _refuse(received: str) -> NoReturn:
    raise TableauError(f"{_RULE}. Received: {received}.")
