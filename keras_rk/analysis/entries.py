"""The lines of an `Analysis`: what each is called, what it says, what it gives to a program.

One more property is one more `Entry` in `ENTRIES`. Where a property is not defined for a method,
computing it raises `TableauError`; its line then shows a dash and its value is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from keras_rk.analysis.entry import NOTHING, Entry, counted, exactly, plain, shown
from keras_rk.errors import TableauError

if TYPE_CHECKING:
    from keras_rk.analysis.analyse import Analysis

__all__ = ["ENTRIES", "as_data", "as_text"]

_LABELS = 21  # columns
_SHORT = 12  # characters of an exact coefficient of R(z)


def as_text(analysis: Analysis) -> str:
    tableau = analysis.tableau
    lines = [f"{tableau.name or 'tableau'} ({counted(tableau.stages, 'stage')})"]
    for heading, entries in ENTRIES.items():
        lines.append(f"  {heading}")
        lines += [
            f"    {entry.label:<{_LABELS}}{entry.line(analysis)}".rstrip()
            for entry in entries
            if entry.when(analysis)
        ]
        if lines[-1] == f"  {heading}":
            lines.pop()
    return "\n".join(lines)


def as_data(analysis: Analysis) -> dict[str, Any]:
    data: dict[str, Any] = {"tableau": analysis.tableau.name, "stages": analysis.tableau.stages}
    for entries in ENTRIES.values():
        for entry in entries:
            if entry.when(analysis):
                data.update((name, _value(value, analysis)) for name, value in entry.values.items())
    return data


def _value(value: Callable[[Analysis], Any], analysis: Analysis) -> Any:
    try:
        return plain(value(analysis))
    except TableauError:
        return None


def _order(analysis: Analysis) -> str:
    report = analysis.report
    main = report.evidence[0]
    text = (
        f"{main}, {'exactly' if main.verdict == 'exact' else 'up to the rounding of its numbers'}"
    )
    if report.nonautonomous_order < report.order:
        text += f"; {report.nonautonomous_order} for y' = f(t, y)"
    return text


def _error_norm(analysis: Analysis) -> str:
    found = analysis.error_coefficients
    largest = found.largest
    return (
        f"{found.norm:.3g}, of {counted(len(found), 'coefficient')} for trees of order "
        f"{found.order}; the largest is {exactly(largest.value)} at {largest.tree}"
    )


def _assumptions(analysis: Analysis) -> str:
    found = analysis.simplifying_assumptions
    text = f"B({shown(found.B)}), C({shown(found.C)}), D({shown(found.D)})"
    return text if found.is_exact else f"{text}, up to the rounding of its numbers"


def _stability_function(analysis: Analysis) -> str:
    R = analysis.stability_function
    if len(R.denominator) == 1:
        return _polynomial(R.coefficients)
    return f"({_polynomial(R.coefficients)}) / ({_polynomial(R.denominator)})"


def _polynomial(coefficients: Sequence[Any]) -> str:
    terms = []
    for n, r in enumerate(coefficients):
        number = exactly(r, _SHORT)
        power = "" if n == 0 else "z" if n == 1 else f"z^{n}"
        if number not in ("0", "-0"):
            terms.append(power if number == "1" and power else f"{number} {power}".rstrip())
    return " + ".join(terms).replace("+ -", "- ") or "0"


def _oscillation(order: str, coefficient: str) -> Callable[[Analysis], str]:
    def text(analysis: Analysis) -> str:
        found = analysis.oscillation
        q = getattr(found, order)
        if q == math.inf:
            return "none"
        return f"order {q}, coefficient {exactly(getattr(found, coefficient))}"

    return text


def _ssp(analysis: Analysis) -> str:
    value = analysis.ssp_coefficient
    text = shown(value)
    if isinstance(value, Fraction) and value and analysis.tableau.is_explicit:
        text += f", {exactly(value / analysis.tableau.stages)} for each stage"
    return text


def _round_off(analysis: Analysis) -> str:
    found = analysis.round_off
    return f"{exactly(found.largest_coefficient)} at {found.largest_place}"


def _amplification(analysis: Analysis) -> str:
    found = analysis.round_off.amplification
    return NOTHING if found is None else f"{found:.3g} at most, of errors in f, with dt L = 1"


def _stages(stages: Any) -> str:
    return ", ".join(f"k_{i + 1}" for i in stages)


def _superfluous(analysis: Analysis) -> str:
    found = analysis.reducibility
    parts = [f"unreachable: {_stages(found.unreachable)}"] if found.unreachable else []
    parts += [f"always equal: {_stages(stages)}" for stages in found.equal]
    return "; ".join(parts) or "none"


def _pair_quality(analysis: Analysis) -> str:
    pair = _pair(analysis)
    if pair.B is None:
        return NOTHING
    return f"B {pair.B:.3g}, C {pair.C:.3g}, E {pair.E:.3g}"


def _estimate(analysis: Analysis) -> str:
    pair = _pair(analysis)
    steps = "higher" if pair.steps_with_higher else "lower"
    if pair.order == analysis.order:
        steps = "same"
    text = f"order {pair.estimate_order}; steps are taken with the {steps} order"
    return text + "; blind to y' = f(t)" * pair.is_blind


def _pair(analysis: Analysis) -> Any:
    return analysis.pair


def _of_pair(name: str) -> Callable[[Analysis], Any]:
    return lambda analysis: getattr(_pair(analysis), name)


def _embedded_interval(name: str) -> Callable[[Analysis], Any]:
    def value(analysis: Analysis) -> Any:
        return getattr(_pair(analysis).stability_function, name)

    return value


def _has_pair(analysis: Analysis) -> bool:
    return analysis.pair is not None


def _tree_errors(analysis: Analysis) -> dict[str, float]:
    found = analysis.error_coefficients
    return dict(zip(map(str, found.trees), found.floats, strict=True))


def _is_bounded(analysis: Analysis) -> bool:
    """Beyond the highest order that is looked at, trees are too many to be looked at unasked."""
    return not analysis.report.order_is_lower_bound


def _property(label: str, name: str) -> Entry:
    """What an explicit method, whose stability region is bounded, never has."""

    def text(analysis: Analysis) -> str:
        found = getattr(analysis, name)
        answer = {"exact": "yes", "numeric": "yes, up to rounding", "failed": "no"}[found.verdict]
        return f"{answer}: {found.reason}"

    return Entry(
        label,
        {name: lambda a: bool(getattr(a, name))},
        text,
        when=lambda a: not a.tableau.is_explicit,
    )


ENTRIES: dict[str, tuple[Entry, ...]] = {
    "accuracy": (
        Entry(
            "order",
            {
                "order": lambda a: a.order,
                "order_is_lower_bound": lambda a: a.report.order_is_lower_bound,
                "nonautonomous_order": lambda a: a.report.nonautonomous_order,
                "verdict": lambda a: a.report.evidence[0].verdict,
            },
            _order,
        ),
        Entry(
            "error norm",
            {"error_norm": lambda a: a.error_norm, "error_coefficients": _tree_errors},
            _error_norm,
            when=_is_bounded,
        ),
        Entry(
            "assumptions",
            {
                "B": lambda a: a.simplifying_assumptions.B,
                "C": lambda a: a.simplifying_assumptions.C,
                "D": lambda a: a.simplifying_assumptions.D,
            },
            _assumptions,
            brief=lambda a: _assumptions(a).partition(", up")[0],
        ),
        Entry(
            "C by stage",
            {"C_of_stages": lambda a: a.simplifying_assumptions.C_of_stages},
            compared=False,
        ),
        Entry(
            "D by stage",
            {"D_of_stages": lambda a: a.simplifying_assumptions.D_of_stages},
            compared=False,
        ),
        Entry("stage order", {"stage_order": lambda a: a.stage_order}),
        Entry(
            "weak stage order",
            {"weak_stage_order": lambda a: a.simplifying_assumptions.weak_stage_order},
        ),
        Entry(
            "dispersion",
            {
                "dispersion_order": lambda a: a.dispersion_order,
                "dispersion_coefficient": lambda a: a.oscillation.dispersion_coefficient,
            },
            _oscillation("dispersion_order", "dispersion_coefficient"),
        ),
        Entry(
            "dissipation",
            {
                "dissipation_order": lambda a: a.dissipation_order,
                "dissipation_coefficient": lambda a: a.oscillation.dissipation_coefficient,
            },
            _oscillation("dissipation_order", "dissipation_coefficient"),
        ),
    ),
    "stability": (
        Entry(
            "R(z)",
            {
                "stability_function": lambda a: a.stability_function.coefficients,
                "denominator": lambda a: a.stability_function.denominator,
            },
            _stability_function,
            compared=False,
        ),
        Entry("real interval", {"real_interval": lambda a: a.real_interval}),
        Entry("imaginary interval", {"imaginary_interval": lambda a: a.imaginary_interval}),
        Entry("SSP coefficient", {"ssp_coefficient": lambda a: a.ssp_coefficient}, _ssp),
        _property("A-stable", "a_stable"),
        _property("L-stable", "l_stable"),
        _property("algebraically stable", "algebraically_stable"),
        _property("symplectic", "symplectic"),
        _property("symmetric", "symmetric"),
    ),
    "stages": (
        Entry("explicit", {"explicit": lambda a: a.tableau.is_explicit}),
        Entry("FSAL", {"fsal": lambda a: a.tableau.is_fsal}),
        Entry(
            "superfluous",
            {
                "unreachable": lambda a: a.reducibility.unreachable,
                "equal": lambda a: a.reducibility.equal,
                "irreducible": lambda a: a.reducibility.is_irreducible,
            },
            _superfluous,
        ),
    ),
    "round-off": (
        Entry(
            "largest coefficient",
            {
                "largest_coefficient": lambda a: a.round_off.largest_coefficient,
                "largest_place": lambda a: a.round_off.largest_place,
            },
            _round_off,
        ),
        Entry("sum of |b_i|", {"sum_of_weights": lambda a: a.round_off.sum_of_weights}),
        Entry(
            "amplification",
            {"amplification": lambda a: a.round_off.amplification},
            _amplification,
        ),
    ),
    "pair": (
        Entry("embedded order", {"embedded_order": lambda a: a.embedded_order}, when=_has_pair),
        Entry(
            "error estimate",
            {
                "estimate_order": _of_pair("estimate_order"),
                "is_blind": _of_pair("is_blind"),
                "steps_with_higher": _of_pair("steps_with_higher"),
            },
            _estimate,
            when=_has_pair,
            compared=False,
        ),
        Entry(
            "embedded error norm", {"embedded_error_norm": _of_pair("error_norm")}, when=_has_pair
        ),
        Entry(
            "estimate quality",
            {"pair_B": _of_pair("B"), "pair_C": _of_pair("C"), "pair_E": _of_pair("E")},
            _pair_quality,
            when=_has_pair,
            brief=_pair_quality,
        ),
        Entry(
            "embedded real",
            {"embedded_real_interval": _embedded_interval("real_interval")},
            when=_has_pair,
        ),
        Entry(
            "embedded imaginary",
            {"embedded_imaginary_interval": _embedded_interval("imaginary_interval")},
            when=_has_pair,
        ),
        Entry(
            "fault",
            {"fault": _of_pair("fault")},
            when=lambda a: _has_pair(a) and bool(_pair(a).fault),
        ),
    ),
}
