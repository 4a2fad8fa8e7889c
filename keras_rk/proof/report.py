"""CheckReport: what `check` found, as fields, as text for a person, as a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError
from keras_rk.notebook import as_html
from keras_rk.proof.digits import RESIDUAL_DIGITS, brief
from keras_rk.proof.equations import equations_up_to
from keras_rk.proof.extension_report import ExtensionReport
from keras_rk.proof.order_conditions import OrderCondition, Verdict

__all__ = ["CheckReport", "Failure", "Order", "Suggestion"]

MOST_BROKEN = 1000  # conditions of one order that are written out, each exactly
MOST_CONDITIONS = 5  # of those, how many are printed
MOST_SUGGESTIONS = 3


@dataclass(frozen=True)
class Failure:
    """One thing that was asked of a tableau and does not hold.

    Attributes:
        rule: "explicit", "consistent", "row_sums", "order", "embedded_order" or "pair".
        message: the rule, the place and what was found.
        conditions: for orders, the conditions that fail at the lowest order that fails.
    """

    rule: str
    message: str
    conditions: tuple[OrderCondition, ...] = ()


@dataclass(frozen=True)
class Order:
    """An order, and the evidence for it.

    Attributes:
        value: every tree with at most so many vertices meets its condition.
        is_lower_bound: whether the check ended there because it had reached `max_order`.
        verdict: "exact" if all residuals up to `value` are zero, "numeric" if the largest is
            within the tolerance.
        largest: the numeric condition with the largest residual, or None.
        broken: conditions of order `value + 1` that fail: all of them, up to 1,000, if that order
            was claimed or asked for, otherwise the first one found.
    """

    value: int
    is_lower_bound: bool
    verdict: Verdict
    largest: OrderCondition | None
    broken: tuple[OrderCondition, ...]

    def __str__(self) -> str:
        return f"at least {self.value}" if self.is_lower_bound else str(self.value)


@dataclass(frozen=True)
class Suggestion:
    """What would mend a tableau that failed its check.

    Attributes:
        tableau: the mended one, which passes the same check.
        text: the change and what it brings, in words.
    """

    tableau: Tableau
    text: str


Prove = Callable[[Tableau], "CheckReport"]
Mend = Callable[["CheckReport", Prove], tuple[Suggestion, ...]]


@dataclass(frozen=True)
class CheckReport:
    """What `check` found. It is true in a boolean context if all that was asked for holds.

    Attributes:
        tableau: the tableau.
        explicit: whether A is strictly lower triangular.
        consistent: whether the weights sum to 1, exactly or within the tolerance.
        row_sums: whether c = A 1, exactly or within the tolerance.
        order: the order for y' = f(y).
        nonautonomous_order: the order for y' = f(t, y), lower where c is not A 1.
        embedded_order: the order of the embedded weights, or None.
        claimed_order, claimed_embedded_order: what the tableau claims, or None.
        requested_order: the argument `order`.
        order_is_lower_bound: whether the check ended at `max_order`.
        verdict: "failed" if something asked for does not hold; otherwise "exact" if every
            residual is zero and "numeric" if some are only within the tolerance.
        failures: everything that was asked for and does not hold.
        evidence: the `Order`s behind `order` and `embedded_order`.
        remarks: what holds and may still surprise: an embedded order above the main one, an
            error estimate that is blind to y' = f(t), a tolerance that was capped.
        extension: what `check_extension` says, where the tableau has a continuous extension.
    """

    tableau: Tableau
    explicit: bool
    consistent: bool
    row_sums: bool
    order: int
    nonautonomous_order: int
    embedded_order: int | None
    claimed_order: int | None
    claimed_embedded_order: int | None
    requested_order: int | None
    verdict: Verdict
    failures: tuple[Failure, ...]
    evidence: tuple[Order, ...]
    remarks: tuple[str, ...] = ()
    extension: ExtensionReport | None = None
    _prove: Prove | None = field(default=None, compare=False, repr=False)
    _mend: Mend | None = field(default=None, compare=False, repr=False)

    def with_help(self, mend: Mend) -> CheckReport:
        """The same report; `mend` is called when its suggestions are first asked for."""
        return replace(self, _mend=mend)

    @cached_property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """What would mend the tableau, where that can be told, the likeliest first.

        Each one has passed the same check. They are looked for when somebody first asks for them
        or prints the report, within two seconds; where nothing failed there are none. Reports of
        `keras_rk.check` have them.

        >>> from keras_rk import check
        >>> report = check(([[], ["2/5"]], ["1/4", "3/4"]), order=2)
        >>> print(report.suggestions[0].text)
        A[1][0] = 2/3 instead of 2/5: order 2, exactly
        """
        if self or self._mend is None or self._prove is None:
            return ()
        return self._mend(self, self._prove)

    @property
    def order_is_lower_bound(self) -> bool:
        return self.evidence[0].is_lower_bound

    @property
    def conditions(self) -> tuple[Any, ...]:
        """What the symbols of a tableau must meet, as SymPy's equations; none for numbers.

        These are Phi(t) = 1/gamma(t) for the trees t up to the order asked for or claimed, or else
        up to the first order that does not hold for all values of the symbols, and c_i =
        sum_j a_ij; those that hold for all values are left out. `keras_rk.solve_order_conditions`
        solves them.

        Raises:
            TableauError: for an order above 6.
        """
        if not self.tableau.is_symbolic:
            return ()
        asked = max(self.requested_order or 0, self.claimed_order or 0) or self.order + 1
        return tuple(equations_up_to(self.tableau, asked, self.claimed_embedded_order))

    def __bool__(self) -> bool:
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raise a `TableauError` that lists the failures, if there are any."""
        if self.failures:
            raise TableauError("\n".join([f"{_title(self.tableau)}:", *_failure_lines(self)]))

    def __str__(self) -> str:
        lines = [_title(self.tableau), *_summary(self), *_failure_lines(self)]
        mends = self.suggestions[:MOST_SUGGESTIONS]
        return "\n".join([*lines, *(f"  suggestion   {mend.text}" for mend in mends)])

    def _repr_html_(self) -> str:
        return as_html(str(self), width=12)

    def to_dict(self, suggestions: bool = False) -> dict[str, Any]:
        """The report for a program, ready for JSON.

        Args:
            suggestions: whether to look for suggestions, which takes longer than the check.

        Exact numbers are text where they are fractions or roots that fit into 40 characters, and
        otherwise decimals; the conditions in `failures` have them in full.
        """
        data: dict[str, Any] = {
            "tableau": self.tableau.name,
            "stages": self.tableau.stages,
            "holds": bool(self),
        }
        for name in (
            "explicit consistent row_sums order order_is_lower_bound nonautonomous_order "
            "embedded_order claimed_order claimed_embedded_order requested_order verdict"
        ).split():
            data[name] = getattr(self, name)
        largest = self.evidence[0].largest
        data["largest_residual"] = None if largest is None else float(largest.exact_residual)
        data["failures"] = [
            {
                "rule": failure.rule,
                "message": failure.message,
                "conditions": [_condition_dict(c) for c in failure.conditions],
            }
            for failure in self.failures
        ]
        data["remarks"] = list(self.remarks)
        if self.extension is not None:
            data["extension"] = self.extension.to_dict()
        if suggestions:
            data["suggestions"] = [
                {"text": mend.text, "tableau": mend.tableau.to_dict()} for mend in self.suggestions
            ]
        data["next_order"] = [_condition_dict(c) for c in self.evidence[0].broken[:1]]
        return data


def _title(tableau: Tableau) -> str:
    count = f"{tableau.stages} stage{'s' * (tableau.stages > 1)}"
    return f"{tableau.name or 'tableau'} ({count})"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _summary(report: CheckReport) -> list[str]:
    main = report.evidence[0]
    lines = [
        f"  explicit     {_yes(report.explicit)}",
        f"  consistent   {_yes(report.consistent)}",
        f"  row sums     {_yes(report.row_sums)}",
        f"  order        {main}, {_evidence(main)}",
    ]
    if not report.row_sums:
        lines.append(f"  order with t {report.nonautonomous_order}, for y' = f(t, y)")
    if len(report.evidence) > 1:
        embedded = report.evidence[1]
        lines.append(f"  embedded     {embedded}, {_evidence(embedded)}")
    if report.extension is not None:
        lines.append(f"  continuous   {report.extension.summary()}")
    for name, wish, whose, order in (
        ("claimed", report.claimed_order, "", report.order),
        ("claimed", report.claimed_embedded_order, " for b_hat", report.embedded_order),
        ("asked for", report.requested_order, "", report.order),
    ):
        if wish is not None and order is not None:
            holds = "holds" if order >= wish else "does not hold"
            lines.append(f"  {name:<12} {wish}{whose}: {holds}")
    lines.extend(f"  note         {remark}" for remark in report.remarks)
    lines.append(f"  verdict      {report.verdict}")
    return lines


def _evidence(order: Order) -> str:
    text = "exactly"
    if order.largest is not None:
        size = abs(float(order.largest.exact_residual))
        text = f"numerically (largest residual {size:.1e}, tree {order.largest.tree})"
    if order.broken:
        text += f"; order {order.value + 1} fails at {_condition_line(order.broken[0])}"
    return text


def _condition_line(condition: OrderCondition) -> str:
    return (
        f"tree {condition.tree}: elementary weight {brief(condition.exact_weight)}, "
        f"1/gamma {condition.required}, residual {_residual(condition)}"
    )


def _residual(condition: OrderCondition) -> str:
    return brief(condition.exact_residual, RESIDUAL_DIGITS)


def _failure_lines(report: CheckReport) -> list[str]:
    lines = []
    for failure in report.failures:
        lines.append(f"  FAILED {failure.rule}: {failure.message}")
        for condition in failure.conditions[:MOST_CONDITIONS]:
            lines.append(f"    {_condition_line(condition)}")
            formula = condition.tree.elementary_weight(report.row_sums)
            if failure.rule in ("embedded_order", "pair"):
                formula = formula.replace("b_i", "b_hat_i")
            lines.append(f"      {formula} = {condition.required}, levels {_levels(condition)}")
        rest = len(failure.conditions) - MOST_CONDITIONS
        if rest > 0:
            bound = "at least " * (len(failure.conditions) == MOST_BROKEN)
            order = failure.conditions[0].tree.order
            lines.append(f"    and {bound}{rest} more trees of order {order}")
    return lines


def _levels(condition: OrderCondition) -> str:
    return "".join(f"{level} " for level in condition.tree.level_sequence).strip()


def _condition_dict(condition: OrderCondition) -> dict[str, Any]:
    return {
        "tree": str(condition.tree),
        "level_sequence": list(condition.tree.level_sequence),
        "order": condition.tree.order,
        "elementary_weight": brief(condition.exact_weight),
        "required": str(condition.required),
        "residual": _residual(condition),
        "verdict": condition.verdict,
    }
