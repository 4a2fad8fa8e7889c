"""The five questions of the paper, with its answers, ours, and what decides them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from grid import DEEP, SHALLOW, STEP_SIZES, full_experiments
from plan import MARGIN, NEAR, QUESTIONS, RUNGE_KUTTA, WEIGHTS, named
from questions import ACCURACY
from results import Results, published_depths, published_step_sizes
from significance import Comparison
from words import WAYS, Lines, bullets, penalty, table


class Evidence:
    """The comparisons by what they claim."""

    def __init__(self, found: Sequence[Comparison]) -> None:
        self.by_claim = {one.claim: one for one in found}

    def decline(self, method: str) -> Comparison | None:
        return self.by_claim.get(f"{named(method)}: depth 40 to 50 - depth 5 to 15")

    def against(self, one: str, other: str) -> Comparison | None:
        return self.by_claim.get(f"depth 40 to 50: {named(one)} - {named(other)}")

    def degrades(self, method: str) -> bool | None:
        """Whether deep networks are worse than shallow ones; None if that is not decided."""
        one = self.decline(method)
        if one is None:
            return None
        if one.is_worse and not one.is_not_worse:
            return True
        return False if one.is_not_worse else None

    def cured(self, method: str) -> bool | None:
        """Whether deep networks are shown not to degrade, and to be better than standard ones."""
        against = self.against(method, "standard")
        degrades = self.degrades(method)
        if degrades or (against and (against.is_worse or against.is_the_same)):
            return False
        return True if degrades is False and against and against.is_better else None


@dataclass(frozen=True)
class Answer:
    """What the records say on a question.

    Attributes:
        short: in a few words.
        details: the rest of it, in Markdown.
        decides: the comparisons that it rests on.
    """

    short: str
    details: Sequence[str] = ()
    decides: Sequence[str] = ()


def answers(results: Results, found: Sequence[Comparison]) -> dict[int, Answer]:
    """By the number of the question."""
    evidence = Evidence(found)
    return {
        1: degradation(evidence),
        2: residual(evidence),
        3: runge_kutta(evidence),
        4: step_sizes(results, found),
        5: ode(evidence),
    }


def questions(results: Results, found: Sequence[Comparison]) -> Lines:
    """Each question: the answer, what the paper's figures say, and which comparisons decide."""
    paper = {
        1: [paper_decline("standard")],
        2: [paper_decline("residual")],
        3: [paper_decline(method) for method in RUNGE_KUTTA],
        4: [paper_step_sizes()],
        5: ["asked; its published figures hold no measurement of it"],
    }
    lines: Lines = []
    for number, answer in answers(results, found).items():
        lines += [f"### {number}. {QUESTIONS[number]}", "", answer.short, ""]
        lines += answer.details
        lines += bullets("What decides:", answer.decides)
        lines += bullets("The paper's figures:", paper[number])
    return lines


def yes(answer: bool | None) -> str:
    return {True: "**Yes.**", False: "**No.**", None: "Not decided."}[answer]


def statistics(comparisons: Iterable[Comparison | None]) -> list[str]:
    """Comparisons in words."""
    return [f"{one.claim}: {one.mean}, {one.verdict}" for one in comparisons if one]


def paper_decline(method: str) -> str:
    """The training accuracy of the paper, shallow and deep."""
    published = published_depths()
    shallow, deep = (
        np.mean([published[method, depth]["final_train_accuracy"] for depth in depths])
        for depths in (SHALLOW, DEEP)
    )
    return f"{method}: {shallow:.2f} at depth 5 to 15, {deep:.2f} at 40 to 50"


def degradation(evidence: Evidence) -> Answer:
    decides = statistics([evidence.decline("standard")])
    return Answer(yes(evidence.degrades("standard")), decides=decides)


def residual(evidence: Evidence) -> Answer:
    decides = statistics([evidence.against("euler", "standard"), evidence.decline("euler")])
    return Answer(yes(evidence.cured("euler")), decides=decides)


def runge_kutta(evidence: Evidence) -> Answer:
    if all(evidence.decline(method) is None for method in RUNGE_KUTTA):
        return Answer(yes(None))
    cured = {method: evidence.cured(method) for method in RUNGE_KUTTA}
    answer = yes(False if False in cured.values() else None if None in cured.values() else True)
    for outcome, words in ((True, "Cured"), (False, "not cured"), (None, "not decided")):
        methods = [method for method in cured if cured[method] is outcome]
        if methods or outcome:
            answer += f"{' ' if outcome else '; '}{words}: {listed(methods)}"
    # Euler's network is the residual one
    against = {method: evidence.against(method, "euler") for method in RUNGE_KUTTA[1:]}
    beside = {method: one for method, one in against.items() if one}
    worse = [method for method, one in beside.items() if one.is_worse]
    same = [method for method, one in beside.items() if one.is_the_same]
    rest = [m for m, one in beside.items() if m not in worse + same and not one.is_better]
    details = [
        f"Worse than the residual network: {listed(worse)}.",
        f"Within {MARGIN:g} of it: {listed(same)}; open: {listed(rest)}.",
    ]
    decides = statistics([*map(evidence.decline, RUNGE_KUTTA), *against.values()])
    return Answer(f"{answer}.", bullets("", details), decides)


def listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def paper_step_sizes() -> str:
    """The accuracy of the paper for each dt."""
    curves = published_step_sizes()
    shown = ", ".join(f"{dt:g}: {curve['accuracy'][-1]:.2f}" for dt, curve in curves.items())
    return f"dt = 1 (training accuracy for dt {shown})"


def step_sizes(results: Results, found: Sequence[Comparison]) -> Answer:
    """For each way to scale: in how many comparisons a dt is worse than 1, or better."""
    details, largest = [], []
    for scaled in ("residual", "shortcut"):
        words = WAYS[scaled]
        these = [one for one in found if one.question == 4 and words in one.claim]
        if not these:
            continue
        worse = [one for one in these if one.is_worse]
        better = [one for one in these if one.is_better]
        same = [one for one in these if one.is_the_same]
        details.append(
            f"{words}: of {len(these)} comparisons with dt = 1, {len(worse)} are worse and "
            f"{len(better)} better, {len(same)} within {MARGIN:g}; "
            f"best mean: {best_step_sizes(results, scaled)}."
        )
        largest.append(max(these, key=lambda one: abs(one.difference.mean)))
    if not details:
        return Answer(yes(None))
    decides = [f"largest: {one}" for one in statistics(largest)]
    return Answer("By the way in which dt scales:", bullets("", details), decides)


def best_step_sizes(results: Results, scaled: str) -> str:
    """How often each dt has the best mean."""
    groups: dict[str, dict[float, float]] = {}
    for network in full_experiments()["dt"]:
        for way in ("residual", "shortcut") if network.dt == 1.0 else (network.scaled,):
            if way == scaled and network in results:
                group = f"{network.method} {network.normalization} {network.activation}"
                mean = results.interval(network, ACCURACY).mean
                groups.setdefault(group, {})[network.dt] = mean
    winners = [max(group, key=lambda dt: group[dt]) for group in groups.values()]
    counts = {dt: winners.count(dt) for dt in STEP_SIZES if dt in winners}
    return ", ".join(f"dt {dt:g} in {count} of {len(winners)}" for dt, count in counts.items())


def ode(evidence: Evidence) -> Answer:
    """Which networks are shown to be near their limit, and to lose no accuracy on the way."""
    kinds = [penalty(network) for network in full_experiments()["ode"]]
    rows = [[one, *(verdict(evidence, f"{one}, {w}") for w in WEIGHTS.values())] for one in kinds]
    counts = []
    for words, verdicts in zip(WEIGHTS.values(), list(zip(*rows, strict=True))[1:], strict=True):
        known = [one for one in verdicts if one != "-"]
        near = sum(one.startswith("yes") for one in known)
        if known:
            counts.append(f"with {words}, {near} of {len(known)} kinds of networks")
    if not counts:
        return Answer(yes(None))
    decides = [
        f"yes: the distance from the limit is below {NEAR:g}, and the accuracy lost on the way "
        f"within {MARGIN:g}; no: one of the two is shown to be larger. Learned: nearer than the "
        "same network with its initial weights. Figures are in [Is a trained network an "
        "ODE?](#is-a-trained-network-an-ode), tests in [All comparisons](#all-comparisons)"
    ]
    details = table(["network", *WEIGHTS.values()], rows, "lll")
    return Answer(f"Shown to be ODEs: {'; '.join(counts)}.", details, decides)


def verdict(evidence: Evidence, claim: str) -> str:
    """Whether a network is an ODE, and whether that is what it learned."""
    near, lost, learned = (
        evidence.by_claim.get(f"{what}: {claim}")
        for what in (
            f"log10 of distance, over {NEAR:g}",
            "accuracy lost in the limit",
            "log10 of distance, trained - untrained",
        )
    )
    if near is None or lost is None:
        return "-"
    if near.is_better or (lost.is_better and not lost.is_the_same):
        return "no"
    if not (near.is_worse and lost.is_the_same):
        return "open"
    if learned is None or not learned.significant:
        return "yes"
    return "yes, learned" if learned.is_worse else "yes, but untrained ones are nearer"
