"""The documentation site: `sphinx-build -W docs docs/_build`, which needs no network.

Sphinx, with MyST for Markdown and the theme of NumPy, SciPy and pandas. In 2026 that is what is
kept: MkDocs 1 has had no release since 2024, MkDocs 2 has no plugins, and Material for MkDocs,
which diffrax, equinox and einops use, gets no new features
(https://github.com/squidfunk/mkdocs-material/issues/8523). Formulas become MathML while the site
is built, so that a page needs neither a script nor a font from elsewhere to show them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import keras_rk

project = "keras-rk"
author = "The keras-rk authors"
copyright = author
version = release = keras_rk.__version__

extensions = [
    "myst_nb",  # MyST, and the notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "docstrings",
    "mathml",
    "methods",
]
exclude_patterns = ["_build"]
templates_path = []
suppress_warnings = ["myst.header", "ref.python"]  # fields of reports share names
smartquotes_action = "D"  # dashes; y' is a derivative

nb_execution_mode = "off"  # what is committed is shown; docs/run_notebooks.py runs them
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "keras-rk"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {"index": [], "compared": [], "versions": [], "changelog": []}
html_context = {"default_mode": "auto"}  # dark or light, as the system has it
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

toc_object_entries_show_parents = "hide"
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_inherit_docstrings = False  # those of Keras are in its Markdown, and in its reference
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes in a list; properties have entries of their own
napoleon_use_param = False  # several arguments described together stay together
napoleon_use_rtype = False
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Input shape", "notes_style"),
    ("Output shape", "notes_style"),
    ("Reference", "notes_style"),
    ("What is a residual connection", "notes_style"),
    ("What is left of the other arguments of a layer", "notes_style"),
    ("What is not the same in training", "notes_style"),
]
