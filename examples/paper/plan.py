"""What is compared, written down before the networks are trained.

(Before seeds from 5 on, and the experiments horizon, roughness, schedule and harder. Seeds 0 to 4
of the others were there already. Of RK8, of equal evaluations, and of dt with batch normalization
in F, seeds up to 20 were added when a report with 5 or 10 of them had been written: of all of them,
whatever it had shown.)

Each comparison belongs to a question, names its networks and what is measured of them, and says
which tests decide it. The report draws its sentences from these tests and from nothing else.

Endpoint. The accuracy on test points jumps from epoch to epoch, by as much as 0.15 in deep
networks. So "accuracy" is its mean over the last tenth of the epochs: the last 20 of 200. Networks
that share their seeds share their points, so that differences are taken seed by seed.

Tests, on the mean of these differences:

    DIFFERS     it is not zero: paired t test, two-sided
    AT_LEAST    it is above -MARGIN: paired t test, one-sided (non-inferiority). Only this shows
                that something "does not degrade", or "is cured"
    WITHIN      it is between -MARGIN and MARGIN: two one-sided tests (TOST, equivalence). Only this
                shows that there is "no difference"

p is corrected by Holm's method over all tests of a question, so that the probability of one false
claim or more in the answer to a question is at most 5 %.

Counted once: the residual network, which is Euler's with dt = 1 to the last bit; RK8 beside RK4
under y + 0.1 F(y), where both compute the same to five digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from grid import (
    CONVERGENT,
    DEEP,
    DEPTHS,
    HARDER,
    HORIZON_DEPTHS,
    MATCHED,
    SHALLOW,
    Network,
    depth_networks,
    digits_networks,
    full_experiments,
    horizon_networks,
    is_the_same,
)
from words import PLACES, formula, penalty

MARGIN = 0.02  # of accuracy: smaller differences do not matter
NEAR = 0.05  # distance from the limit below which a network behaves like an ODE
DIFFERS, AT_LEAST, WITHIN = "differs", "at least", "within"
QUESTIONS = {
    1: "Do plain deep networks degrade?",
    2: "Does the residual connection cure it?",
    3: "Do Runge-Kutta networks cure it too?",
    4: "Which residual connection and which dt is best?",
    5: "Does the analogy to ODEs hold?",
    6: "Where is batch normalization best?",
    7: "Which method is best at equal evaluations?",
    8: "And on harder spirals?",
    9: "And on images of digits?",
}
RUNGE_KUTTA = (*CONVERGENT, "rk8")
WEIGHTS = {"interpolated": "weights interpolated", "constant": "weights constant in each block"}


@dataclass(frozen=True)
class Planned:
    """A comparison, before there is anything to compare.

    Attributes:
        question: the number of its question.
        claim: in words.
        a: networks whose mean is taken for each seed.
        b: those whose mean is subtracted; none where a number is measured of `a` alone.
        tests: what decides it.
        measure: "accuracy"; or of diagnoses, with the weights in depth after a colon, "lost",
            accuracy lost in the limit; "near", the common logarithm of the distance from the limit
            over NEAR; "learned", of the distance over that of an untrained network; "distance", of
            the distance; "exponent", to which the distance falls with depth over the networks in
            `a`.
        margin: of AT_LEAST and WITHIN.
        overlap: test samples over training samples where seeds split the same data anew; their
            results are correlated, for which the variance is corrected (Nadeau and Bengio).
    """

    question: int
    claim: str
    a: tuple[Network, ...]
    b: tuple[Network, ...] = ()
    tests: tuple[str, ...] = (DIFFERS, WITHIN)
    measure: str = "accuracy"
    margin: float = MARGIN
    overlap: float = 0.0


def plan() -> list[Planned]:
    """Every comparison of the report."""
    return [
        *decline("standard", 1),
        *decline("euler", 2),
        *against("euler", "standard", 2),
        *runge_kutta(),
        *step_sizes(),
        *ode(),
        *horizon(),
        *normalization(),
        *matched(),
        *harder(),
        *digits(),
    ]


def named(method: str) -> str:
    """A method in a claim."""
    return "euler (= residual)" if method == "euler" else method


def decline(method: str, question: int) -> Iterator[Planned]:
    """What is lost from shallow to deep networks; and with a learning rate that falls to zero."""
    deep, shallow = (depth_networks(depths, (method,)) for depths in (DEEP, SHALLOW))
    claim = f"{named(method)}: depth 40 to 50 - depth 5 to 15"
    yield Planned(question, claim, tuple(deep), tuple(shallow), (DIFFERS, AT_LEAST))
    if method in ("standard", *CONVERGENT):
        deep, shallow = (scheduled(method, depth) for depth in (50, 10))
        claim = f"{named(method)}, rate falls to 0: depth 50 - depth 10"
        yield Planned(question, claim, (deep,), (shallow,), (DIFFERS, AT_LEAST))


def scheduled(method: str, depth: int) -> Network:
    return Network(method=method, depth=depth, schedule="cosine")


def against(one: str, other: str, question: int) -> Iterator[Planned]:
    """Two methods in deep networks."""
    claim = f"{named(one)} - {named(other)}"
    a, b = (tuple(depth_networks(DEEP, (method,))) for method in (one, other))
    yield Planned(question, f"depth 40 to 50: {claim}", a, b)
    if {one, other} <= {"standard", *CONVERGENT}:
        a, b = ((scheduled(method, 50),) for method in (one, other))
        yield Planned(question, f"depth 50, rate falls to 0: {claim}", a, b)


def runge_kutta() -> Iterator[Planned]:
    """Question 3. Euler is question 2."""
    for method in (*RUNGE_KUTTA[1:], "inconsistent"):
        yield from decline(method, 3)
        if method != "inconsistent":
            yield from against(method, "standard", 3)
        yield from against(method, "euler", 3)


def step_sizes() -> Iterator[Planned]:
    """Each dt against 1; and, under y + dt F(y), with ever more and smaller steps."""
    for network in full_experiments()["dt"]:
        if network.dt == 1.0 or is_the_same(network):
            continue
        claim = f"{formula(network)}: dt {network.dt:g} - dt 1"
        # scaled shortcuts lose 0.1 to 0.5: nobody asks whether they are within 0.02
        tests = (DIFFERS,) if network.scaled == "shortcut" else (DIFFERS, WITHIN)
        yield Planned(4, claim, (network,), (replace(network, dt=1.0),), tests)
    for method in CONVERGENT:
        first, *_, last = horizon_networks((method,), normalization="none")
        claim = f"{method}, dt = 5 / depth, no BN: depth {last.depth} - depth {first.depth}"
        yield Planned(4, claim, (last,), (first,))


def ode() -> Iterator[Planned]:
    """What is lost on the way to the limit, what of it was learned, what a penalty changes."""
    for network in full_experiments()["ode"]:
        for weights, words in limits(network):
            claim = f"{penalty(network)}, {words}"
            lost = f"accuracy lost in the limit: {claim}"
            yield Planned(5, lost, (network,), (), (DIFFERS, WITHIN), f"lost:{weights}")
            near = f"log10 of distance, over {NEAR:g}: {claim}"
            yield Planned(5, near, (network,), (), (DIFFERS,), f"near:{weights}")
            learned = f"log10 of distance, trained - untrained: {claim}"
            yield Planned(5, learned, (network,), (), (DIFFERS,), f"learned:{weights}")
            if network.smoothness:
                rough = replace(network, smoothness=0.0)
                claim = f"log10 of distance: {claim} - no penalty"
                yield Planned(5, claim, (network,), (rough,), (DIFFERS,), f"distance:{weights}")


def limits(network: Network) -> list[tuple[str, str]]:
    """The limits that a network has: a layer after each block leaves it one for each block."""
    whole = network.normalization == "none"
    return [one for one in WEIGHTS.items() if whole or one[0] == "constant"]


def horizon() -> Iterator[Planned]:
    """How the distance falls where steps become smaller with depth."""
    groups = {
        f"{method}, {PLACES['none']}": horizon_networks((method,), normalization="none")
        for method in CONVERGENT
    }
    for method in ("euler", "rk4"):
        networks = groups[f"{method}, {PLACES['none']}"]
        for words, factor in (("penalty 0.01", 0.01), ("penalty 0.001 depth", 0.0)):
            groups[f"{method}, {words}"] = [
                replace(network, smoothness=factor or 0.01 * (network.depth // HORIZON_DEPTHS[0]))
                for network in networks
            ]
        groups[f"{method}, {PLACES['after']}"] = horizon_networks((method,))
    for words, networks in groups.items():
        for weights, which in limits(networks[0]):
            claim = f"dt = 5 / depth: exponent of distance in depth: {words}, {which}"
            yield Planned(5, claim, tuple(networks), (), (DIFFERS,), f"exponent:{weights}")
    for method in ("euler", "rk4"):
        deepest = groups[f"{method}, penalty 0.001 depth"][-1]
        for weights, which in WEIGHTS.items():
            for other in ("penalty 0.01", PLACES["none"]):
                claim = f"log10 of distance at depth {deepest.depth}: {method}, {which}: penalty "
                claim += f"0.001 depth - {other.replace('no BN', 'no penalty')}"
                b = (groups[f"{method}, {other}"][-1],)
                yield Planned(5, claim, (deepest,), b, (DIFFERS,), f"distance:{weights}")


def normalization() -> Iterator[Planned]:
    """Statistics for each evaluation against shared ones, and both against BN after the step."""
    for method in RUNGE_KUTTA:
        depths = (10, 30, 50) if method == "rk8" else DEPTHS
        groups = {
            where: tuple(depth_networks(depths, (method,), normalization=where))
            for where in ("after", "inside", "inside_shared")
        }
        for one, other in (("inside", "inside_shared"), ("inside", "after")):
            if method == "euler" and other == "inside_shared":
                continue  # one evaluation has nothing to share
            claim = f"{method}, all depths: BN {one} - BN {other}".replace("_", " ")
            yield Planned(6, claim, groups[one], groups[other])


def matched() -> Iterator[Planned]:
    """Networks with equally many evaluations of F."""
    for first, *others in MATCHED:
        euler = Network(method=first[0], depth=first[1])
        for method, depth in others:
            network = Network(method=method, depth=depth)
            yield from equal_evaluations(7, "", network, euler)


def equal_evaluations(question: int, data: str, a: Network, b: Network) -> Iterator[Planned]:
    claim = f"{data}{a.evaluations} evaluations: {a.method}, depth {a.depth} - {b.method}, "
    yield Planned(question, f"{claim}depth {b.depth}", (a,), (b,))


def harder() -> Iterator[Planned]:
    """Spirals that leave room above."""
    for data in HARDER:
        words = data.removeprefix("spirals_")
        deep, shallow = (
            {m: Network(data, m, depth) for m in ("standard", *CONVERGENT)} for depth in (50, 10)
        )
        for method in deep:
            claim = f"{words}: {named(method)}: depth 50 - depth 10"
            yield Planned(8, claim, (deep[method],), (shallow[method],), (DIFFERS, AT_LEAST))
        for at in (deep, shallow):
            for method in CONVERGENT[1:]:
                claim = f"{words}, depth {at[method].depth}: {method} - euler (= residual)"
                yield Planned(8, claim, (at[method],), (at["euler"],))
        for method, depth in (("heun2", 25), ("rk4", 12)):
            network = Network(data, method, depth)
            yield from equal_evaluations(8, f"{words}, ", network, deep["euler"])


def digits() -> Iterator[Planned]:
    """Images: equally many parameters, and equally many evaluations."""
    networks = digits_networks(3)
    for one in networks:
        for other in networks:
            same_parameters = one.depth == other.depth and other.method == "euler"
            same_evaluations = one.evaluations == other.evaluations and other.method == "euler"
            if one.method != "euler" and (same_parameters or same_evaluations):
                what = "parameters" if same_parameters else "evaluations"
                claim = (
                    f"digits, equal {what}: {one.method}, {one.depth} blocks "
                    f"- euler, {other.depth} blocks"
                )
                yield Planned(9, claim, (one,), (other,), overlap=360 / 1437)


def networks_of(planned: Iterable[Planned]) -> set[Network]:
    """The networks that comparisons need."""
    return {network for one in planned for network in (*one.a, *one.b)}
