# SPDX-License-Identifier: Apache-2.0
"""The command line of lab/lab."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from lab import control, lifecycle, model, netns
from lab.api import ApiError
from lab.model import LabError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab/lab", description="Ferry hosts a, b, ... on this machine, each in a network namespace. "
        "FERRY_LAB names the lab (default: lab), FERRY_BUILD the build folder (default: build/release).")
    sub = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = sub.add_parser("up", help="bring the lab up")
    up.add_argument("--hosts", type=int, default=2, choices=range(1, 17), metavar="N")
    up.add_argument("--mtu", type=int, default=9000, help="of the migration link")
    up.add_argument("--no-daemons", action="store_true", help="networks only, no ferryd")

    sub.add_parser("down", help="end everything of the lab; harmless when there is none")
    status = sub.add_parser("status", help="hosts and processes")
    status.add_argument("--json", action="store_true")

    run = sub.add_parser("exec", help="run a command in a host's network, or in the guests' (client)")
    run.add_argument("host", metavar="HOST|client")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD")
    ferry = sub.add_parser("ferry", help="the CLI against a host's ferryd")
    ferry.add_argument("host")
    ferry.add_argument("argv", nargs=argparse.REMAINDER, metavar="ARGS")

    rate = sub.add_parser("rate", help="limit the migration link")
    rate.add_argument("rate", metavar="1gbit|off")
    memory = sub.add_parser("memory", help="cap what a host gives to VMs")
    memory.add_argument("host")
    memory.add_argument("memory", metavar="4G|off")
    device = sub.add_parser("device", help="keep a host's OpenCL device to older instructions")
    device.add_argument("host")
    device.add_argument("device", choices=(*lifecycle.DEVICES, "own"))
    cut = sub.add_parser("cut", help="drop silently what A and B send to each other on the migration link")
    cut.add_argument("a")
    cut.add_argument("b")
    cut.add_argument("--one-way", action="store_true", help="only what A sends to B")
    heal = sub.add_parser("heal", help="undo cut")
    heal.add_argument("a")
    heal.add_argument("b")

    for action in ("kill", "stop", "cont", "restart"):
        p = sub.add_parser(action, help={"kill": "SIGKILL", "stop": "SIGSTOP", "cont": "SIGCONT",
                                         "restart": "end ferryd and start it again"}[action])
        p.add_argument("host")
        p.add_argument("kind", choices=control.KINDS)
        p.add_argument("vm", nargs="?")
        if action == "kill":
            p.add_argument("--stay-down", action="store_true",
                           help="ferryd is not started again before `restart`")
    fault = sub.add_parser("fault", help="set, list or clear fault points")
    fault.add_argument("host")
    fault.add_argument("what", metavar="NAME[:ACTION]|list|clear")
    return parser


def _command_of(argv: list[str]) -> list[str]:
    argv = argv[1:] if argv[:1] == ["--"] else argv
    if not argv:
        raise LabError("which command?")
    return argv


def _exec(lab: model.Lab, host: str, argv: list[str]) -> None:
    netns.enter(lab.namespace(host).pid)
    os.execvpe(argv[0], argv, {**os.environ, **lab.environment(host)})


def _ferry(lab: model.Lab, host: str, argv: list[str]) -> None:
    argv = argv[1:] if argv[:1] == ["--"] else argv
    program = str(lab.folder / "programs" / "ferry")
    os.execve(program, ["ferry", *argv], {**os.environ, "FERRY_SOCKET": lab.host(host).socket})


def _print_status(status: dict[str, Any]) -> None:
    if not status["up"]:
        print(f"lab '{status['lab']}' is not up")
        return
    print(f"lab '{status['lab']}'  client {status['client']}  link {status['rate'] or 'unlimited'}, "
          f"MTU {status['mtu']}")
    for name, host in status["hosts"].items():
        print(f"  host {name}  {host['address']}  ferryd {host['ferryd'] or 'down'}  {host['socket']}")
        for p in host["processes"]:
            if p["kind"] != "ferryd":
                print(f"    {p['kind']:6} {p['pid']:7}  {p['vm'] or ''}")


def _run(args: argparse.Namespace) -> int:
    name = model.current_name()
    if args.command == "up":
        with model.locked(name):
            lab = lifecycle.up(name, args.hosts, args.mtu, not args.no_daemons)
        print(f"lab '{name}' is up: {', '.join(lab.hosts)}")
        return 0
    if args.command == "down":
        with model.locked(name):
            lifecycle.down(name)
        return 0
    if args.command == "status":
        status = control.status(model.load(name), name)
        print(json.dumps(status)) if args.json else _print_status(status)
        return 0
    lab = model.load_up(name)
    if args.command == "exec":
        _exec(lab, args.host, _command_of(args.argv))
    if args.command == "ferry":
        _ferry(lab, args.host, args.argv)
    if args.command == "rate":
        with model.locked(name):
            print(control.set_rate(lab, None if args.rate == "off" else args.rate))
    elif args.command == "memory":
        with model.locked(name):
            control.set_memory(lab, lab.host(args.host), None if args.memory == "off" else args.memory)
    elif args.command == "device":
        with model.locked(name):
            control.set_device(lab, lab.host(args.host), None if args.device == "own" else args.device)
    elif args.command == "cut":
        control.cut(lab, args.a, args.b, args.one_way)
    elif args.command == "heal":
        control.heal(lab, args.a, args.b)
    elif args.command == "fault":
        answer = control.fault(lab, args.host, args.what)
        if answer:
            print(json.dumps(answer))
    else:
        control.send(lab, lab.host(args.host), args.command, args.kind, args.vm, getattr(args, "stay_down", False))
    return 0


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except ApiError as e:
        print(f"lab: {e}", file=sys.stderr)
        for remedy in e.remedies:
            print(f"  {remedy}", file=sys.stderr)
        return e.exit
    except (LabError, netns.NetworkError, OSError) as e:
        print(f"lab: {e}", file=sys.stderr)
        return 1
