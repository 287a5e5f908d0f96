"""aliaport_report's page in a real browser: hostile names stay text, nothing is fetched, a phone need not scroll sideways."""

import html.parser
import http.server
import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading

import pytest

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Debian's package chromium is not installed")

SCRIPT = "<script>document.title='owned'</script>"


def hostile_source(path, url):
    """Names, values and SQL that try to become markup, and a picture from `url`."""
    image = f"'\"><img src={url}/picture onerror=\"document.title='owned'\">"
    db = sqlite3.connect(path)
    name = lambda text: '"' + text.replace('"', '""') + '"'  # noqa: E731
    db.executescript(f"""
        CREATE TABLE {name(SCRIPT)} (id INTEGER PRIMARY KEY, n INTEGER, up INTEGER REFERENCES {name(SCRIPT)} (id));
        CREATE TABLE {name(image)} (id INTEGER PRIMARY KEY, {name(image)} INTEGER REFERENCES {name(SCRIPT)} (id));
        CREATE TABLE {name("a|b`c" + chr(0x202e) + "</svg></pre></style>")} (id INTEGER PRIMARY KEY, p INTEGER REFERENCES {name(image)} (id));
        CREATE TABLE {name("x" * 60)} (id INTEGER PRIMARY KEY);
        CREATE VIEW {name("</pre>" + SCRIPT)} AS SELECT 1;
    """)
    db.execute(f"INSERT INTO {name(SCRIPT)} VALUES (1, ?, NULL), (2, ?, NULL), (3, 3, 3)", [SCRIPT, image])
    db.commit()
    db.close()
    # The server's OS user reads it.
    os.chmod(path, 0o644)


@pytest.fixture
def chromium(tmp_path):
    """Runs the browser over a page; gives what it printed."""

    def run(page, *arguments, size="1280,900"):
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
                   "--disable-background-networking", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}",
                   f"--window-size={size}", *arguments, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def listener():
    """A web server that notes what it is asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def hostile_page(connection, files, tmp_path, listener):
    hostile_source(files / "hostile.db", listener[0])
    connection.execute("SELECT aliaport_import(%s, on_error => 'reject')", [str(files / "hostile.db")])
    page = tmp_path / "report.html"
    page.write_text(connection.execute("SELECT aliaport_report(format => 'html')").fetchone()[0], encoding="utf-8")
    return page


class Elements(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.names, self.attributes, self.text, self.links, self.anchors = set(), set(), [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links += [value for name, value in attrs if name == "href"]
        self.anchors.update(value for name, value in attrs if name == "id")

    def handle_data(self, data):
        self.text.append(data)


def test_hostile_names_stay_text(connection, hostile_page):
    text = hostile_page.read_text(encoding="utf-8")
    page = Elements(text)
    assert not page.names & {"script", "img", "iframe", "object", "link", "base", "form", "image", "use"}, page.names
    assert not [a for a in page.attributes if a.startswith("on") or a == "src"], page.attributes
    # Links stay on the page.
    assert {link.removeprefix("#") for link in page.links} <= page.anchors and all(link.startswith("#") for link in page.links)
    assert SCRIPT in "".join(page.text)
    assert "url(" not in text and "@import" not in text
    report = json.loads(connection.execute("SELECT aliaport_report(format => 'json')").fetchone()[0])
    assert {t["name"] for t in report["tables"]} >= {SCRIPT, "x" * 60}
    assert report["rejected"][0]["count"] == 2
    # The same history gives the same page.
    assert connection.execute("SELECT aliaport_report(%s, 'html')", [report["run"]["run_id"]]).fetchone()[0] == text


@needs_chromium
def test_a_browser_runs_nothing_and_fetches_nothing(hostile_page, chromium, listener):
    # The picture's address is reachable: a page that uses it is noticed.
    probe = hostile_page.with_name("probe.html")
    probe.write_text(f"<script>document.title='owned'</script><img src={listener[0]}/probe>")
    assert "<title>owned</title>" in chromium(probe, "--dump-dom", "--virtual-time-budget=2000")
    assert listener[1].count("/probe") == 1
    dom = chromium(hostile_page, "--dump-dom", "--virtual-time-budget=2000")
    page = Elements(dom)
    assert re.search(r"<title>SQLite import, run \d+: imported, with warnings</title>", dom)
    assert "script" not in page.names and "img" not in page.names
    assert [path for path in listener[1] if path != "/probe"] == []


@needs_chromium
def test_it_fits_a_phone(hostile_page, connection, sample, tmp_path, chromium):
    connection.execute("CREATE SCHEMA app")
    # A long one, with contents and with all that can be rejected.
    connection.execute("SELECT aliaport_import(%s, 'app', on_error => 'reject', orphans => 'reject', options => '{\"exclude\": [\"eski_anket\"]}')",
                       [str(sample(500, "--dirty"))])
    page = tmp_path / "sample.html"
    page.write_text(connection.execute("SELECT aliaport_report(format => 'html')").fetchone()[0], encoding="utf-8")
    contents = Elements(page.read_text(encoding="utf-8"))
    assert len(contents.links) > 30 and {link.removeprefix("#") for link in contents.links} <= contents.anchors
    # A window of the browser is never narrower than 500 pixels, a frame is.
    frame = tmp_path / "frame.html"
    for each in (hostile_page, page):
        frame.write_text(f"""<iframe src="{each.as_uri()}" width=390 height=800></iframe><script>
            onload = () => {{ const e = frames[0].document.documentElement; document.title = e.scrollWidth + '/' + e.clientWidth }}</script>""")
        dom = chromium(frame, "--dump-dom", "--allow-file-access-from-files", "--virtual-time-budget=2000")
        wide, window = map(int, re.search(r"<title>(\d+)/(\d+)</title>", dom).groups())
        assert wide <= window <= 390, each.name


@needs_chromium
def test_it_has_a_light_a_dark_and_a_printed_form(hostile_page, tmp_path, chromium):
    """The pictures are for people to look at (pytest's --basetemp says where they are kept); here they only have to differ."""
    pictures = {}
    for name, scheme in (("light", 1), ("dark", 0)):
        picture = tmp_path / f"{name}.png"
        chromium(hostile_page, f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={scheme}")
        assert picture.stat().st_size > 20_000
        pictures[name] = picture.read_bytes()
    assert pictures["light"] != pictures["dark"]
    paper = tmp_path / "report.pdf"
    chromium(hostile_page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    assert paper.read_bytes().startswith(b"%PDF")
