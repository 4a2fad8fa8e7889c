"""with_method: other integrators, the same weights."""

import keras
import numpy as np
import pytest

from keras_rk import Tableau, TableauError, with_method
from keras_rk.layers import RKResidual, RKStack
from keras_rk.models.inner_layers import method_layers
from tests.keras_helpers import dense, normal, numpy, slow

X = normal(5, 3)


def residual(f=None, tableau="rk4", dt="1/2", **kwargs):
    return RKResidual(f or dense(3), tableau, dt, **{"name": "block", **kwargs})


def stack(f=None, tableau="rk4", dt="1/2", **kwargs):
    return RKStack(f or dense(3), 2, tableau, dt, **{"name": "block", **kwargs})


def normalized():
    return keras.Sequential([dense(3), keras.layers.BatchNormalization()])


def sequential(layer):
    return keras.Sequential([keras.Input((3,)), layer, dense(2, seed=1)])


def functional(layer):
    y = keras.Input((3,))
    return keras.Model(y, dense(2)(layer(keras.layers.BatchNormalization()(y))))


def in_nested_model(layer):
    return keras.Sequential([keras.Input((3,)), sequential(layer), dense(2)])


def in_time_distributed(layer):
    return keras.Sequential([keras.Input((1, 3)), keras.layers.TimeDistributed(layer)])


def in_residual(layer):
    return sequential(residual(layer, name="outer"))


def in_stack(layer):
    return sequential(stack(layer, name="outer"))


def after_blocks(layer):
    return sequential(stack(after=layer, name="outer"))


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Configured(keras.Model):
    """A subclass that can be made again from its configuration."""

    def __init__(self, block, **kwargs):
        super().__init__(**kwargs)
        self.blocks = {"only": [block]}

    def build(self, input_shape):
        if not self.blocks["only"][0].built:
            self.blocks["only"][0].build(input_shape)

    def call(self, y):
        return self.blocks["only"][0](y)

    def get_config(self):
        block = keras.saving.serialize_keras_object(self.blocks["only"][0])
        return {**super().get_config(), "block": block}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("block")), **config)


def in_subclass(layer):
    model = Configured(layer)
    model.build((None, 3))
    return model


AROUND = [
    sequential,
    functional,
    in_residual,
    in_subclass,
    *slow(in_stack, in_nested_model, in_time_distributed, after_blocks),
]


def trained(model):
    """The same model with weights and statistics that are not their initial values."""
    for place, variable in enumerate(model.variables):
        if "float" in keras.backend.standardize_dtype(variable.dtype):
            values = normal(*variable.shape, seed=place)
            variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else 0.3 * values)
    return model


def output(model):
    over_time = isinstance(model.layers[0], keras.layers.TimeDistributed)
    return numpy(model(X[:, None] if over_time else X))


@pytest.mark.parametrize("make", [residual, stack])
@pytest.mark.parametrize("around", AROUND)
def test_equals_a_model_built_that_way(around, make):
    model = trained(around(make(normalized())))
    before = model.get_weights()
    changed = with_method(model, "heun2", dt=0.25)
    expected = around(make(normalized(), "heun2", 0.25, name="block"))
    others = [x for x in method_layers(changed, templates=True) if x.name == "outer"]
    by_hand = with_method(expected, "heun2", 0.25, blocks=["outer"] if others else None)
    assert [v.shape for v in changed.variables] == [v.shape for v in by_hand.variables]
    names = [(x.name, x.tableau.name, x.dt) for x in method_layers(changed, templates=True)]
    assert {x[1:] for x in names} == {("heun2", 0.25)}
    assert "block" in {x[0] for x in names}
    by_hand.set_weights(changed.get_weights())
    np.testing.assert_allclose(output(changed), output(by_hand), rtol=1e-6)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    trainable = zip(model.trainable_weights, changed.trainable_weights, strict=True)
    for one, other in trainable:
        assert one is not other
        np.testing.assert_array_equal(numpy(one), numpy(other))


@pytest.mark.parametrize("make", [residual, stack])
@pytest.mark.parametrize("around", AROUND)
def test_a_copy(around, make):
    model = trained(around(make(normalized(), steps=2)))
    copy = with_method(model)
    np.testing.assert_array_equal(output(model), output(copy))
    for one, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [residual, stack])
def test_substeps_converge(make):
    model = trained(sequential(make(tableau="euler", dt=1)))
    fine = output(with_method(model, "rk4", substeps=8))
    errors = [np.max(np.abs(output(with_method(model, substeps=m)) - fine)) for m in (8, 16)]
    assert errors[1] < 0.6 * errors[0] < 0.1


@pytest.mark.parametrize(
    "dt, substeps, expected",
    [
        (1, 2, "1/2"),
        (4, 2, 2),
        (0.5, 4, 0.125),
        (0.1, 2, 0.05),
        (0.1, 3, "3602879701896397/108086391056891904"),
        ("1/10", 2, "1/20"),
        ("sqrt(2)", 2, "sqrt(2)/2"),
        (-1.5, 1, -1.5),
    ],
)
def test_dt_is_divided_exactly(dt, substeps, expected):
    layer = with_method(sequential(residual(dt=dt, steps=3)), substeps=substeps).layers[0]
    assert layer.steps == 3 * substeps
    assert type(layer.dt) is type(expected)
    assert layer.dt == expected


def test_a_step_for_each_block():
    model = sequential(RKStack(dense(3), 3, "rk4", [0.5, "1/3", 2], name="block"))
    assert with_method(model, substeps=2).layers[0].dt == (0.25, "1/6", 1)
    given = with_method(model, dt=[1, "1/2", 0.1], substeps=2).layers[0]
    assert given.dt == ("1/2", "1/4", 0.05)
    with pytest.raises(ValueError, match="one for each block"):
        with_method(model, dt=[1, 2])


def two_blocks():
    f = keras.Sequential([dense(3), keras.layers.BatchNormalization()])
    return keras.Sequential([keras.Input((3,)), residual(name="one"), stack(f, name="two")])


@pytest.mark.parametrize("choose", [lambda m: ["two"], lambda m: [m.layers[1]], lambda m: "two"])
def test_blocks_by_name_or_as_layers(choose):
    model = two_blocks()
    changed = with_method(model, "euler", blocks=choose(model))
    assert [layer.tableau.name for layer in changed.layers] == ["rk4", "euler"]


@pytest.mark.parametrize("block", ["three", 5, residual(name="other"), residual(name="one")])
def test_unknown_blocks(block):
    with pytest.raises(ValueError, match=r"There are: 'one', 'two'\. Received: "):
        with_method(two_blocks(), "euler", blocks=[block])


def test_statistics_start_from_the_nearest_evaluation():
    model = trained(sequential(residual(normalized(), "midpoint")))
    rk4 = with_method(model, "rk4", dt="1/4", substeps=2).layers[0]
    old = model.layers[0]
    first, second = numpy(old.layer.layers[1].moving_mean), numpy(old.statistics.weights[0])[0]
    now = numpy(rk4.statistics.weights[0])
    np.testing.assert_array_equal(now, [first, second, second, first, first, second, second])


def means(layer):
    """The moving means of an RKResidual in an RKResidual, along two axes of evaluations."""
    inner, norm = layer.layer, layer.layer.layer.layers[1]
    further = [numpy(w) for w in layer.statistics.weights if "moving_mean" in w.name]
    of_first = np.concatenate([numpy(norm.moving_mean)[None], numpy(inner.statistics.weights[0])])
    shared, apart = sorted(further, key=np.ndim)
    return np.concatenate([of_first[None], np.concatenate([shared[:, None], apart], axis=1)])


def test_statistics_of_layers_inside_start_from_the_nearest_evaluations():
    inner = residual(normalized(), "midpoint", name="inner")
    model = trained(sequential(residual(inner, "midpoint", name="outer")))
    old = means(model.layers[0])
    assert old.shape == (2, 2, 3)
    refined_inside = means(with_method(model, "rk4", blocks="inner").layers[0])
    np.testing.assert_array_equal(refined_inside, old[:, [0, 0, 1, 1]])
    refined_outside = means(with_method(model, "rk4", blocks="outer").layers[0])
    np.testing.assert_array_equal(refined_outside, old[[0, 0, 1, 1]])
    refined = means(with_method(model, "rk4", substeps=2).layers[0])
    np.testing.assert_array_equal(refined, old[:, [0, 0, 1, 1] * 2][[0, 0, 1, 1] * 2])


@pytest.mark.parametrize("make", [residual, stack])
def test_a_claimed_order_is_dropped(make):
    model = sequential(make(order=4, require="order"))
    changed = with_method(model, "heun2").layers[0]
    assert changed.order is None
    assert changed.require == "order"
    assert with_method(model, substeps=2).layers[0].order == 4
    with pytest.raises(TableauError, match="weights"):
        with_method(model, Tableau([[]], [2]))


@pytest.mark.parametrize("make", [residual, stack])
def test_learned_step_sizes(make):
    model = trained(sequential(make(trainable_dt="channel")))
    learned = model.layers[0].step_sizes
    halved = with_method(model, "euler", substeps=2).layers[0]
    np.testing.assert_allclose(halved.step_sizes, learned / 2, rtol=1e-6)
    assert halved.trainable_dt == "channel"
    given = with_method(model, dt=0.25).layers[0]
    np.testing.assert_allclose(given.step_sizes, np.full_like(learned, 0.25))


@pytest.mark.parametrize("make", [residual, stack])
def test_learned_coefficients(make):
    model = trained(sequential(make(trainable_tableau=True, order_penalty=(2, 0.1))))
    assert with_method(model, substeps=2).layers[0].tableau == model.layers[0].tableau
    heun = with_method(model, "heun2").layers[0]
    np.testing.assert_allclose(
        np.array(heun.tableau.b, dtype=float), np.array([0.5, 0.5]), rtol=1e-6
    )
    assert heun.trainable_tableau
    euler = with_method(model, "euler").layers[0]
    assert not euler.trainable_tableau
    assert euler.order_penalty is None


@pytest.mark.parametrize("make", [residual, stack])
def test_error_estimates(make):
    layer = make(tableau="dormand_prince54", error_estimate=True, error_weight=0.1)
    model = trained(sequential(layer))
    assert not with_method(model, "rk4").layers[0].error_estimate
    assert with_method(model, "bogacki_shampine32").layers[0].error_weight == 0.1


def test_frozen_layers_stay_frozen_and_the_copy_is_compiled():
    model = sequential(residual(normalized()))
    model.layers[0].layer.layers[1].trainable = False
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    changed = with_method(model, "heun2")
    assert changed.compiled
    assert not changed.layers[0].layer.layers[1].trainable
    assert not changed.layers[1].trainable
    assert len(changed.trainable_weights) == len(model.trainable_weights)
    changed.compile("sgd", "mse")
    changed.fit(X, np.zeros((5, 2)), verbose=0)


def test_single_weights_stay_frozen():
    model = keras.Sequential([keras.Input((3,)), residual(name="one"), stack(name="two")])
    model.layers[0].layer.kernel.trainable = False
    model.layers[1].weights[0].trainable = False
    changed = with_method(model, "dormand_prince54")
    assert [w.name for w in changed.trainable_weights] == ["bias", "layer_1_bias"]


def test_lambdas_and_further_inputs():
    y, context = keras.Input((3,)), keras.Input((3,))
    f = keras.Model([y, context], keras.layers.Lambda(lambda x: x * 0.5)(dense(3)(y)) + context)
    model = trained(keras.Model([y, context], RKResidual(f, "rk4", name="block")(y, context)))
    changed = with_method(model, dt=0.5, substeps=2)
    expected = RKResidual(f, "rk4", 0.25, 2)(X, X)
    np.testing.assert_allclose(numpy(changed([X, X])), numpy(expected), rtol=1e-5)


@pytest.mark.parametrize("make", [residual, stack])
def test_a_layer_by_itself(make):
    layer = make(normalized())
    layer(X)
    trained(layer)
    changed = with_method(layer, "heun2", substeps=2)
    assert type(changed) is type(layer)
    assert (changed.tableau.name, changed.dt, changed.steps) == ("heun2", "1/4", 2)
    np.testing.assert_array_equal(numpy(changed.weights[0]), numpy(layer.weights[0]))


class Unconfigured(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.block = residual(dense(units))

    def call(self, y):
        return self.block(y)


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class OfItsOwn(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block = residual(dense(3))

    def call(self, y):
        return self.block(y)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: "model", "a Keras model, or a layer"),
        (lambda: keras.Sequential([keras.Input((3,)), dense(3)]), "no RKResidual or RKStack"),
        (lambda: OfItsOwn(), "'block', which is not in the configuration"),
    ],
)
def test_refused_models(make, match):
    model = make()
    if not isinstance(model, str):
        model(X)
    with pytest.raises(ValueError, match=match):
        with_method(model, "heun2")


def test_a_subclass_without_configuration():
    class Local(keras.Model):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def call(self, y):
            return self.block(y)

        def get_config(self):
            raise NotImplementedError("not written")

    model = Local(residual())
    model(X)
    with pytest.raises(ValueError, match=r"need `get_config`.*not written"):
        with_method(model, "heun2")
    other = Unconfigured(3)
    other(X)
    with pytest.raises(ValueError, match="get_config"):
        with_method(other, "heun2")


@pytest.mark.parametrize("substeps", [0, -1, 1.5, True])
def test_refused_substeps(substeps):
    with pytest.raises(ValueError, match="`substeps` must be an integer"):
        with_method(sequential(residual()), substeps=substeps)
