"""Random inputs for everything that reads tableaux: nothing but `TableauError`, nothing slow.

    python -m tests.fuzz_tableaux 1000000 --seed 1

Inputs are valid texts of every format, mutated, and tokens of their grammars in random order. What
is accepted must be checked, written and read back exactly. Input i of a seed is always the same, so
that `--first i` begins with the one that failed. tests/test_fuzz.py runs a few hundred.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_rk import Tableau, TableauError, check, tableaux
from keras_rk.butcher.files import parse
from keras_rk.cli import main as command

SLOWEST = 1.0  # seconds of processor time for one input
SEEDS = (
    "euler",
    "heun3",
    "gill4",
    "fehlberg45",
    "dormand_prince54",
    "cooper_verner8",
    "tsitouras_papakostas87",
)

YAML = "# third order\nname: kutta3\nA:\n  - []\n  - [1/2]\n  - [-1, 2.0]\nb: [1/6, '2/3', 1/6]\n"
BLOCKS = "A:\n- - 0\n  - 0\n- - 1.5e-1\n  - 0\nb:\n- 0\n- 1\nclaimed_order: 1\n"
TOML = 'A = [[], ["1/2"]]\nb = [0, 1.0]\nname = "midpoint"\n[other]\nx = 1\n'
SHU_OSHER = (
    '{"alpha": [[1], ["3/4", "1/4"], ["1/3", 0, "2/3"]], "beta": [[1], [0, 0.25], [0, 0, 1]]}'
)
LOW_STORAGE = '{"A_2N": [0, "-5/9", "-153/128"], "B_2N": ["1/3", "15/16", "8/15"], "name": "w3"}'
MATRICES = (
    r"\[ A = \begin{pmatrix} 0 & 0 \\ \tfrac23 & 0 \end{pmatrix}, b^{\top} = "
    r"\begin{bmatrix} 1/4 & \frac{3}{4} \end{bmatrix}, "
    r"c=\begin{pmatrix}0\\ \sqrt{4}/3\end{pmatrix}\]"
)
LISTING = "a[2,1]=1/2 a[3,2]=sqrt(1/4) a[4,3]=1\nb[1]=1/6 b[2]=1/3 b[3]=1/3 b[4]=1/6 bhat[1]=1"
SEMICOLONS = "c;a1;a2\n0;;\n0,5;0,5;\nb;0;1\n\n"

TOKENS = (
    *"0123456789.,;:+-*/()[]{}|&\\^_%#'\"=\n\t $~√│─é\0\ufeff",
    *r"\frac \tfrac \sqrt \hline \\ \begin{array} \end{array} {c|cc} \begin{pmatrix}".split(),
    *r"\end{pmatrix} \left( \right) \cdot \hat{b} \begin \end \frac12 \sqrt[3]{2}".split(),
    *"sqrt( 1/2 1e400 1e-999 0.1 -1 inf NaN true null b_hat name claimed_order A b c".split(),
    *'alpha beta A_2N a[2,1]= bhat[1]= "A": [[], --- - "" __import__("os") 1/0 1_000'.split(),
    "9" * 5000,
    "(" * 60,
    "[" * 2000,
    "-" * 3000,
    "sqrt(2)*sqrt(3)*sqrt(5)*sqrt(7)*sqrt(11)",
    "\n  - ",
)
OPTIONS = (
    *"check list show - rk4 heun3 ono10 --json --latex --order 4 --max-order 20".split(),
    *"--tolerance 1e-3 nan --no-row-sums --format csv html c julia --version --help".split(),
    *"-1 ../x no/where mine.json".split(),
    "",
    "\0",
    "é" * 300,
    "-" * 20,
)
ENDINGS = {"json": ".json", "csv": ".csv", "latex": ".tex", "yaml": ".yml", "toml": ".toml"}


class Fault(Exception):
    """Something that should not be, though nothing was raised."""


def demand(condition: object, fault: str) -> None:
    if not condition:
        raise Fault(fault)


def corpus() -> dict[str, list[str]]:
    """Valid texts of every format; "text" stands for all of them, with drawings and listings."""
    methods = [tableaux.get(name) for name in SEEDS]
    texts = {
        "json": [SHU_OSHER, LOW_STORAGE, *(method.to_json() for method in methods)],
        "csv": [SEMICOLONS, *(method.to_csv() for method in methods)],
        "latex": [MATRICES, *(method.to_latex() for method in methods)],
        "yaml": [YAML, BLOCKS],
        "toml": [TOML, TOML.partition("[other]")[0]],
    }
    for method in methods:
        compact = method.to_latex(fractions="/", zeros=False, labels=True, document=True)
        texts["latex"].append(compact)
    texts["text"] = [
        LISTING,
        *map(str, methods),
        *(text for kind in texts.values() for text in kind),
    ]
    return texts


def mutated(text: str, texts: list[str], chance: random.Random) -> str:
    """The text after a few accidents."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        i = chance.randrange(len(text) + 1)
        j = min(len(text), i + chance.choice((0, 1, 1, 2, 5, 20, 200)))
        kind = chance.randrange(8)
        if kind == 0:
            text = text[:i] + text[j:]
        elif kind in (1, 2):
            text = text[:i] + chance.choice(TOKENS) + text[j:]
        elif kind == 3:
            text = text[:i] + text[i:j] * chance.choice((2, 3, 1000)) + text[j:]
        elif kind == 4:
            other = chance.choice(texts)
            k = chance.randrange(len(other))
            text = text[:i] + other[k : k + chance.choice((1, 10, 100, 10_000))] + text[j:]
        elif kind == 5:
            text = text[:i] + str(chance.choice((0, -7, 10**12 + 1, 0.3, 1e-20))) + text[j:]
        elif kind == 6:
            text = text[:i]
        elif i < len(text):
            text = text[:i] + chr(max(0, ord(text[i]) + chance.choice((-1, 1)))) + text[i + 1 :]
    return text


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes of a file after a few accidents."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        i = chance.randrange(len(found) + 1)
        j = min(len(found), i + chance.choice((0, 1, 4, 100)))
        fresh = chance.randbytes(chance.choice((0, j - i, 1))) or b"9" * chance.choice((1, 9))
        found[i:j] = fresh if chance.random() < 0.8 else b""
    return bytes(found)


def arrays() -> list[bytes]:
    """Files of NumPy: several arrays, texts, a whole tableau in one array."""
    method = tableaux.get("fehlberg45").to_numpy()
    files = [io.BytesIO() for _ in range(3)]
    np.savez(files[0], A=method.A, b=method.b, b_hat=method.b_hat, name=np.array("x"))
    np.savez_compressed(files[1], A=np.array([["0", "0"], ["1/2", "0"]]), b=np.array(["0", "1"]))
    np.save(files[2], np.array([[0, 0, 0], [1, 1, 0], [np.nan, 0.5, 0.5]]))
    return [file.getvalue() for file in files]


def garbage(chance: random.Random) -> str:
    return "".join(chance.choice(TOKENS) for _ in range(chance.choice((1, 3, 10, 40))))


def inputs(seed: int, first: int) -> Iterator[tuple[int, str, Any, list[str]]]:
    """Number, kind, text or bytes, and the arguments of a command."""
    texts, files = corpus(), arrays()
    kinds = [*ENDINGS, "text", "command", "numpy"]
    number = first
    while True:
        chance = random.Random(f"{seed}/{number}")
        kind = kinds[number % len(kinds)]
        own = texts["text" if kind not in texts or chance.random() < 0.2 else kind]
        if kind == "numpy":
            text = damaged(chance.choice(files), chance)
        elif chance.random() < 0.1:
            text = garbage(chance)
        else:
            text = mutated(chance.choice(own), texts["text"], chance)
        words = [chance.choice(OPTIONS) for _ in range(chance.choice((0, 1, 2, 3, 6)))]
        if chance.random() < 0.5:
            words = [chance.choice(("check", "show")), "-", *words[:2]]
        yield number, kind, text, words
        number += 1


def read(kind: str, text: str | bytes) -> str:
    """What became of a text: "refused" or "accepted"; other errors pass."""
    try:
        tableau = parse(text, "a" + ENDINGS.get(kind, ""), Tableau.from_dict)
    except TableauError as error:
        message = str(error)
    else:
        accepted(tableau)
        return "accepted"
    demand("Received" in message, f"an error that does not say what came: {message}")
    demand(len(message) < 1500, "a long error")
    return "refused"


def accepted(tableau: Tableau) -> None:
    """What is accepted can be checked, printed, written, and read back."""
    report = check(tableau)
    for text in (str(report), repr(tableau), str(tableau), tableau.to_html(), tableau.to_julia()):
        demand(text, "nothing printed")
    for text in (tableau.to_json(), tableau.to_csv(), tableau.to_latex()):
        demand(Tableau.from_text(text) == tableau, "not read back")


def run(words: list[str], text: str) -> str:
    """What became of a command: its status; "unexpected error" is a fault."""
    out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = command(words)
            except SystemExit as leave:  # argparse's own answer
                status = leave.code
    finally:
        sys.stdin = stdin
    demand(status in (0, 1, 2), f"status {status}")
    printed = out.getvalue() + err.getvalue()
    demand("unexpected error" not in printed, printed)
    return f"status {status}"


def fuzz(
    count: int, seed: int, first: int = 0, say: Callable[[str], None] = print
) -> tuple[Counter[str], list[str]]:
    """Runs `count` inputs; returns what became of them, and the faults."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    check(tableaux.get(SEEDS[-1]))  # plans the trees, once for all
    start = time.monotonic()
    for number, kind, text, words in inputs(seed, first):
        if number == first + count:
            break
        before = time.process_time()
        try:
            outcome = run(words, text) if kind == "command" else read(kind, text)
        except Exception as error:
            outcome = f"{type(error).__name__}: {str(error)[:200]}"
            faults.append(f"--first {number} ({kind}): {outcome}, {words}, {text[:100]!r}")
            say(faults[-1])
        seconds = time.process_time() - before
        if seconds > SLOWEST:
            faults.append(f"--first {number} ({kind}): {seconds:.1f} s, {words}, {text[:100]!r}")
            say(faults[-1])
        outcomes[f"{kind}: {outcome}"] += 1
        if (number + 1 - first) % 10_000 == 0:
            rate = (number + 1 - first) / (time.monotonic() - start)
            say(f"{number + 1 - first} of {count}, {rate:.0f} a second, {len(faults)} faults")
    return outcomes, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    options = parser.parse_args()
    outcomes, faults = fuzz(options.count, options.seed, options.first)
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:>9}  {outcome}")
    print(f"{options.count} inputs, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
