"""What `check_extension` found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.notebook import as_html
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, public
from keras_rk.proof.digits import RESIDUAL_DIGITS, brief
from keras_rk.proof.rooted_trees import RootedTree
from keras_rk.proof.verdicts import Verdict

__all__ = ["ContinuousCondition", "ExtensionReport"]


@dataclass(frozen=True)
class ContinuousCondition:
    """One tree's condition on the weights b_i(theta).

    Attributes:
        tree: the rooted tree t.
        required: 1/gamma(t).
        exact_residual: sum_i b_i(theta) Phi_i(t) - theta^|t| / gamma(t), exactly: the coefficients
            of theta, theta^2, ...
        size: a bound for all theta in [0, 1], see `check_extension`.
        verdict: as in `OrderCondition`.
    """

    tree: RootedTree
    required: Fraction
    exact_residual: tuple[Coefficient, ...]
    size: float
    verdict: Verdict

    @property
    def residual(self) -> tuple[Any, ...]:
        return tuple(map(public, self.exact_residual))

    def __str__(self) -> str:
        return f"tree {self.tree}: 1/gamma {self.required}, residual {self.polynomial}"

    @property
    def polynomial(self) -> str:
        """The residual as text: `1/3*theta - 1/4*theta^2`."""
        return _polynomial(self.exact_residual)


@dataclass(frozen=True)
class ExtensionReport:
    """What a continuous extension is. True if b(1) = b and it has the order asked for.

    Attributes:
        tableau: the tableau.
        requested_order: the argument `order`.
        order: every tree with at most so many vertices meets its condition, for all theta.
        largest: of the conditions met within the tolerance only, that with the largest residual.
        broken: the first condition of order `order + 1` that fails; None where the check ended at
            `max_order`.
        value: whether b(1) = b, so that the extension ends at the step's result. b(0) = 0 always.
        start_slope, end_slope: whether b'(0) chooses f at the step's start, and b'(1) f at its
            result.
    """

    tableau: Tableau
    requested_order: int | None
    order: int
    largest: ContinuousCondition | None
    broken: ContinuousCondition | None
    value: Verdict
    start_slope: Verdict
    end_slope: Verdict

    @property
    def degree(self) -> int:
        """The degree of the polynomials b_i(theta)."""
        return len((self.tableau.exact_b_theta or ((),))[0])

    @property
    def continuity(self) -> int | None:
        """1 if the pieces of successive steps join with their slopes, 0 without, or None."""
        if self.value == "failed":
            return None
        return int("failed" not in (self.start_slope, self.end_slope))

    @property
    def verdict(self) -> Verdict:
        """ "failed", or "exact" if all that holds holds exactly, or else "numeric"."""
        if not self:
            return "failed"
        joins = (self.value, self.start_slope, self.end_slope)
        return "exact" if self.largest is None and "numeric" not in joins else "numeric"

    @property
    def order_is_lower_bound(self) -> bool:
        return self.broken is None

    def __bool__(self) -> bool:
        return self.value != "failed" and self.order >= (self.requested_order or 1)

    def raise_if_failed(self) -> None:
        """Raise a `TableauError` with the report, if the extension does not hold."""
        if not self:
            raise TableauError(str(self))

    def summary(self) -> str:
        """In one line."""
        smoothness = {None: "not continuous", 0: "continuous, slopes are not", 1: "C1"}
        return f"order {self._order}; {smoothness[self.continuity]}"

    @property
    def _order(self) -> str:
        bound = "at least " if self.order_is_lower_bound else ""
        how = "exactly" if self.largest is None else "numerically"
        return f"{bound}{self.order} for all theta, {how}"

    def __str__(self) -> str:
        wish = self.requested_order
        name, stages = self.tableau.name or "tableau", self.tableau.stages
        lines = [
            f"{name} ({stages} stages), continuous extension of degree {self.degree}",
            f"  value        b(0) = 0: exact; b(1) = b: {self.value}",
            f"  slope        b'(0) is f at the start: {self.start_slope}; "
            f"b'(1) is f at the result: {self.end_slope}",
            f"  order        {self._order}",
        ]
        if self.largest is not None:
            lines.append(
                f"  largest      residual {self.largest.size:.1e}, tree {self.largest.tree}"
            )
        if self.broken is not None:
            lines.append(f"  order {self.order + 1:<6} fails at {self.broken}")
        if wish is not None:
            holds = "holds" if self.order >= wish else "does not hold"
            lines.append(f"  asked for    {wish}: {holds}")
        return "\n".join([*lines, f"  verdict      {self.verdict}"])

    def _repr_html_(self) -> str:
        return as_html(str(self), width=12)

    def to_dict(self) -> dict[str, Any]:
        """The report for a program, ready for JSON."""
        data: dict[str, Any] = {"tableau": self.tableau.name, "holds": bool(self)}
        for field in (
            "degree order order_is_lower_bound requested_order value start_slope end_slope "
            "continuity verdict"
        ).split():
            data[field] = getattr(self, field)
        data["largest_residual"] = None if self.largest is None else self.largest.size
        data["next_order"] = None
        if self.broken is not None:
            data["next_order"] = {
                "tree": str(self.broken.tree),
                "level_sequence": list(self.broken.tree.level_sequence),
                "required": str(self.broken.required),
                "residual": [brief(x, RESIDUAL_DIGITS) for x in self.broken.exact_residual],
            }
        return data


def _polynomial(coefficients: Sequence[Coefficient]) -> str:
    terms = []
    for power, x in enumerate(coefficients, start=1):
        if not x:
            continue
        factor = brief(x, RESIDUAL_DIGITS)
        if is_symbolic(x) or " " in factor.strip():
            factor = f"({factor})"
        factor = {"1": "", "-1": "-"}.get(factor, f"{factor}*")
        terms.append(f"{factor}theta" + (f"^{power}" if power > 1 else ""))
    return " + ".join(terms).replace("+ -", "- ") or "0"
