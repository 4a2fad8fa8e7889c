"""The page on which method to take: what its commands print is what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rk.cli import main

from .conftest import backend, has_backend

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "examples" / "choosing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [block for block in BLOCKS if block[0].startswith("keras-rk ")]
INLINE = re.findall(r"`(keras-rk (?:list|analyse) .*?)`", PAGE)
PROGRAMS = [block for block in BLOCKS if block[0].startswith("python ")]
SMOOTHNESS = {"tanh": 4, "silu": 4, "softplus": 4, "elu": 3}
KINKS = dict.fromkeys(("relu", "leaky_relu", "selu", "hard_tanh"), 2)


@pytest.mark.parametrize("command, printed", COMMANDS)
def test_commands_print_what_is_shown(command, printed, capsys):
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("command", INLINE)
def test_commands_in_the_text_find_something(command, capsys):
    assert main(shlex.split(command)[1:]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 2


def test_the_page_has_all_of_them():
    assert (len(COMMANDS), len(PROGRAMS)) == (3, 4)
    assert len(INLINE) > 3


@pytest.mark.slow
@pytest.mark.skipif(not has_backend(), reason="Keras or its backend is missing")
@pytest.mark.skipif(backend() != "tensorflow", reason="elsewhere Keras takes tanh in float32")
def test_the_orders_that_activations_show():
    command = next(command for command, _ in PROGRAMS if "activations" in command)
    done = subprocess.run(
        [sys.executable, *command.split()[1:]],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert {row[0]: round(float(row[-1]), 1) for row in rows} == {**SMOOTHNESS, **KINKS}
