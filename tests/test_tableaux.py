"""Every named method: its order, proved and shown not to be higher, and how it is found."""

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
import sympy

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.butcher import notation
from keras_rk.tableaux import registry

# name: order, embedded order, verdict, stages, as the literature has them
EXPECTED = {
    "euler": (1, None, "exact", 1),
    "fehlberg12": (1, 2, "exact", 3),
    "midpoint": (2, None, "exact", 2),
    "heun2": (2, None, "exact", 2),
    "ralston2": (2, None, "exact", 2),
    "heun_euler21": (2, 1, "exact", 2),
    "ralston_euler21": (2, 1, "exact", 2),
    "midpoint_euler21": (2, 1, "exact", 2),
    "ralston21": (2, 1, "exact", 3),
    "fehlberg21": (2, 1, "exact", 3),
    "fehlberg23": (2, 3, "exact", 4),
    "giraldo_kelly_constantinescu21": (2, 1, "exact", 3),
    "kutta3": (3, None, "exact", 3),
    "heun3": (3, None, "exact", 3),
    "ralston3": (3, None, "exact", 3),
    "bogacki_shampine32": (3, 2, "exact", 4),
    "fehlberg34": (3, 4, "exact", 5),
    "cash_karp32": (3, 2, "exact", 4),
    "sharp_smart32": (3, 2, "exact", 4),
    "owren_zennaro32": (3, 2, "exact", 4),
    "aubry_chartier3": (3, None, "exact", 4),
    "kennedy_carpenter32": (3, 2, "numeric", 4),
    "petsc3": (3, None, "exact", 3),
    "williamson3": (3, None, "exact", 3),
    "toulorge_desmet3": (3, None, "numeric", 7),
    "ssprk33": (3, None, "exact", 3),
    "ssprk43": (3, 2, "exact", 4),
    "ssprk53": (3, None, "numeric", 5),
    "ssprk63": (3, None, "numeric", 6),
    "ssprk73": (3, None, "numeric", 7),
    "ssprk83": (3, None, "numeric", 8),
    "shu_osher32": (3, 2, "exact", 3),
    "ssprk53_higueras": (3, None, "numeric", 5),
    "rk4": (4, None, "exact", 4),
    "rk38": (4, None, "exact", 4),
    "gill4": (4, None, "exact", 4),
    "ralston4": (4, None, "exact", 4),
    "merson43": (4, 3, "exact", 5),
    "zonneveld43": (4, 3, "exact", 5),
    "england45": (4, 5, "exact", 6),
    "fehlberg45": (4, 5, "exact", 6),
    "fehlberg43": (4, 3, "exact", 5),
    "fehlberg45_formula1": (4, 5, "exact", 6),
    "cash_karp43": (4, 3, "exact", 6),
    "sofroniou_spaletta43": (4, 3, "exact", 5),
    "owren_zennaro43": (4, 3, "exact", 6),
    "sayfy_aburub43": (4, 3, "exact", 6),
    "shanks4": (4, None, "exact", 4),
    "kennedy_carpenter43": (4, 3, "numeric", 6),
    "kennedy_carpenter43_2019": (4, 3, "numeric", 7),
    "aubry_chartier4": (4, None, "numeric", 6),
    "carpenter_kennedy4": (4, None, "numeric", 5),
    "calvo_franco_randez4": (4, None, "numeric", 6),
    "berland_bogey_bailly4": (4, None, "numeric", 6),
    "tselios_simos4": (4, None, "numeric", 7),
    "toulorge_desmet4": (4, None, "numeric", 8),
    "niegemann_diehl_busch4_12": (4, None, "numeric", 12),
    "niegemann_diehl_busch4_13": (4, None, "numeric", 13),
    "niegemann_diehl_busch4_14": (4, None, "numeric", 14),
    "ssprk54": (4, None, "numeric", 5),
    "ssprk104": (4, 3, "exact", 10),
    "nystrom5": (5, None, "exact", 6),
    "butcher5": (5, None, "exact", 6),
    "lawson5": (5, None, "exact", 6),
    "cassity5": (5, None, "exact", 6),
    "luther_konen5": (5, None, "exact", 6),
    "fehlberg54": (5, 4, "exact", 6),
    "cash_karp54": (5, 4, "exact", 6),
    "dormand_prince54": (5, 4, "exact", 7),
    "higham_hall54": (5, 4, "exact", 7),
    "sharp_smart54": (5, 4, "exact", 7),
    "bogacki_shampine54": (5, 4, "exact", 8),
    "papakostas_papageorgiou54": (5, 4, "exact", 7),
    "tsitouras54": (5, 4, "numeric", 7),
    "luther_konen5_second": (5, None, "exact", 6),
    "luther_konen5_third": (5, None, "exact", 6),
    "stepanov5": (5, None, "exact", 8),
    "higham_hall54_eq2": (5, 4, "exact", 7),
    "higham_hall54_eq3": (5, 4, "exact", 7),
    "dormand_prince54_6m": (5, 4, "exact", 6),
    "dormand_prince54_7s": (5, 4, "exact", 7),
    "dormand_prince54_7c": (5, 4, "exact", 7),
    "fehlberg56": (5, 6, "exact", 8),
    "stepanov54": (5, 4, "exact", 7),
    "papakostas_papageorgiou54_stable": (5, 4, "exact", 7),
    "owren_zennaro54": (5, 4, "exact", 8),
    "kennedy_carpenter54": (5, 4, "numeric", 8),
    "kennedy_carpenter54_2019": (5, 4, "numeric", 8),
    "huta6": (6, None, "exact", 8),
    "butcher6": (6, None, "exact", 7),
    "lawson6": (6, None, "exact", 7),
    "luther6": (6, None, "exact", 7),
    "dverk65": (6, 5, "exact", 8),
    "verner65_1978": (6, 5, "exact", 8),
    "dormand_prince65": (6, 5, "exact", 8),
    "calvo65": (6, 5, "numeric", 9),
    "tsitouras_papakostas65": (6, 5, "exact", 8),
    "verner65": (6, 5, "exact", 9),
    "verner65_robust": (6, 5, "exact", 9),
    "huta6_second": (6, None, "exact", 8),
    "butcher6_first": (6, None, "exact", 7),
    "butcher6_second": (6, None, "exact", 7),
    "hammud6": (6, None, "exact", 7),
    "el_mikkawy_eisa6": (6, None, "exact", 7),
    "stepanov6": (6, None, "exact", 8),
    "tanaka_kasuga_yamashita_yazaki6_a": (6, None, "exact", 8),
    "tanaka_kasuga_yamashita_yazaki6_b": (6, None, "exact", 8),
    "tanaka_kasuga_yamashita_yazaki6_c": (6, None, "exact", 8),
    "tanaka_kasuga_yamashita_yazaki6_d": (6, None, "exact", 8),
    "tsitouras_papakostas64": (6, 4, "exact", 7),
    "fehlberg65": (6, 5, "exact", 8),
    "dormand_prince65_8s": (6, 5, "exact", 8),
    "dormand_prince65_8c": (6, 5, "exact", 8),
    "verner65_2006": (6, 5, "exact", 8),
    "verner65_1991": (6, 5, "exact", 9),
    "verner65_1991_second": (6, 5, "exact", 9),
    "sharp_verner65": (6, 5, "exact", 9),
    "papakostas65": (6, 5, "exact", 9),
    "dormand_lockyer_mccorrigan_prince65": (6, 5, "exact", 9),
    "fehlberg67": (6, 7, "exact", 10),
    "butcher7": (7, None, "exact", 9),
    "verner76_1978": (7, 6, "exact", 10),
    "fehlberg78": (7, 8, "exact", 13),
    "tanaka_muramatsu_yamashita76": (7, 6, "exact", 10),
    "sharp_smart76": (7, 6, "exact", 11),
    "verner76": (7, 6, "exact", 10),
    "verner76_robust": (7, 6, "exact", 10),
    "shanks7": (7, None, "exact", 9),
    "fehlberg76": (7, 6, "exact", 10),
    "enright_verner76": (7, 6, "exact", 10),
    "tanaka_muramatsu_yamashita76_stable": (7, 6, "exact", 10),
    "sharp_verner76": (7, 6, "exact", 12),
    "tsitouras_papakostas75": (7, 5, "numeric", 9),
    "curtis8": (8, None, "exact", 11),
    "cooper_verner8": (8, None, "exact", 11),
    "fehlberg87": (8, 7, "exact", 13),
    "verner87_1978": (8, 7, "exact", 13),
    "dormand_prince87": (8, 7, "numeric", 13),
    "dormand_prince87_exact": (8, 7, "exact", 13),
    "dop853": (8, 5, "numeric", 12),
    "tsitouras_papakostas87": (8, 7, "exact", 13),
    "verner87": (8, 7, "exact", 13),
    "shanks8": (8, None, "exact", 12),
    "cooper_verner8_other": (8, None, "exact", 11),
    "tsitouras_papakostas86": (8, 6, "numeric", 12),
    "verner87_maple": (8, 7, "exact", 13),
    "enright_verner87": (8, 7, "exact", 13),
    "verner87_robust": (8, 7, "numeric", 13),
    "fehlberg89": (8, 9, "numeric", 17),
    "sharp98": (9, 8, "exact", 16),
    "tsitouras98": (9, 8, "exact", 16),
    "verner98": (9, 8, "exact", 16),
    "verner98_1978": (9, 8, "exact", 16),
    "verner98_robust": (9, 8, "exact", 16),
    "tsitouras98_second": (9, 8, "exact", 16),
    "hairer10": (10, None, "numeric", 17),
    "ono10": (10, None, "numeric", 17),
    "feagin10": (10, 8, "numeric", 17),
    "stepanov10": (10, None, "numeric", 15),
    "zhang10": (10, None, "numeric", 16),
    "curtis10": (10, None, "numeric", 18),
    "baker109": (10, 9, "numeric", 21),
    "feagin1210": (12, 10, "numeric", 25),
    "ono12": (12, None, "numeric", 25),
    "hiroshi129": (12, 9, "numeric", 29),
    "feagin1412": (14, 12, "numeric", 35),
}
each_method = pytest.mark.parametrize("name", tableaux.names())


@pytest.fixture(scope="module")
def reports():
    """Each method checked once, when a test first asks for it."""

    class Reports(dict):
        def __missing__(self, name):
            self[name] = check(name, max_order=max(14, EXPECTED[name][0] + 1))
            return self[name]

    return Reports()


def test_every_method_is_expected_and_every_expected_method_is_there():
    assert set(tableaux.names()) == set(EXPECTED)


def test_names_are_unique_and_at_least_a_hundred():
    assert len(tableaux.names()) == len(set(tableaux.names())) >= 100


def test_names_are_ordered_by_order():
    orders = [EXPECTED[name][0] for name in tableaux.names()]
    assert orders == sorted(orders)


@pytest.mark.parametrize("order", [*range(1, 11), 12, 14])
def test_there_is_a_method_of_each_order(order):
    assert order in {expected[0] for expected in EXPECTED.values()}


@each_method
def test_order_is_exact_and_not_higher(name, reports):
    assert reports[name].order == EXPECTED[name][0]
    assert not reports[name].order_is_lower_bound


@each_method
def test_the_next_order_is_refused_with_a_tree(name):
    order = EXPECTED[name][0] + 1
    report = check(name, order=order)
    assert not report
    assert report.failures[0].rule == "order"
    assert report.failures[0].conditions[0].tree.order == order


@each_method
def test_embedded_order_is_exact_and_not_higher(name, reports):
    assert reports[name].embedded_order == EXPECTED[name][1]


@each_method
def test_verdict(name, reports):
    assert reports[name].verdict == EXPECTED[name][2]


@each_method
def test_stages(name):
    assert tableaux.get(name).stages == EXPECTED[name][3]
    assert registry.METHODS[name].stages == EXPECTED[name][3]


@each_method
def test_explicit_consistent_with_row_sums_and_true_claims(name, reports):
    report = reports[name]
    assert (report.explicit, report.consistent, report.row_sums) == (True, True, True)
    assert report, report.failures


@each_method
def test_claims_are_those_of_the_literature(name):
    tableau = tableaux.get(name)
    assert (tableau.claimed_order, tableau.claimed_embedded_order) == EXPECTED[name][:2]


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"tsitouras54"}))
def test_nodes_are_exactly_the_row_sums(name):
    tableau = tableaux.get(name)
    assert Tableau(tableau.A, tableau.b).c == tableau.c


@each_method
def test_source_names_an_author_and_a_year(name):
    assert re.search(r"[A-Z]\w+, .*\((1[5-9]|20)\d\d\)", tableaux.get(name).source)


@each_method
def test_every_entry_is_a_fraction_or_a_sympy_number(name):
    tableau = tableaux.get(name)
    entries = {entry for row in tableau.A for entry in row} | {*tableau.b, *tableau.c}
    rational = {entry for entry in entries if isinstance(entry, Fraction)}
    assert all(isinstance(x, sympy.Expr) and x.is_irrational for x in entries - rational)


@pytest.mark.parametrize(
    "name",
    ["gill4", "ralston4", "luther_konen5", "lawson6", "luther6", "curtis8", "rk8", "verner98"],
)
def test_square_roots_stay_exact(name):
    tableau = tableaux.get(name)
    assert any(isinstance(entry, sympy.Expr) for row in tableau.A for entry in row)
    assert not tableau.has_floats


def test_rk8_is_cooper_and_verner_with_eleven_stages_in_sqrt_21():
    rk8 = tableaux.get("rk8")
    root = sympy.sqrt(21)
    assert rk8.name == "cooper_verner8"
    assert rk8.stages == 11
    assert sympy.simplify(rk8.A[4][2] - (18 + 4 * root) / 63) == 0
    assert sympy.simplify(rk8.c[3] - (7 + root) / 14) == 0
    assert rk8.b[0] == Fraction(1, 20)


@pytest.mark.parametrize(
    "name",
    ["bogacki_shampine32", "dormand_prince54", "higham_hall54", "tsitouras54", "verner65"],
)
def test_first_same_as_last(name):
    assert tableaux.get(name).is_fsal


@pytest.mark.parametrize(
    ("low", "high"), [("fehlberg45", "fehlberg54"), ("fehlberg78", "fehlberg87")]
)
def test_local_extrapolation_exchanges_the_weights(low, high):
    low, high = tableaux.get(low), tableaux.get(high)
    assert (low.A, low.b, low.b_hat) == (high.A, high.b_hat, high.b)


def test_published_fractions_of_prince_and_dormand_approximate_the_exact_ones():
    published = tableaux.get("dormand_prince87").to_numpy()
    exact = tableaux.get("dormand_prince87_exact").to_numpy()
    np.testing.assert_allclose(published.A, exact.A, rtol=1e-15, atol=1e-17)
    np.testing.assert_allclose(published.b, exact.b, rtol=1e-15, atol=1e-17)


def test_second_error_weights_of_dop853_have_order_three():
    dop853 = tableaux.get("dop853")
    b_hat = ["0"] * 12
    b_hat[0] = "0.244094488188976377952755905512"
    b_hat[8] = "0.733846688281611857341361741547"
    b_hat[11] = "0.0220588235294117647058823529412"
    assert check(Tableau(dop853.A, dop853.b, b_hat=b_hat)).embedded_order == 3


def test_other_error_weights_of_bogacki_and_shampine_have_order_four():
    pair = tableaux.get("bogacki_shampine54")
    b_hat = ["6059/80640", 0, "8559189/30983680", "26411/124800", "-927/89600", "443/1197"]
    b_hat += ["7267/94080", 0]
    assert check(Tableau(pair.A, pair.b, b_hat=b_hat)).embedded_order == 4


@pytest.mark.parametrize(("alias", "name"), sorted(tableaux.aliases().items()))
def test_an_alias_finds_its_method(alias, name):
    assert tableaux.get(alias) is tableaux.get(name)
    assert tableaux.get(alias).name == name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("heun", "heun2"),
        ("ssprk22", "heun2"),
        ("bs32", "bogacki_shampine32"),
        ("merson", "merson43"),
        ("rkf45", "fehlberg45"),
        ("dopri5", "dormand_prince54"),
        ("tsit5", "tsitouras54"),
        ("rk8", "cooper_verner8"),
    ],
)
def test_well_known_aliases(alias, name):
    assert tableaux.aliases()[alias] == name


ARKODE = sorted(alias for alias in tableaux.aliases() if alias.startswith("arkode_"))
TSRK = sorted(alias for alias in tableaux.aliases() if alias.startswith("tsrk"))


@pytest.mark.parametrize("alias", ARKODE)
def test_names_of_arkode_say_stages_and_orders(alias):
    """Stages, order of the embedded weights (where there are some), order."""
    stages, *embedded, order = map(int, re.findall(r"(?<=_)\d+", alias))
    found = check(tableaux.get(alias))
    assert (found.tableau.stages, found.order) == (stages, order)
    assert found.embedded_order == (embedded[0] if embedded else None)


@pytest.mark.parametrize("alias", TSRK)
def test_names_of_petsc_say_the_order(alias):
    assert check(tableaux.get(alias)).order == int(re.search(r"\d", alias)[0])


def test_arkode_and_petsc_are_complete():
    assert (len(ARKODE), len(TSRK)) == (27, 12)


@pytest.mark.parametrize("typo", ["arkode_dormand_prince_7_4_6", "tsrk9"])
def test_names_of_other_libraries_are_not_suggested(typo):
    assert not any(name.startswith(("arkode", "tsrk")) for name in suggestions(typo))


def test_no_two_names_stand_for_one_tableau():
    assert len({tableaux.get(name) for name in tableaux.names()}) == len(tableaux.names())


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("RK4", "rk4"),
        ("Dormand-Prince 5(4)", "dormand_prince54"),
        ("SSPRK(10,4)", "ssprk104"),
        ("Cooper Verner 8", "cooper_verner8"),
    ],
)
def test_case_and_punctuation_do_not_matter(spelling, name):
    assert tableaux.get(spelling).name == name


@each_method
def test_a_method_is_built_once(name):
    assert tableaux.get(name) is tableaux.get(name)
    assert registry.METHODS[name].tableau() == tableaux.get(name)


def test_threads_that_ask_at_once_get_one_object(monkeypatch):
    built = registry._built
    built.cache_clear()
    barrier = threading.Barrier(8)
    slow = registry.NamedMethod.tableau

    def tableau(method):
        time.sleep(0.05)
        return slow(method)

    def ask(_):
        barrier.wait()
        return tableaux.get("cooper_verner8")

    monkeypatch.setattr(registry.NamedMethod, "tableau", tableau)
    with ThreadPoolExecutor(8) as pool:
        assert len({id(found) for found in pool.map(ask, range(8))}) == 1


@pytest.mark.parametrize(
    ("typo", "suggestion"),
    [
        ("rk44", "rk4"),
        ("eular", "euler"),
        ("dormandprince45", "dormand_prince54"),
        ("cooper_verner", "cooper_verner8"),
        ("verner97", "verner98"),
        ("qqqqqq", "names()"),
        ("", "names()"),
        ("__import__('os')", "names()"),
        ("x" * 1_000_000, "names()"),
        ("rk4" + "_" * 100, "rk4"),
    ],
)
def test_an_unknown_name_suggests_the_nearest_ones(typo, suggestion):
    with pytest.raises(TableauError, match=re.escape(suggestion)) as error:
        tableaux.get(typo)
    assert len(str(error.value)) < 300


def suggestions(name):
    with pytest.raises(TableauError) as error:
        tableaux.get(name)
    return re.findall(r"'(\w+)'", str(error.value).partition("Received")[0])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("rk5", ["rkf54"]),  # and not rkf45, rk8, which have other orders
        ("ssprk3", ["ssprk33", "ssprk43", "ssprk53"]),
        ("ssprk4", ["ssprk54", "ssprk104"]),
        ("SSP-RK 3", ["ssprk33", "ssprk43", "ssprk53"]),
        ("rk45", ["rkf45", "rkf54"]),
        ("dormand_prince45", ["dormand_prince54", "dormand_prince54_6m", "dormand_prince54_7s"]),
        ("dormandprince5", ["dormand_prince54", "dormand_prince54_6m", "dormand_prince54_7s"]),
        ("dopri6", ["dopri5", "dopri8", "dop853"]),  # letters, where no method has that order
        ("bs45", ["bs5"]),
        ("fehlberg", ["fehlberg2", "fehlberg8", "fehlberg12"]),
        ("rk3", []),
    ],
)
def test_suggestions_follow_the_letters_and_the_order_meant(name, expected):
    assert suggestions(name)[:3] == expected


@pytest.mark.parametrize(
    "name, some",
    [
        ("rk5", "dormand_prince54"),
        ("rk3", "kutta3, heun3"),
        ("rk10", "hairer10, ono10"),
        ("Runge-Kutta 8", "cooper_verner8"),
        ("rk65", "verner65"),
    ],
)
def test_where_only_the_order_is_said_all_its_methods_are_named(name, some):
    with pytest.raises(TableauError, match=rf"of that order: .*{some}.*`keras-rk list`"):
        tableaux.get(name)


@pytest.mark.parametrize("name", [None, 4, 4.0, True, b"rk4", ["rk4"], ("rk4",), tableaux])
def test_a_name_is_a_string(name):
    with pytest.raises(TableauError, match="by its name"):
        tableaux.get(name)


def test_check_takes_a_name():
    assert check("rk4").tableau is tableaux.get("rk4")


def run(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout.strip()


@pytest.mark.parametrize("module", ["keras", "tensorflow", "jax", "torch", "sympy", "numpy"])
def test_listing_the_names_imports_no_heavy_module(module):
    code = (
        "import sys; from keras_rk import tableaux; tableaux.names();"
        f" print({module!r} in sys.modules)"
    )
    assert run(code) == "False"


@pytest.mark.parametrize("module", ["keras", "sympy"])
def test_a_rational_method_needs_neither_keras_nor_sympy(module):
    code = (
        "import sys; from keras_rk import tableaux; tableaux.get('fehlberg87');"
        f" print({module!r} in sys.modules)"
    )
    assert run(code) == "False"


def test_nothing_is_built_before_it_is_asked_for():
    code = (
        "from keras_rk import tableaux; from keras_rk.tableaux import registry;"
        " tableaux.names(); print(registry._built.cache_info().currsize)"
    )
    assert run(code) == "0"


DRAWING = """
    0   |
    1/2 | 1/2
    1   | -1   2
    ----+--------------
        | 1/6  2/3  1/6
        | 0    1    0
"""
LISTING = "a[2,1]=1/2 a[3,1]=-1 a[3,2]=2 b[1]=1/6 b[2]=2/3 b[3]=1/6 bhat[2]=1"


def test_a_drawing_is_read():
    assert notation.read_drawing(DRAWING, "drawn") == (
        [[], ["1/2"], ["-1", "2"]],
        ["1/6", "2/3", "1/6"],
        ["0", "1/2", "1"],
        ["0", "1", "0"],
    )


def test_nodes_are_listed_where_they_are_not_the_row_sums():
    assert notation.read_listing(LISTING + " c[2]=1/2 c[3]=1", "listed").c == ["0", "1/2", "1"]


def test_a_listing_is_read():
    assert notation.read_listing(LISTING, "listed") == (
        [[], ["1/2"], ["-1", "2"]],
        ["1/6", "2/3", "1/6"],
        None,
        ["0", "1", "0"],
    )


@pytest.mark.parametrize(
    "drawing",
    [
        "",
        DRAWING.replace("-1   2", "-1"),
        DRAWING.replace("2/3  1/6", "2/3"),
        DRAWING.replace("----+--------------", ""),
        DRAWING + "        | 1    0    0",
    ],
)
def test_a_broken_drawing_is_refused(drawing):
    with pytest.raises(TableauError, match="'drawn'"):
        notation.read_drawing(drawing, "drawn")


@pytest.mark.parametrize(
    "listing",
    ["a[2]=1", "a[2,1]", "d[1]=0", "a[1,1]=1", "a[1,2]=1", "b[1]=1 b[1]=1", "b[0]=1", "b[1] = 1"],
)
def test_a_broken_listing_is_refused(listing):
    with pytest.raises(TableauError, match="'listed'"):
        notation.read_listing(listing, "listed")


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "RK-4", "drawing": DRAWING},
        {"name": "new", "aliases": ("dopri5",), "drawing": DRAWING},
        {"name": "new", "aliases": ("ne_w",), "drawing": DRAWING},
        {"name": "new"},
        {"name": "new", "drawing": DRAWING, "listing": LISTING},
    ],
)
def test_a_name_that_is_taken_or_a_method_without_one_table_is_refused(arguments):
    before = tableaux.names(), tableaux.aliases()
    with pytest.raises(TableauError):
        registry.method(**arguments, order=3, source="A. U. Thor, A method (2000)")
    assert (tableaux.names(), tableaux.aliases()) == before
