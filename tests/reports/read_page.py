"""Opens report.html in Chromium: from disk with and without scripts, and under the content policy of Jenkins.

Usage: read_page.py RUNNER AXE.JS SCRATCH PAGE...; needs Playwright for Python and Debian's Chromium.
"""

import functools
import http.server
import json
import pathlib
import sys
import threading

import payloads
from playwright.sync_api import sync_playwright

# What Jenkins sends with artefacts: https://www.jenkins.io/doc/book/security/configuring-content-security-policy/
JENKINS = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"
# Under that policy the browser tells that it leaves out the page's additions. Nothing else may be an error.
REFUSALS = ("Applying inline style violates", "Refused to apply inline style", "Blocked script execution")
SIZES = (360, 800, 1600)
OBJECTIVES = "section[aria-labelledby=objectives] tbody tr"

# Elements outside of charts with their attributes, in order: all of the page but its texts.
SKELETON = """() => [...document.querySelectorAll("body *:not(svg *)")].filter(e => e.localName !== "script")
    .map(e => e.localName + [...e.attributes].map(a => " " + a.name + "=" + a.value).sort().join(""))"""
CHART_TAGS = """() => [...new Set([...document.querySelectorAll("svg *")].map(e => e.localName))].sort()"""
DRAWN = """() => [...document.querySelectorAll("figure svg")].map(svg => [svg.querySelector("text").textContent,
    svg.querySelectorAll("path, circle, rect").length, svg.textContent.includes("none") || svg.textContent.includes("no data"),
    svg.getBoundingClientRect().width * svg.getBoundingClientRect().height])"""


class Jenkins(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as Jenkins does."""

    def end_headers(self):
        self.send_header("Content-Security-Policy", JENKINS)
        super().end_headers()

    def log_message(self, *_):
        pass


def visit(browser, address, **options):
    """Opens an address. Returns the page, its requests and its errors."""
    page = browser.new_context(**options).new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append("a dialog: " + dialog.message))
    page.goto(address)
    return page, requests, errors


def check(page, report, where):
    """The verdict, every objective and every chart can be seen."""
    text = page.locator("body").inner_text()
    assert report["verdict"] in text.split("\n")[0], where
    rows = page.locator(OBJECTIVES).all_inner_texts()
    assert len(rows) == len(report["objectives"]), where
    for row, objective in zip(rows, report["objectives"]):
        assert all(objective[key] in row for key in ("name", "phase", "verdict")), (where, row)
    charts = page.evaluate(DRAWN)
    assert len(charts) >= 8 * len(report["phases"]), (where, len(charts))
    for title, marks, says_none, area in charts:
        assert area > 1000 and (marks > 0 or says_none), (where, title)
    times = [marks for title, marks, _, _ in charts if title == "Response times, ms"]
    assert times and all(marks >= 3 for marks in times), (where, times)


def read(browser, path, axe):
    """Looks at one page in every way."""
    report = json.loads((path.parent / "report.json").read_text())
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Jenkins, directory=path.parent))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{served.server_port}/{path.name}"
    for scripts in (True, False):
        page, requests, errors = visit(browser, path.as_uri(), java_script_enabled=scripts)
        assert requests == [path.as_uri()] and not errors, (requests, errors)
        # Locators work without the scripts of the page.
        check(page, report, f"{path}, scripts {'on' if scripts else 'off'}")
        page.context.close()
    page, requests, errors = visit(browser, address)
    assert requests == [address], requests
    assert all(error.startswith(REFUSALS) for error in errors), errors
    check(page, report, f"{path}, as Jenkins serves it")
    page.context.close()
    served.shutdown()
    for scheme in ("light", "dark"):
        for width in SIZES:
            size = {"width": width, "height": 1000}
            page, _, _ = visit(browser, path.as_uri(), viewport=size, color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            page.evaluate(axe)
            found = page.evaluate("axe.run()")["violations"]
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            told = [(one["id"], one["nodes"][0]["html"][:120]) for one in serious]
            assert not told, (path, width, scheme, told)
            page.context.close()


def enhancements(browser, path):
    """Scripts add sorting and a read-out."""
    page, _, _ = visit(browser, path.as_uri())
    button = page.locator("section[aria-labelledby=objectives] th", has_text="Samples").locator("button")
    for downwards in (False, True):
        button.click()
        samples = [int(text) for text in page.locator(OBJECTIVES + " td:last-child").all_inner_texts()]
        assert samples == sorted(samples, reverse=downwards), samples
    chart = page.locator("figure", has=page.locator("svg title", has_text="Requests per second")).first
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    assert "delivered" in chart.locator(".readout").inner_text()
    page.context.close()


def hostile(browser, runner, scratch):
    """Sixty payloads change nothing of a page but its texts."""
    harmless = [f"text {number}" for number in range(len(payloads.PAYLOADS))]
    pages = [payloads.run(runner, scratch / name, texts) for name, texts in (("harmless", harmless), ("hostile", payloads.PAYLOADS))]
    seen = []
    for path in pages:
        page, requests, errors = visit(browser, path.as_uri())
        assert requests == [path.as_uri()] and not errors, (requests, errors)
        assert page.evaluate("window.canary") is None
        shown = page.locator("main").inner_text()
        seen.append((page.evaluate(SKELETON), page.evaluate(CHART_TAGS)))
        page.context.close()
    (usual, tags), (other, other_tags) = seen
    assert usual == other, next((a, b) for a, b in zip(usual, other) if a != b)
    assert tags == other_tags, (tags, other_tags)
    missing = [text for text in payloads.PAYLOADS if text.isascii() and text not in shown]
    assert not missing, missing


def main():
    runner, axe, scratch, *paths = sys.argv[1:]
    axe = pathlib.Path(axe).read_text()
    paths = [pathlib.Path(path).resolve() for path in paths]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for path in paths:
            read(browser, path, axe)
        enhancements(browser, paths[0])
        hostile(browser, str(pathlib.Path(runner).resolve()), pathlib.Path(scratch))
        print(f"{len(paths)} pages in Chromium {browser.version}: as reported, and {len(payloads.PAYLOADS)} payloads are only texts")
        browser.close()


main()
