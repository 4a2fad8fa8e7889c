"""Methods of other packages, passed in as they are; each where it is installed.

Beside them stand objects of our own that have the same attributes, as those packages document them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.tableaux.as_tableau import as_tableau

DP54 = tableaux.get("dormand_prince54")


def is_close_to(tableau, named, fields="A b c b_hat"):
    """Whether its floats are those of a named method, which rounding has changed a little."""
    found, expected = tableau.to_numpy(), tableaux.get(named).to_numpy()
    for field in fields.split():
        x, y = getattr(found, field), getattr(expected, field)
        np.testing.assert_allclose(x, y, atol=2e-16, rtol=1e-15)
    return True


@pytest.mark.parametrize(
    "name, orders, named",
    [
        ("RK23", (3, 2), "bogacki_shampine32"),
        ("RK45", (5, 4), "dormand_prince54"),
        ("DOP853", (8, 5), None),
    ],
)
def test_scipy(name, orders, named):
    solver = getattr(pytest.importorskip("scipy.integrate"), name)
    report = check(solver)
    assert report
    assert (report.order, report.embedded_order) == orders
    assert (report.tableau.name, report.tableau.claimed_order) == (name, orders[0])
    assert report.tableau.has_floats
    assert named is None or is_close_to(report.tableau, named)
    running = solver(lambda t, y: y, 0.0, [1.0], 1.0)
    assert as_tableau(running) == report.tableau


@pytest.mark.parametrize("name", ["Radau", "BDF", "LSODA", "OdeSolver", "solve_ivp"])
def test_what_scipy_has_beside_them(name):
    with pytest.raises(TableauError, match="A tableau is given as"):
        as_tableau(getattr(pytest.importorskip("scipy.integrate"), name))


@pytest.mark.parametrize(
    "name, named",
    [("Bosh3", "bogacki_shampine32"), ("Dopri5", "dormand_prince54"), ("Tsit5", "tsitouras54")],
)
def test_diffrax(name, named):
    solver = getattr(pytest.importorskip("diffrax"), name)
    for given in (solver, solver(), solver.tableau):
        report = check(given)
        assert report
        assert (report.order, report.embedded_order) == tuple(map(int, named[-2:]))
        # Dopri5 has the embedded weights of Shampine (1986), not those of 1980
        fields = "A b c" if name == "Dopri5" else "A b c b_hat"
        assert is_close_to(report.tableau, named, fields)


@pytest.mark.parametrize("name, order", [("Kvaerno3", 3), ("Kvaerno4", 4), ("Kvaerno5", 5)])
def test_implicit_methods_of_diffrax(name, order):
    report = check(getattr(pytest.importorskip("diffrax"), name))
    assert (report.explicit, report.order, report.embedded_order) == (False, order, order - 1)


@pytest.mark.parametrize("name", ["KenCarp3", "Sil3", "ShARK", "Euler"])
def test_what_diffrax_has_beside_them(name):
    with pytest.raises(TableauError, match="Received"):
        as_tableau(getattr(pytest.importorskip("diffrax"), name))


@pytest.mark.parametrize(
    "module, name, orders",
    [
        ("dopri5", "Dopri5Solver", (5, 4)),
        ("bosh3", "Bosh3Solver", (3, 2)),
        ("fehlberg2", "Fehlberg2", (2, 1)),
        ("adaptive_heun", "AdaptiveHeunSolver", (2, 1)),
        ("dopri8", "Dopri8Solver", (8, 7)),
    ],
)
def test_torchdiffeq(module, name, orders):
    solver = getattr(pytest.importorskip(f"torchdiffeq._impl.{module}"), name)
    for given in (solver, solver.tableau):
        report = check(given)
        assert report
        assert (report.order, report.embedded_order) == orders


@pytest.mark.parametrize(
    "name, order, embedded",
    [
        ("RK44", 4, None),
        ("DP5", 5, 4),
        ("SSP104", 4, 3),
        ("GL3", 6, None),
        ("RadauIIA3", 5, None),
        ("Lambert65", 2, None),  # nodepy 1.1.1 has two wrong coefficients in it
        ("SS3", 2, 3),  # and b and b_hat exchanged
    ],
)
def test_nodepy(name, order, embedded):
    rk = pytest.importorskip("nodepy.runge_kutta_method")
    report = check(rk.loadRKM(name))
    assert (report.order, report.embedded_order) == (order, embedded)
    assert not report.tableau.has_floats
    if name == "DP5":
        assert report.tableau == DP54


@pytest.mark.parametrize(
    "name, order", [("rk4", 4), ("heun_rk3", 3), ("nystrom_rk5", 5), ("gauss6", 6), ("euler", 1)]
)
def test_kauri(name, order):
    assert check(getattr(pytest.importorskip("kauri"), name)).order == order


# the same attributes, without the packages


class SciPyPair:
    """The error weights are b_hat - b, with f at the result as one more stage."""

    A = np.array([[0.0, 0], [1.0, 0]])
    B = np.array([0.5, 0.5])
    C = np.array([0.0, 1])
    E = np.array([0.5, 0, -0.5])
    n_stages = 2
    order = 2
    error_estimator_order = 1


class DiffraxTableau(NamedTuple):
    c: Any
    b_sol: Any
    b_error: Any
    a_lower: Any
    a_diagonal: Any = None
    c1: float = 0.0


class TorchTableau(NamedTuple):
    alpha: Any
    beta: Any
    c_sol: Any
    c_error: Any


@dataclass
class KauriMethod:
    a: Any
    b: Any
    c: Any
    name: str | None = None

    def order(self):
        raise RuntimeError("nobody asks a method what order it has")


HEUN = Tableau([[], [1]], ["1/2", "1/2"], b_hat=[1, 0])
THREE = Tableau([[], [1], ["1/2", "1/2"]], ["1/2", "1/2", 0], b_hat=[1, "1/2", "-1/2"])
STAND_INS = {
    "SciPy": (SciPyPair, THREE),
    "diffrax": (
        SimpleNamespace(tableau=DiffraxTableau([1.0], [0.5, 0.5], [-0.5, 0.5], ([1.0],))),
        HEUN,
    ),
    "diffrax, diagonally implicit": (
        DiffraxTableau([1.0], [0.5, 0.5], [0, 0], ([0.5],), [0.0, 0.5]),
        Tableau([[0, 0], ["1/2", "1/2"]], ["1/2", "1/2"], b_hat=["1/2", "1/2"]),
    ),
    "torchdiffeq": (TorchTableau([1.0], [[1.0]], [0.5, 0.5], [-0.5, 0.5]), HEUN),
    "nodepy": (
        SimpleNamespace(
            A=np.array([[0, 0], [Fraction(1), 0]], object),
            b=np.array([Fraction(1, 2)] * 2),
            c=np.array([0, 1]),
            bhat=[1, 0],
            alpha=None,
            beta=None,
        ),
        HEUN,
    ),
    "kauri": (
        KauriMethod([[0, 0], [1, 0]], [0.5, 0.5], [0, 1], "Heun"),
        Tableau([[], [1]], [0.5, 0.5]),
    ),
}


@pytest.mark.parametrize("method, tableau", STAND_INS.values(), ids=STAND_INS)
def test_stand_ins_with_the_attributes_that_are_documented(method, tableau):
    assert as_tableau(method) == tableau


def test_whatever_carries_a_tableau_gives_it():
    report = check("rk4")
    assert as_tableau(report) is report.tableau is tableaux.get("rk4")
    arrays = DP54.to_numpy()
    assert as_tableau(arrays) == Tableau(arrays.A, arrays.b, arrays.c, b_hat=arrays.b_hat)


def test_names_and_claims_come_along():
    tableau = as_tableau(SciPyPair)
    assert (tableau.name, tableau.claimed_order, tableau.claimed_embedded_order) == (
        "SciPyPair",
        2,
        1,
    )
    assert as_tableau(KauriMethod([[0]], [1], [0], "Euler")).name == "Euler"
    assert as_tableau(KauriMethod([[0]], [1], [0])).name == "KauriMethod"


class Raising:
    @property
    def A(self):
        raise RuntimeError("not now")

    b = 1


@pytest.mark.parametrize(
    "thing",
    [
        Raising(),
        SimpleNamespace(A=1, b=2),
        SimpleNamespace(A=[[0]], b=None),
        SimpleNamespace(A=[[0]], b=[1], bhat="x"),
        SimpleNamespace(a_lower=1, b_sol=[1], b_error=None, c=[0]),
        SimpleNamespace(a_lower=[1], b_sol=[1], b_error=[0], c=[0]),
        SimpleNamespace(A=[1], B=[1], C=[0], n_stages=1),
        SimpleNamespace(A=[[0]], B=[1], C=[0], n_stages=1, E=[None, "x"]),
        SimpleNamespace(alpha=[1], beta=[1], c_sol=[1], c_error=[1]),
        SimpleNamespace(tableau=SimpleNamespace(tableaus=())),
        SimpleNamespace(tableau=None),
        np.zeros((3, 3)),
        np.zeros((2, 2, 2)),
        object,
        len,
    ],
    ids=lambda thing: str(thing).partition(" at ")[0][:50],
)
def test_what_is_no_method(thing):
    with pytest.raises(TableauError, match="Received") as caught:
        as_tableau(thing)
    assert len(str(caught.value)) < 1000
