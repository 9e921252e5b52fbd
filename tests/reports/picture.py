"""Takes the picture of the sample page in the README: `picture.py PAGE PNG`; needs Playwright and Chromium."""

import pathlib
import sys

from playwright.sync_api import sync_playwright

page_path, picture = sys.argv[1:]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1280, "height": 1440}, color_scheme="light")
    page.goto(pathlib.Path(page_path).resolve().as_uri())
    page.screenshot(path=picture)
    browser.close()
