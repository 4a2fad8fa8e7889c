"""keras-rk plot: pictures of tableaux."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_rk.cli.output import HOLDS
from keras_rk.cli.reading import read
from keras_rk.errors import TableauError
from keras_rk.progress import Progress

__all__ = ["add"]

_KINDS = {
    "regions": "stability regions of the methods",
    "star": "order star of each method",
    "trees": "rooted trees up to an order, with their conditions, and what a method leaves of them",
    "errors": "error coefficients of the methods, tree by tree",
    "work": "error of the methods on a test problem, over evaluations of f",
}
_ENDINGS = (".png", ".svg", ".pdf")


def add(commands: Any) -> None:
    """Add the command to the parser's commands."""
    plot = commands.add_parser(
        "plot",
        help="draw stability regions, order stars, trees, errors",
        description="Draw methods into a file. What is drawn:\n"
        + "".join(f"\n  {kind:<8} {text}" for kind, text in _KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plot.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
    plot.add_argument(
        "methods",
        nargs="*",
        metavar="NAME|FILE",
        help="named methods or files with tableaux, as for `check`; `trees` needs none",
    )
    plot.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="a PNG, SVG or PDF file"
    )
    plot.add_argument(
        "--order", type=int, metavar="P", help="`trees`, `errors`: the order of the trees"
    )
    plot.add_argument(
        "--problem",
        metavar="NAME",
        help="`work`: kepler (the default), lotka_volterra, brusselator or cosine",
    )
    plot.set_defaults(run=_plot, json=False)


def _plot(options: argparse.Namespace) -> tuple[int, str]:
    ending = Path(options.output).suffix.lower()
    if ending not in _ENDINGS:
        raise TableauError(
            f"The file's name ends in {', '.join(_ENDINGS)}. Received: {options.output!r}."
        )
    draw = _drawing(options)
    try:
        with Progress(f"drawing {options.kind}"):
            _save(draw(), options.output, ending)
    except ImportError as error:
        raise TableauError(str(error)) from None
    except OSError as error:
        raise TableauError(
            f"The picture cannot be written. Received: {options.output!r}, {error.strerror}."
        ) from None
    return HOLDS, options.output


def _drawing(options: argparse.Namespace) -> Callable[[], Any]:
    """The function that draws what was asked for; before it does, all options are known to fit."""
    from keras_rk.analysis import plots

    kind, order = options.kind, options.order
    given = {"--order": order, "--problem": options.problem}
    used = {"trees": ["--order"], "errors": ["--order"], "work": ["--problem"]}.get(kind, [])
    for name, value in given.items():
        if value is not None and name not in used:
            raise TableauError(f"`plot {kind}` takes no `{name}`. Received: {value!r}.")
    methods = [read(method) for method in options.methods]
    if kind == "trees":
        if len(methods) > 1:
            raise TableauError(
                f"`plot trees` takes one method at most. Received: {len(methods)} of them."
            )
        return lambda: plots.rooted_trees(4 if order is None else order, *methods)
    if not methods:
        raise TableauError(f"`plot {kind}` needs a method. Received: none.")
    if kind == "regions":
        return lambda: plots.stability_regions(*methods)
    if kind == "star":
        return lambda: plots.order_stars(*methods)
    if kind == "errors":
        return lambda: plots.error_coefficients(*methods, order=order)
    return lambda: plots.work_precision(*methods, problem=options.problem or "kepler")


def _save(figure: Any, path: str, ending: str) -> None:
    """The same file every time: neither dates nor random names in it."""
    import matplotlib

    dated = {".svg": "Date", ".pdf": "CreationDate"}.get(ending)
    with matplotlib.rc_context({"svg.hashsalt": "keras-rk"}):
        figure.savefig(path, dpi="figure", metadata={dated: None} if dated else None)
