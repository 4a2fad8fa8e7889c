"""The section of the report on its fifth question: is a trained network an ODE?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from grid import Network, experiments
from ode import consistency_by_seed
from results import Results
from significance import interval
from words import Lines, penalty, table


def ode(results: Results) -> Lines:
    """The fifth question."""
    rows = []
    networks = experiments(quick=False)["ode"]
    for network in networks:
        for weights, label in (
            ("constant", "constant in each block"),
            ("interpolated", "interpolated"),
        ):
            found = list(consistency_by_seed(results, network, weights).values())
            unresolved = len(results.diagnoses.get(network, {})) - len(found)
            if found:
                verdicts = sum(one["verdict"] == "behaves like an ODE" for one in found)
                rows.append(
                    [
                        penalty(network),
                        label,
                        *(
                            interval([one[key] for one in found])
                            for key in (
                                "distance",
                                "accuracy",
                                "accuracy_at_limit",
                                "accuracy_lost",
                            )
                        ),
                        f"{verdicts}/{len(found)}"
                        + (f", {unresolved} unresolved" if unresolved else ""),
                    ]
                )
    headings = [
        "network",
        "weights in depth",
        "distance from the limit",
        "accuracy",
        "accuracy in the limit",
        "lost",
        "verdict: an ODE",
    ]
    return [
        "Trained networks of depth 50 are run with other methods and with 1, 2, 4, 8 and 16 "
        "substeps (`keras_rk.diagnostics.ode_consistency`, statistics recalibrated). Every one "
        "of them converges to a limit: with fixed smooth blocks it must. What decides is how far "
        "the trained outputs are from it, relative to its size, and the accuracy lost on the way. "
        '"Constant": each block is the flow of its own field; "interpolated": weights are '
        "linear in depth between the middles of blocks. The penalty, with its weight, is "
        "on squared differences of the weights of consecutive blocks.",
        "",
        *table(headings, rows),
        "![how networks change on the way to the limit](images/ode.png)",
        "",
        *steepness(results, networks),
    ]


def steepness(results: Results, networks: Iterable[Network]) -> Lines:
    """Lipschitz estimates against the interval of stability."""
    rows = []
    for network in networks:
        diagnoses = results.diagnoses.get(network, {}).values()
        blocks = [one["steepness"]["blocks"] for one in diagnoses]
        if blocks:
            scaled = np.array([[block["scaled"] for block in of] for of in blocks], float)
            inside = np.mean([[block["is_inside_real"] for block in of] for of in blocks])
            rows.append(
                [
                    penalty(network),
                    f"{np.nanmedian(scaled):.2f}",
                    f"{np.nanmax(scaled):.2f}",
                    f"{blocks[0][0]['real_interval']:.2f}",
                    f"{100 * inside:.0f} %",
                ]
            )
    headings = [
        "network",
        "median of dt L",
        "largest dt L",
        "real stability interval",
        "blocks inside",
    ]
    return [
        "The Lipschitz constant L of F in each block, on the states that the test points pass "
        "(the largest norm of its Jacobian), beside the interval of stability of the method:",
        "",
        *table(headings, rows),
    ]
