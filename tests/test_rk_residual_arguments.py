"""What RKResidual refuses, and what it says; its config."""

import json
from decimal import Decimal
from fractions import Fraction

import keras
import numpy as np
import pytest

from keras_rk import Tableau, TableauError, tableaux
from keras_rk.layers import RKResidual
from tests.keras_helpers import dense, normal, numpy

MIDPOINT_RULE = Tableau([["1/2"]], [1], name="implicit midpoint")
GAUSS = tableaux.gauss(2)
INCONSISTENT = Tableau([[], ["1/2"]], [0, "1/2"], name="half")
NODES = Tableau([[], ["1/2"]], [0, 1], [0, "1/3"], name="wrong nodes")
ROOTS = Tableau([[], ["1/2"]], [0, 1], [0, "sqrt(2)/2"], name="nodes with roots")
LIAR = Tableau([[], ["1/2"]], [0, 1], claimed_order=3, name="liar")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tableau": MIDPOINT_RULE}, TableauError, "implicit midpoint"),
        ({"tableau": GAUSS, "require": "explicit"}, TableauError, "explicit method, whose `A`"),
        ({"tableau": MIDPOINT_RULE, "require": "explicit"}, TableauError, "zero on and above"),
        ({"tableau": INCONSISTENT}, TableauError, "require='consistent'"),
        ({"tableau": INCONSISTENT, "require": "consistent"}, TableauError, "require='explicit'"),
        ({"tableau": NODES}, TableauError, "row"),
        ({"tableau": ROOTS}, TableauError, "Received: c[1] = sqrt(2)/2"),
        ({"tableau": ([[]], [1], ["sqrt(2)"])}, TableauError, "Received: c[0] = sqrt(2)"),
        ({"tableau": LIAR}, TableauError, "3"),
        ({"tableau": "rk4", "order": 5}, TableauError, "5"),
        ({"tableau": "rk5"}, TableauError, "rk5"),
        ({"tableau": None}, TableauError, "None"),
        ({"tableau": ([[], [1]], [1])}, TableauError, "b"),
        ({"dt": 0}, ValueError, "dt"),
        ({"dt": 0.0}, ValueError, "dt"),
        ({"dt": float("nan")}, ValueError, "dt"),
        ({"dt": float("inf")}, ValueError, "dt"),
        ({"dt": True}, ValueError, "dt"),
        ({"dt": None}, ValueError, "dt"),
        ({"dt": "fast"}, ValueError, "dt"),
        ({"dt": 1j}, ValueError, "dt"),
        ({"dt": [1.0]}, ValueError, "dt"),
        ({"dt": "1e60"}, ValueError, "float32"),
        ({"dt": 1e-60}, ValueError, "float32"),
        ({"steps": 0}, ValueError, "steps"),
        ({"steps": -1}, ValueError, "steps"),
        ({"steps": 2.5}, ValueError, "steps"),
        ({"steps": True}, ValueError, "steps"),
        ({"steps": None}, ValueError, "steps"),
        ({"order": 0}, ValueError, "order"),
        ({"order": True}, ValueError, "order"),
        ({"order": 4, "require": "explicit"}, ValueError, "drop one"),
        ({"require": "nothing"}, ValueError, "'consistent'"),
        ({"require": None}, ValueError, "require"),
        ({"state": "last"}, ValueError, "'shared'"),
        ({"layer": np.tanh}, ValueError, "Lambda"),
        ({"layer": keras.layers.Dense}, ValueError, "layer"),
        ({"unknown": 1}, ValueError, "unknown"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_at_construction(arguments, error, message):
    with pytest.raises(error) as caught:
        RKResidual(**{"layer": dense(3), **arguments})
    assert message in str(caught.value)


def test_symbols_are_refused():
    sympy = pytest.importorskip("sympy")
    family = Tableau([[], [sympy.Symbol("alpha")]], [0, 1])
    with pytest.raises(TableauError, match="subs"):
        RKResidual(dense(3), family)


@pytest.mark.parametrize("require", ["consistent", "explicit"])
@pytest.mark.parametrize("tableau", [NODES, ROOTS, LIAR])
def test_less_can_be_required(tableau, require):
    assert RKResidual(dense(3), tableau, require=require).tableau == tableau


def test_an_inconsistent_method_can_be_allowed():
    layer = RKResidual(keras.layers.Identity(), INCONSISTENT, require="explicit")
    np.testing.assert_allclose(numpy(layer(np.ones((1, 1)))), [[1.75]])


@pytest.mark.parametrize(
    ("layer", "shape", "shapes"),
    [
        (lambda: dense(4), (2, 3), ["(2, 3)", "(2, 4)"]),
        (lambda: keras.layers.Conv1D(3, 2), (2, 5, 3), ["(2, 5, 3)", "(2, 4, 3)"]),
        (lambda: keras.layers.LSTM(3), (2, 5, 3), ["(2, 5, 3)", "(2, 3)"]),
        (lambda: dense(1), (2, 3), ["(2, 3)", "(2, 1)"]),
    ],
    ids=["dense", "conv", "lstm without sequences", "what would broadcast"],
)
def test_a_layer_that_changes_the_shape_is_refused(layer, shape, shapes):
    with pytest.raises(ValueError, match=r"Sequential\(\[projection, RKResidual\(f\)\]\)") as error:
        RKResidual(layer())(normal(*shape))
    assert all(text in str(error.value) for text in shapes)


def test_a_shape_that_changes_only_when_called_is_refused():
    layer = RKResidual(keras.layers.Conv1D(3, 3, padding="valid"), "euler")
    layer.build((None, None, 3))  # nothing to see while the length is unknown
    with pytest.raises(ValueError, match="projection"):
        layer(normal(2, 3, 3))  # (2, 1, 3), which would broadcast


def test_the_advice_for_shapes_works():
    model = keras.Sequential([keras.layers.Dense(4), RKResidual(dense(4))])
    assert tuple(model(normal(2, 3)).shape) == (2, 4)


def test_a_layer_that_needs_more_inputs_says_how():
    with pytest.raises(TypeError, match=r"'value'.*keras\.Model"):
        RKResidual(keras.layers.MultiHeadAttention(2, 2))(normal(2, 3, 4))


def test_several_states_are_refused():
    with pytest.raises(ValueError, match="one tensor"):
        RKResidual(dense(3))([normal(2, 3), normal(2, 3)])


@pytest.mark.parametrize("built", [False, True], ids=["new", "built"])
@pytest.mark.parametrize(
    "inputs",
    [lambda y: [y, y], lambda y: (y,), lambda y: {"y": y}, lambda y: None],
    ids=["list", "tuple", "dictionary", "nothing"],
)
def test_what_is_not_one_tensor_is_refused(inputs, built):
    layer = RKResidual(dense(3))
    if built:
        layer.build((None, 3))
    with pytest.raises(ValueError, match="must be one tensor"):
        layer(inputs(normal(2, 3)))


@pytest.mark.parametrize("shape", [None, [(2, 3), (2, 3)], {"y": (2, 3)}], ids=str)
def test_a_shape_of_several_tensors_is_refused(shape):
    with pytest.raises(ValueError, match="must be one tensor"):
        RKResidual(dense(3)).build(shape)


@pytest.mark.parametrize(
    ("make", "taken_for"),
    [
        (lambda: keras.Sequential([dense(3)]), "training"),
        (lambda: dense(3), "training"),
        (lambda: keras.layers.Dropout(0.5), "training"),
        (lambda: keras.layers.Softmax(), "mask"),
        (lambda: RKResidual(dense(3)), "training"),
    ],
    ids=["sequential", "dense", "dropout", "softmax", "nested"],
)
def test_a_context_that_would_be_taken_for_an_option_is_refused(make, taken_for):
    y, context = normal(2, 3), normal(2, 5)
    with pytest.raises(TypeError, match=rf"keras\.Model\(\[y, context\].*{taken_for!r}"):
        RKResidual(make())(y, context)


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [((), {"bogus": 1}, "'bogus'"), ((1, 2, 3), {}, "too many positional")],
    ids=["keyword", "position"],
)
def test_unknown_arguments_do_not_get_the_hint_for_missing_ones(args, kwargs, problem):
    arguments = [normal(2, 3) for _ in args]
    with pytest.raises(TypeError, match=problem) as error:
        RKResidual(dense(3))(normal(2, 3), *arguments, **kwargs)
    assert "attention" not in str(error.value)


@pytest.mark.parametrize("name", ["first", "second"])
def test_an_error_names_the_tableau_that_was_given(name):
    with pytest.raises(TableauError, match=name):
        RKResidual(dense(3), Tableau([[], ["1/2"]], [0, 1], claimed_order=3, name=name))


CHANGES = {
    "tableau": tableaux.get("euler"),
    "dt": 0.5,
    "steps": 2,
    "order": 2,
    "require": "explicit",
}


@pytest.mark.parametrize(("name", "value"), [*CHANGES.items(), ("state", "other")])
def test_an_argument_cannot_be_set_after_construction(name, value):
    layer = RKResidual(dense(3))
    before = layer.get_config()
    with pytest.raises(AttributeError, match=rf"from_config\(.*{name!r}"):
        setattr(layer, name, value)
    assert layer.get_config() == before


@pytest.mark.parametrize("name", CHANGES)
def test_a_new_layer_with_another_argument(name):
    layer, y = RKResidual(dense(3)), normal(2, 3)
    layer(y)
    new = RKResidual.from_config({**layer.get_config(), name: CHANGES[name]})
    new(y)
    new.set_weights(layer.get_weights())
    expected = RKResidual(layer.layer, **{name: CHANGES[name]})(y)
    np.testing.assert_array_equal(numpy(new(y)), numpy(expected))


def test_several_outputs_are_refused():
    f = keras.layers.LSTM(3, return_sequences=True, return_state=True)
    with pytest.raises(ValueError, match="one tensor"):
        RKResidual(f)(normal(2, 4, 3))


@pytest.mark.parametrize(
    ("dt", "stored"),
    [
        (1, 1),
        (0.1, 0.1),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.int64(2), 2),
        ("0.1", "1/10"),
        (Fraction(1, 3), "1/3"),
        (Decimal("-0.25"), "-1/4"),
        ("sqrt(2)/2", "sqrt(2)/2"),
    ],
    ids=str,
)
def test_dt_in_the_config_is_exact(dt, stored):
    config = json.loads(json.dumps(RKResidual(dense(3), dt=dt).get_config()))
    assert config["dt"] == stored
    assert type(config["dt"]) is type(stored)
    assert RKResidual.from_config(config).dt == stored


@pytest.mark.parametrize("name", tableaux.names())
def test_every_tableau_survives_the_config(name):
    config = json.loads(json.dumps(RKResidual(dense(3), name).get_config()))
    assert Tableau.from_dict(config["tableau"]) == tableaux.get(name)
    assert RKResidual.from_config(config).tableau == tableaux.get(name)


@pytest.mark.parametrize("tableau", [NODES, LIAR, ([[], [0.1]], [0, 1.0])])
def test_a_custom_tableau_survives_the_config(tableau):
    layer = RKResidual(dense(3), tableau, 0.5, 3, require="explicit", name="mine")
    revived = RKResidual.from_config(layer.get_config())
    assert revived.tableau == layer.tableau
    assert revived.get_config() == layer.get_config()


@pytest.mark.parametrize("spelling", ["mine.json", "./mine"])
def test_a_saved_layer_opens_no_file(spelling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.json", "mine"):
        (tmp_path / name).write_text(tableaux.get("rk4").to_json())
    config = RKResidual(dense(3)).get_config()
    with pytest.raises(TableauError, match=r"No method.*Tableau\.from_file"):
        RKResidual.from_config({**config, "tableau": spelling})
    tableau = Tableau.from_file(spelling)
    assert RKResidual(dense(3), tmp_path / spelling).tableau == tableau == tableaux.get("rk4")


def test_from_config_leaves_its_argument_alone():
    config = RKResidual(dense(3), order=4).get_config()
    copy = dict(config)
    RKResidual.from_config(config)
    assert config == copy
    assert {"layer", "tableau", "dt", "steps", "order", "require", "state"} <= set(config)


def test_clone_model():
    y = keras.Input((3,))
    model = keras.Model(y, RKResidual(dense(3), "rk8", "1/3", 2, order=8)(y))
    clone = keras.models.clone_model(model)
    assert clone.layers[1] is not model.layers[1]
    assert clone.layers[1].get_config() == model.layers[1].get_config()
    clone.set_weights(model.get_weights())
    x = normal(2, 3)
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))


def test_shapes_and_dtype_of_a_symbolic_call():
    layer = RKResidual(dense(3))
    output = layer(keras.KerasTensor((None, 7, 3)))
    assert (output.shape, output.dtype) == ((None, 7, 3), "float32")
    assert layer.compute_output_shape((None, 7, 3)) == (None, 7, 3)
