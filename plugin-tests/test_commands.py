"""Every command once by position and once by keyword, and what it says to nonsense."""

import pytest
from conftest import wait_for
from pyln.client import RpcError


def refused(call, *arguments):
    with pytest.raises(RpcError) as error:
        call(*arguments)
    return error.value.error


def test_status(node):
    status = node.ready()
    again = node.rpc.call("revenue-status", [])
    assert set(status) == set(again)
    assert {"status", "version", "config", "channel_states", "recent_fee_changes", "recent_rebalances", "warnings",
            "jobs", "ledger", "breakers"} <= set(status)
    states = wait_for(lambda: node.rpc.call("revenue-status")["channel_states"], 30, "the first flow analysis")
    assert {s["channel_id"] for s in states} == {c["short_channel_id"] for c in node.channels()}
    assert {s["state"] for s in states} <= {"source", "sink", "balanced", "idle"}


def test_set_fee_by_position_keyword_and_token(node):
    node.ready()
    scid = node.channels()[0]["short_channel_id"]
    by_position = node.rpc.call("revenue-set-fee", [scid, 123])
    assert by_position["status"] == "success" and by_position["new_fee_ppm"] == 123
    assert node.fee_of(scid) == 123
    by_keyword = node.rpc.call("revenue-set-fee", {"channel_id": scid, "fee_ppm": "234"})
    assert by_keyword["old_fee_ppm"] == 123
    assert node.fee_of(scid) == 234
    node.rpc.call("revenue-set-fee", [scid, "fee_ppm=3", "force=true"])
    assert node.fee_of(scid) == 3


def test_a_fee_change_is_seen_by_the_peer_and_leaves_the_rest_alone(node):
    node.ready()
    scid = node.channels()[0]["short_channel_id"]
    before = node.channel(scid)
    node.rpc.call("revenue-set-fee", [scid, 321])
    wait_for(lambda: node.fee_seen_by_peer(scid) == 321, 30, "the peer to hear of the fee")
    after = node.channel(scid)["updates"]["local"]
    for kept in ("fee_base_msat", "htlc_minimum_msat", "htlc_maximum_msat"):
        assert after[kept] == before["updates"]["local"][kept]


def test_set_fee_says_what_is_wrong(node):
    node.ready()
    scid = node.channels()[0]["short_channel_id"]
    fee = node.fee_of(scid)
    call = node.rpc.call
    for arguments, expected in [
        (["1x1x1", 100], "1x1x1"),
        (["nonsense", 100], "nonsense"),
        ([scid, 9], "10 to 5000"),
        ([scid, 5001], "force=true"),
        ([scid, -1], "fee_ppm"),
        ([scid, 1.5], "fee_ppm"),
        ([scid], "fee_ppm"),
        ([scid, 100, "true", "more"], "channel_id fee_ppm [force]"),
        ({"channel_id": scid, "fee_ppm": 100, "loud": True}, "loud"),
    ]:
        error = refused(call, "revenue-set-fee", arguments)
        assert error["code"] == -32602, (arguments, error)
        assert expected in error["message"], (arguments, error)
    assert node.fee_of(scid) == fee


def test_config(node):
    node.ready()
    call = node.rpc.call
    assert call("revenue-config", ["get", "min_fee_ppm"])["value"] == 10
    answer = call("revenue-config", ["set", "revenue-ops-min-fee-ppm", "25"])
    assert (answer["status"], answer["old_value"], answer["new_value"]) == ("success", 10, 25)
    assert call("revenue-config", {"action": "get", "key": "min_fee_ppm"})["value"] == 25
    assert call("revenue-status")["config"]["fee_range_ppm"] == [25, 5000]
    rows = {row["key"]: row for row in call("revenue-config", ["list"])["options"]}
    assert (rows["min_fee_ppm"]["source"], rows["min_fee_ppm"]["default"]) == ("override", 10)
    call("revenue-config", {"action": "reset", "key": "min_fee_ppm"})
    assert call("revenue-config", ["get", "min_fee_ppm"])["value"] == 10
    assert call("revenue-config", ["set", "enable_vegas_reflex", "false"])["key"] == "vegas_reflex"
    assert call("revenue-config", ["get", "vegas_reflex"])["value"] is False
    versions = [call("revenue-config", ["set", "max_fee_ppm", str(v)])["version"] for v in (3000, 3001)]
    assert versions[0] < versions[1]


def test_config_says_what_is_wrong(node):
    node.ready()
    for arguments, expected in [
        (["set", "min_fee_ppm", "lots"], "a whole number from 0 to 100000"),
        (["set", "min_fee_ppm", "6000"], "revenue-ops-max-fee-ppm"),
        (["set", "min_fee_pm", "1"], "min_fee_ppm"),
        (["set", "db_path", "/tmp/x.db"], "revenue-ops-db-path"),
        (["set", "dry_run", "true"], "setconfig"),
        (["set", "min_fee_ppm"], "value"),
        (["frobnicate"], "frobnicate"),
        (["reset", "min_fee_ppm"], "min_fee_ppm"),
    ]:
        error = refused(node.rpc.call, "revenue-config", arguments)
        assert error["code"] == -32602, (arguments, error)
        assert expected in error["message"], (arguments, error)


def test_analyze(node):
    node.ready()
    node.make_forwards()
    answer = node.rpc.call("revenue-analyze", [])
    assert answer["status"]
    scid = node.channels()[0]["short_channel_id"]
    one = node.rpc.call("revenue-analyze", {"channel_id": scid})
    assert one["channel"] == scid
    assert one["analysis"]["state"] in ("source", "sink", "balanced", "idle")
    assert refused(node.rpc.call, "revenue-analyze", ["9x9x9"])["code"] == -32602


def test_forwards_are_counted_once(node):
    node.ready()
    node.make_forwards()
    node.rpc.call("revenue-analyze")
    listed = node.rpc.call("listforwards")["forwards"]
    settled = [f for f in listed if f["status"] == "settled"]
    ledger = node.rpc.call("revenue-status")["ledger"]
    assert settled
    assert ledger["settled"] == len(settled)
    assert ledger["fees_msat"] == sum(int(f["fee_msat"]) for f in settled)
    assert ledger["sum_of_accounts_msat"] == 0


def test_fee_debug(node):
    node.ready()
    scid = node.channels()[0]["short_channel_id"]
    every = node.rpc.call("revenue-fee-debug")
    assert {"timestamp", "config", "channels", "summary"} <= set(every)
    one = node.rpc.call("revenue-fee-debug", [scid])
    assert one["channel_id"] == scid
    assert [stage["stage"] for stage in one["stages"]]
    assert all(stage["text"] for stage in one["stages"])
    learner = one["learner"]
    assert {"belief", "f_rev_ppm", "f_clear_ppm", "centre_ppm", "delta", "direction", "came_from_ppm", "moved_by", "step", "text",
            "probability_of_right_direction", "block_ends_at", "pairs"} <= set(learner)
    for name in ("theta_ppm", "kappa"):
        interval = learner["belief"][name]
        assert 0 < interval["low"] <= interval["mean"] <= interval["high"], learner
    assert learner["belief"]["interval"] == 0.8
    assert learner["block_ends_at"][:2] == "20" and learner["pairs"] == [], "no pair is over in the first minute"
    lines = {row["channel_id"]: row["learner"] for row in every["channels"]}
    assert set(lines) == {c["short_channel_id"] for c in node.channels()}
    assert all("kappa" in line and "\n" not in line for line in lines.values())
    assert refused(node.rpc.call, "revenue-fee-debug", {"channel_id": "9x9x9"})["code"] == -32602


def test_wake_all(node):
    node.ready()
    answer = node.rpc.call("revenue-wake-all")
    assert answer["status"] == "ok"
    assert answer["channels_woken"] == len(node.channels())


def test_setconfig_is_live_and_refuses_nonsense(node):
    node.ready()
    node.rpc.call("setconfig", {"config": "revenue-ops-min-fee-ppm", "val": "40", "transient": True})
    assert node.rpc.call("revenue-status")["config"]["fee_range_ppm"] == [40, 5000]
    error = refused(node.rpc.call, "setconfig", {"config": "revenue-ops-min-fee-ppm", "val": "abc", "transient": True})
    assert "a whole number from 0 to 100000" in error["message"]
    refused(node.rpc.call, "setconfig", {"config": "revenue-ops-db-path", "val": "/tmp/x.db", "transient": True})
    # The node keeps the value for the next start of the plugin.
    node.rpc.call("setconfig", {"config": "revenue-ops-min-fee-ppm", "val": "10", "transient": True})
    assert node.rpc.call("revenue-status")["config"]["fee_range_ppm"] == [10, 5000]


def test_dry_run_touches_nothing(node):
    fees = {c["short_channel_id"]: c["updates"]["local"] for c in node.channels()}
    node.ready(dry_run="true")
    answer = node.rpc.call("revenue-set-fee", [next(iter(fees)), 777])
    assert answer["dry_run"] is True
    node.rpc.call("revenue-wake-all")
    assert {c["short_channel_id"]: c["updates"]["local"] for c in node.channels()} == fees
    assert node.rpc.call("revenue-status")["config"]["dry_run"] is True
