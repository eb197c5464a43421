"""Draw the pictures of docs/pages.md, every page light and dark: ``python scripts/take_pictures.py [FOLDER]``.

The real program shows its own samples; nothing leaves the machine. It needs Chromium, the extra ``browser``, and Pillow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]
SIZE = {"width": 1200, "height": 800}
LISTENING = re.compile(r"listening on (http://\S+)")
PASSWORD = "a password of the pictures"
CONFIG = 'version: 1\nserver:\n  listen: "127.0.0.1:0"\n  admin_password_file: password\nsources: []\nwebhooks: []\n'
COLOURS = 128
"""In a picture: a third of the bytes, and nobody sees it."""
PAGES = {
    "deliveries": "/",
    "delivery": "/deliveries/4",
    "webhooks": "/webhooks",
    "webhook": "/webhooks/discord-new-tickets/edit",
    "sources": "/sources",
    "plugins": "/plugins",
}
WHILE_DOWN = {"demo": "/demo/", "health": "/health"}


@contextmanager
def running(*words: str) -> Iterator[str]:
    """The address of a ``deskbell`` in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(CONFIG, "utf-8")
        Path(folder, "password").write_text(PASSWORD, "utf-8")
        Path(folder, "password").chmod(0o600)
        process = subprocess.Popen(
            [sys.executable, "-m", "deskbell", *words],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "LANG": "en_GB.UTF-8", "TZ": "Europe/Paris"},
        )  # fmt: skip
        try:
            assert process.stdout
            found = LISTENING.search(process.stdout.readline())
            assert found, "it did not start"
            yield found[1]
        finally:
            process.terminate()
            process.wait(30)


def trouble(page: Page, address: str) -> None:
    """Let one channel be down, and have a ticket wait for it."""
    page.goto(f"{address}/demo/")
    slack = page.get_by_role("region", name="slack")
    slack.get_by_role("button", name="Down").click()
    page.get_by_role("button", name="Play it").click()
    slack.locator("ul.waiting > li").first.wait_for()


def draw(browser: Browser, address: str, pages: Mapping[str, str], folder: Path) -> None:
    """A picture of each page, as far as a screen goes."""
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=SIZE, color_scheme=scheme, locale="en-GB")
        page = context.new_page()
        for name, path in pages.items():
            page.goto(address + path)
            page.locator("html.scripted").wait_for()
            page.wait_for_timeout(500)  # a preview comes a moment after its page
            save(page.screenshot(animations="disabled"), folder / f"{name}-{scheme}.png")
        context.close()


def save(screenshot: bytes, file: Path) -> None:
    colours = Image.open(BytesIO(screenshot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    colours.save(file, optimize=True)


def main(names: list[str]) -> None:
    folder = Path(names[0]) if names else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with running("demo", "--listen", "127.0.0.1:0") as address:
            draw(browser, address, PAGES, folder)
            trouble(browser.new_page(locale="en-GB"), address)
            draw(browser, address, WHILE_DOWN, folder)
        with running("serve") as address:
            draw(browser, address, {"sign-in": "/login"}, folder)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
