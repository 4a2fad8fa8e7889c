"""The texts that a tableau writes of itself, beside JSON: one method a format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_rk.butcher.printing import Drawing
from keras_rk.numbers.coefficients import Coefficient, to_text

if TYPE_CHECKING:
    from keras_rk.butcher.formats.sources import Parts

__all__ = ["Writing"]


class Writing:
    """What `Tableau` inherits. LaTeX and CSV are read back by `Tableau.from_text`."""

    name: str | None
    source: str | None
    claimed_order: int | None
    exact_A: tuple[tuple[Coefficient, ...], ...]
    exact_b: tuple[Coefficient, ...]
    exact_c: tuple[Coefficient, ...]
    exact_b_hat: tuple[Coefficient, ...] | None

    if TYPE_CHECKING:

        @property
        def exact_weights(self) -> tuple[tuple[Coefficient, ...], ...]: ...
        def to_dict(self) -> dict[str, Any]: ...
        def _refuse_symbols(self, aim: str) -> None: ...
        def _shown_rows(self) -> list[tuple[Coefficient, ...]]: ...

    def to_latex(
        self,
        *,
        fractions: str = "frac",
        zeros: bool = True,
        labels: bool = False,
        document: bool = False,
    ) -> str:
        """The tableau as a LaTeX array; `from_text` reads A, b, c and b_hat back exactly.

        Args:
            fractions: "frac"; "dfrac" or "tfrac", which need the package amsmath; or "/" for 1/2.
            zeros: whether coefficients that are zero are written.
            labels: whether b and b_hat stand left of the weights.
            document: whether to write a whole file that LaTeX compiles.
        """
        from keras_rk.butcher.formats.latex_source import latex_array, latex_document

        array = latex_array(*self._drawn(), fractions=fractions, zeros=zeros, labels=labels)
        return latex_document(array, self.name, self.source) if document else array

    def to_html(self, *, document: bool = False) -> str:
        """The tableau as an HTML table with its numbers in MathML, or a whole page."""
        from keras_rk.butcher.formats.html_page import html_page, html_table

        table = html_table(*self._drawn(), self.name, self.source)
        return html_page(table, self.name) if document else table

    def to_csv(self) -> str:
        """The tableau with its claims as CSV; `from_text` gives it back exactly.

        Spreadsheets take 1/2 for a date where its column is not imported as text.
        """
        from keras_rk.butcher.formats.csv_text import write_csv

        return write_csv(self.to_dict(), [to_text(x) for x in self.exact_c])

    def to_python(self) -> str:
        """Python source: `A`, `b`, `c` and `b_hat` as lists of `Fraction`, without this package.

        A root becomes the nearest float, beside its exact value as a comment. With this package,
        `repr(tableau)` is an expression for the whole tableau.
        """
        from keras_rk.butcher.formats.sources import python_source

        return python_source(self._parts())

    def to_julia(self) -> str:
        """Julia source: arrays of `Rational{BigInt}`, or of `BigFloat` where there are roots."""
        from keras_rk.butcher.formats.sources import julia_source

        return julia_source(self._parts())

    def to_c(self) -> str:
        """C source: `static const double` arrays, each number beside its exact value."""
        from keras_rk.butcher.formats.sources import c_source

        return c_source(self._parts())

    def _parts(self) -> Parts:
        from keras_rk.butcher.formats.sources import Parts

        self._refuse_symbols("become source code")
        order = "" if self.claimed_order is None else f", order {self.claimed_order}"
        about = [f"{self.name or 'A Runge-Kutta method'}: {len(self.exact_b)} stages{order}"]
        about += [f"Source: {self.source}"] if self.source else []
        numbers: Any = self  # no symbols among them
        vectors = numbers.exact_b, numbers.exact_c, numbers.exact_b_hat
        return Parts(numbers.exact_A, *vectors, self.name, about)

    def _drawn(self) -> tuple[Sequence[Coefficient], list[tuple[Coefficient, ...]]]:
        """The nodes, and the rows that stand beside and below them."""
        return self.exact_c, [*self._shown_rows(), *self.exact_weights]

    def _drawing(self) -> Drawing:
        return Drawing(self.name, *self._drawn())

    def __str__(self) -> str:
        return self._drawing().text()

    def _repr_latex_(self) -> str:
        return f"$${self.to_latex()}$$"

    def _repr_html_(self) -> str:
        return self._drawing().html()
