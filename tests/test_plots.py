"""The pictures of tableaux: what is drawn where."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest

from keras_rk import Tableau, TableauError, plots
from keras_rk.analysis.plots import regions
from keras_rk.analysis.plots.tree_drawings import condition_formula, places
from keras_rk.proof.rooted_trees import RootedTree, rooted_trees

_Path = pytest.importorskip("matplotlib.path").Path

LEAF = RootedTree()
CHAIN = RootedTree((LEAF,))


def only_axes(figure):
    (axes,) = figure.axes
    return axes


def lines_at_one(figure):
    """For each method, the closed curves |R(z)| = 1."""
    axes = only_axes(figure)
    boundaries = axes.collections[1::2]  # each after what fills it
    return [boundary.get_paths()[0].to_polygons(closed_only=False) for boundary in boundaries]


def chebyshev(s):
    """An explicit method with R(z) = T_s(1 + z / s^2), whose real interval is 2 s^2."""
    r = [Fraction(1)]
    for k in range(s):  # T_s(1 + x) has coefficients 2^k (s + k - 1)! s / ((s - k)! (2 k)!) of x^k
        r.append(r[-1] * Fraction(2 * (s + k) * (s - k), (2 * k + 1) * (2 * k + 2) * s * s))
    A = [[0] * i for i in range(s)]
    for i in range(1, s):
        A[i][i - 1] = r[s - i + 1] / r[s - i]
    return Tableau(A, [0] * (s - 1) + [1], name=f"chebyshev{s}")


@pytest.mark.parametrize(
    "method, real, imaginary, curves",
    [  # published intervals, and |R(z)| = 1 in one piece or several
        ("euler", 2.0, 1.0, 1),
        ("heun2", 2.0, math.sqrt(3), 1),  # |1 + z + z^2/2| = 1 is highest above z = -1
        ("rk4", 2.7853, None, 1),
        ("dormand_prince54", 3.3066, None, 3),  # two islands in the right half-plane
        (chebyshev(3), 18.0, None, None),
        (chebyshev(10), 200.0, None, None),
    ],
    ids=["euler", "heun2", "rk4", "dormand_prince54", "chebyshev3", "chebyshev10"],
)
def test_a_region_is_closed_and_ends_where_it_is_known_to(method, real, imaginary, curves):
    (found,) = lines_at_one(plots.stability_regions(method))
    assert all(np.allclose(curve[0], curve[-1]) for curve in found)
    vertices = np.concatenate(found)
    assert vertices[:, 0].min() == pytest.approx(-real, rel=0.01)
    assert imaginary is None or vertices[:, 1].max() == pytest.approx(imaginary, rel=0.01)
    assert curves is None or len(found) == curves


def test_the_region_of_euler_is_a_disc():
    ((curve,),) = lines_at_one(plots.stability_regions("euler"))
    assert np.allclose(np.hypot(curve[:, 0] + 1, curve[:, 1]), 1, atol=2e-3)


@pytest.mark.parametrize("z", [-1.0, -2.7 + 0.1j, -0.2 + 2.8j, 0.1 + 2.2j])
def test_points_in_the_region_are_in_the_picture(z):
    ((curve,),) = lines_at_one(plots.stability_regions("rk4"))
    assert _Path(curve).contains_point((z.real, z.imag))
    assert not _Path(curve).contains_point((z.real - 3, z.imag))


@pytest.mark.parametrize(
    "R, stable, unstable",
    [
        (lambda z: 1 / (1 - z), [-2.5, 2 + 2j, 1 - 3j], [1, 1.9, 0.1 + 0.1j]),  # implicit Euler
        (lambda z: (2 + z) / (2 - z), [-9 + 9j, -0.2], [0.2 - 5j, 9]),  # trapezoidal rule
    ],
    ids=["euler", "trapezoidal"],
)
def test_regions_without_an_end_fill_the_picture(R, stable, unstable, monkeypatch):
    exact = regions.stability_function
    monkeypatch.setattr(
        regions, "stability_function", lambda x: R if x.name == "euler" else exact(x)
    )
    axes = only_axes(plots.stability_regions("euler", "rk4"))
    region = axes.collections[0].get_paths()[0].to_polygons(closed_only=False)
    for z, inside in [*((z, True) for z in stable), *((z, False) for z in unstable)]:
        # a hole goes round the other way, so that crossings count
        around = sum(_Path(line).contains_point((z.real, z.imag)) for line in region)
        assert around % 2 == inside, z


def test_several_regions_have_a_line_and_a_label_each():
    figure = plots.stability_regions("euler", "rk4", "ssprk104")
    axes = only_axes(figure)
    assert len(lines_at_one(figure)) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "euler",
        "rk4",
        "ssprk104",
    ]
    assert axes.get_aspect() == 1
    assert axes.get_xlabel().startswith("Re z")
    left, right = axes.get_xlim()
    assert left < -13.9 < 0 < right


def test_lines_differ_by_more_than_their_colour():
    figure = plots.stability_regions(*["euler"] * 14)
    lines = only_axes(figure).get_legend().get_lines()
    looks = [(line.get_color(), line.get_linestyle()) for line in lines]
    assert len(set(looks)) == 14
    by_colour = {colour: [line for c, line in looks if c == colour] for colour, _ in looks}
    assert all(len(set(styles)) == len(styles) for styles in by_colour.values())
    assert all(a != b for (_, a), (_, b) in itertools.pairwise(looks))


@pytest.mark.parametrize(
    "method, order", [("euler", 1), ("ralston3", 3), ("rk4", 4), ("cassity5", 5)]
)
def test_as_many_sectors_meet_as_the_order_and_one(method, order):
    figure = plots.order_stars(method)
    axes = only_axes(figure)
    radius = axes.get_xlim()[1] / 9
    crossings = 0
    for line in axes.collections[1].get_paths()[0].to_polygons(closed_only=False):
        outside = np.hypot(line[:, 0], line[:, 1]) > radius
        crossings += np.count_nonzero(outside[1:] != outside[:-1])
    assert crossings == 2 * (order + 1)


@pytest.mark.parametrize(
    "method, order",
    [
        ("rk4", 4),
        ("nystrom5", 5),
        ("dop853", 8),
        ("feagin10", 10),  # decimals; the coefficient of z^12 is larger than that of z^11
        (([[], [1]], ["1/2", "1/2"]), 2),
        (([[]], [2]), 0),
    ],
    ids=str,
)
def test_the_title_of_a_star_says_the_order(method, order):
    title = only_axes(plots.order_stars(method)).get_title()
    if order == 0:
        assert "no star" in title
    else:
        assert f"{order + 1} sectors meet at 0,\norder {order} for" in title


@pytest.mark.parametrize("order, count", [(1, 1), (2, 2), (3, 4), (4, 8), (5, 17)])
def test_there_is_a_condition_for_each_tree(order, count):
    texts = [text.get_text() for text in only_axes(plots.rooted_trees(order)).texts]
    assert sum(text.startswith(r"$\sum b_{i}") for text in texts) == count
    assert [text for text in texts if text.startswith("order")] == [
        f"order {n}" for n in range(1, order + 1)
    ]


def test_what_a_method_leaves_of_the_conditions():
    texts = [text.get_text() for text in only_axes(plots.rooted_trees(5, "rk4")).texts]
    assert texts.count("holds") == 8
    assert sum(text.startswith("fails") for text in texts) == 9
    assert "fails: off by 1/120" in texts  # sum b_i c_i^4 is 5/24


@pytest.mark.parametrize(
    "tree, formula",
    [
        (LEAF, r"$\sum b_{i} = 1$"),
        (RootedTree((LEAF, LEAF, LEAF)), r"$\sum b_{i} c_{i}^{3} = 1/4$"),
        (RootedTree((LEAF, CHAIN)), r"$\sum b_{i} c_{i} a_{ij} c_{j} = 1/8$"),
        (RootedTree((RootedTree((CHAIN,)),)), r"$\sum b_{i} a_{ij} a_{jk} c_{k} = 1/24$"),
    ],
    ids=str,
)
def test_the_formula_of_a_condition(tree, formula):
    assert condition_formula(tree) == formula


@pytest.mark.parametrize("order", range(1, 8))
def test_vertices_stand_apart_and_above_their_parents(order):
    for tree in rooted_trees(order):
        found = places(tree)
        assert [level for _, level, _ in found] == list(tree.level_sequence)
        assert len({(x, level) for x, level, _ in found}) == order
        assert all(found[parent][1] == level - 1 for _, level, parent in found[1:])


def marked(axes, hollow):
    """x and y of all markers that are, or are not, hollow."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None"]
    return [
        (x, y)
        for line in lines
        if (line.get_markerfacecolor() == "white") is hollow
        for x, y in zip(*line.get_data(), strict=True)
    ]


def test_error_coefficients_have_their_values():
    axes = only_axes(plots.error_coefficients("heun2"))
    assert marked(axes, hollow=False) == [
        (0, pytest.approx(1 / 12)),  # (1/2 - 1/3) / 2
        (1, pytest.approx(1 / 6)),
    ]
    assert axes.get_yticklabels()[0].get_text() == "0"


def test_error_coefficients_of_methods_of_several_orders():
    axes = only_axes(plots.error_coefficients("rk4", "dormand_prince54"))
    assert "orders 5 to 6" in axes.get_title()
    # the nine conditions of order 5, and those of order 6 that 4 and 5(4) happen to meet
    met = [x for x, _ in marked(axes, hollow=True)]
    assert sum(x < 9 and x > math.floor(x + 0.5) for x in met) == 9
    assert len(axes.child_axes) == 1  # which has the trees
    assert len(axes.child_axes[0].lines) == 3 * (9 + 20)


def test_many_trees_are_numbered_instead_of_drawn():
    axes = only_axes(plots.error_coefficients("rk4", order=8))
    assert axes.child_axes == []
    assert len(marked(axes, hollow=False)) + len(marked(axes, hollow=True)) == 115


@pytest.mark.parametrize(
    "method, order, stages, problem",
    [
        ("euler", 1, 1, "lotka_volterra"),
        ("heun2", 2, 2, "cosine"),
        ("rk4", 4, 4, "lotka_volterra"),
        ("dormand_prince54", 5, 6, "cosine"),
    ],
)
def test_errors_fall_with_the_order(method, order, stages, problem):
    figure = plots.work_precision(method, problem=problem, evaluations=(512, 4200))
    work, error = only_axes(figure).lines[0].get_data()
    assert all(evaluations % stages == 0 for evaluations in work)  # the last of 7 is for b_hat
    slopes = np.diff(np.log(error)) / np.diff(np.log(work))
    assert slopes[-1] == pytest.approx(-order, abs=0.15)


@pytest.mark.parametrize("problem", plots.PROBLEMS)
def test_the_solutions_of_the_problems_are_right(problem):
    """Found by other means: a period, a formula, or Taylor series with 25 digits and more."""
    figure = plots.work_precision("dop853", problem=problem, evaluations=(8000, 8400 * 2))
    assert min(only_axes(figure).lines[0].get_ydata()) < 2e-13


def test_a_problem_of_ones_own():
    problem = plots.Problem("decay", lambda t, y: -y, (1.0,), 1.0, (math.exp(-1),))
    figure = plots.work_precision("rk4", problem=problem, evaluations=(4, 64))
    work, error = only_axes(figure).lines[0].get_data()
    assert list(work) == [4, 8, 16, 32, 64]
    assert error[0] == pytest.approx(abs(0.375 - math.exp(-1)))  # 1 - 1 + 1/2 - 1/6 + 1/24


PICTURES = {
    "stability_regions": ["rk4"],
    "order_stars": ["rk4"],
    "rooted_trees": [3],
    "error_coefficients": ["rk4"],
    "work_precision": ["rk4"],
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_goes_into_given_axes(name):
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert getattr(plots, name)(*PICTURES[name], axes=left) is figure
    assert left.get_title()
    assert not right.get_title()
    with pytest.raises(TableauError, match=r"`axes` are Matplotlib axes.*Received: 3 \(int\)"):
        getattr(plots, name)(*PICTURES[name], axes=3)


def test_several_stars_go_into_several_axes():
    from matplotlib.figure import Figure

    panels = Figure().subplots(1, 2)
    plots.order_stars("euler", "rk4", axes=panels)
    assert [axes.get_title().split(":")[0] for axes in panels] == ["euler", "rk4"]
    with pytest.raises(TableauError, match="one for each method"):
        plots.order_stars("euler", axes=panels)


@pytest.mark.parametrize(
    "draw, complaint",
    [
        (lambda: plots.stability_regions(), "1 to 14 methods. Received: 0"),
        (lambda: plots.stability_regions(*["euler"] * 15), "Received: 15"),
        (lambda: plots.stability_regions("no_such_method"), "No method has this name"),
        (lambda: plots.rooted_trees(8), "up to 7. Received: order=8"),
        (lambda: plots.rooted_trees(0), "order"),
        (lambda: plots.error_coefficients("rk4", order=12), "up to 11. Received: order 12"),
        (lambda: plots.work_precision(([["1/2"]], [1])), "explicit"),
        (lambda: plots.work_precision("rk4", problem="stiff"), "kepler.*Received: 'stiff'"),
        (lambda: plots.work_precision("rk4", evaluations=(9, 3)), "fewest and the most"),
        (lambda: plots.work_precision("rk4", evaluations=5), "fewest and the most"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, complaint):
    with pytest.raises(TableauError, match=complaint):
        draw()


def test_names_are_printed_as_they_are():
    method = Tableau([[]], [1], name="$\\frac$ %s" + "x" * 60)
    figure = plots.stability_regions(method)
    (text,) = only_axes(figure).get_legend().get_texts()
    assert text.get_text().startswith(r"\$\frac\$ %sxxx")
    assert len(text.get_text()) < 40
    figure.draw_without_rendering()


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_pictures_are_png_and_svg(ending, tmp_path):
    path = tmp_path / f"trees.{ending}"
    plots.rooted_trees(2).savefig(path)
    if ending == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
    else:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
