#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""daemon_test.py FERRYD FERRY: a real ferryd in a temporary folder, driven by the real CLI. No VM is
started, so no root is needed. A second ferryd on the loopback is its peer for `ferry check`."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

FERRYD, FERRY = sys.argv[1:3]
PROFILE = "ferry_cpu-05q"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class Daemon:
    """One host: its folder, its configuration, its process."""

    def __init__(self, folder: Path, name: str, ports: dict[str, int], **more: str) -> None:
        self.port = ports[name]
        self.state = folder / name
        self.socket = self.state / "ferryd.sock"
        self.config = folder / f"{name}.json"
        self.log = folder / f"{name}.log"
        peers = {n: f"127.0.0.1:{p}" for n, p in ports.items() if n != name}
        self.config.write_text(json.dumps({
            "host": name, "state": str(self.state), "listen": f"127.0.0.1:{ports[name]}",
            "peers": peers, "faults": True, "image": str(folder), "programs": str(folder), **more}))
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with self.log.open("a") as log:
            self.process = subprocess.Popen([FERRYD, "--config", str(self.config)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("ferryd did not start:\n" + self.log.read_text())
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.http("GET", "/v1/profiles")[0] == 200
        except OSError:
            return False

    def end(self, signo: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signo)
        return self.process.wait(10)

    def http(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """One request by hand: status and document."""
        connection = http.client.HTTPConnection("ferry", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(10)
            connection.sock.connect(str(self.socket))
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(0.3)
            s.connect(str(self.socket))
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                return s.recv(65536)
            except (TimeoutError, BrokenPipeError, ConnectionResetError):  # it may hang up before it has read all
                return b""

    def run(self, *args: str) -> tuple[int, str, str]:
        done = subprocess.run([FERRY, *args], env={**os.environ, "FERRY_SOCKET": str(self.socket)},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    def json(self, *args: str) -> tuple[int, Any]:
        status, out, _ = self.run(*args, "--json")
        return status, json.loads(out)


class Link:
    """A peer's control connection, by hand (docs/interfaces.md, sections 1, 4 and 6)."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(b"FERRYC\x01\0".ljust(64, b"\0"))
        self.ask("hello", {"protocol": 1, "host": "stranger", "version": "0"})

    def ask(self, op: str, args: dict[str, Any]) -> Any:
        """One request; its answer, `ok` or `error`."""
        self._send({"id": 1, "op": op, "args": args})
        while True:
            (length,) = struct.unpack("<I", self._receive(4))
            message = json.loads(self._receive(length))
            if "op" in message:
                self._send({"id": message["id"], "ok": {}})
            elif message.get("id") == 1:
                return message

    def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode()
        self.socket.sendall(struct.pack("<I", len(text)) + text)

    def _receive(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            assert more, "the peer hung up"
            data += more
        return data


class DaemonTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="ferry-daemon-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        ports = {"a": free_port(), "b": free_port(), "nobody": free_port()}
        cls.a = Daemon(cls.folder, "a", ports)
        cls.addClassCleanup(cls.a.end)
        cls.b = Daemon(cls.folder, "b", ports, memory="1G")
        cls.addClassCleanup(cls.b.end)

    def tearDown(self) -> None:
        self.assertIsNone(self.a.process.poll(), "ferryd ended: " + self.a.log.read_text()[-2000:])
        for d in (self.a, self.b):
            for vm in d.http("GET", "/v1/vms")[1]:
                self.assertEqual(d.run("vm", "rm", vm["name"])[0], 0)

    def create(self, name: str = "vm1", *options: str) -> Any:
        status, vm = self.a.json("vm", "create", name, "--profile", PROFILE, *options)
        self.assertEqual(status, 0, vm)
        return vm

    def refused(self, status: int, code: str, *args: str) -> dict[str, Any]:
        """The command ends with this status and error, as JSON and for people; the error."""
        got, doc = self.a.json(*args)
        self.assertEqual((got, doc["error"]["code"], doc["exit"]), (status, code, status), doc)
        got, out, told = self.a.run(*args)
        self.assertEqual((got, out), (status, ""))
        self.assertIn(doc["error"]["message"], told)
        for remedy in doc["error"]["remedies"]:
            self.assertIn("-> " + remedy, told)
        error: dict[str, Any] = doc["error"]
        return error

    # ---- VMs ----

    def test_a_vms_life_on_paper(self) -> None:
        vm = self.create("vm1", "--memory", "256M", "--vcpus", "2", "--overlay", str(self.folder))
        self.assertEqual((vm["state"], vm["epoch"], vm["owner"], vm["host"]), ("stopped", 1, "a", "a"))
        self.assertEqual((vm["memory_bytes"], vm["vcpus"], vm["vgpus"]), (256 << 20, 2, 1))
        self.assertEqual(vm["overlay"], str(self.folder))
        self.create("vm0")
        status, vms = self.a.json("vm", "list")
        self.assertEqual((status, [v["name"] for v in vms]), (0, ["vm0", "vm1"]))
        self.assertEqual(self.a.json("vm", "show", "vm1"), (0, vms[1]))
        self.assertTrue(Path(vm["log"]).is_file())
        _, out, _ = self.a.run("vm", "show", "vm1")
        for word in ("stopped", "256 MiB, 2 vCPU", PROFILE + " x 1", vm["log"]):
            self.assertIn(word, out)
        _, out, _ = self.a.run("vm", "list")
        self.assertEqual(out.splitlines()[0].split()[:4], ["NAME", "STATE", "OWNER", "EPOCH"])
        self.assertIn("created, profile", self.a.run("vm", "log", "vm1")[1])
        self.assertEqual(self.a.json("vm", "rm", "vm1"), (0, {}))
        self.assertFalse(Path(vm["log"]).exists())
        self.refused(2, "no-vm", "vm", "show", "vm1")

    def test_what_cannot_be_made(self) -> None:
        self.create()
        base = ("--profile", PROFILE)
        self.refused(3, "name-taken", "vm", "create", "vm1", *base)
        for name in ("a b", "-", "../x", "x" * 32, "ä"):
            self.refused(2, "bad-name", "vm", "create", name, *base)
        self.assertTrue(self.refused(2, "no-profile", "vm", "create", "v", "--profile", "huge")["remedies"])
        self.refused(2, "bad-request", "vm", "create", "v", *base, "--memory", "1M")
        self.refused(2, "bad-size", "vm", "create", "v", *base, "--memory", "lots")
        self.refused(2, "bad-request", "vm", "create", "v", *base, "--vcpus", "1000")
        self.refused(2, "bad-request", "vm", "create", "v", *base, "--ports", "94")
        self.refused(2, "bad-request", "vm", "create", "v", *base, "--ports", "0")
        self.refused(2, "bad-request", "vm", "create", "v", *base, "--vgpus", "99")
        self.refused(2, "bad-request", "vm", "create", "v", "--profile", "none", "--vgpus", "1")
        self.refused(2, "no-file", "vm", "create", "v", *base, "--disk", str(self.folder))
        self.refused(2, "no-file", "vm", "create", "v", *base, "--overlay", str(self.a.config))
        self.refused(2, "bad-request", "vm", "create", "v", *base, "--device", "usb:1")
        for option in ("--disk", "--overlay"):
            status, out, told = self.a.run("vm", "create", "v", *base, option, "/nonexistent")
            self.assertEqual((status, out), (2, ""))
            self.assertIn("/nonexistent: No such file", told)
        self.assertEqual(len(self.a.json("vm", "list")[1]), 1)

    def test_what_a_stopped_vm_refuses(self) -> None:
        self.create()
        status, _, told = self.a.run("vm", "exec", "vm1", "--", "ls")
        self.assertEqual(status, 1)
        self.assertIn("is stopped", told)
        self.refused(1, "no-migration", "cancel", "vm1")
        for command in (("vm", "stop"), ("vm", "start"), ("vm", "log"), ("cancel",), ("vm", "get")):
            self.refused(2, "no-vm", *command, "nobody")

    def test_profiles_and_host(self) -> None:
        status, profiles = self.a.json("profile", "list")
        self.assertEqual(status, 0)
        self.assertIn(PROFILE, [p["name"] for p in profiles])
        _, out, _ = self.a.run("profile", "list")
        self.assertIn(PROFILE, out)
        one = next(p for p in profiles if p["name"] == "ferry_cpu-8q")
        self.assertEqual((one["kind"], one["share_percent"], one["migratable"]), ("time-sliced", 100, True))
        there = {p["name"]: p for p in self.b.json("profile", "list")[1]}  # b gives 1 GiB to VMs
        self.assertEqual((there[PROFILE]["placeable"], there["ferry_cpu-1q"]["placeable"]), (1, 0))
        self.assertTrue(there["ferry_cpu-1q"]["placeable_reason"])
        for purpose in ("training", "inference", "multitenant"):
            status, advice = self.a.json("profile", "advise", "--for", purpose)
            self.assertEqual((status, advice["for"]), (0, purpose))
            self.assertIn(advice["profile"]["name"], there)
            out = self.a.run("profile", "advise", "--for", purpose)[1]
            for text in (*advice["reasons"], advice["instead"], advice["profile"]["name"]):
                self.assertIn(text, out)
            self.assertIn(f"ferry vm create NAME --profile {advice['profile']['name']}", out)
        self.assertRegex(self.b.run("profile", "advise", "--for", "inference")[1], "this host can place 0 more now: .*")
        self.refused(2, "no-purpose", "profile", "advise", "--for", "games")
        status, host = self.a.json("host", "show")
        self.assertEqual((status, host["host"], sorted(host["peers"])), (0, "a", ["b", "nobody"]))

    # ---- settings ----

    def test_settings(self) -> None:
        self.create()
        status, one = self.a.json("vm", "get", "vm1", "migration.stun-limit")
        self.assertEqual((status, one["value"], one["from"]), (0, "100", "default"))
        status, one = self.a.json("vm", "set", "vm1", "migration.stun-limit=7")
        self.assertEqual((status, one["value"], one["from"]), (0, "7", "vm"))
        self.assertEqual(self.a.run("vm", "get", "vm1", "migration.stun-limit")[1], "7\n")
        status, one = self.a.json("host", "set", "migration.channels=2")
        self.assertEqual((status, one["value"], one["from"]), (0, "2", "host"))
        status, one = self.a.json("vm", "get", "vm1", "migration.channels")
        self.assertEqual((one["value"], one["from"]), ("2", "host"))
        self.assertEqual(self.a.json("host", "set", "migration.channels=")[1]["from"], "default")
        self.assertEqual(self.a.json("vm", "set", "vm1", "migration.stun-limit=")[1]["from"], "default")
        self.refused(2, "bad-setting", "vm", "set", "vm1", "migration.stun-limit=0")
        self.refused(2, "bad-setting", "vm", "set", "vm1", "vgpu.scheduling=fixed-share")
        self.assertIn("ferry host set", self.a.run("vm", "set", "vm1", "vgpu.scheduling=fixed-share")[2])
        self.assertEqual(self.a.json("host", "set", "vgpu.scheduling=fixed-share")[1]["value"], "fixed-share")
        self.assertEqual(self.a.run("host", "get", "vgpu.scheduling")[1], "fixed-share\n")
        self.assertIn("fixed-share", self.a.run("host", "get")[1])
        self.assertEqual(self.a.json("host", "set", "vgpu.scheduling=")[1]["from"], "default")
        self.refused(2, "bad-setting", "host", "set", "vgpu.scheduling=all-mine")
        self.assertEqual(self.a.run("host", "get", "no.such")[0], 2)
        self.assertEqual(self.a.run("host", "set", "no-value")[0], 2)
        self.refused(2, "bad-setting", "vm", "set", "vm1", "vgpu.hotmigrate.enabled=perhaps")
        self.refused(2, "no-setting", "vm", "set", "vm1", "no.such=1")
        self.refused(2, "not-supported", "vm", "set", "vm1", "migration.dedup=same-owner")
        self.assertEqual(self.a.run("vm", "get", "vm1", "no.such")[0], 2)
        # All or nothing.
        self.assertEqual(self.a.http("PUT", "/v1/vms/vm1/settings",
                                     b'{"migration.channels":"3","migration.tracker":"magic"}')[0], 400)
        self.assertEqual(self.a.json("vm", "get", "vm1", "migration.channels")[1]["value"], "4")
        self.assertEqual(self.a.http("PUT", "/v1/settings",
                                     b'{"migration.channels":"3","migration.tracker":"magic"}')[0], 400)
        self.assertEqual(self.a.json("vm", "get", "vm1", "migration.channels")[1]["value"], "4")

    # ---- checks ----

    def check(self, to: str) -> tuple[int, dict[str, dict[str, str]]]:
        status, doc = self.a.json("check", "vm1", "--to", to)
        self.assertEqual((doc["ok"], doc["exit"]), (status == 0, status))
        for f in doc["findings"]:
            self.assertTrue(f["code"] and f["cause"] and f["remedy"], f)
            self.assertIn(f["severity"], ("refuse", "warn"))
        return status, {f["code"]: f for f in doc["findings"]}

    def test_all_findings_of_both_hosts_at_once(self) -> None:
        disk = self.folder / "disk.img"
        disk.touch()
        self.create("vm1", "--disk", str(disk), "--device", "passthrough:0000:01:00.0", "--device", "iso:/x.iso",
                    "--device", "serial:/dev/ttyS0")
        self.assertEqual(self.b.json("vm", "create", "vm1", "--profile", "none")[0], 0)
        self.a.json("vm", "set", "vm1", "vgpu.hotmigrate.enabled=false")
        disk.unlink()
        status, findings = self.check("b")
        self.assertEqual(status, 3)
        for code in ("vm-not-running", "hotmigrate-disabled", "passthrough-device", "local-iso", "serial-device",
                     "name-taken", "disk-not-visible", "no-image", "no-vgpu-program"):
            self.assertIn(code, findings)
        status, out, told = self.a.run("migrate", "vm1", "--to", "b")
        self.assertEqual((status, out), (3, ""))
        for f in findings.values():
            self.assertIn(f["cause"], told)
            self.assertIn(f["remedy"], told)
        status, doc = self.a.json("migrate", "vm1", "--to", "b")
        self.assertEqual((status, doc["exit"], len(doc["findings"])), (3, 3, len(findings)))

    def test_a_vm_with_two_vgpus_stays(self) -> None:
        self.create("vm1", "--vgpus", "2")
        self.assertIn("has 2 vGPUs", self.check("b")[1]["several-vgpus"]["cause"])

    def test_passthrough_is_known_and_refused(self) -> None:
        self.assertEqual(self.a.json("vm", "create", "vm1", "--profile", "ferry_cpu-passthrough")[0], 0)
        finding = self.check("b")[1]["passthrough-device"]
        self.assertIn("drives the device itself", finding["cause"])
        status, doc = self.a.json("vm", "start", "vm1")
        self.assertEqual((status, doc["error"]["code"]), (2, "not-supported"))

    def test_a_host_gives_no_more_memory_than_it_may(self) -> None:
        """Refused where a VM is started, in a check, and by a `prepare` that nobody checked."""
        config = {k: v for k, v in self.create("vm1", "--memory", "768M").items() if k in (
            "name", "profile", "vgpus", "memory_bytes", "vcpus", "overlay", "disk", "devices", "settings", "machine",
            "accel", "cpu_key", "mac", "ip", "prefix", "gateway")}
        cause = "VM 'vm1' needs 1.2 GiB, host b has 1 GiB left of the 1 GiB that it gives to VMs"
        self.assertEqual(self.check("b")[1]["no-memory"]["cause"], cause)
        link = Link(self.b.port)
        with link.socket:
            answer = link.ask("prepare", {"migration": "0" * 32, "epoch": 2, "mode": "precopy", "channels": 1,
                                          "verify": False, "vm": config})
        self.assertEqual((answer["error"]["code"], answer["error"]["message"]), ("no-memory", cause))
        self.assertEqual(self.b.json("vm", "list")[1], [])
        self.assertEqual(self.b.json("vm", "create", "vm1", "--profile", PROFILE, "--memory", "768M")[0], 0)
        status, doc = self.b.json("vm", "start", "vm1")
        self.assertEqual((status, doc["error"]["message"]), (3, cause))

    def test_hosts_that_are_no_destination(self) -> None:
        self.create()
        for to, code in (("a", "same-host"), ("c", "peer-unknown"), ("nobody", "peer-unreachable")):
            status, findings = self.check(to)
            self.assertEqual(status, 3)
            self.assertIn(code, findings)
        self.refused(2, "bad-request", "check", "vm1", "--to", "no/name")
        self.refused(2, "bad-request", "migrate", "vm1", "--to", "b", "--mode", "fast")
        self.refused(2, "not-supported", "migrate", "vm1", "--to", "b", "--mode", "postcopy")
        self.refused(2, "bad-request", "migrate", "vm1", "--to", "b", "--channels", "1000")
        self.refused(2, "bad-rate", "migrate", "vm1", "--to", "b", "--bandwidth", "fast")
        self.refused(2, "no-vm", "migrate", "vm2", "--to", "b")

    # ---- hostile requests ----

    def test_bodies_that_are_no_request(self) -> None:
        cases = {
            b"": "bad-name", b"{": "bad-json", b"[]": "bad-json", b"null": "bad-json", b"\xff\xfe": "bad-json",
            b'{"name":"x","name":"y"}': "bad-json", b'{"name":"x\\u0000"}': "bad-json",
            b"[" * 100000: "bad-json", b'{"a":' * 3000 + b"1" + b"}" * 3000: "bad-json",
            b'{"name":"' + b"x" * (1 << 20) + b'"}': "too-large",
            b'{"name":"v","profile":["x"]}': "bad-message", b'{"name":"v","profile":"none","x":1}': "bad-request",
        }
        for body, code in cases.items():
            status, doc = self.a.http("POST", "/v1/vms", body)
            self.assertEqual((status, doc["error"]["code"], doc["exit"]), (400, code, 2), body[:40])
        self.create()
        for path in ("migrate", "check", "exec", "recover", "settings", "stop"):
            method = "PUT" if path == "settings" else "POST"
            status, doc = self.a.http(method, f"/v1/vms/vm1/{path}", b"[1]")
            self.assertEqual((status, doc["error"]["code"]), (400, "bad-json"))
        for body in (b"{}", b'{"argv":[]}', b'{"argv":[1]}', b'{"argv":"ls"}', b'{"argv":["ls"],"env":[]}',
                     b'{"attach":[]}', b'{"attach":{}}', b'{"attach":{"job":"x","out":0,"err":0}}',
                     b'{"attach":{"job":"0011223344556677","out":-1,"err":0}}', json.dumps({"argv": ["x"] * 1000}).encode()):
            self.assertEqual(self.a.http("POST", "/v1/vms/vm1/exec", body)[0], 400)

    def test_paths_that_are_none(self) -> None:
        for path in ("/", "/v2/vms", "/v1", "/v1/nothing", "/v1/vms/vm1/nothing", "/v1/" + "x/" * 500,
                     "/v1/vms/" + "x" * 5000 + "/y"):
            status, doc = self.a.http("GET", path)
            self.assertIn(status, (400, 404), path)
            self.assertEqual(doc["exit"], 2, path)
        status, doc = self.a.http("DELETE", "/v1/vms")
        self.assertEqual((status, doc["exit"]), (405, 2))

    def test_bytes_that_are_no_http(self) -> None:
        for data in (b"\0" * 3000, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/vms HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{",
                     b"GET /v1/vms HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n"):
            self.a.raw(data)
        self.assertEqual(self.a.json("vm", "list")[0], 0)

    def test_many_connections_and_clients_that_hang_up(self) -> None:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for s in idle:
            s.connect(str(self.a.socket))
            s.sendall(b"POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        self.assertEqual(self.a.json("vm", "list")[0], 0)
        for s in idle:
            s.close()
        self.create()
        for _ in range(10):  # gone before the peer has answered
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.a.socket))
                s.sendall(b'POST /v1/vms/vm1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"to":"b"}')
        time.sleep(0.1)
        self.assertEqual(self.a.json("vm", "list")[0], 0)

    def test_faults(self) -> None:
        self.assertEqual(self.a.json("fault", "set", "source.round:hold")[1][0]["name"], "source.round")
        self.refused(2, "no-fault", "fault", "set", "nowhere:hold")
        self.assertEqual(self.a.json("fault", "clear"), (0, []))

    # ---- restart ----

    def test_the_inventory_outlives_a_killed_daemon(self) -> None:
        self.create("vm1", "--memory", "256M")
        self.a.json("vm", "set", "vm1", "migration.channels=3")
        before = self.a.json("vm", "list")[1]
        settings = self.a.json("vm", "get", "vm1")[1]
        self.assertEqual(self.a.end(signal.SIGKILL), -signal.SIGKILL)
        status, _, told = self.a.run("vm", "list")
        self.assertEqual(status, 1)
        self.assertIn("no ferryd answers", told)
        self.a.start()
        self.assertEqual(self.a.json("vm", "list")[1], before)
        self.assertEqual(self.a.json("vm", "get", "vm1")[1], settings)
        events = [e["event"] for e in self.a.json("events")[1]]
        self.assertGreaterEqual(events.count("host.started"), 2)
        self.assertEqual(self.a.end(), 0)
        self.a.start()
        self.assertEqual(self.a.json("vm", "list")[1], before)

    def test_one_daemon_per_state_folder(self) -> None:
        second = subprocess.run([FERRYD, "--config", str(self.a.config)], capture_output=True, text=True, timeout=20)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another ferryd", second.stderr)
        self.assertEqual(self.a.json("vm", "list")[0], 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
