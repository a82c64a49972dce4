"""Which connection gives way: beside rules written out over a list of all that are open."""

import random

import pytest

from unveil.server.connections import Connections, Phase
from unveil.server.settings import Limits


class Wire:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


class Rules:
    """The rules by a list of peer, phase, last word and reserve; `cut` has the peers that were cut off."""

    def __init__(self, limits):
        self.limits, self.open, self.cut = limits, [], []

    def opened(self, peer, now):
        own = [c for c in self.open if c["peer"][0] == peer[0]]
        reserve, crowd = False, None
        if 0 < self.limits.connections_per_address <= len(own):
            crowd = own
        elif len(self.open) >= self.limits.connections:
            waiting = {}
            for c in self.open:
                if c["phase"] < 2:
                    waiting[c["peer"][0]] = waiting.get(c["peer"][0], 0) + 1
            # Of several addresses with as many the one that was there first.
            most = max(waiting, key=waiting.get) if waiting else peer[0]
            crowd = [c for c in self.open if c["peer"][0] == most]
        if crowd is not None:
            idle = sorted((c for c in crowd if c["phase"] < 2), key=lambda c: (c["phase"], c["since"]))
            if idle:
                self.take(idle[0])
            elif sum(c["reserve"] for c in self.open) < self.limits.reserve:
                reserve = True
            else:
                self.cut.append(peer)
                return
        self.open.append({"peer": peer, "phase": 0, "since": now, "reserve": reserve})

    def take(self, connection):
        self.open.remove(connection)
        self.cut.append(connection["peer"])

    def sweep(self, now):
        for c in [c for c in self.open if c["phase"] == 0 and c["since"] < now - self.limits.header_seconds]:
            self.take(c)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("per_address", [0, 3])
@pytest.mark.parametrize("seed", range(8))
def test_connections_give_way_as_the_rules_say(seed, per_address, busy):
    """Openings, words, ends and sweeps at random; three addresses, one of them with most of the connections.

    Where the server is busy, most requests are whole and wait for their answer; then the reserve is taken.
    """
    limits = Limits(connections=6, connections_per_address=per_address, reserve=1, header_seconds=5.0)
    draw, now, wires, reserved = random.Random(seed), 0.0, {}, 0
    connections, rules = Connections(limits, clock=lambda: now), Rules(limits)
    for port in range(500):
        now += draw.choice([0.25, 0.5])  # so that some are exactly as late as is in time
        happens = draw.choice(["open"] * 4 + ["word"] * (20 if busy else 3) + ["end", "abort", "sweep"])
        if happens == "open":
            peer = (draw.choice("aaabc"), port)
            wires[peer] = Wire()
            connections.opened(peer, wires[peer])
            rules.opened(peer, now)
        elif happens == "sweep":
            connections.sweep()
            rules.sweep(now)
        elif rules.open:
            connection = draw.choice(rules.open)
            peer = connection["peer"]
            if happens == "word":
                phase = Phase.WHOLE if busy else draw.choice([*Phase])
                connections.at(peer, phase)
                connection.update(phase=int(phase), since=now)
            elif happens == "abort":
                connections.abort(peer)
                rules.take(connection)
            else:
                connections.closed(peer)
                rules.open.remove(connection)
        assert {peer for peer, wire in wires.items() if wire.aborted} == set(rules.cut), happens
        assert len(connections) == len(rules.open)
        reserved = max(reserved, sum(c["reserve"] for c in rules.open))
        assert all(connections.in_reserve(c["peer"]) == c["reserve"] for c in rules.open)
    assert rules.cut and (reserved == limits.reserve or not busy)


def test_what_is_not_open_has_no_phase_and_no_place():
    connections = Connections(Limits())
    for what in (connections.closed, connections.abort, lambda peer: connections.at(peer, Phase.WHOLE)):
        what(("a", 1))
    assert len(connections) == 0 and not connections.in_reserve(("a", 1))
