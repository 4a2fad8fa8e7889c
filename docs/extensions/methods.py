"""The directive `named-methods`: a table of the methods that have names, with their sources."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from keras_rk import tableaux

HEADER = ("name", "order", "b_hat", "stages", "source")


class NamedMethods(SphinxDirective):
    """A line for each method, with what the package says of it."""

    def run(self) -> list[nodes.Node]:
        table = nodes.table(classes=["colwidths-auto", "named-methods"])
        group = nodes.tgroup(cols=len(HEADER))
        table += group
        group += [nodes.colspec(colwidth=1) for _ in HEADER]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        head += row(*(nodes.Text(title) for title in HEADER))
        for method in tableaux.described():
            embedded = method["embedded_order"]
            body += row(
                nodes.literal(text=method["name"]),
                nodes.Text(str(method["order"])),
                nodes.Text("" if embedded is None else str(embedded)),
                nodes.Text(str(method["stages"])),
                nodes.Text(method["source"]),
            )
        return [table]


def row(*cells: nodes.Node) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("named-methods", NamedMethods)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
