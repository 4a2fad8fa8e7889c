"""Models that a process with one backend saves and a process with another one loads.

`python -m tests.saved_models FOLDER` writes each model, and what it predicts, to FOLDER.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from keras_rk import Tableau, convert_residuals
from keras_rk.layers import RKResidual, RKStack

IRRATIONAL = Tableau([[], ["sqrt(2)/2"]], ["1 - sqrt(2)/2", "sqrt(2)/2"], name="irrational")


@keras.saving.register_keras_serializable(package="keras_rk_tests")
class Conditioned(keras.layers.Layer):
    """f(y, context), which cannot be built from the shape of y alone."""

    def build(self, y_shape, context_shape):
        self.from_y = keras.layers.Dense(y_shape[-1], name="from_y")
        self.from_context = keras.layers.Dense(y_shape[-1], name="from_context")
        self.from_y.build(y_shape)
        self.from_context.build(context_shape)

    def call(self, y, context):
        return keras.ops.tanh(self.from_y(y) + self.from_context(context))

    def compute_output_shape(self, y_shape, context_shape):
        return y_shape


def named():
    f = keras.layers.Dense(3, activation="tanh")
    return keras.Sequential([keras.Input((3,)), RKResidual(f, "rk8", "1/3", 2, order=8)])


def custom():
    f = keras.layers.Dense(3, activation="tanh")
    return keras.Sequential([keras.Input((3,)), RKResidual(f, IRRATIONAL, -0.1)])


def convolutional():
    f = keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Conv2D(2, 3, padding="same"),
        ]
    )
    y = keras.Input((None, None, 2))
    return keras.Model(y, RKResidual(f, "heun2", 0.5)(y))


def recurrent():
    y = keras.Input((None, 3))
    f = keras.layers.LSTM(3, return_sequences=True)
    return keras.Model(y, RKResidual(f, "midpoint")(keras.layers.Masking()(y)))


def attention():
    y = keras.Input((None, 4))
    f = keras.Model(y, keras.layers.MultiHeadAttention(2, 2)(y, y))
    return keras.Model(y, RKResidual(f, "rk4", 0.5)(y))


def conditioned():
    y, context = keras.Input((3,)), keras.Input((2,))
    return keras.Model([y, context], RKResidual(Conditioned(), "rk4")(y, context=context))


def nested():
    inner = RKResidual(keras.layers.Dense(3, activation="tanh"), "heun2")
    return keras.Sequential([keras.Input((3,)), RKResidual(inner, "rk38", "0.1", 3)])


def stacked():
    f = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])
    after = keras.layers.BatchNormalization()
    return keras.Sequential(
        [keras.Input((3,)), RKStack(f, 3, "rk4", [0.5, "1/3", -1], 2, after=after)]
    )


def with_skip_connections(stacks):
    y = x = keras.Input((6, 6, 2))
    for _ in range(2):
        h = keras.layers.Conv2D(2, 3, padding="same")(x)
        h = keras.layers.BatchNormalization()(h)
        s = keras.layers.GlobalAveragePooling2D(keepdims=True)(h)
        x = x + h * keras.layers.Conv2D(2, 1, activation="sigmoid")(s)
    return convert_residuals(keras.Model(y, x), "heun2", stacks=stacks)[0]


def converted():
    return with_skip_connections(stacks=False)


def converted_into_stacks():
    return with_skip_connections(stacks=True)


def stacked_factory():
    def make(block):
        initializer = keras.initializers.GlorotUniform(seed=block)
        return keras.layers.Dense(3, activation="tanh", kernel_initializer=initializer)

    y = keras.Input((3,))
    return keras.Model(y, RKStack(make, 3, IRRATIONAL, "0.1", return_states=True)(y))


def stacked_recurrent():
    y = keras.Input((None, 3))
    f = keras.layers.LSTM(3, return_sequences=True)
    return keras.Model(y, RKStack(f, 2, "midpoint")(keras.layers.Masking()(y)))


def stacked_conditioned():
    y, context = keras.Input((3,)), keras.Input((2,))
    return keras.Model([y, context], RKStack(Conditioned(), 2, "rk4")(y, context=context))


MODELS = {
    model.__name__: model
    for model in (
        named,
        custom,
        convolutional,
        recurrent,
        attention,
        conditioned,
        nested,
        stacked,
        stacked_factory,
        stacked_recurrent,
        stacked_conditioned,
        converted,
        converted_into_stacks,
    )
}
SHAPES = {
    "convolutional": [(2, 4, 5, 2)],
    "recurrent": [(2, 4, 3)],
    "attention": [(2, 5, 4)],
    "conditioned": [(2, 3), (2, 2)],
    "stacked_recurrent": [(2, 4, 3)],
    "stacked_conditioned": [(2, 3), (2, 2)],
    "converted": [(2, 6, 6, 2)],
    "converted_into_stacks": [(2, 6, 6, 2)],
}


def inputs(name):
    rng = np.random.default_rng(0)
    shapes = SHAPES.get(name, [(2, 3)])
    arrays = [rng.normal(size=shape).astype("float32") for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]


def main(folder):
    keras.utils.set_random_seed(1)
    for name, make in MODELS.items():
        model = make()
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        np.save(folder / f"{name}.npy", model.predict(inputs(name), verbose=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
