"""`check` as users call it: a proof, and, where it fails, help that is found when asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

from keras_rk.butcher.tableau import Tableau
from keras_rk.proof import checker
from keras_rk.proof.report import CheckReport, Prove, Suggestion

__all__ = ["check"]


@wraps(checker.check)
def check(*arguments, **options):  # type: ignore[no-untyped-def]
    report = checker.check(*arguments, **options)
    return report if report else replace(report, mend=mend)


def mend(report: CheckReport, prove: Prove) -> tuple[Suggestion, ...]:
    """`repair.mending.suggestions`, imported by whoever asks for them."""
    from keras_rk.analysis.repair.mending import suggestions

    return suggestions(report, prove)
