"""How long `keras_rk.analyse` takes with everything in its report, for each named method.

    python examples/benchmarks/analyse.py [--max-order 8] [--clock cpu] [--json FILE]

The report is printed and turned into a dictionary, on a `Tableau` that exists, once trees are
planned; python-flint is hidden. Beside it, nodepy's analysis of the same numbers where installed.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

from timing import CLOCKS, Clock, Contestant, environment, shown, table, take_turns

import keras_rk
from keras_rk import tableaux
from keras_rk.proof import rooted_trees

AT_MOST = 100  # milliseconds, for methods up to order 8
OURS, NODEPY = "keras_rk", "nodepy, floats"
PARTS = {
    "orders": lambda a: a.report,
    "error norm": lambda a: a.error_norm,
    "assumptions": lambda a: a.simplifying_assumptions,
    "intervals": lambda a: (a.real_interval, a.imaginary_interval),
    "SSP": lambda a: a.ssp_coefficient,
    "pair": lambda a: a.pair,
}
PACKAGES = ("numpy", "sympy", "nodepy")


def without_flint() -> Any:
    return patch("keras_rk.numbers.linear_algebra.find_spec", new=lambda name: None)


def whole_report(tableau: keras_rk.Tableau) -> int:
    found = keras_rk.analyse(tableau)
    str(found)
    return found.to_dict()["order"]


def contestants(tableau: keras_rk.Tableau) -> list[Contestant]:
    found = [Contestant(OURS, lambda: whole_report(tableau), without_flint)]
    for name, part in PARTS.items():
        found.append(
            Contestant(name, lambda part=part: part(keras_rk.analyse(tableau)), without_flint)
        )
    if find_spec("nodepy"):
        found.append(Contestant(NODEPY, lambda: nodepy_analysis(tableau)))
    return found


def nodepy_analysis(tableau: keras_rk.Tableau) -> int:
    """What nodepy has of the same: order, error norm, stage order, intervals, SSP coefficient."""
    from nodepy.runge_kutta_method import ExplicitRungeKuttaMethod

    A, b, *_ = tableau.to_numpy()
    method = ExplicitRungeKuttaMethod(A, b)
    method.p = method.order(tol=1e-10)
    method.principal_error_norm()
    method.stage_order()
    method.real_stability_interval()
    method.imaginary_stability_interval()
    method.absolute_monotonicity_radius()
    return method.p


def measure(name: str, clock: Clock, rounds: int) -> dict[str, Any]:
    tableau = tableaux.get(name)
    entered = contestants(tableau)
    take_turns(name, entered, clock, rounds=rounds, limit=20, budget=5)
    return {
        "method": name,
        "order": tableau.claimed_order,
        "stages": tableau.stages,
        "ms": {entry.name: entry.median_ms for entry in entered},
        "stopped": {entry.name: entry.stopped for entry in entered if entry.stopped},
    }


def row(found: dict[str, Any]) -> tuple[str, ...]:
    ms = found["ms"]
    cells = [found["stopped"].get(name) or shown(ms[name]) for name in ms]
    ours = ms[OURS]
    met = "" if found["order"] > 8 else "met" if ours and ours <= AT_MOST else "NOT MET"
    return (found["method"], str(found["order"]), str(found["stages"]), *cells, met)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=tableaux.names(), metavar="NAME")
    parser.add_argument("--max-order", type=int, default=8, help="of the methods (default 8)")
    parser.add_argument("--rounds", type=int, default=5, help="samples of each (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    options = parser.parse_args()
    names = options.methods or [
        name for name in tableaux.names() if tableaux.get(name).claimed_order <= options.max_order
    ]
    rooted_trees.plan(max(tableaux.get(name).claimed_order for name in names) + 2)
    results = [measure(name, CLOCKS[options.clock], options.rounds) for name in names]
    document = {"environment": environment(*PACKAGES), "clock": options.clock, "results": results}
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document["environment"], indent=1), "\n")
    print(f"Medians of {options.rounds} rounds in ms, {options.clock} time; at most {AT_MOST}.\n")
    heading = ("method", "order", "stages", *results[0]["ms"], f"at most {AT_MOST}")
    print(table(heading, [row(found) for found in results]))
    slowest = max(results, key=lambda found: found["ms"][OURS] or 0)
    print(f"Slowest: {slowest['method']}, {shown(slowest['ms'][OURS])} ms.")


if __name__ == "__main__":
    main()
