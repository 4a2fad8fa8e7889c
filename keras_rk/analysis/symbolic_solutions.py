"""Families of methods: the order conditions of a symbolic tableau, solved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_rk.analysis.elimination import Elimination
from keras_rk.analysis.properties import label
from keras_rk.butcher.reading import order_number
from keras_rk.butcher.tableau import Tableau
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import Coefficient, is_symbolic, symbols, to_sympy
from keras_rk.numbers.square_roots import Surd
from keras_rk.proof.checker import check
from keras_rk.proof.equations import MAX_EQUATIONS_ORDER, equations_up_to
from keras_rk.tableaux.as_tableau import as_tableau

if TYPE_CHECKING:
    import sympy

__all__ = ["SolutionFamily", "solve_order_conditions"]

_SECONDS = 60.0


@dataclass(frozen=True)
class SolutionFamily:
    """Methods that have an order for all values of their parameters but those without a method.

    Attributes:
        tableau: the method, with its parameters as symbols; `check` proved its order for all
            values of them.
        values: what each symbol of the given tableau is, in the parameters.
        conditions: what the parameters must not be, as SymPy's `Ne`: elsewhere a coefficient has
            a pole.
        order: the order that was asked for.
    """

    tableau: Tableau
    values: Mapping[sympy.Symbol, sympy.Expr]
    conditions: tuple[sympy.Ne, ...]
    order: int

    @property
    def parameters(self) -> tuple[sympy.Symbol, ...]:
        """The symbols that remain."""
        return tuple(_sorted(_symbols_of(self.tableau)))

    def __str__(self) -> str:
        names = ", ".join(map(str, self.parameters)) or "none"
        lines = [f"order {self.order}, parameters: {names}"]
        lines += [
            f"  {symbol} = {value}" for symbol, value in self.values.items() if symbol != value
        ]
        if self.conditions:
            lines.append(f"  where {', '.join(f'{x.lhs} != 0' for x in self.conditions)}")
        return "\n".join(lines)


def solve_order_conditions(
    tableau: Any, order: int, *, seconds: float = _SECONDS
) -> tuple[SolutionFamily, ...]:
    """Every method of an order that a symbolic tableau contains, in families.

    The conditions Phi(t) = 1/gamma(t) are solved for weights first, then for A, and for nodes last,
    so that nodes remain as parameters where that can be. Where a division by an expression would be
    needed, the case in which it is zero is followed, too: what comes out is complete, and each
    family is verified by `check`, which proves its order for all values of its parameters.

    Args:
        tableau: a `Tableau` with symbols, or the number of stages of an explicit method of which
            all coefficients are to be found: then c2, c3, ..., a32, ... and b1, b2, ... are its
            symbols. In a row of A that starts with a symbol of its own, that is expressed by the
            node: a31 = c3 - a32.
        order: the order, up to 6. In general the conditions are solved for up to four stages;
            with more of them, put numbers in place of some symbols.
        seconds: the time that it may take, looked at between two steps.

    Returns:
        A tuple of `SolutionFamily`, those with the most parameters first; empty where no method
        in the tableau has the order.

    Raises:
        TableauError: where the conditions lead to equations that are neither linear in an unknown
            nor, once, quadratic in one alone; where they grow too long or take too much time; and
            for a tableau with square roots.

    Example:

    >>> (family,) = solve_order_conditions(2, 2)
    >>> print(family)
    order 2, parameters: c2
      b1 = (2*c2 - 1)/(2*c2)
      b2 = 1/(2*c2)
      where c2 != 0
    >>> print(family.tableau.subs(c2="2/3"))
      0 │
    2/3 │ 2/3
    ────┼─────────
        │ 1/4  3/4

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    section II.1, for the families of orders 3 and 4.
    """
    given = _general(tableau) if isinstance(tableau, int) else as_tableau(tableau)
    order = order_number(order, "order")
    _check(given, order, seconds)
    if not given.is_symbolic:
        has_order = check(given, max_order=order).order >= order
        return (SolutionFamily(given, {}, (), order),) if has_order else ()
    renamed, nodes = _by_nodes(given)
    unknowns = _by_priority(renamed)
    elimination = Elimination(unknowns, seconds)
    conditions = equations_up_to(renamed, order, None)
    found = list(elimination.solutions(map(_difference, conditions), _denominators(renamed)))
    families = [_family(given, renamed, nodes, values, order) for values in _distinct(found)]
    return tuple(sorted(families, key=lambda family: -len(family.parameters)))


def _difference(condition: Any) -> Any:
    """What is to be zero; SymPy's `false` has no sides, and no solution."""
    return condition.lhs - condition.rhs if condition.args else 1


def _check(tableau: Tableau, order: int, seconds: Any) -> None:
    if order > MAX_EQUATIONS_ORDER:
        raise TableauError(
            f"Order conditions are solved up to order {MAX_EQUATIONS_ORDER}. "
            f"Received: order={order} ({label(tableau)})."
        )
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise TableauError(f"`seconds` is a positive number. Received: seconds={shown(seconds)}.")
    if tableau.is_symbolic and any(isinstance(x, Surd) for x in _coefficients(tableau)):
        raise TableauError(
            "Order conditions are solved in rational numbers: put a symbol in place of each "
            f"square root. Received: {label(tableau)}."
        )


def _general(stages: int) -> Tableau:
    """The explicit method with so many stages, of which nothing is known."""
    import sympy

    if isinstance(stages, bool) or not 1 <= stages <= 9:
        raise TableauError(
            "A general explicit method has between 1 and 9 stages here, so that a32 names one "
            f"coefficient. Received: {shown(stages)}."
        )
    A: list[list[Any]] = [[]]
    for i in range(2, stages + 1):
        later = [sympy.Symbol(f"a{i}{j}") for j in range(2, i)]
        A.append([sympy.Symbol(f"c{i}") - sum(later), *later])
    return Tableau(A, [sympy.Symbol(f"b{i}") for i in range(1, stages + 1)])


def _by_nodes(tableau: Tableau) -> tuple[Tableau, dict[sympy.Symbol, sympy.Expr]]:
    """The tableau with nodes as symbols, and the symbols of A that they stand for.

    A row that starts with a symbol found nowhere else is as general with its sum as the symbol.
    """
    import sympy

    if not tableau.has_row_sums:
        return tableau, {}
    names = {str(symbol) for symbol in _symbols_of(tableau)}
    A: list[list[Any]] = [list(row) for row in tableau.A]
    nodes = {}
    for i, row in enumerate(tableau.exact_A):
        first = row[0]
        elsewhere = [x for k, r in enumerate(tableau.exact_A) for x in r[k == i :]]
        others = [*elsewhere, *(x for w in tableau.exact_weights for x in w)]
        if not is_symbolic(first) or not first.is_Symbol:  # type: ignore[union-attr]
            continue
        if any(first in symbols(x) for x in others):
            continue
        name = f"c{i + 1}"
        if str(first) == name:
            continue
        while name in names:
            name += "_"
        A[i][0] = sympy.Symbol(name) - sum(map(to_sympy, row[1:]))
        nodes[first] = A[i][0]
    if not nodes:
        return tableau, {}
    return Tableau(A, tableau.b, b_hat=tableau.b_hat), nodes


def _by_priority(tableau: Tableau) -> list[sympy.Symbol]:
    """The symbols: of b alone, the last first; of A; and those of which nodes consist."""
    weights = [x for row in tableau.exact_weights for x in row[::-1]]
    inner = [x for row in tableau.exact_A for x in row]
    of_nodes = _all_symbols(tableau.exact_c)
    of_A = _all_symbols(inner)
    found: list[sympy.Symbol] = []
    for part, excluded in ((weights, of_A | of_nodes), (inner, of_nodes), (tableau.exact_c, set())):
        for x in part:
            found += [s for s in _sorted(symbols(x)) if s not in found and s not in excluded]
    return found


def _distinct(solutions: Sequence[Mapping[sympy.Symbol, Any]]) -> list[Mapping[sympy.Symbol, Any]]:
    """Without those that another one has at some values of its parameters."""
    kept = list(solutions)
    for candidate in solutions:
        if any(_contains(other, candidate) for other in kept if other is not candidate):
            kept.remove(candidate)
    return kept


def _contains(one: Mapping[sympy.Symbol, Any], other: Mapping[sympy.Symbol, Any]) -> bool:
    """Whether the values of `one` are those of `other` wherever its parameters are as there."""
    import sympy

    chosen = {symbol: other[symbol] for symbol, value in one.items() if symbol == value}
    poles = {factor for value in other.values() for factor in _factors(sympy.fraction(value)[1])}
    for symbol, value in one.items():
        below = sympy.cancel(sympy.fraction(value)[1].subs(chosen, simultaneous=True))
        if below == 0 or not set(_factors(sympy.numer(below))) <= poles:
            return False
        if sympy.cancel(value.subs(chosen, simultaneous=True) - other[symbol]) != 0:
            return False
    return True


def _family(
    given: Tableau,
    renamed: Tableau,
    nodes: Mapping[sympy.Symbol, sympy.Expr],
    values: Mapping[sympy.Symbol, Any],
    order: int,
) -> SolutionFamily:
    """A solution put into the tableau, and its order proved."""
    import sympy

    def put(x: Any) -> Any:
        if not is_symbolic(x):
            return x
        return sympy.cancel(x.subs(values, simultaneous=True))

    solved = Tableau(
        [list(map(put, row)) for row in renamed.exact_A],
        list(map(put, renamed.exact_b)),
        None if renamed.has_row_sums else list(map(put, renamed.exact_c)),
        b_hat=None if renamed.exact_b_hat is None else list(map(put, renamed.exact_b_hat)),
        name=given.name,
        source=given.source,
    )
    report = check(solved, max_order=order)
    if report.order < order or not report.row_sums:
        raise TableauError(
            f"A solution is verified before it is returned. Received: one of order "
            f"{report.order} instead of {order} ({label(solved)})."
        )
    replaced = {symbol: nodes.get(symbol, symbol) for symbol in _sorted(_symbols_of(given))}
    return SolutionFamily(
        tableau=solved,
        values={symbol: sympy.factor(put(x)) for symbol, x in replaced.items()},
        conditions=tuple(
            sympy.Ne(factor, 0)
            for factor in sorted(
                {factor for x in _denominators(solved) for factor in _factors(x)},
                key=lambda factor: (len(factor.free_symbols), len(str(factor)), str(factor)),
            )
        ),
        order=order,
    )


def _denominators(tableau: Tableau) -> list[sympy.Expr]:
    """Those of the coefficients that contain symbols."""
    import sympy

    parts = [sympy.fraction(x)[1] for x in _coefficients(tableau) if is_symbolic(x)]
    return [x for x in parts if x.free_symbols]


def _factors(polynomial: sympy.Expr) -> list[sympy.Expr]:
    """The factors that contain symbols, each with leading coefficient 1 but for numbers in it."""
    import sympy

    return [factor for factor, _ in sympy.factor_list(polynomial)[1] if factor.free_symbols]


def _coefficients(tableau: Tableau) -> list[Coefficient]:
    rows = (*tableau.exact_A, tableau.exact_c, *tableau.exact_weights)
    return [x for row in rows for x in row]


def _symbols_of(tableau: Tableau) -> set[sympy.Symbol]:
    return _all_symbols(_coefficients(tableau))


def _all_symbols(coefficients: Iterable[Coefficient]) -> set[sympy.Symbol]:
    return {symbol for x in coefficients for symbol in symbols(x)}


def _sorted(found: Iterable[sympy.Symbol]) -> list[sympy.Symbol]:
    return sorted(found, key=str)
