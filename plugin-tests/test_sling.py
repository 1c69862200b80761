"""Moves of liquidity from outside: by the real sling where there is one (SLING, or `sling` on PATH), and otherwise by the simulated
node's own. The ledger's cost is compared with what the node has paid, to the msat."""

import os
import shutil
import signal
import time

import pytest
from conftest import LIGHTNINGD, wait_for
from pyln.client import RpcError

SLING = os.environ.get("SLING") or shutil.which("sling")
pytestmark = pytest.mark.skipif(bool(LIGHTNINGD) and not SLING, reason="no sling beside the real lightningd (SLING, PATH)")

if LIGHTNINGD:
    @pytest.fixture(scope="module")
    def line(own_line):
        return own_line


# Nobody has sold anything here: nothing is worth its cost, and the plan begins nothing of its own.
OPTIONS = {"min_wallet_reserve": "0"}
PART = 20_000


class Ring:
    """Us, and two neighbours with a channel between them: out by `source`, back by `filled`."""

    def __init__(self, node, source, filled, between):
        self.node, self.source, self.filled, self.between = node, source, filled, between
        self.rpc = node.rpc

    def start_sling(self):
        if not LIGHTNINGD:
            self.rpc.call("sim-neighbours", {"sling": True})
            return
        options = {"sling-candidates-min-age": 0, "sling-refresh-aliasmap-interval": 3, "sling-depleteuptopercent": 0}
        self.rpc.call("plugin", {"subcommand": "start", "plugin": SLING, **options})

    def ready(self):
        """Our plugin, which moves in small parts, so that there is a middle."""
        self.node.ready(**OPTIONS)
        self.set(sling_chunk_size_sats=PART)

    def stop_sling(self):
        if LIGHTNINGD:
            self.rpc.plugin_stop(SLING)
        else:
            self.rpc.call("sim-neighbours", {"sling": False})

    def kill_plugin(self):
        """At once, without a word."""
        for pid in self.node.plugin_pids():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.node.plugin_runs(), 30, "the node to notice that the plugin is dead")

    def forbid(self, forbidden):
        """Takes the only way away, or gives it back."""
        if LIGHTNINGD:
            self.rpc.call("sling-except-chan", {"command": "add" if forbidden else "remove", "scid": self.between})
        else:
            self.rpc.call("sim-neighbours", {"route": not forbidden})

    def paid(self):
        """Msat of fees for payments to ourselves, and how much they have moved, by the node's own list."""
        us = self.rpc.getinfo()["id"]
        rows = [p for p in self.rpc.call("listsendpays", {"status": "complete"})["payments"] if p["destination"] == us]
        return sum(int(p["amount_sent_msat"]) - int(p["amount_msat"]) for p in rows), sum(int(p["amount_msat"]) for p in rows)

    def passes(self, seconds=0.2):
        """Time passes."""
        if LIGHTNINGD:
            time.sleep(seconds)
        else:
            self.rpc.call("sim-advance", {"seconds": 60})

    def order(self, amount, max_fee=1_000):
        words = {"from_channel": self.source, "to_channel": self.filled, "amount_sats": amount, "max_fee_sats": max_fee,
                 "force": True}
        answer = self.rpc.call("revenue-rebalance", words)
        assert answer["status"] == "success", answer
        return answer["rebalance_id"]

    def booked(self):
        """Msat of fees for them, by the node's bookkeeper."""
        accounts = {channel["channel_id"] for channel in self.node.channels()}
        events = [e for a in accounts for e in self.rpc.call("bkpr-listaccountevents", {"account": a})["events"]]
        events = [e for e in events if e["tag"] == "invoice"]
        # Its mark `is_rebalance` is missing where it saw a payment leave before it saw it come back.
        back = {e["payment_id"] for e in events if int(e["credit_msat"])}
        return sum(int(e.get("fees_msat", 0)) for e in events if int(e["debit_msat"]) and e["payment_id"] in back)

    def searches(self):
        """Does the node look for routes?"""
        return any(c["command"].startswith("getroutes ") for c in self.rpc.help()["help"])

    def demanded(self):
        """The moves of a plan that was made on what was sold."""
        self.sell()
        self.rpc.call("revenue-analyze")
        return self.step()["moves"]

    def set(self, **options):
        for key, value in options.items():
            self.rpc.call("revenue-config", {"action": "set", "key": key, "value": value})

    def step(self):
        return self.rpc.call("revenue-rebalance")

    def sell(self):
        """Payers drain `source` through us until it is well below what they ask for; then there is a way around for its refill."""
        if not LIGHTNINGD:
            # Ways are as cheap as on a real test network; and the emptiest of those that sell well are dear.
            self.rpc.call("sim-neighbours", {"cost": 3})
            sold = [c["channel_id"] for c in self.rpc.call("revenue-analyze")["channels"] if c["daily_volume"] > 300_000]
            channels = sorted(map(self.node.channel, sold), key=lambda c: int(c["spendable_msat"]) / int(c["total_msat"]))
            for poor in channels[:3]:
                words = {"action": "set", "peer_id": poor["peer_id"], "strategy": "static", "fee_ppm_target": 2_000}
                self.rpc.call("revenue-policy", words)
            self.rpc.call("revenue-wake-all")
            return
        left, right = self.node.left, self.node.right
        for payment in range(6):
            invoice = right.rpc.invoice(1_000_000_000, f"sold-{payment}", "a forward")
            left.rpc.call("xpay", {"invstring": invoice["bolt11"]})
        invoice = left.rpc.invoice(5_000_000_000, "around", "balance for the third side")
        right.rpc.call("xpay", {"invstring": invoice["bolt11"]})
        # A payment is settled with its payer before the last link has forgotten its HTLC.
        wait_for(lambda: not any(c["htlcs"] for c in self.node.channels()), 30, "the last HTLC to be gone")

    def move(self, number):
        return next(m for m in self.rpc.call("revenue-status")["recent_rebalances"] if m["id"] == number)

    def closed(self, number, seconds=90):
        def over():
            self.passes()
            self.step()
            move = self.move(number)
            return move if move["status"] in ("success", "partial", "failed") else None

        return wait_for(over, seconds, "the end of the move")

    def reserved(self):
        self.step()
        return self.rpc.call("revenue-rebalance-debug")["capital_controls"]["daily_reserved_msat"]

    def moves_something(self, before):
        def moved():
            self.passes()
            return self.paid()[1] > before

        wait_for(moved, 90, "the first part to come across")


@pytest.fixture(scope="module")
def third_side(request):
    """On a real network: a channel between our two neighbours, once."""
    if not LIGHTNINGD:
        return None
    line = request.getfixturevalue("line")
    left, middle, right = line
    right.fundwallet(3 * 10**7)
    right.rpc.connect(left.info["id"], "localhost", left.port)
    right.rpc.fundchannel(left.info["id"], 10**7, mindepth=1)
    right.bitcoin.generate_block(6, wait_for_mempool=1)

    def announced():
        seen = middle.rpc.listchannels(source=right.info["id"])["channels"]
        return next((c["short_channel_id"] for c in seen if c["destination"] == left.info["id"]), None)

    return wait_for(announced, 120, "the third side to be announced")


@pytest.fixture
def ring(node, third_side):
    by_peer = {c["peer_id"]: c for c in node.channels()}
    if LIGHTNINGD:
        source, filled = by_peer[node.right.info["id"]], by_peer[node.left.info["id"]]
    else:
        rich = sorted(by_peer.values(), key=lambda c: int(c["spendable_msat"]))
        source, filled = rich[-1], rich[0]
    ring = Ring(node, source["short_channel_id"], filled["short_channel_id"], third_side)
    yield ring
    for stop in (node.stop_plugin, ring.stop_sling):
        try:
            stop()
        except RpcError:
            pass


def test_what_was_ordered_comes_across_and_is_booked_to_the_msat(ring):
    ring.start_sling()
    ring.ready()
    before = ring.paid()
    number = ring.order(100_000)
    assert ring.move(number)["status"] in ("running", "reserved")
    move = ring.closed(number)
    fees, moved = (now - then for now, then in zip(ring.paid(), before))
    assert (move["status"], move["moved_sats"]) == ("success", 100_000), move
    assert moved == 100_000_000 and move["actual_fee_msat"] == fees > 0, (move, fees)
    assert ring.reserved() == 0
    debug = ring.rpc.call("revenue-rebalance-debug")
    assert debug["sling_available"] and debug["capital_controls"]["daily_spent_msat"] == fees


@pytest.mark.skipif(bool(LIGHTNINGD), reason="a real sling does not lie when it is told to")
@pytest.mark.parametrize("lie", ["phantom", "leaves-out", "overstates", "halves"])
def test_sling_may_lie_and_the_node_is_believed(ring, lie):
    ring.start_sling()
    ring.rpc.call("sim-neighbours", {"lie": lie})
    ring.ready()
    before = ring.paid()
    number = ring.order(100_000)
    move = ring.closed(number)
    fees, moved = (now - then for now, then in zip(ring.paid(), before))
    assert (move["status"], move["moved_sats"] * 1000, move["actual_fee_msat"]) == ("success", moved, fees), move
    debug = ring.rpc.call("revenue-rebalance-debug")
    assert debug["capital_controls"]["daily_spent_msat"] == fees > 0
    # Halves are honest: what came is counted as it came.
    told = [(found["rebalance_id"], found["settled_spent_msat"], found["settled_by"]) for found in debug["differences"]]
    assert told == ([] if lie == "halves" else [(number, fees, "the node's books")]), debug["differences"]


def test_no_way_costs_nothing_and_is_called_so(ring):
    ring.start_sling()
    ring.forbid(True)
    try:
        ring.ready()
        before = ring.paid()
        move = ring.closed(ring.order(60_000))
        assert (move["status"], move["actual_fee_msat"], ring.paid()) == ("failed", 0, before), move
        assert move["error_message"] == "no route", move
        assert ring.reserved() == 0
        # sling works at it no more, and takes the next order.
        stats = ring.rpc.call("sling-stats", {"json": True})
        assert all("Rebalancing" not in state for row in stats for state in row["status"]), stats
    finally:
        ring.forbid(False)
    again = ring.closed(ring.order(60_000))
    assert again["status"] == "success", again


def test_the_plugin_is_stopped_in_the_middle_and_finds_its_move_again(ring):
    ring.start_sling()
    ring.ready()
    before = ring.paid()
    number = ring.order(400_000)
    ring.moves_something(before[1])
    ring.node.stop_plugin()
    between = ring.paid()[1] - before[1]
    assert between < 400_000_000, "it was over before it was interrupted"
    ring.ready()
    move = ring.closed(number)
    fees, moved = (now - then for now, then in zip(ring.paid(), before))
    assert (move["status"], moved) == ("success", 400_000_000), move
    assert move["actual_fee_msat"] == fees
    assert ring.reserved() == 0


def test_the_plugin_is_killed_in_the_middle_and_its_heir_pays_what_the_network_took(ring):
    ring.start_sling()
    ring.ready()
    before, noted = ring.paid(), ring.booked()
    number = ring.order(400_000)
    ring.moves_something(before[1])
    ring.kill_plugin()
    between = ring.paid()[1] - before[1]
    assert between < 400_000_000, "it was over before it was interrupted"
    # What the ledger has reserved is all that is left of the first life.
    ring.ready()
    assert ring.move(number)["status"] in ("running", "reserved", "success")
    move = ring.closed(number)
    fees, moved = (now - then for now, then in zip(ring.paid(), before))
    assert (move["status"], moved) == ("success", 400_000_000), move
    assert move["actual_fee_msat"] == fees == ring.booked() - noted > 0
    assert ring.reserved() == 0
    budget = ring.rpc.call("revenue-rebalance-debug")["capital_controls"]
    assert budget["daily_spent_msat"] == fees, budget


def test_sling_is_stopped_in_the_middle_and_what_came_is_paid(ring):
    ring.start_sling()
    ring.ready()
    before = ring.paid()
    number = ring.order(600_000)
    ring.moves_something(before[1])
    ring.stop_sling()
    move = ring.closed(number)
    fees, moved = (now - then for now, then in zip(ring.paid(), before))
    assert 0 < moved < 600_000_000, "it was over before it was interrupted"
    assert (move["status"], move["moved_sats"] * 1000, move["actual_fee_msat"]) == ("partial", moved, fees), move
    assert any("sling is not loaded" in warning for warning in ring.rpc.call("revenue-status")["warnings"])
    planned = ring.rpc.call("revenue-rebalance-debug")
    assert not planned["sling_available"] and planned["refused"], "planning goes on"
    with pytest.raises(RpcError, match="sling is not loaded"):
        ring.order(60_000)
    # Back again, nobody remembers the job, and nothing more comes or is paid.
    ring.start_sling()
    time.sleep(2)
    assert ring.reserved() == 0
    assert ring.paid() == (before[0] + fees, before[1] + moved)
    assert not any("sling" in warning for warning in ring.rpc.call("revenue-status")["warnings"])


# On the simulated node: channels that have sold for two weeks, so that some are nearly empty at whatever hour the test begins.
@pytest.mark.parametrize("node", [(3, 8, "--history-days", "14")], indirect=True, ids=["busy"])
def test_demand_makes_the_plan_move_by_itself(ring):
    """Last: from here on something was sold, and every plan wants to move."""
    ring.start_sling()
    ring.node.ready(**OPTIONS)
    # Small and in parts, so that it is over soon; nothing is added to what the last peer asks.
    ring.set(rebalance_max_amount=1_000_000, sling_chunk_size_sats=200_000, inbound_fee_estimate_ppm=0)
    before, noted = ring.paid(), ring.booked()
    planned = wait_for(ring.demanded, 90, "a plan with a move in it")
    # What has begun goes on; nothing more begins.
    ring.set(rebalance_min_profit_ppm=100_000)
    told = [move["outcome"] for move in ring.rpc.call("revenue-rebalance-debug")["moves"]]
    assert told == [f"rebalance {n + 1} has begun" for n in range(len(planned))]
    if ring.searches():
        basis = "by the node's search for routes"
        assert all(move["cost_basis"] == basis and basis in move["message"] for move in planned), planned
    moves = [ring.closed(n + 1) for n in range(len(planned))]
    assert all(move["rebalance_type"] == "normal" for move in moves)
    fees, moved = (now - then for now, then in zip(ring.paid(), before))
    assert sum(move["moved_sats"] for move in moves) * 1000 == moved > 0, (moves, moved)
    assert sum(move["actual_fee_msat"] for move in moves) == fees == ring.booked() - noted > 0, (moves, fees)
    assert any(move["status"] == "success" for move in moves), moves
    assert ring.reserved() == 0


@pytest.mark.skipif(bool(LIGHTNINGD), reason="test_books.py plays it with a real bookkeeper")
def test_what_is_moved_stands_in_the_books_beside_what_is_paid_on_the_chain(ring):
    ring.start_sling()
    ring.ready()
    assert ring.closed(ring.order(100_000))["status"] == "success"
    spliced = ring.node.channel(ring.source)["channel_id"]
    ring.rpc.call("sim-splice", [ring.source, 100_000])
    for _ in range(30):
        ring.passes()

    def booked():
        books = ring.rpc.call("revenue-profitability", [spliced])["profitability"]
        return books if books["splice_cost_sats"] and books["rebalance_cost_sats"] else None

    books = wait_for(booked, 150, "the splice and the move to be booked")
    fees, _ = ring.paid()
    assert (books["splice_cost_sats"], books["rebalance_cost_sats"]) == (258, fees // 1000), books
    assert books["splice_in_sats"] == 100_000 and not books["costs_are_estimated"]
    costs = ring.rpc.call("revenue-report", ["costs"])
    assert costs["opening_costs"]["total_sats"] > 0 and costs["splice_costs"]["summary"]["splice_count"] == 1
