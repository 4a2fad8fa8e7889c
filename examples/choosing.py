"""The measurements behind choosing.md: orders that show, where steps are stable, sizes of errors.

    python examples/choosing.py activations
    python examples/choosing.py stability
    python examples/choosing.py steepness
    python examples/choosing.py errors

In float64, on TensorFlow: on JAX Keras takes tanh in float32, so that no order shows for it. The
first takes about a minute, the others some seconds.
"""

from __future__ import annotations

import argparse
import math
import os

os.environ.setdefault("JAX_ENABLE_X64", "1")  # before JAX is imported
import keras
import numpy as np

import keras_rk
from keras_rk.diagnostics import lipschitz
from keras_rk.layers import RKResidual

keras.config.set_floatx("float64")

WIDTH, POINTS, SEED = 8, 2000, 0
ACTIVATIONS = ("tanh", "silu", "softplus", "elu", "relu", "leaky_relu", "selu", "hard_tanh")
BY_INTERVAL = ("euler", "heun2", "rk4", "dormand_prince54", "ssprk104")
BY_NORM = ("fehlberg54", "cash_karp54", "dormand_prince54", "tsitouras54", "bogacki_shampine54")


def field(activation: str | None, kernel: np.ndarray, bias: np.ndarray) -> keras.layers.Layer:
    """f(y) = activation(y W + b)."""
    layer = keras.layers.Dense(len(bias), activation=activation)
    layer.build((None, len(bias)))
    layer.set_weights([kernel, bias])
    return layer


def flow(f: keras.layers.Layer, method: str, steps: int, x: np.ndarray) -> np.ndarray:
    """y at t = 1 by so many steps."""
    layer = RKResidual(f, method, dt=1 / steps, steps=steps)
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    return model.predict(x, batch_size=len(x), verbose=0)


def random_network(activation: str) -> tuple[keras.layers.Layer, np.ndarray]:
    draw = np.random.default_rng(SEED)
    kernel = 2 * draw.normal(size=(WIDTH, WIDTH)) / math.sqrt(WIDTH)
    return field(activation, kernel, draw.normal(size=WIDTH)), draw.normal(size=(POINTS, WIDTH))


def distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((x - y) ** 2)))


def show(*rows: tuple[str, ...]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]))


def activations() -> None:
    """RK4: log2 of the ratio of errors, with steps halved and halved again."""
    counts = (32, 64, 128)
    rows = [("activation", *(f"error, {n} steps" for n in counts), "order")]
    for name in ACTIVATIONS:
        f, x = random_network(name)
        limit = flow(f, "rk4", 8 * counts[-1], x)
        errors = [distance(flow(f, "rk4", n, x), limit) for n in counts]
        order = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
        rows.append((name, *(f"{error:.1e}" for error in errors), f"{order:.1f}"))
    show(*rows)


def stability() -> None:
    """y' = -L y: the size of y after 200 steps just inside the real interval, and just outside."""
    rows = [("method", "real interval", "|y| at 0.99 of it", "|y| at 1.01")]
    for name in BY_INTERVAL:
        end = keras_rk.analyse(name).real_interval
        sizes = []
        for share in (0.99, 1.01):
            f = field(None, np.array([[-share * end]]), np.zeros(1))
            layer = RKResidual(f, name, dt=1.0, steps=200)
            y = keras.Sequential([keras.Input((1,)), layer]).predict(np.ones((1, 1)), verbose=0)
            sizes.append(abs(y.item()))
        rows.append((name, f"{end:.4f}", *(f"{size:.1e}" for size in sizes)))
    show(*rows)


def steepness() -> None:
    """dt times a Lipschitz constant of f, beside the stability interval of the method."""
    f, x = random_network("tanh")
    for dt in (0.5, 2.0):
        model = keras.Sequential([keras.Input((WIDTH,)), RKResidual(f, "rk4", dt=dt)])
        print(f"dt = {dt}\n{lipschitz(model, x, verbose=0)}\n")


def errors() -> None:
    """Pairs of order 5, 16 steps: errors beside the error norm, both relative to the first one."""
    f, x = random_network("tanh")
    limit = flow(f, "rk8", 256, x)
    found = [(name, distance(flow(f, name, 16, x), limit)) for name in BY_NORM]
    norms = [keras_rk.analyse(name).error_norm for name in BY_NORM]
    rows = [("method", "stages", "error norm", "error", "norm / first", "error / first")]
    for (name, error), norm in zip(found, norms, strict=True):
        stages = str(keras_rk.tableaux.get(name).stages)
        ratios = norm / norms[0], error / found[0][1]
        rows.append((name, stages, f"{norm:.2e}", f"{error:.2e}", *(f"{x:.3f}" for x in ratios)))
    show(*rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs = {job.__name__: job for job in (activations, stability, steepness, errors)}
    parser.add_argument("what", choices=jobs)
    jobs[parser.parse_args().what]()


if __name__ == "__main__":
    main()
