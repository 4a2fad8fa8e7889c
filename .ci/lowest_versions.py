"""Prints the dependencies in pyproject.toml, and those of the tests, at their lowest versions.

python .ci/lowest_versions.py [EXTRA ...]        # and those of further extras
"""

import re
import sys
import tomllib
from pathlib import Path

with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as file:
    project = tomllib.load(file)["project"]
extras = [project["optional-dependencies"][name] for name in ("test", *sys.argv[1:])]
requirements = sum(extras, project["dependencies"])
print("\n".join(re.sub(">=", "==", requirement, count=1) for requirement in requirements))
