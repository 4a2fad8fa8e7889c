"""The section of the report on harder spirals."""

from __future__ import annotations

from grid import CONVERGENT, HARDER, STAGES, Network
from plan import named
from questions import ACCURACY
from results import Results, endpoint
from words import Lines, table

WORDS = {
    "spirals_turns": "half as many turns again (1,170 degrees, noise of standard deviation 0.3)",
    "spirals_noise": "noise of standard deviation 0.8, where no rule is right for more than 96 %",
}


def harder(results: Results) -> Lines:
    """Spirals that leave room above."""
    lines = [
        "On the paper's spirals most methods come to 99 %, so that their differences have no room. "
        "The same networks, batch normalization after the step, on harder ones. Mean and 95 % "
        "interval of test and training accuracy:",
        "",
    ]
    for data in HARDER:
        networks = [
            *(Network(data, m, depth) for depth in (10, 50) for m in ("standard", *CONVERGENT)),
            *(Network(data, method, 50 // STAGES[method]) for method in CONVERGENT[1:]),
        ]
        rows = [
            [
                named(network.method),
                network.depth,
                network.evaluations,
                *(results.share(network, of) for of in (ACCURACY, endpoint("accuracy"))),
            ]
            for network in networks
            if network in results
        ]
        headings = ["method", "depth", "evaluations of F", "test accuracy", "training accuracy"]
        lines += [f"{WORDS[data].capitalize()}:", "", *table(headings, rows)]
    return lines
