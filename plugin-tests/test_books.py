"""The books from outside: every command answers in its shape on any node, and beside a real bookkeeper ours say the same as its own."""

import csv
import json
import re
import subprocess
import time
from collections import defaultdict

import pytest
from conftest import BINARY, LIGHTNINGD, wait_for
from test_policies import first_channel, refused

real = pytest.mark.skipif(not LIGHTNINGD, reason="needs a chain")

if LIGHTNINGD:
    @pytest.fixture(scope="module")
    def line(own_line):
        return own_line


DASHBOARD = {
    "financial_health": ["tlv_sats", "net_profit_sats", "operating_margin_pct", "annualized_roc_pct"],
    "period": ["window_days", "gross_revenue_sats", "opex_sats", "total_forwards", "rebalance_cost_sats"],
    "balances": ["onchain_sats", "local_balance_sats", "capacity_sats", "net_worth_sats", "as_of"],
}
PROFITABILITY = [
    "total_costs_sats", "total_contribution_sats", "net_profit_sats", "roi_percentage", "profitability_class", "days_active",
    "fee_multiplier", "outbound_flow", "inbound_flow", "flow_profile", "inbound_outbound_ratio", "total_revenue_sats",
    "volume_routed_sats", "forward_count",
]
SUMMARY = [
    "total_channels", "profitable_count", "break_even_count", "underwater_count", "stagnant_candidate_count", "zombie_count",
    "total_profit_sats", "total_revenue_sats", "total_contribution_sats", "total_costs_sats", "overall_roi_pct", "flow_profiles",
]
HISTORY = [
    "lifetime_revenue_sats", "lifetime_opening_costs_sats", "lifetime_closure_costs_sats", "lifetime_splice_costs_sats",
    "lifetime_rebalance_costs_sats", "lifetime_total_costs_sats", "lifetime_net_profit_sats", "lifetime_roi_percent",
    "lifetime_forward_count", "closed_channels_summary",
]


def has(answer, fields):
    assert [field for field in fields if field not in answer] == [], answer


def books_read(node):
    """Waits until the node's books have been read once in this life of the plugin."""
    def read():
        books = node.rpc.call("revenue-status")["books"]
        return books if books["read_at"] else None

    return wait_for(read, 60, "the books to be read")


def test_the_dashboard(node):
    node.ready()
    node.make_forwards()
    books_read(node)
    answer = node.rpc.call("revenue-dashboard", {"window_days": 7})
    for part, fields in DASHBOARD.items():
        has(answer[part], fields)
    period = answer["period"]
    assert period["window_days"] == 7
    assert period["net_profit_msat"] == period["gross_revenue_msat"] - period["opex_msat"]
    kinds = ["opening", "closure", "splice", "rebalance"]
    assert period["opex_sats"] - sum(period[f"{kind}_cost_sats"] for kind in kinds) in range(4)
    assert answer["balances"]["local_balance_sats"] > 0 and answer["balances"]["capacity_sats"] > 0
    assert answer["financial_health"]["tlv_sats"] == answer["balances"]["net_worth_sats"]
    assert answer["bleeder_count"] == len(answer["warnings"]) == len(answer["bleeders"])
    assert node.rpc.call("revenue-dashboard")["period"]["window_days"] == 30
    for wrong in [0, -1, "month", 99999]:
        assert refused(node.rpc.call, "revenue-dashboard", [wrong])["code"] == -32602


def test_profitability_ranks_and_tells_one(node):
    node.ready()
    books_read(node)
    answer = node.rpc.call("revenue-profitability")
    has(answer["summary"], SUMMARY)
    assert len(answer["channels"]) == answer["summary"]["total_channels"] == len(node.channels())
    assert set(answer["channels_by_class"]) == {"profitable", "break_even", "underwater", "stagnant_candidate", "zombie"}
    assert sum(len(rows) for rows in answer["channels_by_class"].values()) == len(answer["channels"])
    net = [row["net_profit_sats"] for row in answer["channels"]]
    assert net == sorted(net, reverse=True)
    has(answer["channels"][0], ["channel_id", "peer_id", "our_fee_ppm", "roi_percentage", "days_active", "flow_profile"])
    scid, _ = first_channel(node)
    one = node.rpc.call("revenue-profitability", [scid])
    assert one["channel_id"] == scid
    has(one["profitability"], PROFITABILITY)
    assert refused(node.rpc.call, "revenue-profitability", ["1x1x1"])["code"] == -32602


def test_history_and_reports(node):
    node.ready()
    books_read(node)
    history = node.rpc.call("revenue-history")
    has(history, HISTORY)
    paid = ["opening", "closure", "splice", "rebalance"]
    total = sum(history[f"lifetime_{kind}_costs_sats"] for kind in paid)
    assert history["lifetime_total_costs_sats"] - total in range(4)
    assert history["lifetime_net_profit_msat"] == history["lifetime_revenue_msat"] - history["lifetime_total_costs_msat"]

    summary = node.rpc.call("revenue-report")
    assert summary["type"] == "summary"
    has(summary["policies"], ["total", "by_strategy", "by_rebalance_mode"])
    has(summary["balances"], DASHBOARD["balances"])
    costs = node.rpc.call("revenue-report", ["costs"])
    for kind in ["closure_costs", "splice_costs"]:
        has(costs[kind], ["last_24h_sats", "last_7d_sats", "last_30d_sats", "total_sats"])
    assert costs["estimated_defaults"] == {"channel_open_sats": 5000, "channel_close_sats": 3000, "splice_sats": 2000}
    assert node.rpc.call("revenue-report", ["hive"])["count"] == 0
    has(node.rpc.call("revenue-report", ["policies"]), ["total", "by_strategy", "by_rebalance_mode", "by_tag"])
    _, peer = first_channel(node)
    about = node.rpc.call("revenue-report", ["peer", peer])
    assert about["policy"]["strategy"] == "dynamic" and about["profitability"] and about["channels"]
    stranger = node.rpc.call("revenue-report", ["peer", "02" + "ab" * 32])
    assert stranger["profitability"] is None and stranger["channels"] == []
    journal = node.rpc.call("revenue-report", {"report_type": "journal"})
    assert journal["count"] == len(journal["entries"]) and journal["next"] is None
    for wrong in [["weather"], ["peer"], ["peer", "nobody"], ["costs", "x"], ["journal", peer], ["hive", "limit=3"]]:
        assert refused(node.rpc.call, "revenue-report", wrong)["code"] == -32602


def terminal(node, *order):
    order = [str(BINARY), *order, "--rpc-file", str(node.network_dir / "lightning-rpc")]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_journal_page_by_page(node):
    node.ready()
    for _ in range(3):
        node.make_forwards()
    books_read(node)

    def booked():
        whole = node.rpc.call("revenue-report", {"report_type": "journal", "from": -3650})
        return whole["entries"] if whole["count"] > 1 else None

    entries = wait_for(booked, 60, "the books to have lines")
    pages, after = [], None
    while True:
        page = node.rpc.call("revenue-report", {"report_type": "journal", "from": -3650, "limit": 1, "after": after})
        assert page["count"] <= 1 and (page["next"] is None or "warning_more" in page)
        pages += page["entries"]
        after = page["next"]
        if after is None:
            break
    assert [entry["key"] for entry in pages] == [entry["key"] for entry in entries]
    for wrong in [{"after": "yesterday"}, {"limit": 0}, {"limit": 10_001}]:
        assert refused(node.rpc.call, "revenue-report", {"report_type": "journal", **wrong})["code"] == -32602
    # At a terminal all of it, however many pages that takes.
    rows = list(csv.DictReader(terminal(node, "report", "journal", "from=-3650", "limit=1", "--format", "csv").splitlines()))
    assert [row["key"] for row in rows] == [entry["key"] for entry in entries]
    assert sum(int(row["amount_msat"]) for row in rows) == sum(entry["amount_msat"] for entry in entries)


def test_statements_at_a_terminal(node):
    node.ready()
    node.make_forwards()
    books_read(node)
    statements = [
        "dashboard", "profitability", "history", "report summary", "report hive", "report policies", "report costs",
        "report journal", "capacity-report", "snapshots", "cleanup-closed",
    ]
    _, peer = first_channel(node)
    for statement in [*statements, f"report peer {peer}"]:
        table = terminal(node, *statement.split())
        # Words and dates, no names of fields and no seconds since 1970.
        assert not re.search(r"[a-z]_[a-z]|1,[67]\d\d,\d{3},\d{3}|\b1[67]\d{8}\b", table), table
        asked = terminal(node, *statement.split(), "--format", "json")
        assert json.loads(asked), statement
        lines = list(csv.reader(terminal(node, *statement.split(), "--format", "csv").splitlines()))
        assert len({len(line) for line in lines}) <= 1, statement


def test_advice_days_and_the_archive(node):
    node.ready()
    books_read(node)
    advice = node.rpc.call("revenue-capacity-report")
    has(advice, ["timestamp", "mempool_recommendation", "winners", "losers", "recommendations"])
    assert {row["advice"] for row in advice["channels"]} <= {"splice", "open", "close", "keep"}
    assert len(advice["channels"]) == len(node.channels())
    days = node.rpc.call("revenue-snapshots", ["-2"])
    assert [day["gap"] for day in days["snapshots"]] == [True, True, False] and days["gaps"] == 2
    assert days["snapshots"][0]["local_balance_sats"] is None and days["snapshots"][2]["local_balance_sats"] > 0
    assert refused(node.rpc.call, "revenue-snapshots", ["yesterday"])["code"] == -32602
    assert node.rpc.call("revenue-cleanup-closed")["errors"] == []
    books = node.rpc.call("revenue-status")["books"]
    assert books["sum_of_accounts_msat"] in (0, None) and books["errors"] == []


def mine(line, blocks=1):
    line[0].bitcoin.generate_block(blocks, wait_for_mempool=0)
    height = line[0].bitcoin.rpc.getblockcount()
    for one in line:
        wait_for(lambda: one.rpc.getinfo()["blockheight"] >= height, 60, "the block")


def open_channel(line, funder, peer, sats, **extra):
    funder.rpc.connect(peer.info["id"], "localhost", peer.port)
    channel = funder.rpc.fundchannel(peer.info["id"], sats, announce=True, mindepth=1, **extra)["channel_id"]
    mine(line, 6)

    def normal():
        rows = [c for c in funder.rpc.call("listpeerchannels")["channels"] if c.get("channel_id") == channel]
        return rows[0]["short_channel_id"] if rows and rows[0]["state"] == "CHANNELD_NORMAL" else None

    return channel, wait_for(normal, 60, "the channel")


def circle(middle, hops, amount):
    """A payment to ourselves over these channels: (channel, node that it leads to)."""
    invoice = middle.rpc.invoice(amount, f"circle-{time.time_ns()}", "to ourselves")
    decoded = middle.rpc.call("decode", [invoice["bolt11"]])
    amounts, delays = [amount + 3000 * n for n in (2, 1, 0)], [34, 22, 10]
    route = [
        {"amount_msat": sum_, "id": node, "delay": delay, "channel": scid, "style": "tlv"}
        for (scid, node), sum_, delay in zip(hops, amounts, delays)
    ]
    middle.rpc.call("sendpay", {
        "route": route, "payment_hash": invoice["payment_hash"], "payment_secret": decoded["payment_secret"],
        "amount_msat": amount, "bolt11": invoice["bolt11"],
    })
    return middle.rpc.call("waitsendpay", {"payment_hash": invoice["payment_hash"], "timeout": 60})


def theirs_and_ours(node):
    theirs = defaultdict(lambda: defaultdict(int))
    for line in node.rpc.call("bkpr-listincome")["income_events"]:
        what = {"routed": "revenue", "onchain_fee": "chain", "rebalance_fee": "rebalance"}.get(line["tag"])
        if what and line["account"] != "wallet":
            theirs[line["account"]][what] += line["credit_msat"] + line["debit_msat"]
    ours = defaultdict(lambda: defaultdict(int))
    for entry in node.rpc.call("revenue-report", {"report_type": "journal"})["entries"]:
        what = {"cost/rebalance": "rebalance"}.get(entry["to_account"], "chain")
        channel = entry["from_account"]
        if channel == "income/routing":
            what, channel = "revenue", entry["to_account"]
        if entry["amount_msat"]:
            ours[channel.removeprefix("channel/")][what] += entry["amount_msat"]
    plain = lambda books: {account: dict(sums) for account, sums in books.items()}
    return plain(theirs), plain(ours)


@real
def test_our_books_and_the_bookkeepers(node, line):
    left, middle, right = line
    node.ready()
    books_read(node)
    middle.fundwallet(10**7)
    right.fundwallet(10**7)
    spliced = next(c["channel_id"] for c in node.channels() if c["peer_id"] == right.info["id"])
    mutual, _ = open_channel(line, middle, right, 1_000_000)
    left_us, _ = open_channel(line, middle, right, 1_200_000, push_msat=100_000_000)
    forced, _ = open_channel(line, middle, left, 1_100_000, push_msat=200_000_000)
    # Before there is a shorter way.
    node.make_forwards()
    back, back_scid = open_channel(line, right, left, 2_000_000, push_msat=900_000_000)

    to_right = node.channel_scid(spliced)
    from_left = next(
        c["short_channel_id"] for c in node.channels() if c["peer_id"] == left.info["id"] and c["channel_id"] != forced
    )
    hops = [(to_right, right.info["id"]), (back_scid, left.info["id"]), (from_left, middle.info["id"])]
    wait_for(lambda: right.rpc.call("listchannels", {"short_channel_id": back_scid})["channels"], 60, "the gossip")
    circle(middle, hops, 1_000_000)

    middle.rpc.call("splicein", {"channel": spliced, "amount": "300000"})
    mine(line, 6)
    wait_for(lambda: node.channel_scid(spliced) not in (None, to_right), 60, "the splice")
    node.make_forwards()
    # What happens while the plugin is off is found when it is back.
    node.stop_plugin()
    middle.rpc.call("spliceout", {"channel": spliced, "amount": "100000"})
    mine(line, 6)
    middle.rpc.close(mutual, 0)
    mine(line, 1)
    left.stop()
    middle.rpc.close(forced, 1)
    mine([middle, right], 7)
    left.start()
    # A peer that cannot reach us ends its channel alone.
    middle.stop()
    right.rpc.close(left_us, 1)
    wait_for(lambda: right.bitcoin.rpc.getrawmempool(), 60, "the peer's commitment")
    mine([left, right], 1)
    middle.start()
    for _ in range(3):
        mine(line, 6)
    wait_for(lambda: not any(a["account"] in (forced, left_us) and not a["account_closed"]
                             for a in node.rpc.call("bkpr-listbalances")["accounts"]), 60, "the sweep")
    node.ready()
    books_read(node)
    theirs, ours = theirs_and_ours(node)
    names = {
        mutual: "mutual close", forced: "our unilateral close", left_us: "the peer's unilateral close", spliced: "spliced in and out",
        back: "between others",
    }
    print(f"\n{'channel':28} {'':8} {'msat':10} {'bookkeeper':>14} {'ours':>14}")
    for account in sorted(set(theirs) | set(ours), key=lambda account: names.get(account, "other")):
        for what in ["revenue", "chain", "rebalance"]:
            both = [books.get(account, {}).get(what, 0) for books in (theirs, ours)]
            if any(both):
                print(f"{names.get(account, 'other'):28} {account[:8]} {what:10} {both[0]:14,} {both[1]:14,}")
    assert ours == theirs and any("revenue" in sums for sums in ours.values())
    costs = node.rpc.call("revenue-profitability", [forced])["profitability"]
    assert (costs["close_type"], costs["closer"], costs["opener"]) == ("local_unilateral", "local", "local")
    costs = node.rpc.call("revenue-profitability", [left_us])["profitability"]
    assert (costs["close_type"], costs["closer"], costs["opener"]) == ("remote_unilateral", "remote", "local")
    assert costs["closure_cost_sats"] > 0
    costs = node.rpc.call("revenue-profitability", [mutual])["profitability"]
    assert costs["close_type"] in ("mutual", None) and costs["closure_cost_sats"] > 0
    costs = node.rpc.call("revenue-profitability", [spliced])["profitability"]
    assert costs["is_open"] and costs["splice_cost_sats"] > 0 and costs["rebalance_cost_sats"] == 6
    spliced_by = [costs[f"splice_{way}_{what}"] for way in ("in", "out") for what in ("count", "sats")]
    # What left by the splice out paid for its transaction as well.
    assert spliced_by[:3] == [1, 300_000, 1] and 0 <= spliced_by[3] - 100_000 <= costs["splice_cost_sats"], spliced_by
    # Under its name of before the splice as well.
    assert node.rpc.call("revenue-profitability", [to_right])["channel_id"] == node.channel_scid(spliced)
    books = node.rpc.call("revenue-status")["books"]
    assert books["bookkeeper"] and books["records_coins"] and books["errors"] == [] and books["accounts_waiting"] == 0
    worth = node.rpc.call("revenue-dashboard")["balances"]
    assert worth["net_worth_sats"] == worth["onchain_sats"] + worth["unconfirmed_sats"] + worth["local_balance_sats"] + \
        worth["pending_sats"] + worth["closing_sats"]
