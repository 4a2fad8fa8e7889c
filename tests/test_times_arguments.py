"""What `dt` and `times` of a call may be."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import dense, normal, numpy
from tests.test_times import Decay


class TakesDt(keras.layers.Layer):
    def call(self, y, dt=None):
        return y

    def compute_output_shape(self, input_shape):
        return input_shape


REFUSED = {
    "both": ({}, {"dt": 0.1, "times": [0, 1]}, "Give `dt` or `times`, not both"),
    "zero": ({}, {"dt": 0}, "other than zero"),
    "no number": ({}, {"dt": float("nan")}, "other than zero"),
    "truth": ({}, {"dt": True}, "other than zero"),
    "one of zero": ({}, {"dt": [0.1, 0, 0.2]}, r"other than zero. Received: dt=\[0.1 0.  0.2\]"),
    "truths": ({}, {"dt": [True, True, False]}, "must be real numbers"),
    "word": ({}, {"times": "now"}, "must be a tensor or a list"),
    "rows": ({}, {"times": [[0, 1], [0]]}, "must be real numbers"),
    "batch of dt": ({}, {"dt": [0.1, 0.2]}, r"dt of shape \(2,\), y of shape \(3, 2\)"),
    "rank of dt": ({}, {"dt": [[[0.1]]]}, r"dt of shape \(1, 1, 1\)"),
    "batch of times": ({}, {"times": [[0, 1], [0, 1]]}, r"times of shape \(2, 2\), y of shape"),
    "rank of times": ({}, {"times": [[[0, 1]]]}, r"shape \(T,\), or \(batch, T\)"),
    "one time": ({}, {"times": [0.0]}, "at least one more"),
    "not monotone": ({}, {"times": [0, 2, 1]}, "increase, or decrease"),
    "one not": ({}, {"times": [[0, 1, 2], [0, 2, 1], [0, 1, 2]]}, "for sample 1"),
    "infinite": ({}, {"times": [0, np.inf]}, "must be finite"),
    "no interval": ({}, {"times": [[0, 1], [1, 1], [0, 1]]}, r"two different .* for sample 1"),
    "states": ({"return_states": True}, {"times": [0, 1]}, "`return_states` has no meaning"),
    "trained dt": ({"trainable_dt": True}, {"dt": 0.1}, "without `trainable_dt`"),
    "interpolate": ({}, {"interpolate": True}, "needs `times`"),
    "no truth": ({}, {"times": [0, 1], "interpolate": 1}, "must be True or False"),
    "beyond": ({}, {"times": [0, 1.5], "interpolate": True}, r"times\[0\] \+ steps \* dt"),
    "other way": ({}, {"times": [0, -0.5], "interpolate": True}, r"times\[0\] \+ steps \* dt"),
    "trained": (
        {"trainable_tableau": True},
        {"times": [0, 0.5], "interpolate": True},
        "no continuous extension",
    ),
    "channels": ({}, {"times": [0, 0.5], "dt": [[1.0, 2.0]], "interpolate": True}, "one step size"),
}


@pytest.mark.parametrize("options, call, match", REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_computed(options, call, match):
    layer = RKResidual(dense(2), "heun2", **options)
    with pytest.raises(ValueError, match=match):
        layer(normal(3, 2), **call)
    assert not layer.built


@pytest.mark.parametrize("name", ["not monotone", "no interval", "one of zero", "beyond"])
def test_values_in_tensors_are_looked_at(name):
    _, call, match = REFUSED[name]
    (word, value), *others = call.items()
    with pytest.raises(ValueError, match=match):
        RKResidual(dense(2))(normal(3, 2), **{word: ops.convert_to_tensor(value)}, **dict(others))


def test_refused_of_stacks_and_symbols():
    y, symbol = normal(3, 2), keras.Input((2,))
    with pytest.raises(ValueError, match=r"3 intervals.* needs 4 `times`"):
        RKStack(dense(2), 3)(y, times=[0, 1, 2])
    with pytest.raises(ValueError, match="only RKResidual interpolates"):
        RKStack(dense(2), 1)(y, times=[0, 1], interpolate=True)
    with pytest.raises(ValueError, match=r"needs 4 `times`"):
        RKStack(dense(2), 3)(symbol, times=keras.Input((3,)))
    with pytest.raises(ValueError, match=r"real numbers. Received: times of dtype bool"):
        RKResidual(dense(2))(symbol, times=keras.Input((3,), dtype="bool"))
    with pytest.raises(ValueError, match="one time for all channels"):
        RKResidual(Decay())(y, dt=[[0.1, 0.2]])
    with pytest.raises(TypeError, match="give the one of f another name, or pass it by position"):
        RKResidual(TakesDt())(y, dt=0.1)
    inner = RKResidual(RKResidual(keras.layers.Rescaling(1.0), "euler", 2.0), "euler")
    np.testing.assert_allclose(numpy(inner(y, dt=0.5)), y + 0.5 * 3 * y, rtol=1e-6)
