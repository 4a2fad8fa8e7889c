"""What a new user does first with the installed wheel."""

import keras
import numpy as np

import keras_rk

assert "site-packages" in keras_rk.__file__, keras_rk.__file__
assert keras_rk.check("rk4", order=4)
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(8),
        keras_rk.layers.RKResidual(keras.layers.Dense(8, activation="tanh"), "rk4", dt=0.5),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy")
x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
y = (x[:, :1] * x[:, 1:] > 0).astype("float32")
model.fit(x, y, epochs=1, verbose=0)
model.save("model.keras")
again = keras.models.load_model("model.keras")
np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
print("the wheel runs on", keras.backend.backend(), keras.__version__)
