# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/webdriver.py - a browser driven by the WebDriver protocol,
#                                  with nothing but python3 and chromedriver
#
#   with Browser(scratch_dir) as b: b.go(url); b.js("return document.title")
#
# Source: https://www.w3.org/TR/webdriver2/; "cdp" is chromedriver's door to the
#         DevTools protocol.
import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

START_S = 60
# To this machine, whatever proxy is set for others.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class WebDriverError(Exception):
    pass


class Browser:
    def __init__(self, scratch):
        self.scratch = scratch
        self.session = None

    def __enter__(self):
        # Its own port, which it says; its children go with its group.
        self.log = open(os.path.join(self.scratch, "chromedriver.log"), "w+")
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=self.log, stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "HOME": self.scratch, "XDG_CONFIG_HOME": self.scratch,
                 "XDG_CACHE_HOME": self.scratch})
        try:
            self.base = "http://127.0.0.1:%d" % self.wait_for_port()
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_for_port(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self.log.seek(0)
            found = re.search(r"successfully on port (\d+)", self.log.read())
            if found:
                return int(found.group(1))
            if self.driver.poll() is not None:
                break
            time.sleep(0.1)
        raise WebDriverError("chromedriver does not start")

    def begin(self):
        args = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--no-first-run", "--window-size=1280,1024",
                "--user-data-dir=" + os.path.join(self.scratch, "profile")]
        if os.geteuid() == 0:
            args.append("--no-sandbox")
        caps = {"browserName": "chrome",
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": args}}
        reply = self.call("POST", "/session", {"capabilities": {"alwaysMatch": caps}})
        self.session = reply["sessionId"]

    def __exit__(self, *exc):
        try:
            if self.session:
                self.call("DELETE", "/session/" + self.session)
        except (WebDriverError, OSError):
            pass
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        self.log.close()

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=120) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as e:
            raise WebDriverError(e.read().decode()[:2000]) from None

    def do(self, method, path, body=None):
        return self.call(method, "/session/%s/%s" % (self.session, path), body)

    def go(self, url):
        self.do("POST", "url", {"url": url})

    def js(self, script, *args):
        return self.do("POST", "execute/sync", {"script": script, "args": list(args)})

    def cdp(self, cmd, **params):
        return self.do("POST", "goog/cdp/execute", {"cmd": cmd, "params": params})

    def keys(self, *names):
        codes = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "End": "\ue010",
                 "Home": "\ue011", "Left": "\ue012", "Right": "\ue014", "Space": " "}
        actions = []
        for name in names:
            for kind in ("keyDown", "keyUp"):
                actions.append({"type": kind, "value": codes[name]})
        self.do("POST", "actions", {"actions": [
            {"type": "key", "id": "keyboard", "actions": actions}]})

    def point(self, x, y):
        self.do("POST", "actions", {"actions": [
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
             "actions": [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}]}]})

    def console(self):
        """What has been said there since the last call."""
        return self.do("POST", "se/log", {"type": "browser"})

    def media(self, **features):
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value}
            for name, value in features.items()])

    def size(self, width, height, scale=1):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=scale, mobile=width < 700)

    def screenshot(self, path):
        """All of the page, not just what fits."""
        box = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": box["width"],
                              "height": box["height"], "scale": 1})
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot["data"]))

    def wait(self, what, script, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.js(script)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError("not within %d s: %s" % (seconds, what))
