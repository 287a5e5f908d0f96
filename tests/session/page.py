"""The fenced blocks of a documentation page, run in their order as they stand, and what they print against what the page says.

    ```sql            psql reads it, in one session for the whole page
    ```sql watcher    psql reads it in another session, which has this name
    ```sh             bash reads it; programs of tests/session/stand_ins come before the machine's own
    ```conf           lines of postgresql.conf, for whoever starts the server
    ```text           right after one of these: what it prints

In an expected text `...` stands for anything within a line, and alone in its line for any number of lines. How wide psql makes a
column does not count. Without an expected text `sql` must print no error, and `sh` nothing. An HTML comment in the line above a block
says more:

    <!-- not run here: why -->              it is for the reader alone
    <!-- needs pg_cron -->                  it is not run where pg_cron is not
    <!-- runs while the next block does --> until that one ends, then it gets what Ctrl-C sends

A path of the page below FOLDERS is one below the runner's root, so that nothing of the machine is touched.
"""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess

STAND_INS = pathlib.Path(__file__).with_name("stand_ins")
FOLDERS = re.compile(r"(?<![\w.\-])/(?=(?:data|srv)\b)")
NOT_RUN = re.compile(r"not run here: \S")
NOTES = {"needs pg_cron", "runs while the next block does"}
END = "--- the block ends here ---"


@dataclasses.dataclass
class Block:
    line: int
    language: str
    session: str
    text: str
    note: str = ""
    heading: str = ""
    expected: str | None = None


def blocks(path):
    """Every fenced block of the page. A `text` block belongs to the one before it."""
    found, fence, note, prose, heading = [], None, "", False, ""
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if fence is not None:
            if line.strip() != "```":
                fence.text += line + "\n"
            else:
                if fence.language != "text":
                    found.append(fence)
                elif not prose and found and found[-1].expected is None:
                    found[-1].expected = fence.text
                fence, note, prose = None, "", False
        elif line.startswith("```"):
            assert not note or note in NOTES or NOT_RUN.match(note), f"{path}:{number}: an unknown note: {note}"
            language, _, session = line.removeprefix("```").partition(" ")
            fence = Block(number, language, session.strip(), "", note, heading)
        elif comment := re.fullmatch(r"<!-- (.*) -->", line.strip()):
            note = comment[1]
        elif line.strip():
            note, prose = "", True
            heading = line.lstrip("# ") if line.startswith("#") else heading
    assert fence is None, f"{path}: the block of line {fence.line} does not end"
    return found


def settings(path):
    """What the page's `conf` blocks set."""
    lines = [line for block in blocks(path) if block.language == "conf" for line in block.text.splitlines()]
    return {name.strip(): value.strip().strip("'") for name, value in (line.split("=", 1) for line in lines)}


def differs(expected, printed):
    """None where the text is what was expected, else both, for the reader of a failed test."""
    lines = [re.sub(r"-{2,}", "--", re.sub(r"\s+", " ", line)).strip() for line in printed.splitlines()]
    pattern = ""
    for line in expected.splitlines():
        line = re.sub(r"-{2,}", "--", re.sub(r"\s+", " ", line)).strip()
        if line == "...":
            pattern += r"(?:.*\n)*?"
        elif line:
            pattern += ".*?".join(map(re.escape, line.split("..."))) + r"\n"
    if re.fullmatch(pattern, "".join(line + "\n" for line in lines if line)):
        return None
    return f"the page says:\n{expected}\nit printed:\n{printed}"


class Runner:
    """One reader of a page: his psql sessions, his shell, and a folder `root` in place of the machine's /."""

    # Seconds that a shell block, or the end of a session, may take; None: any number.
    patience = 120

    def __init__(self, cluster, dbname, root, path=(), has_cron=True):
        self.cluster, self.dbname, self.root, self.has_cron = cluster, dbname, str(root), has_cron
        self.sessions = {}
        self.environment = cluster.client_environment() | {
            "PATH": os.pathsep.join([str(STAND_INS), str(cluster.bindir), *map(str, path), os.environ["PATH"]]), "ROOT": self.root}
        self.environment.pop("PGDATABASE", None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for session in self.sessions.values():
            session.kill()
            session.communicate()

    def page(self, path, languages=("sql", "sh")):
        """Runs the page's blocks of these languages; the number of blocks that were run."""
        ran, beside = 0, None
        for block in blocks(path):
            if block.language not in languages or block.note.startswith("not run here"):
                continue
            if block.note == "needs pg_cron" and not self.has_cron:
                continue
            if block.note == "runs while the next block does":
                assert beside is None and block.language == "sql" and block.session, f"{path}:{block.line}"
                self.write(block.session, block.text)
                beside = block
                continue
            self.compare(path, block, self.block(block))
            ran += 1
            if beside:
                self.compare(path, beside, self.interrupt(beside.session))
                ran, beside = ran + 1, None
        assert beside is None, f"{path}: nothing follows the block of line {beside.line}"
        return ran

    def block(self, block):
        """Runs one block; what it printed."""
        return self.shell(block.text) if block.language == "sh" else self.psql(block.session, block.text)

    def compare(self, path, block, printed):
        where = f"{pathlib.Path(path).name}, line {block.line}:\n{block.text}\n"
        if block.expected is None and block.language == "sh":
            assert not printed, where + printed
        elif block.expected is None:
            assert not re.search(r"^(psql:.*)?(ERROR|FATAL|PANIC): ", printed, re.M), where + printed
        else:
            difference = differs(block.expected, printed)
            assert difference is None, where + difference

    def here(self, text):
        return FOLDERS.sub(self.root + "/", text)

    def there(self, text):
        return text.replace(self.root + "/", "/")

    def write(self, session, text):
        if session not in self.sessions:
            self.sessions[session] = subprocess.Popen(
                ["psql", "-X", "-d", self.dbname], env=self.environment, cwd=self.root, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
        self.sessions[session].stdin.write(self.here(text))
        self.sessions[session].stdin.flush()

    def psql(self, session, text):
        self.write(session, f"{text}\\echo {END}\n")
        printed = []
        for line in self.sessions[session].stdout:
            if line.rstrip("\n") == END:
                return self.there("".join(printed))
            printed.append(line)
        raise AssertionError(f"psql ended within:\n{text}\n{''.join(printed)}")

    def interrupt(self, session):
        """Ends a session that a \\watch keeps busy; all that it printed."""
        process = self.sessions.pop(session)
        process.send_signal(signal.SIGINT)
        return self.there(process.communicate(timeout=self.patience)[0])

    def shell(self, text):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", self.here(text)], env=self.environment, cwd=self.root,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=self.patience)
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        return self.there(done.stdout)
