"""Models with skip connections as models with Runge-Kutta blocks."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_rk
from keras_rk import TableauError, convert_residuals
from keras_rk.layers import RKResidual, RKStack

from .keras_helpers import MODES, call_in, dense, normal, numpy, slow

layers = keras.layers
X = normal(4, 3)


def residual_network(depth=3, wrap=lambda x: x):
    y = keras.Input((3,), name="y")
    x = dense()(y)
    for n in range(depth):
        x = wrap(layers.Add(name=f"block_{n}")([x, dense(seed=n)(x)]))
    return keras.Model(y, dense(2, name="head")(x), name="network")


def convolutional(depth=2, width=4):
    """ResNet's basic blocks, with the statistics of batch normalization of one batch."""
    y = keras.Input((6, 6, 3))
    x = layers.Conv2D(width, 1)(y)
    for n in range(depth):
        h = x
        for _ in range(2):
            h = layers.Conv2D(width, 3, padding="same", use_bias=False)(layers.ReLU()(h))
            h = layers.BatchNormalization(momentum=0.0)(h)
        x = layers.ReLU(name=f"out_{n}")(layers.Add(name=f"block_{n}")([h, x]))
    model = keras.Model(y, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    model(normal(8, 6, 6, 3, seed=1), training=True)
    return model


IMAGES = normal(8, 6, 6, 3, seed=1)
NETWORKS = {"dense": (residual_network, X), "convolutional": (convolutional, IMAGES)}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make, x", NETWORKS.values(), ids=NETWORKS)
def test_euler_gives_the_outputs_bit_for_bit(make, x, mode):
    model = make()
    euler, _ = convert_residuals(model, "euler")
    np.testing.assert_array_equal(numpy(call_in(mode, model, x)), numpy(call_in(mode, euler, x)))


@pytest.mark.parametrize("block", ["block_0", *slow("block_1")])
def test_dropping_a_block_moves_the_outputs(block):
    """So the test before can fail: in a calibrated network every branch matters."""
    model = convolutional()
    dropped, _ = convert_residuals(model, "euler", dt={block: 1e-30, "*": 1})
    expected, found = numpy(model(IMAGES)), numpy(dropped(IMAGES))
    assert np.abs(found - expected).max() > 0.05 * np.abs(expected).max()


def test_two_half_steps_of_euler():
    model = residual_network(depth=1)
    halves, report = convert_residuals(model, "euler", dt="1/2", steps=2)
    first, f, head = model.layers[1], model.layers[2], model.layers[-1]
    x = first(X)
    for _ in range(2):
        x = x + 0.5 * f(x)
    np.testing.assert_allclose(numpy(halves(X)), numpy(head(x)), rtol=1e-5, atol=1e-6)
    assert report.evaluations_before == 1
    assert report.evaluations == 2


def test_weights_are_shared():
    model = residual_network()
    converted, _ = convert_residuals(model, "euler")
    ours = {id(v) for v in converted.weights}
    assert ours == {id(v) for v in model.weights}
    model.layers[2].kernel.assign(np.zeros((3, 3)))
    np.testing.assert_array_equal(numpy(model(X)), numpy(converted(X)))


def test_weights_are_copied():
    model = residual_network()
    expected = numpy(model(X))
    converted, _ = convert_residuals(model, "euler", copy_weights=True)
    assert {id(v) for v in converted.weights}.isdisjoint({id(v) for v in model.weights})
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    np.testing.assert_array_equal(expected, numpy(converted(X)))


@pytest.mark.parametrize("copy_weights", [False, *slow(True)])
def test_the_given_model_stays_as_it_is(copy_weights, tmp_path):
    model = residual_network()
    config, summary, expected = model.get_config(), [], numpy(model(X))
    model.layers[2].trainable = False
    config = model.get_config()
    model.summary(print_fn=summary.append)
    convert_residuals(model, "rk4", copy_weights=copy_weights)
    after = []
    model.summary(print_fn=after.append)
    assert after == summary
    assert model.get_config() == config
    np.testing.assert_array_equal(numpy(model(X)), expected)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(X)), expected, rtol=1e-6)


def test_blocks_have_the_names_of_the_sums():
    converted, report = convert_residuals(residual_network())
    assert [type(converted.get_layer(f"block_{n}")) for n in range(3)] == [RKResidual] * 3
    assert [one.name for one in report.converted] == ["block_0", "block_1", "block_2"]
    assert converted.name == "network"


def test_names_and_structures_of_inputs_and_outputs_stay():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    x = layers.Add(name="first")([a, dense()(a)])
    y = layers.Add(name="second")([b, dense()(b)])
    model = keras.Model({"a": a, "b": b}, {"p": x, "q": [y, x * y]})
    converted, _ = convert_residuals(model, "euler")
    assert converted.output_names == model.output_names
    assert keras.tree.map_structure(lambda t: t.name, converted.input) == {"a": "a", "b": "b"}
    given = {"a": ops.convert_to_tensor(X), "b": ops.convert_to_tensor(2 * X)}
    ours, theirs = converted(given), model(given)
    keras.tree.assert_same_structure(ours, theirs)
    for one, other in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))


def test_frozen_layers_stay_frozen():
    model = residual_network()
    model.layers[2].trainable = False
    converted, _ = convert_residuals(model)
    assert [v.path for v in converted.trainable_weights] == [
        v.path for v in model.trainable_weights
    ]
    assert not model.layers[2].trainable


def test_a_frozen_model_stays_frozen():
    model = residual_network()
    model.trainable = False
    model.layers[2].trainable = True
    converted, _ = convert_residuals(model)
    assert not converted.trainable
    assert converted.trainable_weights == []
    assert [layer.trainable for layer in model.layers[1:4]] == [False, True, False]
    assert not model.trainable


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_dtype_policies_stay(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = residual_network()
    finally:
        keras.config.set_dtype_policy(before)
    converted, _ = convert_residuals(model, "euler")
    assert converted.get_layer("block_0").dtype_policy.name == policy
    expected, found = model(X), converted(X)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(numpy(found), numpy(expected))


def embedding_network(add):
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(tokens)
    for _ in range(2):
        h = layers.LayerNormalization()(x)
        x = add(x, layers.MultiHeadAttention(2, 2)(h, h))
    return keras.Model(tokens, layers.GlobalAveragePooling1D()(x))


TOKENS = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 1, 2]], "int32")


@pytest.mark.parametrize("tableau", [*slow("euler"), "heun2"])
def test_masks_reach_f_and_what_follows(tableau):
    model = embedding_network(lambda x, f: layers.Add()([x, f]))
    converted, report = convert_residuals(model, tableau)
    assert len(report.converted) == 2
    ours = numpy(converted(TOKENS))
    if tableau == "euler":
        np.testing.assert_array_equal(numpy(model(TOKENS)), ours)
    embeddings = model.layers[1].embeddings  # what stands for padding does not matter
    embeddings.assign(ops.concatenate([100 * ops.ones((1, 4)), embeddings[1:]], axis=0))
    np.testing.assert_allclose(numpy(converted(TOKENS)), ours, rtol=1e-5, atol=1e-6)


def test_a_mask_that_the_sum_drops_stays_dropped():
    model = embedding_network(lambda x, f: x + f)
    converted, report = convert_residuals(model, "euler")
    assert len(report.converted) == 1
    assert "mask" in report.kept[0].reason
    np.testing.assert_array_equal(numpy(model(TOKENS)), numpy(converted(TOKENS)))


def test_an_explicit_mask_is_a_side_input():
    y, m = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    lstm = layers.LSTM(3, return_sequences=True)
    model = keras.Model([y, m], y + lstm(y, mask=m))
    _, report = convert_residuals(model, allow_none=True)
    assert "a side input" in report.kept[0].reason


class TestModelsInside:
    def inner(self):
        y = keras.Input((3,))
        return keras.Model(y, layers.Add(name="sum")([y, dense()(y)]), name="inner")

    def test_siamese_use_keeps_working(self):
        inner = self.inner()
        a, b = keras.Input((3,)), keras.Input((3,))
        model = keras.Model([a, b], layers.Dot(1)([inner(a), inner(b)]))
        euler, report = convert_residuals(model, "euler")
        assert [one.name for one in report.converted] == ["inner/sum"]
        assert len(euler.weights) == len(model.weights)
        data = [X, X[::-1].copy()]
        np.testing.assert_array_equal(numpy(model(data)), numpy(euler(data)))

    def test_in_a_sequential_model(self):
        model = keras.Sequential([keras.Input((3,)), self.inner(), dense()])
        euler, report = convert_residuals(model, "euler", blocks="sum")
        assert isinstance(euler, keras.Sequential)
        assert len(report.converted) == 1
        np.testing.assert_array_equal(numpy(model(X)), numpy(euler(X)))

    def test_two_levels_down(self):
        y = keras.Input((3,))
        middle = keras.Model(y, self.inner()(y), name="middle")
        z = keras.Input((3,))
        model = keras.Model(z, z + middle(z))
        euler, report = convert_residuals(model, "euler")
        assert [one.name for one in report.converted] == ["middle/inner/sum"]
        assert "inside F is converted" in report.kept[0].reason
        np.testing.assert_array_equal(numpy(model(X)), numpy(euler(X)))

    def test_the_one_outside_can_be_chosen(self):
        z = keras.Input((3,))
        model = keras.Model(z, layers.Add(name="outer")([z, self.inner()(z)]))
        euler, report = convert_residuals(model, "euler", blocks="outer")
        assert [one.name for one in report.converted] == ["outer"]
        np.testing.assert_array_equal(numpy(model(X)), numpy(euler(X)))


class TestSharedLayers:
    def test_one_f_twice_is_one_block_twice(self, tmp_path):
        y = x = keras.Input((3,))
        f, g = dense(), dense(seed=1)
        for _ in range(2):
            x = x + g(ops.tanh(f(x)))
        model = keras.Model(y, x)
        rk4, report = convert_residuals(model, "rk4")
        assert len(report.converted) == 2
        assert len([one for one in rk4.layers if isinstance(one, RKResidual)]) == 1
        rk4.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert len(loaded.weights) == len(rk4.weights)
        np.testing.assert_allclose(numpy(loaded(X)), numpy(rk4(X)), rtol=1e-6)

    @pytest.mark.parametrize(
        "make",
        [
            lambda x, f: (z := x + f(x)) + ops.tanh(f(z)),
            lambda x, f: f(x + f(x)),
            lambda x, f: layers.TimeDistributed(f)((x + f(x))[:, None, :]),
            lambda x, f: keras.Sequential([keras.Input((3,)), f])(x + f(x)),
            lambda x, f: x + keras.Sequential([keras.Input((3,)), f])(f(x)),
        ],
        ids=["another F", "the rest", "a wrapper", "a model", "F and a model in F"],
    )
    def test_a_layer_that_is_shared_otherwise_is_kept(self, make):
        y = keras.Input((3,))
        model = keras.Model(y, make(y, dense(name="mine")))
        same, report = convert_residuals(model, allow_none=True)
        assert same is model
        assert report.kept
        assert all("'mine' inside F is called elsewhere" in one.reason for one in report.kept)

    def test_a_selection_does_not_tear_a_shared_f_apart(self):
        y = x = keras.Input((3,))
        f = dense()
        for n in range(2):
            x = layers.Add(name=f"sum_{n}")([x, f(x)])
        with pytest.raises(ValueError, match="called elsewhere"):
            convert_residuals(keras.Model(y, x), blocks="sum_0")

    def test_layers_without_weights_may_be_shared(self, tmp_path):
        relu = layers.ReLU()
        model = residual_network(wrap=relu)
        converted, report = convert_residuals(model)
        assert len(report.converted) == 3
        converted.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(numpy(loaded(X)), numpy(converted(X)), rtol=1e-6)

    def test_one_block_has_one_method(self):
        y = x = keras.Input((3,))
        f = dense()
        for n in range(2):
            x = layers.Add(name=f"sum_{n}")([x, f(x)])
        with pytest.raises(ValueError, match="one block with one method"):
            convert_residuals(keras.Model(y, x), {"sum_0": "euler", "sum_1": "rk4"})


class TestSelection:
    @pytest.mark.parametrize(
        "blocks, expected",
        [
            ("block_1", [1]),
            (["block_0", "block_2"], [0, 2]),
            ("block_[12]", [1, 2]),
            (lambda block: block.name > "block_0", [1, 2]),
            (lambda block: block.parameters == 12 and block.shape == (None, 3), [0, 1, 2]),
            (lambda block: block.layers[0].name.startswith("dense"), [0, 1, 2]),
        ],
    )
    def test_blocks(self, blocks, expected):
        _, report = convert_residuals(residual_network(), blocks=blocks)
        assert [one.name for one in report.converted] == [f"block_{n}" for n in expected]
        assert {one.reason for one in report.kept} <= {"not selected"}

    def test_tableaux_by_name(self):
        new, report = convert_residuals(
            residual_network(), {"block_0": "heun2", "block_[01]": "rk4"}, dt={"*_1": 2, "*": 0.5}
        )
        assert new.get_layer("block_0").tableau.name == "heun2"
        assert new.get_layer("block_1").tableau.name == "rk4"
        assert [new.get_layer(f"block_{n}").dt for n in range(2)] == [0.5, 2]
        assert [(one.name, one.reason) for one in report.kept] == [("block_2", "not selected")]

    def test_tableaux_by_a_function(self):
        _, report = convert_residuals(
            residual_network(), lambda block: "rk4" if block.name == "block_1" else "heun2"
        )
        assert [one.tableau for one in report.converted] == ["heun2", "rk4", "heun2"]
        assert report.evaluations == 2 + 4 + 2

    def test_a_tableau_as_a_dictionary_is_one(self):
        tableau = keras_rk.tableaux.get("heun2").to_dict()
        _, report = convert_residuals(residual_network(), tableau)
        assert [one.evaluations for one in report.converted] == [2] * 3

    def test_options_go_to_the_layers(self):
        new, _ = convert_residuals(residual_network(), "bogacki_shampine32", error_estimate=True)
        assert new.get_layer("block_0").error_estimate


BAD = {
    # name: the model, further arguments, the error, what it says
    "no model": (lambda: dense(), {}, "functional model.*Received: .*Dense"),
    "a class": (lambda: keras.Model, {}, "functional model.*Received"),
    "not built": (lambda: keras.Sequential([dense()]), {}, "not built: call it"),
    "nothing": (lambda: residual_network(0), {}, "no residual connection.*adds nothing"),
    "a name": (residual_network, {"blocks": "block_9"}, "'block_0', 'block_1'.*'block_9'"),
    "no names": (residual_network, {"blocks": []}, r"`blocks` is None.*\[\]"),
    "a number": (residual_network, {"blocks": 3}, "`blocks` is None.*3"),
    "none chosen": (residual_network, {"blocks": lambda block: False}, "block_0: not selected"),
    "a tableau's name": (
        residual_network,
        {"tableau": {"block_9": "rk4"}},
        "`tableau` names.*'block_9'",
    ),
    "no dt": (residual_network, {"dt": {"block_0": 1}}, "needs an entry.*none for 'block_1'"),
    "dt": (residual_network, {"dt": 0}, "`dt` must be a finite number other than zero"),
    "steps": (residual_network, {"steps": 0}, "`steps` must be an integer"),
    "another word": (residual_network, {"method": "rk4"}, "tableau"),
    "states": (residual_network, {"return_states": True}, "takes steps.*Received: return_states"),
    "verbose": (residual_network, {"verbose": "loud"}, "`verbose` must be"),
    "stacks": (residual_network, {"stacks": 1}, "`stacks` must be True or False"),
}


@pytest.mark.parametrize("make, arguments, message", BAD.values(), ids=BAD)
def test_bad_input_is_refused(make, arguments, message):
    model = make()
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        convert_residuals(model, **arguments)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.f = dense()

    def call(self, y):
        return y + self.f(y)


def test_a_subclassed_model_is_refused():
    model = Subclassed()
    model(X)
    with pytest.raises(ValueError, match=r"subclass Subclassed.*in its code: write `RKResidual`"):
        convert_residuals(model)


@pytest.mark.parametrize(
    "tableau", ["backward_euler", ([[0.5]], [1]), {"block_1": ([[0.5]], [1]), "*": "rk4"}]
)
def test_implicit_tableaux_are_refused_before_anything_is_built(tableau, monkeypatch):
    model = residual_network()
    monkeypatch.setattr(keras.Model, "__init__", lambda *args, **kwargs: pytest.fail("built"))
    with pytest.raises(TableauError):
        convert_residuals(model, tableau)


def test_a_name_that_cannot_be_converted_gets_the_reason():
    y = keras.Input((3,))
    x = layers.Add(name="wide")([y, dense()(y), dense()(y)])
    with pytest.raises(ValueError, match=r"'wide', which cannot be converted: a sum of 3 terms"):
        convert_residuals(keras.Model(y, x + dense()(x)), blocks="wide")


def test_a_converted_model_comes_back_unchanged():
    model, _ = convert_residuals(residual_network(), "rk4")
    again, report = convert_residuals(model, "heun2")
    assert again is model
    assert report.converted == ()


def test_a_model_without_skip_connections_may_come_back():
    model = residual_network(0)
    same, report = convert_residuals(model, allow_none=True)
    assert same is model
    assert str(report) == "network: 0 of 0 sums converted"


class Custom(keras.Model):
    """A functional model with a class of its own."""

    def greeting(self):
        return "hello"


def test_the_class_of_a_model_stays():
    plain = residual_network()
    model = Custom(plain.input, plain.output)
    converted, _ = convert_residuals(model, "euler")
    assert converted.greeting() == "hello"
    np.testing.assert_array_equal(numpy(model(X)), numpy(converted(X)))


@pytest.mark.parametrize("copy_weights", [False, *slow(True)])
def test_a_compiled_model_comes_back_compiled_and_trains(copy_weights):
    model = residual_network()
    model.compile(keras.optimizers.SGD(0.25), "mse", metrics=["mae"])
    converted, _ = convert_residuals(model, "heun2", copy_weights=copy_weights)
    assert converted.optimizer is not model.optimizer
    assert float(numpy(converted.optimizer.learning_rate)) == 0.25
    before = [numpy(v).copy() for v in converted.trainable_weights]
    converted.fit(X, np.zeros((4, 2)), epochs=1, verbose=0)
    assert all(
        not np.array_equal(numpy(v), old)
        for v, old in zip(converted.trainable_weights, before, strict=True)
    )


def test_statistics_start_from_the_trained_ones_and_are_recalibrated():
    model = convolutional(1)
    rk4, _ = convert_residuals(model, "heun2", copy_weights=True)
    block = rk4.get_layer("block_0")
    trained = [numpy(v) for v in model.layers[4].non_trainable_variables]
    others = [numpy(v) for v in block.statistics.weights[:2]]
    for one, other in zip(trained, others, strict=True):
        np.testing.assert_array_equal(np.broadcast_to(one, other.shape), other)
    keras_rk.recalibrate(rk4, IMAGES, batch_size=8, verbose=0)
    np.testing.assert_allclose(
        numpy(rk4(IMAGES)), numpy(rk4(IMAGES, training=True)), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("tableau", [*slow("euler"), "heun2"])
def test_a_converted_model_is_saved_and_loaded(tableau, tmp_path):
    model = convolutional(1)
    model.save(tmp_path / "given.keras")
    model = keras.saving.load_model(tmp_path / "given.keras")
    converted, _ = convert_residuals(model, tableau)
    converted.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded(IMAGES)), numpy(converted(IMAGES)))


class TestStacks:
    @pytest.mark.parametrize("tableau", ["euler", *slow("rk4")])
    @pytest.mark.parametrize("make, x", NETWORKS.values(), ids=NETWORKS)
    def test_outputs_are_those_without(self, make, x, tableau):
        model = make()
        single, _ = convert_residuals(model, tableau)
        stacked, report = convert_residuals(model, tableau, stacks=True)
        stacks = [layer for layer in stacked.layers if isinstance(layer, RKStack)]
        assert [stack.depth for stack in stacks] == [len(report.converted)]
        np.testing.assert_allclose(numpy(stacked(x)), numpy(single(x)), rtol=1e-5, atol=1e-5)

    def transformer(self, depth=3):
        y = x = keras.Input((5, 4))
        for _ in range(depth):
            h = layers.LayerNormalization()(x)
            x = x + layers.MultiHeadAttention(2, 2)(h, h)
            h = layers.LayerNormalization()(x)
            x = x + layers.Dense(4)(layers.Dense(8, activation="gelu")(h))
        return keras.Model(y, layers.GlobalAveragePooling1D()(x))

    def test_the_layers_of_an_encoder_become_one_stack(self):
        model = self.transformer(2)
        stacked, report = convert_residuals(model, "heun2", stacks=True)
        single, _ = convert_residuals(model, "heun2")
        (stack,) = [layer for layer in stacked.layers if isinstance(layer, RKStack)]
        assert (stack.depth, len(report.converted)) == (2, 4)
        assert {one.layer for one in report.converted} == {stack.name}
        x = normal(2, 5, 4)
        np.testing.assert_allclose(numpy(stacked(x)), numpy(single(x)), rtol=1e-5, atol=1e-5)

    def test_step_sizes_may_differ(self):
        new, _ = convert_residuals(
            residual_network(), "heun2", {"block_1": "1/2", "*": 1}, stacks=True
        )
        (stack,) = [layer for layer in new.layers if isinstance(layer, RKStack)]
        assert stack.dt == (1, "1/2", 1)

    def test_other_methods_and_kinds_are_not_stacked(self):
        new, _ = convert_residuals(
            residual_network(4), {"block_0": "rk4", "*": "heun2"}, stacks=True
        )
        kinds = [type(new.get_layer(name)) for name in ("block_0", "block_3")]
        assert kinds == [RKResidual, RKStack]
        assert new.get_layer("block_3").depth == 3

    def test_states_between_that_are_used_end_a_stack(self):
        y = x = keras.Input((3,))
        states = []
        for n in range(4):
            x = x + dense(seed=n)(x)
            states.append(x)
        model = keras.Model(y, [states[1], states[3]])
        new, _ = convert_residuals(model, "euler", stacks=True)
        stacks = [layer.depth for layer in new.layers if isinstance(layer, RKStack)]
        assert stacks == [2, 2]
        for one, other in zip(model(X), new(X), strict=True):
            np.testing.assert_allclose(numpy(other), numpy(one), rtol=1e-6)

    def test_a_sum_that_is_kept_begins_a_row(self):
        y = keras.Input((3,))
        x = layers.ReLU()(layers.Add()([dense()(y), dense()(y)]))
        for n in range(2):
            x = layers.ReLU()(x + dense(seed=n)(x))
        new, _ = convert_residuals(keras.Model(y, x), "euler", stacks=True)
        assert [one.depth for one in new.layers if isinstance(one, RKStack)] == [2]

    @pytest.mark.slow
    def test_stacks_are_saved_and_loaded(self, tmp_path):
        new, _ = convert_residuals(self.transformer(2), "heun2", stacks=True)
        new.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        x = normal(2, 5, 4)
        np.testing.assert_array_equal(numpy(loaded(x)), numpy(new(x)))

    def test_frozen_blocks_are_of_another_kind(self):
        model = residual_network(4)
        for n in (2, 3):
            model.layers[2 * n + 2].trainable = False  # layers: input, dense, then f and sum
        new, _ = convert_residuals(model, "euler", stacks=True)
        depths = [layer.depth for layer in new.layers if isinstance(layer, RKStack)]
        assert depths == [2, 2]
        counts = [sum(np.prod(v.shape) for v in one.trainable_weights) for one in (new, model)]
        assert counts[0] == counts[1]
