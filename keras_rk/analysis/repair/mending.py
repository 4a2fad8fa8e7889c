"""Suggestions: changes that mend a tableau, each proved, the likeliest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keras_rk.analysis.repair.arrangements import (
    exchanged_rows,
    exchanged_weights,
    moved_entries,
    reordered_stages,
)
from keras_rk.analysis.repair.candidates import Candidate, Clock
from keras_rk.analysis.repair.decimals import recovered_fractions
from keras_rk.analysis.repair.denominators import forgotten_denominators
from keras_rk.analysis.repair.entries import single_entries
from keras_rk.analysis.repair.fault import Fault
from keras_rk.analysis.repair.pairs import two_coefficients
from keras_rk.analysis.repair.rows import rows_beside_nodes
from keras_rk.analysis.repair.slips import PLAUSIBLE
from keras_rk.butcher.tableau import Tableau
from keras_rk.proof.report import CheckReport, Suggestion

__all__ = ["suggestions"]

SECONDS = 1.5  # for all; a proof that has begun is not broken off
_FOR_PROOFS = 0.6  # of them
_LONGEST_PROOF = 0.8
_MOST = 8  # suggestions
_MOST_STAGES = 64
_ROUNDING = 1e-9
_FSAL = 0.6  # likelier by so much: a last row that is b was meant to be
_Kind = Callable[[Fault, Clock], Iterator[Candidate]]
_ONE_CHANGE: tuple[_Kind, ...] = (
    exchanged_weights,
    reordered_stages,
    recovered_fractions,
    rows_beside_nodes,
    single_entries,
    forgotten_denominators,
    exchanged_rows,
    moved_entries,
)


def suggestions(
    report: CheckReport, prove: Callable[[Tableau], CheckReport]
) -> tuple[Suggestion, ...]:
    """What would mend the tableau of a report that failed.

    Args:
        report: what `check` found.
        prove: does the same check to another tableau.
    """
    if report or not _is_moderate(report.tableau):
        return ()
    fault = Fault(report, prove)
    if fault.proof_seconds > _LONGEST_PROOF:
        return ()
    clock = Clock(SECONDS)
    for kinds in (_ONE_CHANGE, (two_coefficients,)):
        for level in fault.levels():
            found = _proved(level, _collected(level, kinds, clock), clock)
            if found:
                return tuple(found)
        if not fault.tableau.is_explicit:
            break
    return ()


def _collected(fault: Fault, kinds: Iterable[_Kind], clock: Clock) -> list[Candidate]:
    """The candidates, each tableau once, by what their change costs."""
    search = clock.shortened(_FOR_PROOFS)
    best: dict[Tableau, Candidate] = {}
    for kind in kinds:
        for candidate in kind(fault, search):
            other = best.get(candidate.tableau)
            if other is None or candidate.cost < other.cost:
                best[candidate.tableau] = candidate
    best.pop(fault.tableau, None)
    return sorted(best.values(), key=lambda candidate: candidate.cost)


def _proved(fault: Fault, candidates: Iterable[Candidate], clock: Clock) -> list[Suggestion]:
    """Those that pass the same check, the highest orders first, and then the plainest change."""
    found: list[tuple[tuple[float, ...], Suggestion]] = []
    longest = 0.0
    for candidate in candidates:
        if len(found) == _MOST or clock.is_over(longest):
            break
        if _is_known(candidate.tableau, found):
            continue
        start = time.perf_counter()
        report = fault.prove(candidate.tableau)
        longest = max(longest, time.perf_counter() - start)
        if report:
            rank: tuple[float, ...] = (
                -report.order,
                -(report.embedded_order or 0),
                _likely(candidate),
            )
            text = f"{candidate.text}: {_holds(report)}"
            found.append((rank, Suggestion(candidate.tableau, text)))
    found.sort(key=lambda pair: pair[0])
    best: tuple[float, ...] = found[0][0][:2] if found else ()
    kept: list[Suggestion] = []
    for rank, suggestion in found:
        # where no order is wished for, the highest one tells the right change from chances
        is_chance = fault.is_open and (rank[:2] != best or (rank[0] == -1 and rank[2] > PLAUSIBLE))
        if not is_chance:
            kept.append(suggestion)
    return kept


def _is_moderate(tableau: Tableau) -> bool:
    """Whether it is of a size that can be searched, with numbers within the range of floats."""
    if tableau.is_symbolic or tableau.stages > _MOST_STAGES:
        return False
    try:
        return len(_floats(tableau)) > 0
    except OverflowError:
        return False


def _is_known(tableau: Tableau, found: Iterable[tuple[Any, Suggestion]]) -> bool:
    """Whether it differs from one that was found by rounding only."""
    numbers = _floats(tableau)
    return any(
        all(abs(x - y) <= _ROUNDING * max(1, abs(x)) for x, y in zip(numbers, known, strict=True))
        for known in (_floats(suggestion.tableau) for _, suggestion in found)
    )


def _floats(tableau: Tableau) -> list[float]:
    rows = (*tableau.exact_A, tableau.exact_c, *tableau.exact_weights)
    return [float(x) for row in rows for x in row]


def _likely(candidate: Candidate) -> float:
    return candidate.cost - (_FSAL if candidate.tableau.is_fsal else 0.0)


def _holds(report: CheckReport) -> str:
    order = f"order {report.order}"
    if report.embedded_order is not None:
        order += f"({report.embedded_order})"
    return f"{order}, {'exactly' if report.verdict == 'exact' else 'up to rounding'}"
