"""Polynomial equations solved one linear unknown at a time, with every case that this leaves open.

Where an equation reads p x + q = 0, with p and q free of x, either p is not zero and x = -q / p, or
both p = 0 and q = 0; a product is zero where one of its factors is. Both split the solutions into
cases that exclude one another, and which SymPy's factorisation keeps few. Where no unknown enters
linearly, the real roots of a quadratic equation in one unknown are taken, once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from keras_rk.errors import TableauError

if TYPE_CHECKING:
    import sympy

__all__ = ["Elimination"]

Polynomial = Any  # an element of SymPy's ring of polynomials
MAX_TERMS = 100  # of an equation; the conditions of order 4 in four stages have up to 29
MAX_EXPANDED = 1000  # of an equation before its factors are divided out
MAX_CASES = 5000


@dataclass(frozen=True)
class _Case:
    """Equations that are left, what is not zero, and the unknowns solved for, the last one last.

    A solved unknown is written as the index of its symbol, and the numerator and denominator of
    its value in the unknowns that are left.
    """

    equations: tuple[Polynomial, ...]
    nonzero: frozenset[Polynomial]
    solved: tuple[tuple[int, Polynomial, Polynomial], ...] = ()


class Elimination:
    """Solves equations for symbols, the first ones first where there is a choice.

    Args:
        symbols: the unknowns, those that had better not remain as parameters first.
        seconds: the time that it may take, looked at between two steps.
        root: a square root that numbers may contain, or None.
    """

    def __init__(
        self, symbols: Sequence[sympy.Symbol], seconds: float, root: sympy.Expr | None = None
    ) -> None:
        from sympy import QQ
        from sympy.polys.fields import field

        self._is_rational = root is None
        self._field = field(symbols, QQ if root is None else QQ.algebraic_field(root))[0]
        self._ring = self._field.ring
        self._symbols = list(symbols)
        self._limit = seconds
        self._end = time.monotonic() + seconds
        self._cases = 0
        self._factored: dict[Polynomial, list[Polynomial]] = {}

    def solutions(
        self, equations: Iterable[sympy.Expr], nonzero: Iterable[sympy.Expr] = ()
    ) -> Iterator[dict[sympy.Symbol, Any]]:
        """For each case that has solutions, the value of every symbol, in those that remain.

        Args:
            equations: rational functions with rational coefficients, each to be zero.
            nonzero: polynomials that are not zero.

        Raises:
            TableauError: where no equation is linear in an unknown, or quadratic in one alone, or
                where the equations grow too long or take too much time.
        """
        numerators = []
        for equation in equations:
            numerators.append(_check_terms(self._field.from_expr(equation).numer, MAX_TERMS))
        known = (self._field.from_expr(polynomial).numer for polynomial in nonzero)
        factors = frozenset(factor for each in known for factor in self._factors(each))
        yield from self._solutions_of(_Case(tuple(numerators), factors))

    def _solutions_of(self, first: _Case) -> Iterator[dict[sympy.Symbol, Any]]:
        pending = [first]
        while pending:
            case = self._cleaned(pending.pop())
            if case is None:
                continue
            if not case.equations:
                yield self._values(case)
                continue
            self._count()
            product = next((e for e in case.equations if len(self._factors(e)) > 1), None)
            if product is not None:
                cases = self._one_vanishes(self._factors(product), _without(product, case), case)
            elif (pivot := self._pivot(case)) is not None:
                cases = self._eliminated(case, *pivot)
            else:
                yield from self._solutions_with_roots(case)
                continue
            pending.extend(reversed(list(cases)))

    def _count(self) -> None:
        """One more case, if there may be one."""
        self._cases += 1
        if self._cases > MAX_CASES:
            self._give_up()

    def _give_up(self) -> NoReturn:
        raise TableauError(
            f"The order conditions are solved in {self._limit:g} seconds and {MAX_CASES} cases at "
            f"most. Received: conditions that take more, after {self._cases} cases; put numbers "
            "in place of some symbols."
        )

    def _eliminated(
        self, case: _Case, equation: Polynomial, unknown: int, pivot: Polynomial, rest: Polynomial
    ) -> Iterator[_Case]:
        """An unknown is -rest / pivot, or both are zero."""
        others = _without(equation, case)
        yield self._with_value(case, others, unknown, -rest, pivot)
        if not self._is_nonzero(pivot, case):
            yield from self._one_vanishes(self._factors(pivot), (*others, rest), case)

    def _with_value(
        self,
        case: _Case,
        equations: Iterable[Polynomial],
        unknown: int,
        above: Polynomial,
        below: Polynomial,
    ) -> _Case:
        """The equations with above / below in place of an unknown, where below is not zero."""
        return _Case(
            tuple(self._inserted(each, unknown, above, below) for each in equations),
            frozenset(
                factor
                for known in (*case.nonzero, below)
                for factor in self._factors(self._inserted(known, unknown, above, below))
            ),
            (*case.solved, (unknown, above, below)),
        )

    def _solutions_with_roots(self, case: _Case) -> Iterator[dict[sympy.Symbol, Any]]:
        """Those of a case with a quadratic equation in one unknown, for both of its roots."""
        from sympy import roots, sqrt

        for equation in case.equations if self._is_rational else ():
            polynomial = equation.as_expr().as_poly()
            if len(polynomial.gens) == 1 and polynomial.degree() == 2:
                above, below = polynomial.discriminant().as_numer_denom()
                root = sqrt(above * below).as_coeff_Mul()[1]
                seconds = max(self._end - time.monotonic(), 0.0)
                beyond = Elimination(self._symbols, seconds, root)
                unknown = self._symbols.index(polynomial.gen)
                ring = beyond._ring

                def moved(each: Polynomial, ring: Any = ring) -> Polynomial:
                    return ring.from_expr(each.as_expr())

                above_it = _Case(
                    tuple(map(moved, case.equations)),
                    frozenset(map(moved, case.nonzero)),
                    tuple((n, moved(x), moved(y)) for n, x, y in case.solved),
                )
                for value in sorted(roots(polynomial)):
                    number = ring.from_expr(value)
                    inserted = beyond._with_value(
                        above_it, above_it.equations, unknown, number, ring.one
                    )
                    yield from beyond._solutions_of(inserted)
                return
        raise TableauError(
            "The order conditions are solved where each leads to a linear equation, or once to a "
            f"quadratic one in one symbol. Received: {self._text(case.equations[0])} = 0; put "
            "numbers in place of some symbols."
        )

    def _one_vanishes(
        self, factors: Sequence[Polynomial], others: tuple[Polynomial, ...], case: _Case
    ) -> Iterator[_Case]:
        """Each factor is zero in a case, and none of those before it."""
        for k, factor in enumerate(factors):
            nonzero = case.nonzero | frozenset(factors[:k])
            yield _Case((factor, *others), nonzero, case.solved)

    def _cleaned(self, case: _Case) -> _Case | None:
        """Without factors that are not zero; None where that leaves a contradiction."""
        if any(not known for known in case.nonzero):
            return None
        equations: list[Polynomial] = []
        for equation in case.equations:
            if not equation:
                continue
            for known in case.nonzero:  # faster than to find it again among the factors
                while not known.is_ground and not equation.rem(known):
                    equation = equation.exquo(known)
            left = self._ring.one
            for factor in self._factors(equation):
                if factor not in case.nonzero:
                    left *= factor
            if left.is_ground or self._has_no_real_root(left):
                return None
            if left not in equations:
                equations.append(left)
        equations.sort(key=lambda equation: (len(equation), str(equation)))
        return _Case(tuple(equations), case.nonzero, case.solved)

    def _has_no_real_root(self, polynomial: Polynomial) -> bool:
        """Whether it is a polynomial in one unknown, and zero for no real value of it."""
        expression = polynomial.as_expr()
        return (
            self._is_rational
            and len(expression.free_symbols) == 1
            and expression.as_poly().count_roots() == 0
        )

    def _factors(self, polynomial: Polynomial) -> list[Polynomial]:
        """The distinct factors that are no numbers, the shortest first; zero is its own."""
        if not polynomial:
            return [polynomial]
        if polynomial in self._factored:
            return self._factored[polynomial]
        _check_terms(polynomial, MAX_TERMS)
        if time.monotonic() > self._end:
            self._give_up()
        factors = [factor.monic() for factor, _ in polynomial.factor_list()[1]]
        factors.sort(key=lambda factor: (len(factor), str(factor)))
        self._factored[polynomial] = factors
        return factors

    def _pivot(self, case: _Case) -> tuple[Polynomial, int, Polynomial, Polynomial] | None:
        """An equation, the unknown in which it is linear, its factor, and what is left."""
        found = []
        for place, equation in enumerate(case.equations):
            for unknown in range(len(self._symbols)):
                parts = self._by_powers(equation, unknown)
                if len(parts) == 2:
                    rest, pivot = parts
                    opens = not self._is_nonzero(pivot, case)
                    found.append(
                        ((opens, unknown if opens else 0, len(pivot), place, unknown), pivot, rest)
                    )
        if not found:
            return None
        (*_, place, unknown), pivot, rest = min(found, key=lambda candidate: candidate[0])
        return case.equations[place], unknown, pivot, rest

    def _is_nonzero(self, polynomial: Polynomial, case: _Case) -> bool:
        return polynomial.is_ground or all(
            factor in case.nonzero for factor in self._factors(polynomial)
        )

    def _by_powers(self, polynomial: Polynomial, unknown: int) -> list[Polynomial]:
        """The coefficients of 1, x, x^2, ... for an unknown x."""
        parts: list[dict[Any, Any]] = []
        for powers, coefficient in polynomial.terms():
            power = powers[unknown]
            parts.extend({} for _ in range(power + 1 - len(parts)))
            parts[power][(*powers[:unknown], 0, *powers[unknown + 1 :])] = coefficient
        return [self._ring.from_dict(part) for part in parts]

    def _inserted(
        self, polynomial: Polynomial, unknown: int, above: Polynomial, below: Polynomial
    ) -> Polynomial:
        """The numerator of a polynomial with above / below in place of an unknown."""
        total, power = self._ring.zero, self._ring.one
        for part in reversed(self._by_powers(polynomial, unknown)):
            total = _check_terms(total * above + part * power, MAX_EXPANDED)
            power = _check_terms(power * below, MAX_EXPANDED)
        return total

    def _values(self, case: _Case) -> dict[sympy.Symbol, Any]:
        """Every symbol's value, in the symbols that remain."""
        values = list(self._field.gens)
        for unknown, above, below in reversed(case.solved):
            values[unknown] = self._at(above, values) / self._at(below, values)
        return {
            symbol: value.as_expr() for symbol, value in zip(self._symbols, values, strict=True)
        }

    def _at(self, polynomial: Polynomial, values: Sequence[Any]) -> Any:
        total = self._field.zero
        for powers, coefficient in polynomial.terms():
            term = self._field.one * coefficient
            for value, power in zip(values, powers, strict=True):
                if power:
                    term *= value**power
            total += term
        return total

    def _text(self, polynomial: Polynomial) -> str:
        text = str(polynomial.as_expr())
        return text if len(text) <= 200 else f"{text[:200]}..."


def _without(equation: Polynomial, case: _Case) -> tuple[Polynomial, ...]:
    """The other equations of a case."""
    return tuple(other for other in case.equations if other != equation)


def _check_terms(polynomial: Polynomial, most: int) -> Polynomial:
    """The polynomial, unless it is too long."""
    if len(polynomial) > most:
        raise TableauError(
            f"The order conditions are solved while they have at most {most} terms. "
            f"Received: one of {len(polynomial)}; put numbers in place of some symbols."
        )
    return polynomial
