"""Methods as other packages hold them, by the attributes that those document.

    SciPy        a solver class or object: A, B, C, E, n_stages (DOP853: E5)
    diffrax      a solver or its `tableau`: a_lower, a_diagonal, b_sol, b_error, c
    torchdiffeq  a solver class or its `tableau`: alpha, beta, c_sol, c_error
    nodepy       A, b, c, bhat
    kauri        a, b, c

and whatever else has A and b, or a and b. No package is imported: attributes are all that is asked.
"""

from __future__ import annotations

from typing import Any

from keras_rk.errors import TableauError, shown

__all__ = ["attribute", "coefficients"]

_ABSENT = object()


def coefficients(method: Any) -> dict[str, Any] | None:
    """What `Tableau.from_dict` takes; None for what is no method known here.

    Raises:
        TableauError: for methods that no single tableau describes.
    """
    inner = attribute(method, "tableau")
    for candidate in (method, inner):
        if candidate is _ABSENT or candidate is None:
            continue
        for found in _READERS:
            data = found(candidate)
            if data is not None:
                return {**data, **_labels(method, data)}
    return None


def attribute(thing: Any, name: str) -> Any:
    """An attribute, whatever may go wrong when it is asked for."""
    try:
        return getattr(thing, name, _ABSENT)
    except Exception:
        return _ABSENT


def _has(thing: Any, *names: str) -> bool:
    return all(attribute(thing, name) is not _ABSENT for name in names)


def _listed(values: Any) -> list[Any]:
    """The numbers of an array, a tensor or a sequence."""
    try:
        listed = values.tolist() if hasattr(values, "tolist") else values
        return list(listed)
    except Exception:
        raise TableauError(f"Coefficients are sequences. Received: {shown(values)}.") from None


def _combined(one: Any, other: Any, sign: int) -> list[Any]:
    """Entry by entry, the shorter one filled up with zeros."""
    x, y = _listed(one), _listed(other)
    size = max(len(x), len(y))
    x, y = x + [0] * (size - len(x)), y + [0] * (size - len(y))
    try:
        return [a + sign * b for a, b in zip(x, y, strict=True)]
    except Exception:
        raise TableauError(f"Weights are numbers. Received: {shown(x)}, {shown(y)}.") from None


def _from_scipy(method: Any) -> dict[str, Any] | None:
    """Its error estimate may use f at the step's result, one more stage."""
    if not _has(method, "A", "B", "C", "n_stages"):
        return None
    A, b, c = ([*_listed(attribute(method, key))] for key in "ABC")
    error = attribute(method, "E5") if _has(method, "E5") else attribute(method, "E")
    data = {"A": [_listed(row) for row in A], "b": b, "c": c}
    if error is _ABSENT or error is NotImplemented or error is None:
        return data
    b_hat = _combined(b, error, 1)
    if len(b_hat) > len(b):
        stages = len(b)
        rows = [row[:stages] + [0] * (stages - len(row)) for row in data["A"]]
        data = {"A": [[*row, 0] for row in rows] + [[*b, 0]], "b": [*b, 0], "c": [*c, 1]}
    return {**data, "b_hat": b_hat}


def _from_diffrax(method: Any) -> dict[str, Any] | None:
    if _has(method, "tableaus"):
        raise TableauError(
            "A pair of tableaux for two vector fields is not one method; pass one of "
            f"`tableau.tableaus`. Received: {shown(method)}."
        )
    if _has(method, "b_sol", "coeffs_w"):
        raise TableauError(
            f"Tableaux for stochastic equations are not read. Received: {shown(method)}."
        )
    if not _has(method, "a_lower", "b_sol", "c"):
        return None
    lower = [[], *map(_listed, _listed(attribute(method, "a_lower")))]
    diagonal = attribute(method, "a_diagonal")
    if diagonal is not _ABSENT and diagonal is not None:
        lower = [[*row, x] for row, x in zip(lower, _listed(diagonal), strict=False)]
    first = attribute(method, "c1")
    b, error = _listed(attribute(method, "b_sol")), attribute(method, "b_error")
    data = {
        "A": lower,
        "b": b,
        "c": [0 if first is _ABSENT else first, *_listed(attribute(method, "c"))],
    }
    return data if error is _ABSENT else {**data, "b_hat": _combined(b, error, -1)}


def _from_torchdiffeq(method: Any) -> dict[str, Any] | None:
    if not _has(method, "alpha", "beta", "c_sol"):
        return None
    b, error = _listed(attribute(method, "c_sol")), attribute(method, "c_error")
    data = {
        "A": [[], *map(_listed, _listed(attribute(method, "beta")))],
        "b": b,
        "c": [0, *_listed(attribute(method, "alpha"))],
    }
    return data if error is _ABSENT else {**data, "b_hat": _combined(b, error, -1)}


def _from_attributes(method: Any) -> dict[str, Any] | None:
    for matrix in ("A", "a"):
        if _has(method, matrix, "b"):
            data = {"A": attribute(method, matrix), "b": attribute(method, "b")}
            for key, name in (("c", "c"), ("b_hat", "b_hat"), ("b_hat", "bhat")):
                value = attribute(method, name)
                if value is not _ABSENT and value is not None and not callable(value):
                    data[key] = value
            return data
    return None


_READERS = (_from_diffrax, _from_torchdiffeq, _from_scipy, _from_attributes)


def _labels(method: Any, data: dict[str, Any]) -> dict[str, Any]:
    """A name where there is one, and the orders that SciPy and torchdiffeq claim as numbers."""
    found: dict[str, Any] = {}
    kind = method if isinstance(method, type) else type(method)
    for name in (
        attribute(method, "shortname"),
        attribute(method, "name"),
        attribute(kind, "__name__"),
    ):
        if isinstance(name, str) and name.isprintable() and 0 < len(name) < 100:
            found["name"] = name
            break
    order = attribute(method, "order")
    if isinstance(order, int) and not isinstance(order, bool) and order > 0:
        found["claimed_order"] = order
    embedded = attribute(method, "error_estimator_order")
    if isinstance(embedded, int) and "b_hat" in data and not _has(method, "E5"):
        found["claimed_embedded_order"] = embedded
    return found
