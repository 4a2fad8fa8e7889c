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


def _with_help(proof: Callable[_Arguments, CheckReport]) -> Callable[_Arguments, CheckReport]:
    """The check of the module `checker`, with reports that help where it fails."""

    @wraps(proof)
    def check(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> CheckReport:
        report = checker.check(*args, **kwargs)  # type: ignore[arg-type]
        return report if report else report.with_help(mend)

    check.__module__ = __name__  # where pickle finds it
    return check


check = _with_help(checker.check)
