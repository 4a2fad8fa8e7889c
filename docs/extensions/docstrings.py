"""Docstrings as they are written here, in the markup that Sphinx reads.

A docstring of this package is plain text with `code` in single backticks, formulas in blocks that
are indented, and examples. What plain text may contain and reStructuredText takes for markup
(|R(z)|, *args, y_) is escaped; an indented block becomes a literal one, and the name of something
public a link.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from types import ModuleType
from typing import Any

PUBLIC = ("keras_rk", "keras_rk.layers", "keras_rk.diagnostics")
FLOOR_PLAN = re.compile(
    r"(^|(?<=\. )|(?<=\n))Imports [`A-Z].*?(below (it|them)|drawn)\.\s*", re.DOTALL
)
CODE = re.compile(r"(?<![`\w])(`[^`\n]+(?:\n[^`\n]+)?`)(?!`)")
NAMES = re.compile(r"^( +(?:[a-z_0-9]+, )*[a-z_0-9]+,)\n +", re.MULTILINE)
LETTER = re.compile(r"((?:^|: ) *[A-Za-z])\.(?=\s|$)", re.MULTILINE)  # not the first of a list
SECTION = re.compile(r"[A-Z][A-Za-z ]+:$")
BEFORE_NAPOLEON, AFTER_NAPOLEON = 400, 600
FIELD = re.compile(r"^ *:ivar (?:\S+, )+\S+:")
public_names_found: dict[str, str] = {}


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def escaped(text: str) -> str:
    """Plain text, without anything that is markup; emphasis like *this* stays."""
    text = text.replace("\\", "\\\\").replace("|", "\\|")
    text = LETTER.sub(r"\1\\.", text)
    text = re.sub(r"\*(?!\w[^*\n]*\w\*(?!\w))(?<!\w\*)", r"\\*", text)
    return re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)


def public_names() -> dict[str, str]:
    """Where what is public is described, by its name with and without its module."""
    found: dict[str, str] = {}
    for place in PUBLIC:
        module = import_module(place)
        for name in module.__all__:
            if not isinstance(getattr(module, name), ModuleType):
                found[name] = found[f"{place}.{name}"] = f"{place}.{name}"
    return found


def link_or_literal(code: str) -> str:
    target = public_names_found.get(code)
    return f":py:obj:`{code} <{target}>`" if target else f"``{code}``"


def prose(lines: list[str]) -> list[str]:
    """Lines of text, in which code stays as it is; names of several arguments in one line."""
    parts = CODE.split(NAMES.sub(r"\1 ", "\n".join(lines)))
    parts[::2] = [escaped(part) for part in parts[::2]]
    parts[1::2] = [link_or_literal(part[1:-1]) for part in parts[1::2]]
    return "".join(parts).split("\n")


def paragraphs(lines: list[str]) -> list[list[str]]:
    """The lines between empty ones."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def in_markup(lines: list[str]) -> list[str]:
    """A docstring in reStructuredText."""
    text: list[str] = []
    level, literal = 0, None
    for paragraph in paragraphs(lines):
        indent = indent_of(paragraph[0])
        if literal is not None and indent >= literal:
            text += [*paragraph, ""]
            continue
        literal = None
        if paragraph[0].lstrip().startswith((">>>", "===")):  # examples and tables
            text += [*paragraph, ""]
            continue
        if indent > level:
            literal = indent
            text += [" " * level + "::", "", *paragraph, ""]
            continue
        text += [*prose(paragraph), ""]
        level = indent_of(paragraph[-1])
        if SECTION.match(paragraph[-1].strip()):
            level += 4
    return text


def process(
    _app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    if what == "module":  # what a wing may import is for contributors
        lines[:] = FLOOR_PLAN.sub("", "\n".join(lines)).split("\n")
    lines[:] = in_markup(lines)


def mend(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """What Napoleon takes for types: names before others, and what stands before a colon."""
    lines[:] = [FIELD.sub(lambda found: found[0].replace(", ", ","), line) for line in lines]
    types = [k for k, line in enumerate(lines) if line.startswith(":type: ")]
    if what == "property" and types:
        lines[0] = f"{lines.pop(types[0]).removeprefix(':type: ')}: {lines[0]}"


def signature(
    _app: Any, what: str, _name: str, described: Any, _options: Any, given: str, returned: str
) -> tuple[str, str]:
    """The arguments that a layer has; Keras hides them behind `*args, **kwargs`."""
    if what == "class" and given == "(*args, **kwargs)":
        of_init = inspect.signature(described.__init__)
        arguments = list(of_init.parameters.values())[1:]
        plain = [argument.replace(annotation=argument.empty) for argument in arguments]
        given = str(inspect.Signature(plain))
    return given, returned


def setup(app: Any) -> dict[str, bool]:
    public_names_found.update(public_names())
    app.connect("autodoc-process-docstring", process, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", mend, priority=AFTER_NAPOLEON)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
