"""The section of the report on its fifth question: is a trained network an ODE?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from grid import (
    CONVERGENT,
    HORIZON,
    HORIZON_DEPTHS,
    Network,
    full_experiments,
    horizon_networks,
)
from plan import WEIGHTS, limits
from questions import ACCURACY
from results import Results
from words import PLACES, Lines, penalty, table


def ode(results: Results) -> Lines:
    """The fifth question."""
    networks = full_experiments()["ode"]
    rows = [
        row
        for network in networks
        for weights, label in limits(network)
        if (row := consistency(results, network, weights, label))
    ]
    headings = [
        "network",
        "weights in depth",
        "distance from the limit: median (range)",
        "untrained",
        "accuracy",
        "in the limit",
        "verdict: an ODE",
    ]
    return [
        "Trained networks of depth 50 are run with other methods and with 1, 2, 4, 8 and 16 "
        "substeps (`keras_rk.diagnostics.ode_consistency`). Every one of them converges to a "
        "limit: with fixed smooth blocks it must. What decides is how far the trained outputs are "
        "from it, relative to how much it differs between points, and the accuracy lost on the "
        'way. "Interpolated": weights are linear in depth between the middles of blocks, which is '
        "what the ODE of a residual network means; a layer after each block leaves no such limit. "
        '"Constant": each block is the flow of its own field, so that a small distance says '
        'nothing of the network as one. "Untrained": networks like it with initial weights. Only a '
        "distance below theirs was learned. The penalty, with its weight, is on squared "
        "differences of the weights of consecutive blocks. Accuracies are of the last weights.",
        "",
        *table(headings, rows, "llrrrrr"),
        "![how networks change on the way to the limit](images/ode.png)",
        "",
        *small_steps(results),
        *steepness(results, networks),
    ]


def consistency(results: Results, network: Network, weights: str, label: str) -> list[str]:
    """A row of the first table; none if the network is not there."""
    found = list(results.resolved(network, weights).values())
    if not found:
        return []
    unresolved = len(results.diagnoses[network]) - len(found)
    verdicts = sum(one["verdict"] == "behaves like an ODE" for one in found)
    return [
        penalty(network),
        label,
        spread([one["distance"] for one in found]),
        spread([one["distance"] for one in controls(found)]),
        *(
            f"{np.mean([one[key] for one in found]):.3f}"
            for key in ("accuracy", "accuracy_at_limit")
        ),
        f"{verdicts}/{len(found)}" + (f", {unresolved} unresolved" if unresolved else ""),
    ]


def controls(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [control for one in found for control in one.get("control", ())]


def spread(values: Sequence[float]) -> str:
    """The median, and the range."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    return f"{np.median(values):.2g} ({min(values):.2g} to {max(values):.2g})"


def horizon_rows() -> dict[str, list[Network]]:
    """Networks with dt = T / depth, in words."""
    rows = {
        f"{method}, {PLACES['none']}": horizon_networks((method,), normalization="none")
        for method in (*CONVERGENT, "rk8")
    }
    for method in ("euler", "rk4"):
        plain = rows[f"{method}, {PLACES['none']}"]
        rows[f"{method}, penalty 0.01"] = [replace(n, smoothness=0.01) for n in plain]
        rows[f"{method}, penalty 0.001 depth"] = [
            replace(n, smoothness=0.01 * (n.depth // HORIZON_DEPTHS[0])) for n in plain
        ]
        rows[f"{method}, {PLACES['after']}"] = horizon_networks((method,))
    return rows


def has_small_steps(results: Results) -> bool:
    """Whether any of them is trained."""
    return any(network in results for networks in horizon_rows().values() for network in networks)


def small_steps(results: Results) -> Lines:
    """Steps that become smaller with depth."""
    if not has_small_steps(results):
        return []
    rows = horizon_rows()
    lines = [
        f"### Steps that become smaller with depth: dt = {HORIZON:g} / depth",
        "",
        "Weights constant within a block are then constant over a shorter and shorter time, and "
        "any method is near its limit. Interpolated weights show whether the weights became a "
        "function of depth. A penalty that does not grow with depth vanishes in the limit, one "
        "that does is an integral. Test accuracy:",
        "",
        *table(
            ["", *map(str, HORIZON_DEPTHS)],
            [
                [label, *(results.share(network, ACCURACY) for network in networks)]
                for label, networks in rows.items()
            ],
        ),
    ]
    for weights, words in WEIGHTS.items():
        cells = [
            [label, *(distances(results, network, weights) for network in networks)]
            for label, networks in rows.items()
            if any(results.resolved(network, weights) for network in networks)
        ]
        lines += [
            f"Distance from the limit, {words}, median (range); untrained networks beside it:",
            "",
            *table(["", *map(str, HORIZON_DEPTHS)], cells),
        ]
    return [*lines, "![dt = T / depth](images/horizon.png)", ""]


def distances(results: Results, network: Network, weights: str) -> str:
    found = list(results.resolved(network, weights).values())
    if not found:
        return "-"
    untrained = [one["distance"] for one in controls(found)]
    beside = f"; {np.median(untrained):.2g}" if untrained else ""
    return spread([one["distance"] for one in found]) + beside


def steepness(results: Results, networks: Iterable[Network]) -> Lines:
    """What steps make of the eigenvalues of F."""
    rows = []
    for network in networks:
        blocks = [
            block
            for one in results.diagnoses.get(network, {}).values()
            for block in one["steepness"]["blocks"]
        ]
        if not blocks:
            continue
        scaled = np.array([block["scaled"] for block in blocks], float)
        judged = [block for block in blocks if block.get("is_inside") is not None]
        worst = [block["worst"]["factor"] for block in judged if "worst" in block]
        rows.append(
            [
                penalty(network),
                f"{np.nanmedian(scaled):.2f}",
                f"{np.nanmax(scaled):.2f}",
                f"{blocks[0]['real_interval']:.2f}",
                f"{blocks[0]['imaginary_interval']:.2f}",
                f"{max(worst):.2f}" if worst else "-",
                f"{100 * np.mean([not b['is_inside'] for b in judged]):.0f} %" if judged else "-",
            ]
        )
    headings = [
        "network",
        "median of dt L",
        "largest dt L",
        "real interval",
        "imaginary interval",
        "largest factor",
        "blocks with eigenvalues outside",
    ]
    return [
        "How steep F is: L, the largest norm of its Jacobian on the states that the test points "
        "pass, times dt, beside the intervals of stability of the method; and what a step makes of "
        "the eigenvalues lambda of those Jacobians. The factor is |R(dt lambda)|, and an "
        "eigenvalue lies outside if a step amplifies what the ODE does not:",
        "",
        *table(headings, rows),
    ]
