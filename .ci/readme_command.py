"""Prints the command that stands in the README's block after `<!-- command: NAME -->`."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
pattern = rf"<!-- command: {re.escape(sys.argv[1])} -->\s*```bash\n(.*?)```"
blocks = re.findall(pattern, readme, re.DOTALL)
if len(blocks) != 1:
    sys.exit(f"README.md has one block named {sys.argv[1]!r}. Received: {len(blocks)} of them.")
print(blocks[0].strip())
