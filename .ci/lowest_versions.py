"""Prints the dependencies in pyproject.toml, and those of the tests, at their lowest versions."""

import re
import tomllib
from pathlib import Path

with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
    project = tomllib.load(file)["project"]
requirements = project["dependencies"] + project["optional-dependencies"]["test"]
print("\n".join(re.sub(">=", "==", requirement, count=1) for requirement in requirements))
