"""Masks of y and of further inputs reach every evaluation of f."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.diagnostics.passages import passages
from keras_rk.field.masks import masks_of, with_masks
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import MODES, call_in, gradients, normal, numpy

IDS = np.array([[1, 2, 0, 0], [3, 0, 4, 0]])
LAYERS = {
    "one step": lambda f: RKResidual(f, "heun2", 0.5),
    "steps": lambda f: RKResidual(f, "heun2", 0.5, steps=2),
    "remat of stages": lambda f: RKResidual(f, "heun2", 0.5, remat="stage"),
    "remat of steps": lambda f: RKResidual(f, "heun2", 0.5, steps=2, remat="step"),
    "stack": lambda f: RKStack(f, 2, "heun2", 0.5, seed=0),
    "stack, remat": lambda f: RKStack(f, 2, "heun2", 0.5, seed=0, remat="step"),
}
wrapped = pytest.mark.parametrize("wrapper", LAYERS)


def pooled():
    """y + the mean of c over what is not masked, as a model of two inputs."""
    y, c = keras.Input((4, 3)), keras.Input((4, 3))
    mean = keras.layers.GlobalAveragePooling1D(keepdims=True)(c)
    return keras.Model([y, c], keras.layers.Add()([y, mean]))


@keras.saving.register_keras_serializable(package="test_masks")
class Attention(keras.layers.Layer):
    """An attention of y to c, which knows of masks only what Keras puts on tensors."""

    def __init__(self, kind="MultiHeadAttention", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind
        arguments = {"MultiHeadAttention": (1, 3), "GroupQueryAttention": (3, 2, 1)}.get(kind, ())
        self.inner = getattr(keras.layers, kind)(*arguments)
        self.supports_masking = True

    def build(self, *shapes, **more):
        if "Head" in self.kind or "Group" in self.kind:
            self.inner.build((None, 4, 3), (None, 4, 3))
        self.built = True

    def call(self, y, c):
        return self.inner([y, c]) if self.kind == "Attention" else self.inner(y, c)

    def compute_output_shape(self, y_shape, *others):
        return y_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


@keras.saving.register_keras_serializable(package="test_masks")
class Named(keras.layers.Layer):
    """y + the sum of what is not masked in `context`, of which each part has a mask of its own."""

    def call(self, y, context, context_mask=None):
        parts, masks = keras.tree.flatten(context), keras.tree.flatten(context_mask)
        for part, mask in zip(parts, masks, strict=True):
            if mask is not None:
                part = part * ops.cast(mask, "float32")[..., None]
            y = y + ops.sum(part, axis=1, keepdims=True)
        return y

    def compute_output_shape(self, y_shape, *others, **more):
        return y_shape


FIELDS = {
    "model": pooled,
    "multi-head": Attention,
    "grouped": lambda: Attention("GroupQueryAttention"),
    "attention": lambda: Attention("Attention"),
    "argument": Named,
}


def network(layer, number=1):
    """A model that calls a layer with y and a context that is padded where the numbers are 0."""
    y, ids = keras.Input((4, 3)), keras.Input((4,), dtype="int32")
    embedding = keras.layers.Embedding(5, 3, mask_zero=True, name="embedding")
    context, out = embedding(ids), y
    for one in [layer] if number == 1 else layer:
        out = one(out, context)
    return keras.Model([y, ids], out)


def paddings(model, run):
    """What the model returns for two paddings."""
    weights = normal(5, 3, seed=2)
    found = []
    for padding in (0.0, 50.0):
        weights[0] = padding
        model.get_layer("embedding").set_weights([weights])
        found.append(numpy(run(model, [normal(2, 4, 3), IDS])))
    return found


def eagerly(model, inputs):
    return model([ops.convert_to_tensor(x) for x in inputs])


def compiled(model, inputs):
    return model.predict(inputs, verbose=0)


@wrapped
@pytest.mark.parametrize("f", FIELDS)
def test_padding_does_not_matter(f, wrapper):
    one, other = paddings(network(LAYERS[wrapper](FIELDS[f]())), eagerly)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@wrapped
@pytest.mark.parametrize("f", ["model", "multi-head"])
def test_padding_does_not_matter_compiled(f, wrapper):
    model = network(LAYERS[wrapper](FIELDS[f]()))
    one, other = paddings(model, compiled)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one, paddings(model, eagerly)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2])
def test_it_is_the_mean_over_what_is_not_masked(steps):
    """y' = y + m with Euler: y + m doubles with each step."""
    layer = RKResidual(pooled(), "euler", steps=steps)
    y, weights = normal(2, 4, 3), normal(5, 3, seed=2)
    weights[0] = 50.0
    model = network(layer)
    model.get_layer("embedding").set_weights([weights])
    mean = np.stack([weights[[1, 2]].mean(0), weights[[3, 4]].mean(0)])[:, None]
    wanted = 2**steps * (y + mean) - mean
    np.testing.assert_allclose(numpy(model([y, IDS])), wanted, rtol=1e-5, atol=1e-5)


def test_one_block_after_another_sees_the_mask():
    """Keras's attention takes the mask off the context that all blocks have in common."""
    blocks = [RKResidual(Attention(), "euler") for _ in range(2)]
    one, other = paddings(network(blocks, number=2), eagerly)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_keras_takes_the_mask_off():
    """What Keras 3.15 does; if it ceases to, masks need not be put on again each time."""
    attention = keras.layers.MultiHeadAttention(1, 3)
    model = network([attention, attention], number=2)
    one, other = paddings(model, eagerly)
    assert np.max(np.abs(one - other)) > 0.1


def test_gradients_do_not_reach_the_padding():
    layer = LAYERS["steps"](Attention())
    y, context = ops.convert_to_tensor(normal(2, 4, 3)), normal(2, 4, 3, seed=1)
    layer(y, context)

    def loss(x):
        masked = with_masks((x,), (ops.convert_to_tensor(IDS != 0),))
        return ops.sum(layer(y, *masked))

    dx, *_ = gradients(loss, layer, context)
    assert np.all(dx[IDS == 0] == 0)
    assert np.any(dx[IDS != 0] != 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wrapper", ["one step", "steps", "stack"])
def test_parts_of_one_argument_have_masks_of_their_own(wrapper, mode):
    layer = LAYERS[wrapper](Named())
    y, parts = normal(2, 4, 3), [normal(2, 4, 3, seed=1), normal(2, 4, 3, seed=2)]

    class Masking(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.layer = layer
            self.built = True

        def call(self, y, one, other, padding):
            one = keras.layers.Masking(7.0)(ops.where(padding == 0, 7.0, one))
            other = keras.layers.Masking(8.0)(ops.where(padding == 1, 8.0, other))
            return self.layer(y, [one, other])

    ids = np.broadcast_to(IDS[..., None], (2, 4, 3)).astype("float32")
    kept = [parts[0] * (ids != 0), parts[1] * (ids != 1)]
    c = sum(part.sum(1, keepdims=True) for part in kept)
    h, wanted = 0.5, y
    for _ in range(1 if wrapper == "one step" else 2):  # y' = y + c
        wanted = wanted + (h + h**2 / 2) * (wanted + c)
    layer(y, parts)
    found = numpy(call_in(mode, Masking(), y, *parts, ids))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_masks_of_a_structure():
    x, mask = ops.ones((2, 3)), ops.ones((2,), dtype="bool")
    assert masks_of(((x, 1.0), {"training": True})) is None
    values = {"a": [x, None, 2], "b": ops.zeros((2, 3))}
    masked = with_masks(values, {"a": [mask, None, None], "b": None})
    found = masks_of(masked)
    assert found["a"][1:] == [None, None]
    assert found["b"] is None
    assert numpy(found["a"][0]).tolist() == [True, True]


def test_diagnostics_evaluate_f_with_the_mask():
    layer = LAYERS["one step"](Attention())
    model = network(layer)

    def evaluated(model, inputs):
        (passage,) = passages(model, [layer], inputs)
        return passage.field(passage.states[0], np.array([0, 1]))

    one, other = paddings(model, evaluated)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
