"""Butcher tableaux with exact coefficients."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

from keras_rk.butcher.arrays import Arrays, float_dtype, rounded
from keras_rk.butcher.changes import rationalized, with_numbers
from keras_rk.butcher.continuous_weights import values_at
from keras_rk.butcher.dictionary import arguments_in, as_dictionary
from keras_rk.butcher.files import called, errors_name, parse, read_bytes
from keras_rk.butcher.formats.json_text import read_json
from keras_rk.butcher.forms import in_butcher_form
from keras_rk.butcher.printing import as_expression
from keras_rk.butcher.reading import Reader
from keras_rk.butcher.writing import Writing
from keras_rk.errors import TableauError, shown
from keras_rk.numbers.coefficients import (
    Coefficient,
    is_sum,
    is_symbolic,
    public,
    sum_of,
    symbols,
)
from keras_rk.numbers.square_roots import Surd

if TYPE_CHECKING:
    import sympy

__all__ = ["Tableau", "TableauError"]

_ROUNDING = Fraction(1, 2**40)  # more than sums of float64 numbers are off


class Tableau(Writing):
    """A Runge-Kutta method by its Butcher tableau, exactly.

    One step of size dt for y' = f(t, y) is

        k_i = f(t + c_i dt, y + dt * sum_j a_ij k_j),   y + dt * sum_i b_i k_i.

    Args:
        A: the s x s matrix, or its strictly lower rows (`[[], ["1/2"], [0, "1/2"]]`).
        b: the s weights.
        c: the s nodes; None means the row sums of A.
        b_hat: the s weights of the embedded method, if there is one.
        b_theta: the s weights of a continuous extension, if there is one: for each stage the
            coefficients of theta, theta^2, ... in b_i(theta). Then
            y + dt * sum_i b_i(theta) k_i is the result after a part theta of the step; see
            `check_extension`.
        claimed_order: the order the method is said to have. Nothing trusts it; `check`
            verifies it.
        claimed_embedded_order: the same for `b_hat`.
        name: what to call the method in messages.
        source: author and year.

    A may also come without its last column, without its first row (then c may, too), or down to
    the diagonal: every form in which its entries have one place only.

    A coefficient is an int, `Fraction`, `Decimal`, text (`"1/6"`, `"(18 + 4*sqrt(21))/63"`),
    a SymPy number, a NumPy scalar, or a float, which stands for its exact binary value. So does a
    number of an array in float32 or float16, whose few digits `rationalize` mends. A tableau with
    SymPy symbols is a family of methods: see `subs`.

    Attributes:
        A, b, c, b_hat, b_theta: tuples of `Fraction` where rational and of SymPy numbers
            otherwise.
        stages: the number of stages s.
        has_floats: whether a coefficient came as a binary float.

    Tableaux are frozen, hashable, and equal if their coefficients are.

    Raises:
        TableauError: if the coefficients are not exact real numbers or their numbers do not
            fit together.

    Example:

    >>> heun = Tableau([[], [1]], ["1/2", "1/2"], name="heun")
    >>> print(heun)
    heun
    0 │
    1 │  1
    ──┼─────────
      │ 1/2  1/2

    Source: E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*,
    chapter II, for the notation.
    """

    name: str | None
    source: str | None
    claimed_order: int | None
    claimed_embedded_order: int | None
    has_floats: bool
    exact_A: tuple[tuple[Coefficient, ...], ...]
    exact_b: tuple[Coefficient, ...]
    exact_c: tuple[Coefficient, ...]
    exact_b_hat: tuple[Coefficient, ...] | None
    exact_b_theta: tuple[tuple[Coefficient, ...], ...] | None = None  # in older pickles, too

    def __init__(
        self,
        A: Any,
        b: Any,
        c: Any = None,
        *,
        b_hat: Any = None,
        b_theta: Any = None,
        claimed_order: int | None = None,
        claimed_embedded_order: int | None = None,
        name: str | None = None,
        source: str | None = None,
    ) -> None:
        read = Reader(name)
        rows = read.square(A, b)
        stages = len(rows)
        weights = read.vector(b, "b", stages, "weight")
        nodes = None if c is None else read.nodes(c, stages)
        embedded = None if b_hat is None else read.vector(b_hat, "b_hat", stages, "embedded weight")
        dense = None if b_theta is None else read.polynomials(b_theta, "b_theta", stages)
        vectors = (*rows, weights, nodes or (), embedded or (), *(dense or ()))
        read.check_field(x for row in vectors for x in row)
        fields = {
            "exact_A": rows,
            "exact_b": weights,
            "exact_c": read.row_sums(rows) if nodes is None else nodes,
            "exact_b_hat": embedded,
            "exact_b_theta": dense,
            "claimed_order": read.order(claimed_order, "claimed_order"),
            "claimed_embedded_order": read.order(claimed_embedded_order, "claimed_embedded_order"),
            "name": read.label(name, "name"),
            "source": read.label(source, "source"),
            "has_floats": read.has_floats,
        }
        if b_hat is None and claimed_embedded_order is not None:
            raise TableauError(
                "`claimed_embedded_order` needs embedded weights `b_hat`. Received: "
                f"claimed_embedded_order={claimed_embedded_order}, b_hat=None{read.where}."
            )
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    def __setattr__(self, field: str, value: Any) -> None:
        raise AttributeError(f"A Tableau is frozen; `{field}` cannot be set.")

    def __delattr__(self, field: str) -> None:
        raise AttributeError(f"A Tableau is frozen; `{field}` cannot be deleted.")

    @property
    def stages(self) -> int:
        """The number of stages s."""
        return len(self.exact_b)

    @property
    def A(self) -> tuple[tuple[Any, ...], ...]:
        """The s x s matrix."""
        return tuple(tuple(public(x) for x in row) for row in self.exact_A)

    @property
    def b(self) -> tuple[Any, ...]:
        """The weights."""
        return tuple(public(x) for x in self.exact_b)

    @property
    def c(self) -> tuple[Any, ...]:
        """The nodes."""
        return tuple(public(x) for x in self.exact_c)

    @property
    def b_hat(self) -> tuple[Any, ...] | None:
        """The embedded weights, or None."""
        return None if self.exact_b_hat is None else tuple(public(x) for x in self.exact_b_hat)

    @property
    def b_theta(self) -> tuple[tuple[Any, ...], ...] | None:
        """For each stage the coefficients of theta, theta^2, ... in b_i(theta), or None."""
        if self.exact_b_theta is None:
            return None
        return tuple(tuple(public(x) for x in row) for row in self.exact_b_theta)

    def weights(self, theta: Any) -> tuple[Any, ...]:
        """The weights b_i(theta) of the continuous extension, exactly.

        Args:
            theta: the part of a step: a number like a coefficient, usually in [0, 1].

        Raises:
            TableauError: where the tableau has no `b_theta`.

        >>> euler = Tableau([[]], [1], b_theta=[[1]])
        >>> euler.weights("1/3")
        (Fraction(1, 3),)
        """
        if self.exact_b_theta is None:
            raise TableauError(
                "`weights(theta)` needs a tableau with a continuous extension `b_theta`. Received: "
                f"b_theta=None (tableau {self.name!r})."
            )
        return tuple(public(x) for x in values_at(self.exact_b_theta, theta))

    @property
    def row_sums(self) -> tuple[Coefficient, ...]:
        """sum_j a_ij, which the nodes should equal."""
        return tuple(map(sum_of, self.exact_A))

    @property
    def has_row_sums(self) -> bool:
        """Whether the nodes are the row sums of A."""
        return all(map(is_sum, self.exact_c, self.exact_A))

    @property
    def is_explicit(self) -> bool:
        """Whether A is strictly lower triangular, so that each stage needs earlier ones only."""
        return not any(any(row[i:]) for i, row in enumerate(self.exact_A))

    @property
    def is_consistent(self) -> bool:
        """Whether the weights sum to exactly 1."""
        return is_sum(Fraction(1), self.exact_b)

    @property
    def is_fsal(self) -> bool:
        """First same as last: the last stage is f at the step's result, the next step's first."""
        return (
            self.stages > 1
            and not self.exact_c[0]
            and (self.has_floats or self.exact_c[-1] == 1)
            and self.is_at_end(self.stages - 1)
            and self.is_explicit
        )

    def is_at_start(self, stage: int) -> bool:
        """Whether a stage is f where the step starts."""
        return not self.exact_c[stage] and not any(self.exact_A[stage])

    def is_at_end(self, stage: int) -> bool:
        """Whether a stage is f at the step's result."""
        node = self.exact_c[stage]
        if is_symbolic(node) or self.exact_A[stage] != self.exact_b:
            return False
        return abs(node - 1) < _ROUNDING  # it may be the sum of decimals or floats

    @property
    def is_symbolic(self) -> bool:
        """Whether a coefficient contains SymPy symbols."""
        return not {Fraction, Surd}.issuperset(map(type, self.coefficients))

    @property
    def exact_weights(self) -> tuple[tuple[Coefficient, ...], ...]:
        """b and, if there is one, b_hat."""
        return (self.exact_b,) if self.exact_b_hat is None else (self.exact_b, self.exact_b_hat)

    @property
    def coefficients(self) -> Iterator[Coefficient]:
        """All of them, one after another."""
        vectors = (*self.exact_A, self.exact_c, *self.exact_weights, *(self.exact_b_theta or ()))
        return chain.from_iterable(vectors)

    @property
    def symbols(self) -> set[sympy.Symbol]:
        """The SymPy symbols in the coefficients."""
        return {symbol for x in self.coefficients for symbol in symbols(x)}

    def subs(self, /, **values: Any) -> Tableau:
        """The tableau with numbers in place of symbols: `family.subs(alpha="2/3")`.

        Args:
            **values: a coefficient for each symbol's name; others stay symbols.

        Raises:
            TableauError: if a name is no symbol of the tableau, or a coefficient has a pole
                there.
        """
        return with_numbers(self, values)

    def rationalize(self, tolerance: Any = "1e-14") -> Tableau:
        """Recover fractions from decimals: 0.3333333333333333 becomes 1/3.

        A coefficient x becomes the fraction p/q with the smallest q within
        `tolerance * max(1, |x|)` if that is no coincidence: if q**2 * tolerance <= 1/1000, or
        <= 1/20 where the tolerance is larger than 1e-10. Otherwise it stays as it is.

        Args:
            tolerance: the largest relative change; raise it for decimals with few digits, to
                about a unit in their last place: `"1e-3"` for 0.667.
        """
        return rationalized(self, tolerance)

    def _with_floats(self, has_floats: bool) -> Tableau:
        """This tableau, while it is in the making: whether its coefficients came as floats."""
        object.__setattr__(self, "has_floats", has_floats)
        return self

    def to_numpy(self, dtype: Any = "float64", *, scale: Any = 1) -> Arrays:
        """The coefficients, each rounded once, as NumPy arrays.

        Args:
            dtype: "float64", "float32" or "float16".
            scale: an exact factor on A, b and b_hat, such as a step size; the product is
                formed exactly and then rounded.

        Returns:
            `Arrays` with the fields A (s, s), b (s,), c (s,) and b_hat (s,) or None.

        Raises:
            TableauError: if a coefficient is symbolic or does not fit into `dtype`.
        """
        kind = float_dtype(dtype)
        self._refuse_symbols("become numbers")
        try:
            A = rounded(self.exact_A, kind, scale)
            weights = rounded(self.exact_weights, kind, scale)
        except TableauError as error:
            raise TableauError(f"{error} (tableau {self.name!r}, scale={scale!r})") from None
        c = rounded([self.exact_c], kind)[0]
        return Arrays(A, weights[0], c, weights[1] if len(weights) > 1 else None)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads: text for each coefficient, so that nothing is lost."""
        self._refuse_symbols("be written to a file")
        return as_dictionary(self, self._shown_rows())

    @classmethod
    def from_dict(cls, data: Any) -> Tableau:
        """The tableau that `to_dict` wrote; other keys and missing ones are refused.

        In place of A and b there may be Shu-Osher coefficients `alpha` and `beta`, or low-storage
        ones `A_2N` and `B_2N`.
        """
        arguments, has_floats = arguments_in(in_butcher_form(data))
        tableau = cls(**arguments)
        return tableau._with_floats(tableau.has_floats or has_floats)

    def to_json(self, indent: int | None = 2) -> str:
        """The tableau as JSON text; `from_json` gives it back exactly."""
        return json.dumps(self.to_dict(), indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Tableau:
        """The tableau in JSON text. Decimal numbers in it count as the digits they show."""
        return cls.from_dict(read_json(text))

    @classmethod
    def from_text(cls, text: str) -> Tableau:
        """The tableau in a text: JSON, TOML or YAML with the same keys, CSV, LaTeX, or a drawing.

        Which it is, its look tells, and errors say. The formats are in `butcher.formats`, one
        module each; nothing in a text is executed.

        A drawing is what `print(tableau)` shows, or the same with the signs | - + of a keyboard:

        >>> ralston = Tableau.from_text('''
        ...     0   |
        ...     2/3 | 2/3
        ...     ----+---------
        ...         | 1/4  3/4
        ... ''')
        >>> Tableau.from_text(str(ralston)) == ralston
        True

        Raises:
            TableauError: where the text is no tableau, or shortens a number.
        """
        if not isinstance(text, str):
            raise TableauError(f"A text is a `str`. Received: {shown(text)}.")
        return cls._read(text)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tableau:
        """The tableau in a file: `.json`, `.toml`, `.yaml`, `.csv`, `.tex`, NumPy's `.npz` with
        arrays A, b, c and b_hat, or any other text, see `from_text`."""
        data = read_bytes(path)
        with errors_name(called(path)):
            return cls._read(data, path)

    @classmethod
    def _read(cls, data: str | bytes, path: Any = "") -> Tableau:
        """From a text, or the bytes in a file."""
        return parse(data, path, cls.from_dict)

    def _refuse_symbols(self, aim: str) -> None:
        if self.is_symbolic:
            names = ", ".join(sorted(map(str, self.symbols)))
            raise TableauError(
                f"A tableau with symbols cannot {aim}; put numbers in place of them with "
                f"`tableau.subs(...)`. Received: the symbols {names} (tableau {self.name!r})."
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tableau):
            return NotImplemented
        return self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())

    def _value(self) -> tuple[Any, ...]:
        return self.exact_A, self.exact_b, self.exact_c, self.exact_b_hat, self.exact_b_theta

    def __repr__(self) -> str:
        return as_expression(self, self._shown_rows())

    def _shown_rows(self) -> list[tuple[Coefficient, ...]]:
        """The rows of A, without the zeros that an explicit method has anyway."""
        if not self.is_explicit:
            return list(self.exact_A)
        return [row[:i] for i, row in enumerate(self.exact_A)]
