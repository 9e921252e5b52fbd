"""Runs that show hostile texts: in operation names, paths, headers, bodies and reason phrases."""

import json
import pathlib
import socketserver
import subprocess
import threading
import urllib.parse

# Markup, scripts and attributes that would act if any renderer let one through. `say` names the page's canary.
SAY = "window.canary=1"
PAYLOADS = [
    f"<script>{SAY}</script>", f"</script><script>{SAY}</script>", f"<img src=x onerror={SAY}>", f"\"><img src=x onerror={SAY}>",
    f"'><svg onload={SAY}>", f"<svg><script>{SAY}</script></svg>", f"</title><script>{SAY}</script>", f"</style><script>{SAY}</script>",
    f"</svg><img src=x onerror={SAY}>", f"</desc></svg><b onclick={SAY}>b</b>", f"<iframe srcdoc='<script>{SAY}</script>'>",
    f"<iframe src=javascript:{SAY}>", f"<a href=javascript:{SAY}>a</a>", f"<math><mi xlink:href=javascript:{SAY}>m</mi></math>",
    f"<body onload={SAY}>", f"<details open ontoggle={SAY}>", f"<input autofocus onfocus={SAY}>", f"<select onfocus={SAY} autofocus>",
    f"<video><source onerror={SAY}></video>", f"<audio src=x onerror={SAY}>", f"<object data=javascript:{SAY}>", f"<embed src=javascript:{SAY}>",
    "<base href=http://elsewhere.example/>", "<meta http-equiv=refresh content='0;url=http://elsewhere.example/'>",
    "<link rel=stylesheet href=http://elsewhere.example/a.css>", "<style>*{display:none}</style>", "<form action=http://elsewhere.example/><input type=submit>",
    "<!-- comment", "-->", "<![CDATA[ x ]]>", "]]>", "<?php echo 1 ?>", "<plaintext>", "<xmp>", "<noscript><p>", "</pre></details></section>",
    "</td></tr></table>", "<tr><td>cell</td></tr>", "<textarea>", "<template><b>", "&lt;b&gt;", "&#60;b&#62;", "&amp;lt;", "<b", "b>", "\"", "'",
    "` onmouseover=x", f"\" onmouseover=\"{SAY}", f"' onmouseover='{SAY}", f"{{{{constructor.constructor('{SAY}')()}}}}", "<%= 7*7 %>",
    "#{7*7}", "\u202eevil\u202c", "a\u2028b\u2029c", "<\u0130mg>", "a\u0301<i>", "::error::x", "##vso[task.complete]", "| a | b |",
]
assert len(PAYLOADS) == 60 == len(set(PAYLOADS))


def server(texts):
    """A server whose answers to path `/N` show the text N: in a header, in the reason and in the body."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while line := self.rfile.readline():
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                text = texts[int(line.split()[1].split(b"?")[0][1:])].encode()
                body = b" ".join(text.encode() for text in texts)
                head = b"HTTP/1.1 500 " + text + b"\r\nx-text: " + text + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
                self.wfile.write(head + body)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    running = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    return running


def plan(texts, port):
    """A plan with an operation for each text, whose every request fails."""
    tasks = [
        f"[[users.any.tasks]]\noperation = {json.dumps(text)}\n"
        f'request = {json.dumps(f"GET /{number}?q={urllib.parse.quote(text)}")}\n'
        f'expect = {{ status = [500], headers = {{ x-text = "other" }} }}\n'
        for number, text in enumerate(texts)
    ]
    return (
        f'name = "hostile"\nthresholds = ["t.toml"]\nseed = 7\n[target]\nurl = "http://127.0.0.1:{port}"\n'
        '[[phases]]\nname = "only"\nduration = "2s"\nusers = 20\narrivals = "300/s"\nmix = { any = 1 }\n' + "".join(tasks)
    )


def run(runner, folder, texts):
    """The page of a run whose names and answers show these texts."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    running = server(texts)
    (folder / "plan.toml").write_text(plan(texts, running.server_address[1]))
    (folder / "t.toml").write_text('[[error_rate]]\nname = "Failed"\noperations = ["*"]\nmaximum = "1%"\n')
    command = [runner, "plan.toml", "--quiet", "--out", "out", "--ci", "none"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    running.shutdown()
    page = folder / "out/latest/report.html"
    assert done.returncode == 1 and page.is_file(), done.stdout[-2000:] + done.stderr[-2000:]
    return page.resolve()
