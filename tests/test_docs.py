"""The documentation site: its pages lead somewhere, its reference is complete, its code runs.

Guides that use Keras are run by `test_docs_networks.py`.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import keras_rk

from .docs_pages import (
    DOCS,
    GUIDES,
    anchors,
    blocks,
    imported_elsewhere,
    links,
    listed_names,
    needs_keras,
    run_page,
)

if not DOCS.exists():
    pytest.skip("a source distribution has no docs", allow_module_level=True)

PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
EXACT_GUIDES = [path for path in GUIDES if not needs_keras(path)]
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.glob("reference/*.md"))
AUTOMATIC = re.findall(r"^\.\. automodule:: (\S+)", REFERENCE, re.MULTILINE)
SINGLE = re.findall(r"^\.\. auto(?:class|exception|function):: (\S+)", REFERENCE, re.MULTILINE)

# where the modules that `keras_rk` names stand
MODULES = {
    "analysis": "keras_rk.analysis",
    "checker": "keras_rk.proof.checker",
    "coefficients": "keras_rk.numbers.coefficients",
    "diagnostics": "keras_rk.diagnostics",
    "layers": "keras_rk.layers",
    "order_conditions": "keras_rk.proof.order_conditions",
    "plots": "keras_rk.plots",
    "rooted_trees": "keras_rk.proof.rooted_trees",
    "stability": "keras_rk.analysis.stability",
    "tableaux": "keras_rk.tableaux",
}
# of `keras_rk.analysis`, what the analyses share, and what `keras_rk` has itself
HELPERS = {"analyse", "arguments", "checking", "elimination", "entries", "entry", "resolvent"}
HELPERS |= {"scaled"}


def name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("path", EXACT_GUIDES, ids=name)
def test_guides_to_tableaux_run_and_print_what_they_say(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(path)


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_each_block_imports_what_it_uses(path):
    assert not any(imported_elsewhere(path).values()), imported_elsewhere(path)


@pytest.mark.parametrize("path", GUIDES, ids=name)
def test_every_fence_of_a_guide_is_run_or_is_output(path):
    text = path.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\S*)(?: .*)?$", text, re.MULTILINE)[::2]
    run = [block.language for block in blocks(path)]
    printed = [block for block in blocks(path) if block.printed]
    shown_only = fences.count("text") - len(printed)  # by commands that are not run
    assert sorted(f for f in fences if f != "text" and not f.startswith("{")) == sorted(run)
    assert shown_only == (1 if path.stem == "install" else 0)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_to_a_file_and_a_heading(path):
    for file, anchor in links(path):
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name(path)} links to {file}"
        assert not anchor or anchor in anchors(target), f"{name(path)} links to {file}#{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_what_a_page_includes_is_there(path):
    text = path.read_text(encoding="utf-8")
    for file, options in re.findall(r"^```\{include\} (\S+)\n(.*?)^```$", text, re.M | re.DOTALL):
        included = (path.parent / file).read_text(encoding="utf-8")
        for place in re.findall(r'^:(?:start-after|end-before): "(.*)"$', options, re.MULTILINE):
            assert included.count(f"\n{place}\n") == 1


@pytest.mark.parametrize("path", [p for p in PAGES if p != DOCS / "index.md"], ids=name)
def test_every_page_stands_in_the_navigation(path):
    index = path.parent / "index.md"
    if path == index:
        index, entry = DOCS / "index.md", f"{path.parent.name}/index"
    else:
        entry = path.stem
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", index.read_text("utf-8"), re.M | re.DOTALL)
    assert entry in "\n".join(trees).split("\n")


@pytest.mark.parametrize("public", listed_names("keras_rk"))
def test_the_reference_has_every_name_of_the_package(public):
    if public == "analysis":
        modules = {path.stem for path in (DOCS.parent / "keras_rk/analysis").glob("[a-z]*.py")}
        assert {f"keras_rk.analysis.{module}" for module in modules - HELPERS} <= set(AUTOMATIC)
    elif public in MODULES:
        assert MODULES[public] in AUTOMATIC
    else:
        assert public in SINGLE or f"keras_rk.{public}" in SINGLE


@pytest.mark.skipif(not (DOCS.parent / ".github").exists(), reason="a source distribution")
def test_what_github_reads_is_up_to_date():
    root = DOCS.parent
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {keras_rk.__version__}\n" in citation
    workflow = (root / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert re.search(r"^ +- run: \.ci/run$", workflow, re.MULTILINE)
    checklist = (root / ".github/release_checklist.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:tests|examples|keras_rk|\.ci)/[\w/.]+)`", checklist):
        assert (root / path).exists(), path


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("sphinx", "myst_nb", "latex2mathml")),
    reason="needs the extra docs",
)
def test_the_site_builds_without_warnings_and_describes_every_public_name(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", DOCS, tmp_path]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    packed = (tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]  # below four comments
    described = {line.split()[0] for line in zlib.decompress(packed).decode().splitlines()}
    expected = {f"keras_rk.{n}" for n in listed_names("keras_rk") if n not in MODULES}
    for module in AUTOMATIC:
        source = {"keras_rk.plots": "keras_rk.analysis.plots"}.get(module, module)
        expected |= {f"{module}.{n}" for n in listed_names(source)}
    expected.remove("keras_rk.proof.checker.CheckReport")  # described as keras_rk.CheckReport
    assert expected - described == set()
    methods = (tmp_path / "reference/tableaux.html").read_text(encoding="utf-8")
    assert [name for name in keras_rk.tableaux.names() if f">{name}<" not in methods] == []
    pages = [*tmp_path.rglob("*.html")]
    assert not [p for p in pages if re.search(r'<(script|link)[^>]*="https?://', p.read_text())]
