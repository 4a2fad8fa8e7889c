"""The guides that use Keras run on the backend at hand, and print what they say."""

from __future__ import annotations

import keras
import pytest

from .docs_pages import DOCS, GUIDES, needs_keras, run_page

if not DOCS.exists():
    pytest.skip("a source distribution has no docs", allow_module_level=True)

NETWORK_GUIDES = [path for path in GUIDES if needs_keras(path)]

pytestmark = pytest.mark.repeated  # what they show has tests of its own on each backend


@pytest.mark.filterwarnings("ignore")  # exporters and data adapters warn of what is not ours
@pytest.mark.parametrize("path", NETWORK_GUIDES, ids=lambda path: path.stem)
def test_guides_to_networks_run_and_print_what_they_say(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(path, keras.backend.backend())
