"""Which method, which dt, how many blocks? KerasTuner searches, on any backend.

    pip install "keras-rk[tuner]"
    python examples/tuner.py                        a few minutes; results in tuner-results
    KERAS_BACKEND=jax python examples/tuner.py --trials 4 --epochs 2

Networks of RKStack tell two spirals apart. The tuner draws the method, the time T that all blocks
integrate over (each block takes a step of dt = T / depth) and the depth, trains each network, and
keeps what each reached in its folder: interrupted and called again, it goes on with the trials that
are missing. `--restart` forgets them.

A method of s stages costs s evaluations of f for each block, so the network is charged for them:
what is maximised is the accuracy on validation points less `--price` for a hundred evaluations.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from spirals import batches, two_spirals

from keras_rk import tableaux
from keras_rk.layers import RKStack

METHODS = ["euler", "heun2", "ssprk33", "rk4"]
OBJECTIVE = keras_tuner.Objective("score", "max")


def network(choices: keras_tuner.HyperParameters) -> keras.Model:
    """The network that the choices describe."""
    depth = choices.Int("depth", 4, 32, sampling="log")
    time = choices.Float("time", 0.5, 16.0, sampling="log")
    stack = RKStack(
        keras.layers.Dense(8, activation="tanh"),
        depth,
        choices.Choice("method", METHODS),
        dt=time / depth,
    )
    layers = [keras.layers.Dense(8), stack, keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


def evaluations(choices: keras_tuner.HyperParameters) -> int:
    """How often a pass through the network evaluates f."""
    return choices.get("depth") * tableaux.get(choices.get("method")).stages


class Spirals(keras_tuner.HyperModel):
    """Builds a network, trains it, and says how good it is for what it costs."""

    def __init__(self, epochs: int, price: float, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.train, self.validation = two_spirals(2000, rng), two_spirals(600, rng)
        self.epochs, self.price, self.seed = epochs, price, seed

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        keras.utils.set_random_seed(self.seed)
        return network(hp)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, **options: Any) -> Any:
        options |= {"epochs": self.epochs, "shuffle": False, "callbacks": []}
        model.fit(batches(*self.train, self.seed), **options)
        accuracy = model.evaluate(*self.validation, verbose=0, return_dict=True)["accuracy"]
        cost = evaluations(hp)
        return {"score": accuracy - self.price * cost / 100, "accuracy": accuracy, "cost": cost}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="networks to train (20)")
    parser.add_argument("--epochs", type=int, default=10, help="for each network (10)")
    parser.add_argument("--price", type=float, default=0.05, help="of 100 evaluations of f (0.05)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("tuner-results"), help="folder")
    parser.add_argument("--restart", action="store_true", help="forget what is in the folder")
    options = parser.parse_args()
    tuner = keras_tuner.RandomSearch(
        Spirals(options.epochs, options.price, options.seed),
        objective=OBJECTIVE,
        max_trials=options.trials,
        seed=options.seed,
        directory=options.output,
        project_name=f"epochs{options.epochs}-price{options.price:g}-seed{options.seed}",
        overwrite=options.restart,
    )
    done = len(tuner.oracle.trials)
    print(f"{done} of {options.trials} trials are in the folder" if done else "a new search")
    tuner.search(verbose=0)
    print("method    depth      dt  evaluations of f  accuracy  score")
    for trial in tuner.oracle.get_best_trials(options.trials):
        choices, metrics = trial.hyperparameters, trial.metrics
        depth = choices.get("depth")
        print(
            f"{choices.get('method'):8}  {depth:5}  {choices.get('time') / depth:6.3f}"
            f"  {evaluations(choices):16}  {metrics.get_best_value('accuracy'):8.3f}"
            f"  {trial.score:5.3f}"
        )


if __name__ == "__main__":
    main()
