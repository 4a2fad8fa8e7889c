"""The five questions of the paper, with its answers, ours, and what decides them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from grid import DEEP, SHALLOW, STEP_SIZES, full_experiments
from plan import MARGIN, QUESTIONS, RUNGE_KUTTA, WEIGHTS, limits, named
from questions import ACCURACY
from results import Results, published_depths, published_step_sizes
from significance import Comparison
from words import WAYS, Lines, penalty, table


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


def questions(results: Results, found: Sequence[Comparison]) -> Lines:
    """The table."""
    evidence = Evidence(found)
    answers = (
        degradation(evidence),
        residual(evidence),
        runge_kutta(evidence),
        step_sizes(results, found),
        ode(results, evidence),
    )
    paper = (
        paper_decline("standard"),
        paper_decline("residual"),
        "; ".join(paper_decline(method) for method in RUNGE_KUTTA),
        paper_step_sizes(),
        "asked; its published figures hold no measurement of it",
    )
    rows = [
        [QUESTIONS[number], theirs, *ours]
        for number, (theirs, ours) in enumerate(zip(paper, answers, strict=True), 1)
    ]
    return table(["question", "the paper's figures", "ours", "what decides"], rows, "llll")


def yes(answer: bool | None) -> str:
    return {True: "**Yes.**", False: "**No.**", None: "Not decided."}[answer]


def statistic(one: Comparison | None) -> str:
    """A comparison in a cell."""
    if one is None:
        return "-"
    return f"{one.claim}: {one.mean}, {one.verdict}"


def paper_decline(method: str) -> str:
    """The training accuracy of the paper, shallow and deep."""
    published = published_depths()
    shallow, deep = (
        np.mean([published[method, depth]["final_train_accuracy"] for depth in depths])
        for depths in (SHALLOW, DEEP)
    )
    return f"{method}: {shallow:.2f} at depth 5 to 15, {deep:.2f} at 40 to 50"


def degradation(evidence: Evidence) -> tuple[str, str]:
    return yes(evidence.degrades("standard")), statistic(evidence.decline("standard"))


def residual(evidence: Evidence) -> tuple[str, str]:
    statistics = (evidence.against("euler", "standard"), evidence.decline("euler"))
    return yes(evidence.cured("euler")), "; ".join(map(statistic, statistics))


def runge_kutta(evidence: Evidence) -> tuple[str, str]:
    cured = {method: evidence.cured(method) for method in RUNGE_KUTTA}
    if all(evidence.decline(method) is None for method in RUNGE_KUTTA):
        return yes(None), "-"
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
    answer += f". Worse than the residual network: {listed(worse)}."
    answer += f" Within {MARGIN:g} of it: {listed(same)}; open: {listed(rest)}."
    statistics = [*map(evidence.decline, RUNGE_KUTTA), *against.values()]
    return answer, "; ".join(statistic(one) for one in statistics if one)


def listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def paper_step_sizes() -> str:
    """The accuracy of the paper for each dt."""
    curves = published_step_sizes()
    shown = ", ".join(f"{dt:g}: {curve['accuracy'][-1]:.2f}" for dt, curve in curves.items())
    return f"dt = 1 (training accuracy for dt {shown})"


def step_sizes(results: Results, found: Sequence[Comparison]) -> tuple[str, str]:
    """For each way to scale: in how many comparisons a dt is worse than 1, or better."""
    answers, decides = [], []
    for scaled in ("residual", "shortcut"):
        words = WAYS[scaled]
        these = [one for one in found if one.question == 4 and words in one.claim]
        if not these:
            continue
        worse = [one for one in these if one.is_worse]
        better = [one for one in these if one.is_better]
        same = [one for one in these if one.is_the_same]
        answers.append(
            f"{words}: of {len(these)} comparisons with dt = 1, {len(worse)} are worse and "
            f"{len(better)} better, {len(same)} within {MARGIN:g}; "
            f"best mean: {best_step_sizes(results, scaled)}"
        )
        largest = max(these, key=lambda one: abs(one.difference.mean))
        decides.append(f"largest: {statistic(largest)}")
    return "; ".join(answers) or yes(None), "; ".join(decides) or "-"


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


def ode(results: Results, evidence: Evidence) -> tuple[str, str]:
    """Which networks are shown to be near their limit, and to lose no accuracy on the way."""
    answers, decides = [], []
    for weights, words in WEIGHTS.items():
        are, are_not, unknown = [], [], []
        for network in full_experiments()["ode"]:
            if (weights, words) not in limits(network):
                continue
            claim = f"{penalty(network)}, {words}"
            near = evidence.by_claim.get(f"log10 of distance, over 0.05: {claim}")
            lost = evidence.by_claim.get(f"accuracy lost in the limit: {claim}")
            if near is None or lost is None:
                continue
            if near.is_worse and lost.is_the_same:
                are.append(penalty(network))
            elif near.is_better or (lost.is_better and not lost.is_the_same):
                are_not.append(penalty(network))
            else:
                unknown.append(penalty(network))
            if not network.smoothness:
                distances = [one["distance"] for one in results.resolved(network, weights).values()]
                decides.append(
                    f"{penalty(network)}, {weights}: distance {min(distances):.2g} to "
                    f"{max(distances):.2g}, accuracy lost {lost.mean}"
                )
        if are or are_not or unknown:
            answer = "**Yes**" if not (are_not or unknown) else "**For some**" if are else "**No**"
            if not are and unknown:
                answer = "Not shown"
            answers.append(
                f"{answer}, {words}. ODEs: {'; '.join(are) or 'none'}. Not: "
                f"{'; '.join(are_not) or 'none'}. Open: {'; '.join(unknown) or 'none'}."
            )
    if not answers:
        return yes(None), "-"
    return " ".join(answers), f"{'; '.join(decides)} ([all](#is-a-trained-network-an-ode))"
