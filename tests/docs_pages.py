"""The pages of docs/: their code blocks, run as a reader would, and their links."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from keras_rk.cli import main

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = sorted([*DOCS.glob("guides/*.md"), *DOCS.glob("how_it_works/*.md")])  # with code
FENCE = re.compile(
    r"(?:<!-- backend: (?P<backend>[a-z ]+) -->\n)?"
    r"^```(?P<language>python|console)\n(?P<code>.*?)^```$"
    r"(?:\n\n^```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
NEEDS_KERAS = re.compile(r"^(import keras|from keras|from keras_rk\.(layers|diagnostics))\b", re.M)


@dataclass(frozen=True)
class Block:
    """A block of Python or of commands.

    Attributes:
        line: the line of the page before its first one.
        printed: what the page says it prints; None for commands, which say so themselves.
        backends: those it is for; none for all.
    """

    page: str
    line: int
    language: str
    code: str
    printed: str | None
    backends: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        line = text[: match.start("code")].count("\n")
        backends = tuple((match["backend"] or "").split())
        printed = (match["printed"] or "") if match["language"] == "python" else None
        block = Block(path.name, line, match["language"], match["code"], printed, backends)
        found.append(block)
    return found


def needs_keras(path: Path) -> bool:
    return any(NEEDS_KERAS.search(block.code) for block in blocks(path))


def run_page(path: Path, *backends: str) -> None:
    """Runs the blocks of a page one after the other; fails where one prints something else.

    A block that is for certain backends runs on these; one "for converters" where there are those.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(path):
        if block.language == "console":
            run_commands(block)
        elif not block.backends or not {*backends}.isdisjoint(block.backends):
            source = "\n" * block.line + block.code  # so that errors name the line of the page
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(source, block.page, "exec"), names)
            assert printed.getvalue() == block.printed, f"{block.where} prints something else"


def run_commands(block: Block) -> None:
    """Runs `$ keras-rk ...`, and compares what is printed where the page shows it."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        words = shlex.split(command, comments=True)
        if words[0] != "keras-rk":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = main(words[1:])
        assert status < 2, f"{block.where}: {command}"
        if expected.strip():
            assert printed.getvalue().rstrip() == expected.rstrip(), f"{block.where}: {command}"


def imported(tree: ast.AST) -> set[str]:
    """The names that a block imports."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias for node in nodes for alias in node.names]
    return {(alias.asname or alias.name).split(".")[0] for alias in names}


def imported_elsewhere(path: Path) -> dict[str, set[str]]:
    """For each block the names that it uses, and that only an earlier block imports."""
    missing, before = {}, set()
    for block in blocks(path):
        if block.language == "python":
            tree = ast.parse(block.code)
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            missing[block.where] = (used & before) - imported(tree)
            before |= imported(tree)
    return missing


def links(path: Path) -> list[tuple[str, str]]:
    """The file and the anchor of each link of a page that leads to a file."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [
        (file, anchor)
        for file, _, anchor in (target.partition("#") for target in targets)
        if "://" not in file
    ]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, and of those of a page that it includes."""
    raw = path.read_text(encoding="utf-8")
    for included in re.findall(r"^```\{include\} (\S+)$", raw, re.MULTILINE):
        raw += (path.parent / included).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", raw, flags=re.M | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def listed_names(module: str) -> list[str]:
    """`__all__` of a module, read from its source: importing some of them takes Keras."""
    path = DOCS.parent / Path(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []
