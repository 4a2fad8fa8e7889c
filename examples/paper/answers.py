"""The five questions of the paper, with its answers, ours, and what decides them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from grid import STEP_SIZES, experiments
from ode import consistency_by_seed
from questions import ACCURACY, DEEP, RUNGE_KUTTA, SHALLOW, small
from results import Results, published_depths, published_step_sizes
from significance import Comparison, interval
from words import WAYS, Lines, penalty, table

QUESTIONS = (
    "Do plain deep networks degrade?",
    "Does the residual connection cure it?",
    "Do Runge-Kutta networks cure it too?",
    "Which residual connection and which dt is best?",
    "Does the analogy to ODEs hold?",
)
MATTERS = 0.02  # smaller differences of accuracy are not called a degradation


class Evidence:
    """The comparisons by what they claim."""

    def __init__(self, found: Sequence[Comparison]) -> None:
        self.by_claim = {one.claim: one for one in found}

    def decline(self, method: str) -> Comparison | None:
        return self.by_claim.get(f"{method}: depth 40 to 50 - depth 5 to 15")

    def against(self, one: str, other: str) -> Comparison | None:
        return self.by_claim.get(f"depth 40 to 50: {one} - {other}")

    def degrades(self, method: str) -> bool | None:
        """Whether deep networks are worse than shallow ones; None if that is not decided."""
        return lower(self.decline(method))

    def cured(self, method: str) -> bool | None:
        """Whether deep networks do not degrade, and are better than standard ones."""
        against = self.against(method, "standard")
        degrades, better = self.degrades(method), higher(against)
        if degrades or better is False:
            return False
        return True if degrades is False and better else None


def lower(one: Comparison | None) -> bool | None:
    """Whether a difference is negative; None if there may be one that the test does not show."""
    if one is None:
        return None
    if one.significant and one.difference.mean < -MATTERS:
        return True
    return False if one.difference.mean >= -MATTERS else None


def higher(one: Comparison | None) -> bool | None:
    """Whether a difference is positive; None if there may be one that the test does not show."""
    if one is None:
        return None
    if one.significant and one.difference.mean > 0:
        return True
    return False if one.difference.mean <= MATTERS else None


def questions(results: Results, found: Sequence[Comparison]) -> Lines:
    """The table."""
    evidence = Evidence(found)
    answers = (
        degradation(evidence),
        residual(evidence),
        runge_kutta(evidence),
        step_sizes(results, found),
        ode(results),
    )
    paper = (
        paper_decline("standard"),
        paper_decline("residual"),
        "; ".join(paper_decline(method) for method in RUNGE_KUTTA),
        paper_step_sizes(),
        "asked; its published figures hold no measurement of it",
    )
    rows = [
        [question, theirs, *ours]
        for question, theirs, ours in zip(QUESTIONS, paper, answers, strict=True)
    ]
    return table(["question", "the paper's figures", "ours", "what decides"], rows, "llll")


def yes(answer: bool | None) -> str:
    return {True: "**Yes.**", False: "**No.**", None: "Not decided."}[answer]


def statistic(one: Comparison | None) -> str:
    """A comparison in a cell."""
    if one is None:
        return "-"
    return f"{one.claim}: {one.difference.mean:+.3f} (p = {small(one.corrected)})"


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
    statistics = (evidence.against("residual", "standard"), evidence.decline("residual"))
    return yes(evidence.cured("residual")), "; ".join(map(statistic, statistics))


def runge_kutta(evidence: Evidence) -> tuple[str, str]:
    cured = {method: evidence.cured(method) for method in RUNGE_KUTTA}
    if set(cured.values()) == {None}:
        return yes(None), "-"
    worse = [
        method
        for method in RUNGE_KUTTA
        if (one := evidence.against(method, "residual"))
        and one.significant
        and one.difference.mean < 0
    ]
    answer = yes(False if False in cured.values() else None if None in cured.values() else True)
    for outcome, words in ((True, "Cured"), (False, "not cured"), (None, "not decided")):
        methods = [method for method in cured if cured[method] is outcome]
        if methods or outcome:
            answer += f"{' ' if outcome else '; '}{words}: {', '.join(methods) or 'none'}"
    answer += f". Worse than the residual network: {', '.join(worse) or 'none'}."
    statistics = [evidence.against(method, "residual") for method in RUNGE_KUTTA]
    return answer, "; ".join(statistic(one) for one in statistics if one)


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
        worse = [one for one in these if one.significant and one.difference.mean < 0]
        better = [one for one in these if one.significant and one.difference.mean > 0]
        answers.append(
            f"{words}: of {len(these)} comparisons with dt = 1, {len(worse)} are worse and "
            f"{len(better)} better; best mean: {best_step_sizes(results, scaled)}"
        )
        largest = max(these, key=lambda one: abs(one.difference.mean))
        decides.append(statistic(largest))
    return "; ".join(answers) or yes(None), "; ".join(decides) or "-"


def best_step_sizes(results: Results, scaled: str) -> str:
    """How often each dt has the best mean."""
    groups: dict[str, dict[float, float]] = {}
    for network in experiments(quick=False)["dt"]:
        for way in ("residual", "shortcut") if network.dt == 1.0 else (network.scaled,):
            if way == scaled and network in results:
                group = f"{network.method} {network.normalization} {network.activation}"
                mean = results.interval(network, ACCURACY).mean
                groups.setdefault(group, {})[network.dt] = mean
    winners = [max(group, key=lambda dt: group[dt]) for group in groups.values()]
    counts = {dt: winners.count(dt) for dt in STEP_SIZES if dt in winners}
    return ", ".join(f"dt {dt:g} in {count} of {len(winners)}" for dt, count in counts.items())


def ode(results: Results) -> tuple[str, str]:
    """Which networks most seeds of which are found to behave like an ODE."""
    kinds = {"constant": "weights constant in each block", "interpolated": "weights interpolated"}
    answers, decides = [], []
    networks = experiments(quick=False)["ode"]
    for weights, words in kinds.items():
        are, are_not = [], []
        for network in networks:
            found = consistency_by_seed(results, network, weights).values()
            if found:
                verdicts = [one["verdict"] == "behaves like an ODE" for one in found]
                (are if sum(verdicts) > len(verdicts) / 2 else are_not).append(penalty(network))
                if not network.smoothness:
                    distance = interval([one["distance"] for one in found])
                    lost = interval([one["accuracy_lost"] for one in found])
                    decides.append(
                        f"{penalty(network)}, {weights}: distance {distance.mean:.2g}, "
                        f"accuracy lost {lost.mean:.3f}"
                    )
        if are or are_not:
            answer = "**Yes**" if not are_not else "**For some**" if are else "**No**"
            answers.append(
                f"{answer}, {words}. ODEs: {'; '.join(are) or 'none'}. Not: "
                f"{'; '.join(are_not) or 'none'}."
            )
    if not answers:
        return yes(None), "-"
    return " ".join(answers), f"{'; '.join(decides)} ([all](#is-a-trained-network-an-ode))"
