"""`check` as users call it: a proof, and, where it fails, help that is found when asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from keras_rk.proof import checker
from keras_rk.proof.report import CheckReport, Prove, Suggestion

__all__ = ["check", "mend"]

_Arguments = ParamSpec("_Arguments")


def mend(report: CheckReport, prove: Prove) -> tuple[Suggestion, ...]:
    """`repair.mending.suggestions`, imported by whoever asks for them."""
    from keras_rk.analysis.repair.mending import suggestions

    return suggestions(report, prove)


def _with_help(check: Callable[_Arguments, CheckReport]) -> Callable[_Arguments, CheckReport]:
    @wraps(check)
    def helpful(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> CheckReport:
        report = check(*args, **kwargs)
        return report if report else report.with_help(mend)

    helpful.__module__ = __name__  # where pickle finds it
    return helpful


check = _with_help(checker.check)
