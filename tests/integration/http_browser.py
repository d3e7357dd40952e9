# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/http_browser.py - the live page, looked at: for
#                                     http-browser.sh
#
#   http_browser.py URL work|return SCREENSHOTS SCRATCH DAEMON
#
# SCRATCH has files by which the script and this hear of each other.
import json
import os
import signal
import sys
import time
import urllib.request

from webdriver import Browser, opener

URL, MODE, SHOTS, SCRATCH, DAEMON = sys.argv[1:6]

REASONS = ("background", "periodic", "sync", "reclaim", "throttled", "laptop")
SERIES = ("dirty", "writeback", "cached", "mapped", "swapped", "limit")


def ok(name):
    print("ok - " + name, flush=True)


def flag(name):
    open(os.path.join(SCRATCH, name), "w").close()


def wait_flag(name, seconds=60):
    deadline = time.monotonic() + seconds
    while not os.path.exists(os.path.join(SCRATCH, name)):
        assert time.monotonic() < deadline, name
        time.sleep(0.05)


def written_back():
    """Bytes by reason, of /metrics."""
    text = opener.open(urllib.request.Request(URL + "metrics")).read().decode()
    return {l.split('"')[1]: int(l.split()[1]) for l in text.splitlines()
            if l.startswith("pagefs_writeback_bytes_total{")}


def shot(b, name):
    b.screenshot(os.path.join(SHOTS, "http-%s.png" % name))


# ---- colours ----

# Every piece of text that is seen, with the least contrast it may have, as WCAG
# 2 measures it; and the colours of marks and lines.
CONTRAST = """
function parse(c) {
  const m = c.match(/rgba?\\(([^)]+)\\)/);
  if (!m) { const d = document.createElement('div'); d.style.color = c;
    document.body.append(d); const r = getComputedStyle(d).color; d.remove(); return parse(r); }
  return m[1].split(/[ ,/]+/).map(Number);
}
function light(c) {
  const f = c.slice(0, 3).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * f[0] + .7152 * f[1] + .0722 * f[2];
}
function ratio(a, b) { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); }
function ground(e) {
  for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > .99) return c; }
  return [255, 255, 255];
}
const bad = []; let nr = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement, s = getComputedStyle(e);
  if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest('noscript')) continue;
  const r = ratio(parse(s.color), ground(e)); nr++;
  if (r < 4.5) bad.push([walker.currentNode.data.trim().slice(0, 30), +r.toFixed(2)]);
}
const card = parse(getComputedStyle(document.querySelector('.card')).backgroundColor);
const root = getComputedStyle(document.documentElement);
for (const name of arguments[0]) {
  const r = ratio(parse(root.getPropertyValue('--' + name).trim()), card); nr++;
  if (r < 3) bad.push([name, +r.toFixed(2)]);
}
return [nr, bad];
"""


def check_contrast(b, name):
    nr, bad = b.js(CONTRAST, list(REASONS + SERIES))
    assert nr > 60, nr
    assert not bad, "too little contrast, %s: %s" % (name, bad)


# Pixels that differ from nothing, of a canvas; and those near a colour.
PIXELS = """
const [selector, name] = arguments;
let nr = 0, near = 0, d = document.createElement('div');
d.style.color = `var(--${name})`; document.body.append(d);
const want = getComputedStyle(d).color.match(/[0-9.]+/g).map(Number); d.remove();
for (const c of document.querySelectorAll(selector)) {
  if (!c.width) continue;
  const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(c, 0, 0);
  const p = copy.getImageData(0, 0, c.width, c.height).data;
  for (let i = 0; i < p.length; i += 4) {
    if (!p[i + 3]) continue;
    nr++;
    if (p[i + 3] > 200 && Math.abs(p[i] - want[0]) + Math.abs(p[i + 1] - want[1]) + Math.abs(p[i + 2] - want[2]) < 24) near++;
  }
}
return [nr, near];
"""


def check_drawn(b):
    """Something is drawn, in the colours it should have."""
    reasons = b.js("return [...new Set(pagefs.timeline.inView().map(m => m.reason))]")
    assert reasons, "the timeline is empty"
    for reason in reasons:
        nr, near = b.js(PIXELS, "#marks", reason)
        assert near > 8, "no mark has the colour of %s: %d of %d" % (reason, near, nr)
    for chart, name in (("memory", "cached"), ("memory", "dirty"), ("memory", "limit"),
                        ("throughput", "dirty"), ("throughput", "writeback")):
        nr, near = b.js(PIXELS, "#%s canvas" % chart, name)
        assert near > 8, "%s: no line of %s: %d of %d pixels" % (chart, name, near, nr)


# ---- while fio works ----

def check_marks(b, before):
    """All that was written back is there as marks; as much, for the same reasons."""
    b.wait("marks", "return pagefs.timeline.marks.length > 0")
    wait_flag("loaded", 120)
    time.sleep(1)
    marks = b.js("return pagefs.timeline.marks.map(m => [m.reason, m.nr, m.requests])")
    events, lost = b.js("return [pagefs.state.events, pagefs.state.lost]")
    assert lost == 0, "%d events were lost" % lost
    assert sum(m[2] for m in marks) == events > 50, (len(marks), events)
    now = written_back()
    for reason in REASONS:
        drawn = 4096 * sum(m[1] for m in marks if m[0] == reason)
        real = now[reason] - before[reason]
        assert drawn == real, "%s: %d bytes drawn, %d written" % (reason, drawn, real)
    seen = {m[0] for m in marks}
    assert {"sync", "background"} <= seen, seen
    print("# %d marks of %d events: %s" % (len(marks), events, ", ".join(sorted(seen))))
    files = b.js("return [...new Set(pagefs.timeline.marks.map(m => (m.file ?? '?').split('/')[0]))]")
    assert {"bulk", "log", "base"} <= set(files), files


def check_table(b):
    rows = b.js("return [...document.querySelectorAll('#rows tr')].map("
                "tr => [...tr.cells].map(c => c.textContent))")
    assert len(rows) == 12, len(rows)
    for row in rows:
        assert row[1] in REASONS and "/" in row[2] and "iB" in row[3], row
    text = b.js("return document.getElementById('t-cached').textContent")
    assert "MiB" in text, text
    legend = b.js("return document.getElementById('reasons').textContent")
    assert "iB" in legend, legend


PLACE = """
const t = pagefs.timeline, v = t.inView(), box = t.canvas.getBoundingClientRect();
const m = v.reduce((a, c) => c.nr >= a.nr ? c : a);
return [box.left + t.x(m.t), box.top + t.y(m.age), m.file, m.reason];
"""
TIP = "const t = document.getElementById('tip'); return t.hidden ? '' : t.textContent"


def check_hover(b):
    b.js("document.getElementById('timeline').scrollIntoView({block: 'center'})")
    b.js("if (!pagefs.state.paused) document.getElementById('pause').click()")
    x, y, file, reason = b.js(PLACE)
    b.point(x, y)
    text = b.wait("a tooltip", TIP)
    assert any(r in text for r in REASONS) and "page" in text and "Age" in text, text
    inside = b.js("const t = document.getElementById('tip').getBoundingClientRect();"
                  "return t.left >= 0 && t.right <= innerWidth + 1")
    assert inside, "the tooltip is cut off"
    b.keys("Escape")
    assert not b.js(TIP), "Escape leaves the tooltip there"
    b.point(3, 3)
    b.js("document.getElementById('memory').scrollIntoView({block: 'center'})")
    box = b.js("const r = document.getElementById('memory').getBoundingClientRect();"
               "return [r.left + r.width * .8, r.top + r.height / 2]")
    b.point(*box)
    b.wait("a cursor in all charts", "return pagefs.timeline.cursor !== null && "
           "pagefs.charts.every(c => c.graph.getSelection() >= 0)")
    b.point(3, 3)
    b.js("document.getElementById('pause').click()")


def tab_to(b, target, most=60):
    b.js("document.activeElement?.blur(); window.scrollTo(0, 0)")
    for _ in range(most):
        b.keys("Tab")
        if b.js("return document.activeElement.id") == target:
            return
    raise AssertionError("Tab does not come to " + target)


VALUE = "return document.getElementById('walker').getAttribute('aria-valuetext')"


def check_keyboard(b):
    tab_to(b, "pause")
    b.keys("Space")
    assert b.js("return pagefs.state.paused"), "the space bar does not pause"
    painted = b.js("return pagefs.state.painted")
    time.sleep(1)
    assert b.js("return pagefs.state.painted") == painted, "paused, it is painted on"
    tab_to(b, "walker")
    outline = b.js("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "focus is not seen: " + outline
    b.keys("End")
    last = b.js(VALUE)
    assert any(last.startswith(r + ": ") for r in REASONS), last
    assert b.js(TIP), "no tooltip for the keyboard"
    b.keys("Left", "Left")
    assert b.js(VALUE) != last or b.js(
        "return document.getElementById('walker').getAttribute('aria-valuenow')") != "0"
    now, most = b.js("const w = document.getElementById('walker'); return ["
                     "+w.getAttribute('aria-valuenow'), +w.getAttribute('aria-valuemax')]")
    assert now == most - 2 > 0, (now, most)
    b.keys("Home")
    assert b.js("return document.getElementById('walker').getAttribute('aria-valuenow')") == "1"
    shot(b, "keyboard")
    b.keys("Escape")
    assert not b.js(TIP) and "none chosen" in b.js(VALUE)
    b.js("document.getElementById('pause').click()")


def check_names(b):
    """Whatever can have the focus has a name and a role."""
    b.cdp("Accessibility.enable")
    nodes = b.cdp("Accessibility.getFullAXTree")["nodes"]

    def prop(node, name):
        return next((p["value"].get("value") for p in node.get("properties", ())
                     if p["name"] == name), None)
    focusable = [n for n in nodes if not n.get("ignored") and prop(n, "focusable")]
    roles = {n["role"]["value"] for n in focusable}
    assert {"button", "radio", "slider", "link"} <= roles, roles
    for n in focusable:
        if n["role"]["value"] in ("RootWebArea",):
            continue
        assert n.get("name", {}).get("value"), "no name: %s" % n["role"]
    # Tables and headings are what they are.
    roles = [n["role"]["value"] for n in nodes if not n.get("ignored")]
    assert roles.count("heading") == 5 and "table" in roles and "columnheader" in roles


def check_toggles(b):
    was = b.js("return pagefs.timeline.inView().length")
    b.js("document.querySelectorAll('#reasons button')[2].click()")
    now = b.js("return [pagefs.timeline.inView().filter(m => m.reason === 'sync').length,"
               "pagefs.timeline.inView().length]")
    assert now[0] == 0 and now[1] < was, (was, now)
    b.js("document.querySelectorAll('#reasons button')[2].click()")
    b.js("document.querySelector('#memory-legend button').click()")
    assert b.js("return pagefs.charts[0].graph.visibility()[0]") is False
    b.js("document.querySelector('#memory-legend button').click()")
    for value, ms in (("300", 300000), ("900", 900000), ("60", 60000)):
        b.js("document.querySelector('input[value=\"%s\"]').click()" % value)
        width = b.js("return [pagefs.timeline.to - pagefs.timeline.from,"
                     "...pagefs.charts.map(c => { const r = c.graph.xAxisRange(); return r[1] - r[0]; })]")
        assert width == [ms] * 3, width


def check_looks(b):
    for scheme in ("light", "dark"):
        b.size(1280, 1000)
        b.media(prefers_color_scheme=scheme)
        time.sleep(0.6)
        check_drawn(b)
        check_contrast(b, scheme)
        shot(b, scheme)
        b.size(400, 800, 2)
        time.sleep(0.8)
        wide = b.js("return document.documentElement.scrollWidth")
        assert wide <= 400, "400 pixels wide, it is %d" % wide
        low = b.js("return [...document.querySelectorAll('button, .segments label')].map("
                   "e => [e.textContent, e.getBoundingClientRect().height]).filter(e => e[1] < 24)")
        assert not low, "too small to touch: %s" % low
        check_drawn(b)
        shot(b, "small-" + scheme)
    b.size(1280, 1000)
    grounds = []
    for scheme in ("light", "dark"):
        b.media(prefers_color_scheme=scheme)
        time.sleep(0.3)
        grounds.append(b.js("return [getComputedStyle(document.body).backgroundColor,"
                            "pagefs.charts[0].graph.getColors()[0]]"))
    assert grounds[0][0] != grounds[1][0] and grounds[0][1] != grounds[1][1], grounds
    b.media(prefers_color_scheme="light")


PAINTS = """
const done = arguments[arguments.length - 1]; let nr = 0, was = pagefs.state.painted;
const began = performance.now();
(function look() {
  if (pagefs.state.painted !== was) { nr++; was = pagefs.state.painted; }
  performance.now() - began < 3000 ? setTimeout(look, 20) : done(nr);
})();
"""


def paints(b):
    return b.do("POST", "execute/async", {"script": PAINTS, "args": []})


def check_motion(b):
    nr = paints(b)
    assert 8 <= nr <= 18, "%d times in 3 s" % nr
    b.media(prefers_reduced_motion="reduce")
    nr = paints(b)
    assert 1 <= nr <= 4, "%d times in 3 s, with reduced motion" % nr
    b.media(prefers_color_scheme="light")


def status(b, state, seconds=20):
    b.wait(state, "return document.getElementById('status').dataset.state === %s"
           % json.dumps(state), seconds)


def check_stale(b):
    os.kill(int(DAEMON), signal.SIGSTOP)
    try:
        status(b, "stale", 10)
        notice = b.js("const n = document.getElementById('notice'); return n.hidden ? '' : n.textContent")
        assert "Trying" in notice, notice
        shot(b, "stale")
    finally:
        os.kill(int(DAEMON), signal.SIGCONT)
    status(b, "live")
    b.wait("no notice", "return document.getElementById('notice').hidden")


def check_console(b):
    said = b.console()
    assert not said, "the console: %s" % said
    away = b.js("return performance.getEntriesByType('resource').map(e => e.name)"
                ".filter(n => !n.startsWith(location.origin + '/'))")
    assert not away, away


def work():
    with Browser(SCRATCH) as b:
        b.size(1280, 1000)
        b.media(prefers_color_scheme="light")
        b.go(URL)
        status(b, "live")
        b.wait("samples", "return pagefs.rows.length > 4")
        assert b.js("return pagefs.timeline.marks.length") == 0
        ok("the page is live")
        before = written_back()
        flag("ready")
        check_marks(b, before)
        ok("every writeback is a mark, with its reason and pages")
        for check, name in (
                (check_table, "the table has the latest, the numbers are there"),
                (check_looks, "it is drawn, readable in light and dark, and fits 400 pixels"),
                (check_hover, "what is pointed at is told"),
                (check_keyboard, "all of it with the keyboard"),
                (check_names, "what can have the focus has a name"),
                (check_toggles, "reasons, lines and times can be chosen"),
                (check_motion, "with reduced motion it moves once a second"),
                (check_stale, "that nothing comes is seen, and that it comes again"),
                (check_console, "the console is empty, nothing comes from elsewhere")):
            check(b)
            ok(name)


def come_back():
    with Browser(SCRATCH) as b:
        b.go(URL)
        status(b, "live")
        pid = b.js("return pagefs.state.pid")
        flag("watching")
        status(b, "ended", 30)
        last = b.js("return pagefs.timeline.marks.some(m => m.file === 'last')")
        assert last, "what is written by umount is not there"
        flag("ended")
        status(b, "live", 30)
        b.wait("another daemon", "return pagefs.state.pid !== %d" % pid)
        assert not b.js("return pagefs.timeline.marks.some(m => m.file === 'last')")
        ok("the end is told, with what was written last; it comes back by itself")
        # But for those who could not be reached.
        said = [m for m in b.console() if m.get("source") != "network"]
        assert not said, said


{"work": work, "return": come_back}[MODE]()
