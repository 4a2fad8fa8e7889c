"""Learn a Runge-Kutta method together with the network that uses it, on two spirals.

    python examples/learned_method.py

Starts from two stages with c_2 = 1/3 and equal weights, a consistent method of order 1, and trains
its coefficients with all other weights: once as they come, and once with a penalty on the
conditions of order 2. Prints each method as it ended, what `keras_rk.check` says of it, and how
far it is from order 2. Takes about a minute; `--epochs` makes it longer or shorter.
"""

import argparse

import keras
from spirals import batches, paper_data

import keras_rk
from keras_rk.layers import RKStack

START = keras_rk.Tableau([[], ["1/3"]], ["1/2", "1/2"], name="start")


def network(order_penalty: tuple[int, float] | None) -> tuple[keras.Model, RKStack]:
    """A residual network of ten blocks, all of which use the same method."""
    stack = RKStack(
        keras.layers.Dense(8, activation="tanh"),
        10,
        START,
        dt=0.5,
        after=keras.layers.BatchNormalization(),
        trainable_dt=True,
        trainable_tableau=True,
        order_penalty=order_penalty,
    )
    layers = [keras.layers.Dense(8), stack, keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, stack


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    x_train, y_train, x_test, y_test = paper_data(options.seed)
    for penalty in (None, (2, 1.0)):
        keras.utils.set_random_seed(options.seed)
        model, stack = network(penalty)
        print(f"\norder_penalty={penalty}: training for {options.epochs} epochs")
        model.fit(batches(x_train, y_train, options.seed), epochs=options.epochs, verbose=0)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        report = keras_rk.check(stack.tableau)
        b, c = stack.tableau.b, stack.tableau.c
        print(f"  accuracy on the test points   {accuracy:.3f}")
        coefficients = [f"{float(x):.4f}" for x in (c[1], *b)]
        print(f"  c_2, b_1, b_2                 {', '.join(coefficients)}")
        print(f"  consistent, order             {report.consistent}, {report.order}")
        print(f"  b_2 c_2 - 1/2                 {float(b[1] * c[1]) - 0.5:+.2e}")
        sizes = stack.step_sizes
        print(f"  dt, from 0.5                  {sizes.min():.3f} to {sizes.max():.3f}")


if __name__ == "__main__":
    main()
