"""analyse: what a method is good for, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from keras_rk.analysis.algebraic_stability import algebraic_stability
from keras_rk.analysis.arguments import numeric_tableau
from keras_rk.analysis.dispersion import Oscillation, oscillation_of
from keras_rk.analysis.embedded_pairs import EmbeddedPair, pair_of
from keras_rk.analysis.entries import as_data, as_text
from keras_rk.analysis.error_coefficients import ErrorCoefficients, ErrorSeries
from keras_rk.analysis.properties import Property
from keras_rk.analysis.reducibility import Reducibility, reducibility
from keras_rk.analysis.round_off import RoundOff, round_off
from keras_rk.analysis.simplifying_assumptions import (
    SimplifyingAssumptions,
    simplifying_assumptions,
)
from keras_rk.analysis.stability import StabilityFunction, stability_function
from keras_rk.analysis.stability_region import StabilityRegion
from keras_rk.analysis.strong_stability import ssp_coefficient
from keras_rk.analysis.symmetry import symmetry
from keras_rk.analysis.symplecticity import symplecticity
from keras_rk.butcher.tableau import Tableau
from keras_rk.notebook import as_html
from keras_rk.proof.checker import DEFAULT_MAX_ORDER, prove
from keras_rk.proof.report import CheckReport

__all__ = ["Analysis", "analyse"]


@dataclass(frozen=True)
class Analysis:
    """What a method is good for. Print it to read it.

    Each field is computed when it is first asked for, exactly unless it says otherwise, and is by
    itself a function of the module that its docstring names, where its definition stands.

    Attributes:
        tableau: the method.
    """

    tableau: Tableau

    @cached_property
    def _errors(self) -> ErrorSeries:
        return ErrorSeries(self.tableau)

    @cached_property
    def report(self) -> CheckReport:
        """What `keras_rk.check` finds: orders, and whether the claims hold."""
        return prove(self.tableau, None, DEFAULT_MAX_ORDER, residuals=self._errors.residuals)

    @property
    def order(self) -> int:
        """The order for y' = f(y), proved; see `keras_rk.check`."""
        return self.report.order

    @property
    def embedded_order(self) -> int | None:
        """The order of b_hat, proved; None where there is none."""
        return self.report.embedded_order

    @property
    def error_coefficients(self) -> ErrorCoefficients:
        """tau(t) for the trees of order p + 1; see `analysis.error_coefficients`."""
        return self._errors(self.order + 1)

    @property
    def error_norm(self) -> float:
        """The principal error norm, rounded; see `analysis.error_coefficients.error_norm`."""
        return self.error_coefficients.norm

    @cached_property
    def simplifying_assumptions(self) -> SimplifyingAssumptions:
        """B(p), C(q), D(r), stage by stage; see `analysis.simplifying_assumptions`."""
        return simplifying_assumptions(self.tableau)

    @property
    def stage_order(self) -> int | float:
        """The largest q with B(q) and C(q); see `analysis.simplifying_assumptions`."""
        return self.simplifying_assumptions.stage_order

    @cached_property
    def stability_function(self) -> StabilityFunction:
        """R(z); see `analysis.stability`."""
        return stability_function(self.tableau)

    @property
    def real_interval(self) -> float:
        """The largest x with |R| <= 1 on [-x, 0]; see `analysis.stability`."""
        return self.stability_function.real_interval

    @property
    def imaginary_interval(self) -> float:
        """The largest x with |R| <= 1 on [-i x, i x]; see `analysis.stability`."""
        return self.stability_function.imaginary_interval

    @cached_property
    def stability_region(self) -> StabilityRegion:
        """{z : |R(z)| <= 1}, for numerical use; see `analysis.stability_region`."""
        return StabilityRegion(self.stability_function)

    @property
    def a_stable(self) -> Property:
        """Whether |R(z)| <= 1 wherever Re z <= 0; see `analysis.stability`."""
        return self.stability_function.a_stability

    @property
    def l_stable(self) -> Property:
        """Whether it is A-stable and R(infinity) = 0; see `analysis.stability`."""
        return self.stability_function.l_stability

    @cached_property
    def algebraically_stable(self) -> Property:
        """Whether it is B-stable; see `analysis.algebraic_stability`."""
        return algebraic_stability(self.tableau)

    @cached_property
    def symplectic(self) -> Property:
        """Whether it conserves quadratic invariants; see `analysis.symplecticity`."""
        return symplecticity(self.tableau)

    @cached_property
    def symmetric(self) -> Property:
        """Whether it is its own adjoint; see `analysis.symmetry`."""
        return symmetry(self.tableau)

    @cached_property
    def ssp_coefficient(self) -> Fraction | float:
        """The radius of absolute monotonicity; see `analysis.strong_stability`."""
        return ssp_coefficient(self.tableau)

    @cached_property
    def oscillation(self) -> Oscillation:
        """Dispersion and dissipation with their coefficients; see `analysis.dispersion`."""
        return oscillation_of(self.stability_function)

    @property
    def dispersion_order(self) -> int:
        """q in x - arg R(i x) = O(x^(q+1)); see `analysis.dispersion`."""
        return self.oscillation.dispersion_order

    @property
    def dissipation_order(self) -> int | float:
        """r in 1 - |R(i x)| = O(x^(r+1)); see `analysis.dispersion`."""
        return self.oscillation.dissipation_order

    @cached_property
    def reducibility(self) -> Reducibility:
        """Which stages it could do without; see `analysis.reducibility`."""
        return reducibility(self.tableau)

    @cached_property
    def round_off(self) -> RoundOff:
        """The largest coefficient, and what it does; see `analysis.round_off`."""
        return round_off(self.tableau)

    @cached_property
    def pair(self) -> EmbeddedPair | None:
        """b_hat beside b; None where there is none; see `analysis.embedded_pairs`."""
        if self.tableau.exact_b_hat is None:
            return None
        return pair_of(self.tableau, self.report, self._errors)

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(str(self), width=20, indent=4)

    def to_dict(self) -> dict[str, Any]:
        """The report for a program, ready for JSON; what is undefined or infinite is None or text.

        Exact numbers are text where they are fractions or roots that fit into 40 characters, and
        otherwise decimals.
        """
        return as_data(self)


def analyse(tableau: Any) -> Analysis:
    """What a method is good for: its orders, errors, stability, and what its stages satisfy.

    Args:
        tableau: a `Tableau` without symbols, explicit or implicit, a name, a file, or
            `(A, b[, c])`.

    Returns:
        An `Analysis`. Print it to read all of it; `to_dict()` gives it to a program. Its fields
        are computed when they are asked for.

    Raises:
        TableauError: if the argument is no tableau, or contains symbols.

    Example:

    >>> found = analyse("rk4")
    >>> found.order, found.stage_order, found.ssp_coefficient
    (4, 1, Fraction(0, 1))
    >>> f"{found.error_norm:.4f} {found.real_interval:.3f} {found.imaginary_interval:.3f}"
    '0.0145 2.785 2.828'

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II, for the notation; each function names its own.
    """
    return Analysis(numeric_tableau(tableau, "An analysis"))
