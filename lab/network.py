# SPDX-License-Identifier: Apache-2.0
"""The lab's two networks: a link for migration and a bridge for the guests.

The switch is a namespace with two bridges. `mig` carries 10.98.0.0/24, host N being 10.98.0.N, and is
what rate() limits and cut() cuts. `guests` carries 10.77.0.0/16; the switch itself is 10.77.0.1 in it
and so plays the outside client. In each host `mig0` is the port to the first and `br0` bridges the
second with the taps that ferryd adds.
"""

from __future__ import annotations

from lab import netns

MIGRATION_NET = "10.98.0"
CLIENT = "10.77.0.1"
GUEST_NET = "10.77.0.0/16"
# No interface has this locally administered address, so the bridge floods what is sent to it and
# every receiver drops it: silently, in one direction, for established connections too.
NOWHERE = "02:de:ad:00:00:01"


def migration_address(index: int) -> str:
    return f"{MIGRATION_NET}.{index}"


def first_guest_address(index: int) -> str:
    return f"10.77.{index}.1"


def make_switch(switch: int, mtu: int) -> None:
    netns.ip_batch(
        switch,
        "link set lo up",
        f"link add mig mtu {mtu} type bridge",
        "link set mig up",
        "link add guests type bridge",
        f"addr add {CLIENT}/16 dev guests",
        "link set guests up")


def add_host(switch: int, host: int, name: str, index: int, mtu: int) -> None:
    netns.ip_batch(
        host,
        "link set lo up",
        f"link add mig0 mtu {mtu} type veth peer name mig-{name} mtu {mtu} netns {switch}",
        f"addr add {migration_address(index)}/24 dev mig0",
        "link set mig0 up",
        "link add br0 type bridge",
        "link set br0 up",
        f"link add guests0 type veth peer name guests-{name} netns {switch}",
        "link set guests0 master br0",
        "link set guests0 up")
    netns.ip_batch(
        switch,
        f"link set mig-{name} master mig",
        f"link set mig-{name} up",
        f"link set guests-{name} master guests",
        f"link set guests-{name} up")


# The burst lets a late timer on a busy machine catch up: at 1 Gbit/s it is 8 ms of the link.
def _queue(pid: int, device: str, rate: str | None) -> None:
    if rate is None:
        if "tbf" in netns.run(pid, "tc", "qdisc", "show", "dev", device):
            netns.run(pid, "tc", "qdisc", "del", "dev", device, "root")
        return
    netns.run(pid, "tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate,
              "burst", "1m", "limit", "4m")


def set_rate(switch: int, hosts: dict[str, int], rate: str | None) -> None:
    """Limits each host's migration port, both directions, to `rate` (tc(8) units); None: no limit.

    NetworkError where the kernel has no token bucket (sch_tbf).
    """
    for name, pid in hosts.items():
        _queue(pid, "mig0", rate)
        _queue(switch, f"mig-{name}", rate)


def cut(sender: int, receiver_address: str) -> None:
    """From now on nothing that `sender` sends to the address arrives."""
    netns.run(sender, "ip", "neigh", "replace", receiver_address, "lladdr", NOWHERE, "dev", "mig0",
              "nud", "permanent")


def heal(sender: int, receiver_address: str) -> None:
    if NOWHERE in netns.run(sender, "ip", "neigh", "show", receiver_address, "dev", "mig0"):
        netns.run(sender, "ip", "neigh", "del", receiver_address, "dev", "mig0")
