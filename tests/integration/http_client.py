# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/http_client.py - clients of the live page's server, for http.sh
#
#   http_client.py URL TEST [ARGUMENT]
#
# MNT is the mount. Events are read as a browser reads them (server-sent events),
# metrics as Prometheus does.
import http.client
import json
import os
import re
import select
import socket
import sys
import threading
import time
import urllib.parse

URL = urllib.parse.urlsplit(sys.argv[1])
MNT = os.environ["MNT"]
CTL = MNT + "/.pagefs/"
ADDRESS = (URL.hostname, URL.port)
LIBRARY = "/usr/share/javascript/dygraphs/"


def request(path, method="GET", headers=(), body=None):
    """Status, headers (names in lower case), body."""
    c = http.client.HTTPConnection(*ADDRESS, timeout=20)
    c.request(method, path, body, dict(headers))
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, data


def raw(data, timeout=20):
    """What comes back until the end."""
    s = socket.create_connection(ADDRESS, timeout)
    s.sendall(data)
    got = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return got
            got += piece
    except ConnectionResetError:
        return got
    finally:
        s.close()


def ctl(name):
    with open(CTL + name) as f:
        return f.read()


def write(name, size, fsync=True, piece=1 << 20):
    with open(MNT + "/" + name, "wb") as f:
        while size > 0:
            f.write(b"x" * min(size, piece))
            size -= piece
        if fsync:
            f.flush()
            os.fsync(f.fileno())


# ---- the page ----

def check_headers(headers):
    policy = headers["content-security-policy"]
    rules = dict(r.split(" ", 1) for r in policy.split("; "))
    assert rules["default-src"] == "'none'", policy
    for rule in ("script-src", "style-src", "connect-src", "img-src"):
        assert rules[rule] == "'self'", policy
    for rule in ("base-uri", "form-action", "frame-ancestors"):
        assert rules[rule] == "'none'", policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [h for h in headers if h.startswith("access-control")]
    assert "set-cookie" not in headers


def page():
    status, headers, body = request("/")
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
    check_headers(headers)
    text = body.decode()
    assert text.startswith("<!DOCTYPE html>")
    assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", text), "inline script or style"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style", text), "inline script or style"
    found = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert len(found) >= 6
    for path in found:
        assert re.fullmatch(r"/[a-z./]*", path), "%s: not ours" % path
        if path == "/events":
            continue
        status, headers, body = request(path)
        assert status == 200, path
        check_headers(headers)
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        if "." in path:
            assert headers["content-type"].startswith(kind[path.rsplit(".")[-1]]), path
            # The page works without a network.
            assert not re.search(rb"@import|(?:src|href)=\"?https?:", body), path
    for mine, theirs in (("/lib/dygraph.js", "dygraph.min.js"),
                         ("/lib/dygraph.css", "dygraph.min.css")):
        with open(LIBRARY + theirs, "rb") as f:
            assert request(mine)[2] == f.read(), mine
    status, headers, body = request("/nothing")
    assert status == 404
    check_headers(headers)


def head():
    for path in ("/", "/page.js", "/lib/dygraph.js"):
        get = request(path)
        status, headers, body = request(path, "HEAD")
        assert status == get[0] == 200 and body == b"", path
        assert headers["content-length"] == get[1]["content-length"] == str(len(get[2]))
    assert request("/metrics", "HEAD")[0] == 200
    assert request("/nothing", "HEAD")[0] == 404
    # Which is not the stream itself.
    assert request("/events", "HEAD")[0] == 200


# ---- who and what is let in ----

def host():
    port = b"%d" % URL.port

    def status(line, version=b"1.1"):
        got = raw(b"GET / HTTP/%s\r\n%sConnection: close\r\n\r\n" % (version, line))
        return int(got.split()[1])

    for good in (b"127.0.0.1:" + port, b"localhost:" + port, b"LOCALHOST", b"127.0.0.1",
                 b"[::1]:" + port, b"[::1]", b"localhost:1"):
        assert status(b"Host: %s\r\n" % good) == 200, good
    for bad in (b"evil.example", b"evil.example:" + port, b"localhost.evil.example",
                b"127.0.0.1.evil.example:" + port, b"1.evil.example", b"", b":", b"[::1",
                b"[evil.example]", b"::1", b"localhost:80x", b"localhost@evil.example",
                b"evil.example@localhost", b"a" * 300):
        assert status(b"Host: %s\r\n" % bad) in (400, 403), bad
    assert status(b"") in (400, 403)
    assert status(b"", b"1.0") in (400, 403)
    assert request("/metrics", headers={"Host": "evil.example"})[0] == 403
    assert request("/events", headers={"Host": "evil.example"})[0] == 403


def methods():
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"):
        for path in ("/", "/metrics", "/events"):
            status, headers, _ = request(path, method)
            assert status == 405 and headers["allow"] == "GET, HEAD", (method, path, status)
    status, headers, _ = request("/metrics", "POST", body=b"x" * 100000)
    assert status == 405
    assert request("/", headers={"Content-Length": "5"}, body=b"hello")[0] == 200


def embedded():
    for site in ("cross-site", "same-site"):
        for path in ("/", "/metrics", "/events", "/page.js"):
            for mode in ("no-cors", "cors", "websocket"):
                headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
                assert request(path, headers=headers)[0] == 403, (site, path, mode)
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert request("/", headers=link)[0] == 200
    for site in ("same-origin", "none"):
        assert request("/metrics", headers={"Sec-Fetch-Site": site})[0] == 200
    status, headers, _ = request("/metrics", headers={"Origin": "http://evil.example"})
    assert not [h for h in headers if h.startswith("access-control")]


def traversal():
    for path in ("/../etc/passwd", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                 "/lib/../../etc/passwd", "/lib/%2e%2e%2f%2e%2e%2fetc/passwd", "//etc/passwd",
                 "/lib/", "/lib", "/.", "/page.js/", "/page.js%00.html", "/lib/dygraph.js.map",
                 "/PAGE.JS", "/%", "/?/../etc/passwd/.."):
        status, _, body = request(path)
        want = (200,) if path.startswith("/?") else (404, 400)
        assert status in want and b"root:" not in body, (path, status)


def garbage():
    me = b"Host: localhost\r\n"
    for data, statuses in (
            (b"GET /%s HTTP/1.1\r\n%s\r\n" % (b"a" * 100000, me), (413, 414, 431)),
            (b"GET / HTTP/1.1\r\n%sX: %s\r\n\r\n" % (me, b"a" * 100000), (413, 431)),
            (b"GET / HTTP/1.1\r\n%s%s\r\n" % (me, b"X: y\r\n" * 20000), (413, 431)),
            (b"\0" * 100000, ()), (b"\xff\xfe\r\n\r\n", (400,)), (b"GET\r\n\r\n", (400,)),
            (b"GET / HTTP/9.9\r\n%s\r\n" % me, (200, 400, 505)),
            (b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n%sConnection: close\r\n\r\n" % me, (200, 400)),
            (b"GET /events?event= HTTP/1.1\r\n%sConnection: close\r\n\r\n" % me, (400,)),
            (b"GET /events?event=a,sample HTTP/1.1\r\n%sConnection: close\r\n\r\n" % me, (400,)),
            (b"GET /events?event=sample, HTTP/1.1\r\n%sConnection: close\r\n\r\n" % me, (400,))):
        s = socket.create_connection(ADDRESS, 20)
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            got = s.recv(100)
        except OSError:         # reset, at one point or another
            got = b""
        s.close()
        if got and statuses:
            assert int(got.split()[1]) in statuses, (data[:60], got)
    # Half a request, and a pause.
    s = socket.create_connection(ADDRESS, 20)
    s.sendall(b"GET / HT")
    assert request("/metrics")[0] == 200
    s.close()
    # Several at once, one after the other, on one connection.
    got = raw((b"GET /icon.svg HTTP/1.1\r\n%s\r\n" % me) * 20 +
              b"GET /icon.svg HTTP/1.1\r\n%sConnection: close\r\n\r\n" % me)
    assert got.count(b"HTTP/1.1 200") == 21
    assert request("/")[0] == 200


def get(path):
    sys.stdout.buffer.write(request("/" + path)[2])


# ---- metrics ----

def parse_metrics(text):
    """Prometheus' text format: {(name, labels): value}, {name: type}."""
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
    line_of = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(%s(?:,%s)*)\})? (\S+)" % (label, label))
    values, types, helps = {}, {}, set()
    family = None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in helps, "%s: twice" % family
            assert len(line.split()) > 3, line
            helps.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name == family and name not in types, line
            assert kind in ("counter", "gauge", "untyped"), line
            types[name] = kind
        else:
            found = line_of.fullmatch(line)
            assert found, line
            name, labels, value = found.groups()
            assert name == family, "%s: not below its head" % line
            assert (name, labels) not in values, "%s: twice" % line
            values[name, labels] = float(value)
    assert set(types) == helps == {name for name, _ in values}
    return values, types


def metrics():
    status, headers, body = request("/metrics")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    check_headers(headers)
    values, types = parse_metrics(body.decode())
    assert len(values) > 80, len(values)
    for name, kind in types.items():
        assert name.startswith(("pagefs_", "process_")), name
        assert (kind == "counter") == name.endswith("_total"), name
    reasons = {labels for name, labels in values if name == "pagefs_writeback_bytes_total"}
    assert reasons == {'reason="%s"' % r for r in
                       ("background", "periodic", "sync", "reclaim", "throttled", "laptop")}
    assert any(n == "pagefs_device_write_bandwidth_bytes_per_second" and v > 0
               for (n, _), v in values.items())
    for (name, labels), value in values.items():
        assert value >= 0 and value == value, (name, labels, value)
    untyped = [n for n, k in types.items() if k == "untyped"]
    if untyped:
        print("without a row in daemon/http_metrics.c:", *untyped)


# name in the text: metric, labels, factor
MEMINFO = {
    "MemTotal": ("memory_budget_bytes", None), "MemFree": ("memory_free_bytes", None),
    "Cached": ("memory_cached_bytes", None), "Dirty": ("memory_dirty_bytes", None),
    "Writeback": ("memory_writeback_bytes", None), "Mapped": ("memory_mapped_bytes", None),
    "SReclaimable": ("memory_slab_bytes", 'reclaimable="true"'),
    "SUnreclaim": ("memory_slab_bytes", 'reclaimable="false"'),
    "SwapTotal": ("swap_size_bytes", None), "PageTables": ("memory_page_tables_bytes", None),
}
VMSTAT = {
    "pgpgin": ("store_read_bytes_total", None, 1024),
    "pgpgout": ("store_written_bytes_total", None, 1024),
    "nr_dirtied": ("dirtied_bytes_total", None, 4096),
    "nr_written": ("written_bytes_total", None, 4096),
    "wb_sync": ("writeback_bytes_total", 'reason="sync"', 4096),
    "wb_background": ("writeback_bytes_total", 'reason="background"', 4096),
    "wb_sync_runs": ("writeback_runs_total", 'reason="sync"', 1),
    "pgcache_hit": ("cache_lookups_total", 'result="hit"', 1),
    "pgcache_miss": ("cache_lookups_total", 'result="miss"', 1),
    "nr_pdflush_threads": ("flusher_threads", None, 1),
    "balance_paused": ("throttled_pauses_total", None, 1),
    "balance_paused_ms": ("throttled_seconds_total", None, 0.001),
    "pgscan_kswapd": ("reclaim_scanned_pages_total", 'by="kswapd"', 1),
    "pgfault": ("faults_total", None, 1),
    "nr_dirty_threshold": ("dirty_limit_bytes", None, 4096),
    "nr_dirty_background_threshold": ("dirty_background_limit_bytes", None, 4096),
}


def texts():
    mem = {l.split(":")[0]: int(l.split()[1]) * 1024 for l in ctl("meminfo").splitlines()}
    vm = {l.split()[0]: int(l.split()[1]) for l in ctl("vmstat").splitlines()}
    want = {MEMINFO[n]: v for n, v in mem.items() if n in MEMINFO}
    want.update({VMSTAT[n][:2]: v * VMSTAT[n][2] for n, v in vm.items() if n in VMSTAT})
    assert len(want) == len(MEMINFO) + len(VMSTAT)
    return want


def values():
    """Read between two readings of the texts that are equal."""
    for _ in range(200):
        before = texts()
        found, _ = parse_metrics(request("/metrics")[2].decode())
        if texts() == before:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the numbers never rest")
    for (name, labels), value in before.items():
        got = found["pagefs_" + name, labels]
        assert abs(got - value) < 1e-6 * max(1, value), (name, labels, got, value)
    for name, labels in (("writeback_bytes_total", 'reason="sync"'),
                         ("store_read_bytes_total", None), ("dirtied_bytes_total", None),
                         ("cache_lookups_total", 'result="miss"')):
        assert before[name, labels] > 0, name
    disk = ctl("diskstats").split()
    for operation, sectors in (("read", disk[5]), ("write", disk[9])):
        labels = 'device="%s",operation="%s"' % (disk[2], operation)
        assert found["pagefs_device_bytes_total", labels] == int(sectors) * 512, labels


# ---- events ----

class Stream:
    """Events as they come, in a thread of its own: .events, (name, data)."""

    def __init__(self, names=None, read=True):
        self.events, self.comments, self.ended = [], 0, threading.Event()
        self.times = []
        self.sock = socket.socket(socket.AF_INET6 if ":" in URL.hostname else socket.AF_INET)
        if not read:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(60)
        self.sock.connect(ADDRESS)
        path = "/events" + ("?event=" + names if names else "")
        self.sock.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        self.thread = threading.Thread(target=self.run, daemon=True)
        if read:
            self.start()

    def start(self):
        self.thread.start()
        self.wait(lambda e: e[0] == "hello")

    def run(self):
        try:
            with http.client.HTTPResponse(self.sock, method="GET") as r:
                r.begin()
                self.status = r.status
                assert r.status == 200, r.status
                assert r.getheader("Content-Type") == "text/event-stream"
                self.parse(r)
        except (OSError, http.client.HTTPException, ValueError) as e:
            self.error = e
        finally:
            self.ended.set()

    def parse(self, r):
        name, data = None, None
        for line in r:
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                assert data is None
                data = json.loads(line[6:])
            elif not line and data is not None:
                assert data["event"] == name, (name, data)
                self.times.append(time.monotonic())
                self.events.append((name, data))
                name = data = None
            else:
                assert not line or line.startswith("retry: "), line

    def wait(self, want, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [e for e in list(self.events) if want(e)]
            if found:
                return found[0][1]
            if self.ended.is_set():
                break
            time.sleep(0.02)
        raise AssertionError("no such event among %d: %s" % (len(self.events), self.events[-3:]))

    def of(self, name):
        return [d for n, d in list(self.events) if n == name]

    def lost(self):
        return sum(d["nr"] for d in self.of("lost"))

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def mark(s, name):
    """Writes a file, and waits until @s has heard of it."""
    write(name, 5000)
    return s.wait(lambda e: e[0] == "writeback_pages" and e[1].get("file") == name)


class Trace:
    """.pagefs/trace, all of it."""

    def __init__(self):
        self.fd = os.open(CTL + "trace", os.O_RDONLY | os.O_NONBLOCK)
        self.data = b""

    def lines(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            select.select([self.fd], [], [], 0.1)
            try:
                self.data += os.read(self.fd, 1 << 16)
            except BlockingIOError:
                pass
        return [json.loads(l) for l in self.data.splitlines()]


def events():
    with_trace = Trace()
    s = Stream()
    mark(s, "begin")
    with_trace.lines(0.5)
    write("events", 3 << 20)
    mark(s, "end-of-events")
    theirs = with_trace.lines(1)
    os.close(with_trace.fd)
    ours = [d for n, d in s.events if n not in ("hello", "sample")]
    assert not s.lost()
    began = max(ours[0]["ts"], theirs[0]["ts"])
    ended = min(ours[-1]["ts"], theirs[-1]["ts"])

    def key(e):
        return json.dumps(e, sort_keys=True)
    a = sorted(key(e) for e in ours if began <= e["ts"] <= ended)
    b = sorted(key(e) for e in theirs if began <= e["ts"] <= ended)
    assert len(a) > 700
    assert a == b, "they differ: %s" % sorted(set(a) ^ set(b))[:4]
    pages = [d for d in s.of("writeback_pages") if d.get("file") == "events"]
    assert sum(d["bytes"] for d in pages) == 3 << 20
    assert {d["reason"] for d in pages} <= {"sync", "background", "periodic"}
    hello = s.of("hello")[0]
    assert hello["mountpoint"] == MNT and hello["backing_dir"] == os.environ["BACK"]
    s.close()


def filter():
    a = Stream("writeback_pages")
    b = Stream("sample,writeback_dirty_page")
    mark(a, "filter-a")
    b.wait(lambda e: e[0] == "writeback_dirty_page" and e[1].get("file") == "filter-a")
    b.wait(lambda e: e[0] == "sample")
    deadline = time.monotonic() + 12
    while not a.comments and time.monotonic() < deadline:
        time.sleep(0.1)
    assert a.comments, "no heart-beat"
    assert {n for n, _ in a.events} == {"hello", "writeback_pages"}
    assert {n for n, _ in b.events} == {"hello", "sample", "writeback_dirty_page"}
    a.close()
    b.close()
    for bad in ("nonsense", "", "sample,", ",sample", "lost", "hello", "writeback_pages,x", "*"):
        assert request("/events?event=" + bad)[0] == 400, bad


def two():
    a, b = Stream("writeback_pages"), Stream("writeback_pages")
    mark(a, "both")
    for i in range(5):
        write("two-%d" % i, 200000)
    for s in (a, b):
        mark(s, "both-end-%d" % (s is a))
    assert not a.lost() and not b.lost()
    mine, theirs = a.of("writeback_pages"), b.of("writeback_pages")
    n = min(len(mine), len(theirs))
    assert n > 6 and mine[:n] == theirs[:n]
    a.close()
    b.close()


def samples():
    s = Stream("sample")
    s.wait(lambda e: e[0] == "sample")
    write("samples", 4 << 20, fsync=False)
    time.sleep(4)
    got = s.of("sample")
    rate = (len(got) - 1) / (got[-1]["ts"] - got[0]["ts"]) * 1e6
    assert 3 <= rate <= 5.5, "%.1f a second" % rate
    assert all(b["ts"] > a["ts"] for a, b in zip(got, got[1:]))
    last = got[-1]
    assert abs(last["time"] / 1000 - time.time()) < 5
    mem = {l.split(":")[0]: int(l.split()[1]) * 1024 for l in ctl("meminfo").splitlines()}
    assert last["total"] == mem["MemTotal"]
    for name, line in (("cached", "Cached"), ("dirty", "Dirty"), ("free", "MemFree")):
        assert abs(last[name] - mem[line]) <= 1 << 20, (name, last[name], mem[line])
    # What was dirtied is the area below its rate.
    area = sum(b.get("dirtied_rate", 0) * (b["ts"] - a["ts"]) / 1e6 for a, b in zip(got, got[1:]))
    assert 3.9 * (1 << 20) <= area <= 6 * (1 << 20), area
    s.close()


def streams_now():
    found, _ = parse_metrics(request("/metrics")[2].decode())
    return found["pagefs_http_streams", None]


def slow():
    """51,200 events, 8 MB of text, are more than its socket and the ring take."""
    nr = 51200
    lazy = Stream("writeback_dirty_page", read=False)
    quick = Stream("writeback_dirty_page,sample")
    deadline = time.monotonic() + 10
    while streams_now() < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    write("slow", nr * 4096)
    write("slow-end", 4096)
    quick.wait(lambda e: e[0] == "writeback_dirty_page" and e[1].get("file") == "slow-end", 60)
    lazy.start()
    lazy.wait(lambda e: e[0] == "writeback_dirty_page" and e[1].get("file") == "slow-end", 60)
    for s, who in ((quick, "quick"), (lazy, "slow")):
        had = len(s.of("writeback_dirty_page"))
        print("%s: %d events, %d lost" % (who, had, s.lost()))
        # A page may be dirtied twice: by the writes that are not whole pages.
        assert nr < had + s.lost() <= nr + 200, (who, had, s.lost())
    assert lazy.lost() > quick.lost() and lazy.lost() > 1000
    stamps = [t for t, (n, _) in zip(quick.times, quick.events) if n == "sample"]
    gap = max(b - a for a, b in zip(stamps, stamps[1:]))
    assert gap < 3, "no sample for %.1f s" % gap
    lazy.close()
    quick.close()


def names():
    s = Stream("writeback_pages")
    for name in (b"\xff\xfe bad", "größe \U0001f600".encode(), b'quo"te\\', b"line\nend"):
        path = os.fsencode(MNT) + b"/" + name
        with open(path, "wb") as f:
            f.write(b"x")
            f.flush()
            os.fsync(f.fileno())
        s.wait(lambda e: e[0] == "writeback_pages" and
               os.fsencode(e[1].get("file", "")) == name)
    s.close()


def alive():
    """Whatever the daemon's other threads wait for."""
    for _ in range(3):
        s = Stream()
        s.wait(lambda e: e[0] == "sample", 5)
        assert request("/metrics")[0] == 200 and request("/page.js")[0] == 200
        got = len(s.of("sample"))
        time.sleep(2)
        assert len(s.of("sample")) >= got + 5, "samples stop"
        s.close()


# ---- limits ----

def streams():
    wait_for(lambda: streams_now() == 0)
    held = [Stream("sample") for _ in range(16)]
    status, headers, _ = request("/events")
    assert status == 503 and int(headers["retry-after"]) > 0, status
    assert request("/metrics")[0] == 200
    for s in held:
        n = len(s.events)
        s.wait(lambda e: e[0] == "sample")
        assert len(s.events) >= n
    held.pop().close()
    wait_for(lambda: streams_now() < 16)
    held.append(Stream("sample"))
    for s in held:
        s.close()
    wait_for(lambda: streams_now() == 0)


def wait_for(what, seconds=15):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)


def connections():
    held = [socket.create_connection(ADDRESS, 20) for _ in range(64)]
    for s in held:
        s.sendall(b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert s.recv(12) == b"HTTP/1.1 200"
    assert request("/metrics")[0] == 503
    for s in held:
        s.close()
    wait_for(lambda: request("/metrics")[0] == 200)
    # More than are served at all: they wait, or are refused, and go.
    held = []
    for _ in range(300):
        s = socket.socket(socket.AF_INET)
        s.setblocking(False)
        try:
            s.connect(ADDRESS)
        except BlockingIOError:
            pass
        held.append(s)
    time.sleep(0.5)
    for s in held:
        s.close()
    wait_for(lambda: request("/metrics")[0] == 200, 40)


def come_and_go():
    for i in range(60):
        # That one has gone is seen when it is sent something.
        wait_for(lambda: streams_now() < 10)
        s = Stream("sample" if i % 2 else None)
        s.close()
        request("/metrics")
        request("/")
        t = socket.create_connection(ADDRESS, 20)
        t.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"[:i])
        t.close()
    wait_for(lambda: streams_now() == 0)


def dead():
    s = Stream(None, read=False)
    wait_for(lambda: streams_now() == 1)
    write("dead", 100 << 20)
    wait_for(lambda: streams_now() == 0, 60)
    s.close()


def end(flag):
    """Three that listen, one of them asleep, and one that is idle."""
    a, b = Stream(), Stream("writeback_pages")
    lazy = Stream(None, read=False)
    idle = socket.create_connection(ADDRESS, 20)
    open(flag, "w").close()
    for s in (a, b):
        assert s.ended.wait(60), "the stream does not end"
        assert s.events[-1][0] == "end", s.events[-1]
        last = [d for d in s.of("writeback_pages") if d.get("file") == "last"]
        assert last and last[0]["reason"] == "sync", last
    idle.settimeout(20)
    assert idle.recv(10) == b""
    idle.close()
    lazy.close()


globals()[sys.argv[2]](*sys.argv[3:])
