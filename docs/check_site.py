"""Opens the built site in headless Chromium, as readers do, and fails where something is wrong.

    sphinx-build -W docs docs/_build
    python docs/check_site.py docs/_build --screenshots screenshots

Needs Chromium (`chromium` on the PATH, or `--browser PATH`) and `pip install playwright`, of which
only the driver is used. Without a browser it says so and ends with exit status 0: what it looks at
is the look. Pages are served on this machine; whatever asks for another one is refused and counts
as an error, so nothing comes from a network.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

PAGES = {
    "start": "index.html",
    "guide": "guides/check.html",
    "networks": "guides/into_your_model.html",
    "time": "guides/time.html",
    "is it an ODE": "guides/is_it_an_ode.html",
    "normalization": "guides/normalization.html",
    "refine": "guides/refine.html",
    "dynamics": "guides/dynamics.html",
    "callbacks": "guides/callbacks.html",
    "report": "reports/dynamics.html",
    "floor plan": "how_it_works/floor_plan.html",
    "reference": "reference/layers.html#keras_rk.layers.RKResidual",
    "methods": "reference/tableaux.html#the-named-methods",
    "how it works": "how_it_works/loops.html",
    "compared": "compared.html",
    "search": "search.html?q=tableau",
}
WITH_FORMULAS = {"start", "guide", "networks", "time", "dynamics", "how it works"}
SIZES = {"desktop": (1366, 900), "phone": (390, 844)}
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing: the browser says what it misses."""


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def wrong_with(page: Any, name: str) -> list[str]:
    """What is wrong with a page that is open."""
    found = []
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wide > 0:
        found.append(f"{wide} pixels wider than the window")
    if name in WITH_FORMULAS and not page.evaluate(
        "[...document.querySelectorAll('math')].some(m => m.getBoundingClientRect().height > 8)"
    ):
        found.append("no formula is shown")
    broken = page.evaluate(
        "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    )
    found += [f"no picture: {source}" for source in broken]
    if name == "search":
        page.wait_for_selector("#search-results li", timeout=10_000)
    return found


def look(browser: Any, address: str, size: str, mode: str, screenshots: Path | None) -> list[str]:
    """What is wrong with the pages, in a window of a size, light or dark."""
    errors: list[str] = []
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=mode)
    page = context.new_page()

    def refuse(route: Any) -> None:
        if route.request.url.startswith(address):
            route.continue_()
        else:
            errors.append(f"{page.url} asks for {route.request.url}")
            route.abort()

    page.route("**/*", refuse)
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda said: said.type == "error" and errors.append(f"{page.url}: {said.text}"),
    )
    for name, place in PAGES.items():
        page.goto(f"{address}/{place}", wait_until="load")
        errors += [f"{name}: {problem}" for problem in wrong_with(page, name)]
        if screenshots is not None:
            page.screenshot(path=screenshots / f"{name.replace(' ', '_')}-{size}-{mode}.png")
    shown = page.evaluate("document.documentElement.dataset.theme")
    if shown != mode:
        errors.append(f"{mode} was asked for, {shown} is shown")
    context.close()
    return [f"{size}, {mode}: {error}" for error in errors]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", type=Path, help="the folder of the built site")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="Chromium")
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the pages")
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("Not looked at: pip install playwright")
        return 0
    if options.browser is None:
        print("Not looked at: there is no chromium on the PATH")
        return 0
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    server = serve(options.site)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=OPTIONS)
        address = f"http://127.0.0.1:{server.server_port}"
        errors = [
            error
            for size in SIZES
            for mode in ("light", "dark")
            for error in look(browser, address, size, mode, options.screenshots)
        ]
        browser.close()
    print("\n".join(errors) or f"{len(PAGES)} pages, {', '.join(SIZES)}, light and dark: all well")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
