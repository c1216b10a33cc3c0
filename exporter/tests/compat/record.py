"""Records what the first gate answers, for the test that compares.

    record.py GATE.py OUT.jsonl [--seed N] [--count N] [--check N]

GATE.py, the first gate, is run in this process, with its two ways of reading replaced; --check runs that many of the inputs again as
real processes, with a kubectl on PATH and a Prometheus on 127.0.0.1, and compares. Each line of OUT is a text that is
spoken of by its number, or a case: row, exit code, lines, and the inputs.
"""

import argparse
import contextlib
import http.server
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import types
import urllib.error
import urllib.request
import warnings

import inputs as made
import rows

WORKLOAD = "jsonpath={.spec.template.spec.containers[*].image}"


def printed(case, argv):
    """What kubectl prints."""
    if argv[1] == "get":
        return case.kubelets if "kubeletVersion" in argv[-1] else case.runtimes
    assert argv[1:2] + argv[3:4] + argv[6:] == ["-n", "get", "-o", WORKLOAD], argv
    return case.images.get((argv[2], argv[4], argv[5]), "")


class TooLong(BaseException):
    """A random pattern went back and forth for seconds: no answer worth keeping."""


def too_long(*_):
    raise TooLong


class Gate:
    """The gate inside this process."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.code = compile(file.read(), path, "exec")

    def ask(self, case):
        """Its exit code and what it prints."""

        def run(argv, **_):
            if not all(isinstance(word, str) for word in argv):
                raise TypeError("expected str")
            if any("\0" in word for word in argv):
                raise ValueError("embedded null byte")
            return types.SimpleNamespace(stdout=printed(case, argv).replace("\r\n", "\n").replace("\r", "\n"))

        def urlopen(url, **_):
            if isinstance(case.prometheus, int):
                raise urllib.error.HTTPError(url, case.prometheus, "no", None, None)
            return io.BytesIO(case.prometheus)

        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
        kept = sys.argv, sys.stdin, subprocess.run, urllib.request.urlopen
        os.environ.pop("RUNNING_K8S", None)
        if case.running is not None:
            os.environ["RUNNING_K8S"] = case.running
        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, 5)
        try:
            sys.argv = ["gate", *case.arguments]
            sys.stdin = io.TextIOWrapper(io.BytesIO(case.matrix), encoding="utf-8")
            subprocess.run, urllib.request.urlopen = run, urlopen
            with contextlib.redirect_stdout(out), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(self.code, {"__name__": "__main__"})
            code = 0
        except SystemExit as end:
            code = end.code
        except Exception:
            code = 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.argv, sys.stdin, subprocess.run, urllib.request.urlopen = kept
        with contextlib.suppress(UnicodeEncodeError):
            out.flush()
        return code, out.buffer.getvalue().decode()


class Pool:
    """Texts by number."""

    def __init__(self):
        self.lines, self.numbers = [], {}

    def number(self, value):
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                value = {"hex": value.hex()}
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if line not in self.numbers:
            self.numbers[line] = len(self.lines)
            self.lines.append(line)
        return self.numbers[line]


def recorded(pool, row, case, code, out):
    """One line of the record. What is printed before the gate breaks off is an accident."""
    lines = [] if code == 1 else out.removesuffix("\n").split("\n")
    images = [[*workload, text] for workload, text in case.images.items()]
    prometheus = case.prometheus
    return [
        row, code, [pool.number(line) for line in lines], [pool.number(word) for word in case.arguments],
        pool.number(case.matrix), None if case.running is None else pool.number(case.running), pool.number({"images": images}),
        pool.number(case.kubelets), pool.number(case.runtimes),
        {"error": prometheus} if isinstance(prometheus, int) else pool.number(prometheus),
    ]  # fmt: skip


KUBECTL = """#!{python}
import json, os, sys
case = json.load(open(os.environ["CASE"], encoding="utf-8"))
argv = ["kubectl", *sys.argv[1:]]
if argv[1] == "get":
    text = case["kubelets"] if "kubeletVersion" in argv[-1] else case["runtimes"]
else:
    text = {{tuple(row[:3]): row[3] for row in case["images"]}}.get((argv[2], argv[4], argv[5]), "")
sys.stdout.buffer.write(text.encode())
"""


def really(path, case):
    """The same by a real process."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            is_error = isinstance(case.prometheus, int)
            body = b"" if is_error else case.prometheus
            self.send_response(case.prometheus if is_error else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with tempfile.TemporaryDirectory() as folder, http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kubectl, facts = os.path.join(folder, "kubectl"), os.path.join(folder, "case")
        with open(kubectl, "w", encoding="utf-8") as file:
            file.write(KUBECTL.format(python=sys.executable))
        os.chmod(kubectl, stat.S_IRWXU)
        with open(facts, "w", encoding="utf-8") as file:
            images = [[*workload, text] for workload, text in case.images.items()]
            json.dump({"kubelets": case.kubelets, "runtimes": case.runtimes, "images": images}, file)
        environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CASE": facts, "PYTHONIOENCODING": "utf-8:strict"}
        environment |= {"PROM": f"http://127.0.0.1:{server.server_address[1]}", "LC_ALL": "C.UTF-8"}
        if case.running is not None:
            environment["RUNNING_K8S"] = case.running
        command = [sys.executable, "-W", "ignore", path, *case.arguments]
        done = subprocess.run(command, input=case.matrix, capture_output=True, env=environment, timeout=60, check=False)
        server.shutdown()
    return done.returncode, done.stdout.decode()


def without_reason(out):
    """The text without the words of an exception."""
    return re.sub(r"(could not query Prometheus )\(.*?\) —", r"\1 —", out, flags=re.S)


def main():
    """Records."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("gate")
    arguments.add_argument("out")
    arguments.add_argument("--seed", type=int, default=20261121)
    arguments.add_argument("--count", type=int, default=2100)
    arguments.add_argument("--check", type=int, default=0)
    options = arguments.parse_args()
    gate, pool, cases, codes, differing = Gate(options.gate), Pool(), [], {}, 0
    everything = [*rows.cases(), *made.cases(options.seed, options.count)]
    every = max(1, len(everything) // options.check) if options.check else 0
    for place, (row, case) in enumerate(everything):
        try:
            code, out = gate.ask(case)
        except TooLong:
            continue
        codes[code] = codes.get(code, 0) + 1
        cases.append(recorded(pool, row, case, code, out))
        if every and place % every == 0:
            real_code, real_out = really(options.gate, case)
            if (code, code == 1 or without_reason(out)) != (real_code, code == 1 or without_reason(real_out)):
                differing += 1
                print(f"case {place} differs: {code} {out!r}, as a process {real_code} {real_out!r}")
    with open(options.out, "w", encoding="utf-8") as file:
        for line in [*pool.lines, *(json.dumps(case, separators=(",", ":")) for case in cases)]:
            file.write(line + "\n")
    print(f"{len(cases)} cases; by exit code {dict(sorted(codes.items()))}; {differing} differ from a real process")


if __name__ == "__main__":
    main()
