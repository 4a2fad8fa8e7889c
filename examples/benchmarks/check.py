"""How long `keras_rk.check` takes to prove an order, beside nodepy and kauri where installed.

    python examples/benchmarks/check.py [--quick] [--starts] [--json FILE]

README.md says what is measured. One process, one thread; the contestants take turns, round by
round. Compare ratios, not times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

from timing import CLOCKS, Clock, Contestant, environment, median_ms, shown, table, take_turns

import keras_rk
from keras_rk import tableaux
from keras_rk.proof import rooted_trees
from keras_rk.tableaux.registry import METHODS

OURS, OURS_FLINT = "keras_rk", "keras_rk + flint"
TO_ORDER, TO_ORDER_FLINT, BUILDING = "to order p", "to order p + flint", "constructing"
NODEPY, NODEPY_FLOATS, KAURI = "nodepy, exact", "nodepy, floats", "kauri"
PACKAGES = ("numpy", "sympy", "python-flint", "nodepy", "kauri")


@dataclass(frozen=True)
class Case:
    """A named method, its order, and the most milliseconds a check may take."""

    name: str
    order: int
    target: float | None = None
    target_flint: float | None = None


CASES = (
    Case("rk4", 4, 0.1, 0.1),
    Case("dormand_prince54", 5, 0.25, 0.25),
    Case("fehlberg87", 8, 2, 2),
    Case("cooper_verner8", 8, 3, 3),
    Case("dormand_prince87", 8, 100, 10),
    Case("dormand_prince87_exact", 8, 100, 10),
    Case("hairer10", 10, 150, 30),
)
HIGH = (  # only where they are asked for: other programs take minutes and more
    Case("feagin1210", 12, 4_000, 1_000),
    Case("ono12", 12, 4_000, 1_000),
    Case("feagin1412", 14, 40_000, 10_000),
)


def without_flint() -> AbstractContextManager:
    """python-flint hidden from the checker, and from nothing else."""
    return patch("keras_rk.numbers.linear_algebra.find_spec", new=lambda name: None)


def contestants(case: Case) -> list[Contestant]:
    tableau = tableaux.get(case.name)
    p = case.order

    def full() -> int:
        return keras_rk.check(tableau, order=p).order

    def to_order() -> int:
        return keras_rk.check(tableau, order=p, max_order=p).order

    found = [
        Contestant(OURS, full, without_flint),
        Contestant(TO_ORDER, to_order, without_flint),
        Contestant(BUILDING, lambda: METHODS[case.name].tableau().claimed_order),
    ]
    if find_spec("flint"):
        found += [Contestant(OURS_FLINT, full), Contestant(TO_ORDER_FLINT, to_order)]
    if find_spec("nodepy"):
        method = nodepy_method(tableau)
        found += [
            Contestant(NODEPY, lambda: method.order(mode="exact")),
            Contestant(NODEPY_FLOATS, lambda: method.order(mode="float")),
        ]
    if find_spec("kauri"):
        found.append(Contestant(KAURI, lambda: kauri_order(tableau, p + 2)))
    return found


def nodepy_method(tableau: keras_rk.Tableau) -> Any:
    import numpy as np
    import sympy
    from nodepy.runge_kutta_method import ExplicitRungeKuttaMethod

    A = np.array([[sympy.sympify(x) for x in row] for row in tableau.A], dtype=object)
    b = np.array([sympy.sympify(x) for x in tableau.b], dtype=object)
    return ExplicitRungeKuttaMethod(A, b)


def kauri_order(tableau: keras_rk.Tableau, limit: int) -> int:
    """With Fractions, and SymPy's numbers for roots; a new object, since it keeps its results."""
    from kauri import RK

    return RK([list(row) for row in tableau.A], list(tableau.b)).order(limit=limit)


def planning_ms(orders: tuple[int, ...], clock: Clock, rounds: int) -> dict[int, float]:
    """Planning all trees up to an order, from an empty cache."""
    seconds: dict[int, list[float]] = {order: [] for order in orders}
    for _ in range(rounds):
        for order, taken in seconds.items():
            rooted_trees.plan.cache_clear()
            start = clock()
            rooted_trees.plan(order)
            taken.append(clock() - start)
    return {order: median_ms(taken) for order, taken in seconds.items()}


def starts_ms(rounds: int) -> dict[str, float]:
    """Whole processes of Python, from start to end, on the wall clock."""
    command = "from keras_rk.cli import main; raise SystemExit(main())"
    commands = {
        "python -c pass": ["pass"],
        "import numpy": ["import numpy"],
        "import keras_rk": ["import keras_rk"],
        "import keras_rk, touch check": ["import keras_rk; keras_rk.check"],
        "keras-rk check rk8": [command, "check", "rk8"],
        "keras-rk list": [command, "list"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, arguments in commands.items():
            start = perf_counter()
            subprocess.run([sys.executable, "-c", *arguments], check=True, capture_output=True)
            seconds[name].append(perf_counter() - start)
    return {name: median_ms(taken) for name, taken in seconds.items()}


def ratio(ms: float | None, ours: float | None) -> float | None:
    return ms / ours if ms and ours else None


def result(case: Case, entered: list[Contestant]) -> dict[str, Any]:
    """What a case has shown, as it goes into the tables and into JSON."""
    ms = {contestant.name: contestant.median_ms for contestant in entered}
    targets = {OURS: case.target, OURS_FLINT: case.target_flint}
    return {
        "method": case.name,
        "order": case.order,
        "at_most_ms": targets,
        "met": {
            name: ms[name] <= target
            for name, target in targets.items()
            if target is not None and ms.get(name) is not None
        },
        "contestants": {
            contestant.name: {
                "median_ms": ms[contestant.name],
                "ratio": ratio(ms[contestant.name], ms[OURS]),
                "seconds": contestant.seconds,
                "finds": contestant.answer,
                "stopped": contestant.stopped,
            }
            for contestant in entered
        },
    }


def cell(found: dict[str, Any], name: str) -> str:
    entry = found["contestants"].get(name)
    if entry is None:
        return "not installed"
    if entry["stopped"]:
        return entry["stopped"]
    text = shown(entry["median_ms"])
    if name in (NODEPY, NODEPY_FLOATS, KAURI):
        text += f" (x {shown(entry['ratio'])})"
    runs = len(entry["seconds"])
    if runs < len(found["contestants"][OURS]["seconds"]):
        text += f", {runs} run" + "s" * (runs > 1)
    if entry["finds"] != found["order"]:
        text += f", finds order {entry['finds']}"
    return text


def target_cell(found: dict[str, Any]) -> str:
    targets = [shown(x) for x in found["at_most_ms"].values() if x is not None]
    if not targets:
        return ""
    return f"{' / '.join(targets)}: {'met' if all(found['met'].values()) else 'NOT MET'}"


def start_rows(starts: dict[str, float]) -> list[tuple[str, ...]]:
    rows = []
    for process, ms in starts.items():
        limit = 500.0 if process.startswith("keras-rk") else starts["import numpy"] + 100
        verdict = f"{shown(limit)}: {'met' if ms <= limit else 'NOT MET'}"
        rows.append((process, shown(ms), verdict if "keras" in process else ""))
    return rows


def report(results: list[dict[str, Any]], document: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    names = (OURS, OURS_FLINT, NODEPY, NODEPY_FLOATS, KAURI)
    heading = ("method", "order", OURS, OURS_FLINT, "at most", *names[2:])
    rows = []
    for found in results:
        ours, ours_flint, *others = (cell(found, name) for name in names)
        order = str(found["order"])
        rows.append((found["method"], order, ours, ours_flint, target_cell(found), *others))
    parts = ["A check, in ms (x: times as long as keras_rk without python-flint):\n"]
    parts.append(table(heading, rows))
    names = (TO_ORDER, TO_ORDER_FLINT, BUILDING)
    parts.append("Order p alone, and parsing the coefficients, in ms:\n")
    rows = [(found["method"], *(cell(found, name) for name in names)) for found in results]
    parts.append(table(("method", *names), rows))
    parts.append("Planning all trees up to an order, once a process, in ms:\n")
    rows = [(order, shown(ms)) for order, ms in document["planning_ms"].items()]
    parts.append(table(("order", "planning"), rows))
    if starts := document.get("starts_ms"):
        parts.append("Whole processes, wall time in ms:\n")
        parts.append(table(("process", "start to end", "at most"), start_rows(starts)))
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="samples of each (default 9)")
    parser.add_argument("--quick", action="store_true", help="give up early on slow alternatives")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=[c.name for c in (*CASES, *HIGH)],
        metavar="NAME",
        default=(),
    )
    parser.add_argument("--limit-seconds", type=float, help="per run (default 120, quick: 5)")
    parser.add_argument("--starts", action="store_true", help="time imports and the command, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    limit = options.limit_seconds or (5 if options.quick else 120)
    budget = 2 if options.quick else 10  # seconds, after which a contestant takes no more turns
    chosen = [case for case in (*CASES, *HIGH) if case.name in options.methods] or list(CASES)

    document: dict[str, Any] = {"environment": environment(*PACKAGES), "rounds": options.rounds}
    document["clock"] = options.clock
    document["environment"]["versions"]["keras-rk"] = keras_rk.__version__
    results = []
    for case in chosen:
        rooted_trees.plan(case.order + 1)
        entered = contestants(case)
        take_turns(case.name, entered, clock, rounds=options.rounds, limit=limit, budget=budget)
        results.append(result(case, entered))
    document["results"] = results
    document["planning_ms"] = {str(k): v for k, v in planning_ms((8, 10, 14), clock, 7).items()}
    if options.starts:
        document["starts_ms"] = starts_ms(options.rounds)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document["environment"], indent=1), "\n")
    print(f"Medians of {options.rounds} interleaved rounds in one process, {options.clock} time.")
    print(f"Whoever has spent over {budget} s on a method takes no more turns; an alarm stops a")
    print(f"run after {limit:g} s on the wall clock.\n")
    print(report(results, document))


if __name__ == "__main__":
    main()
