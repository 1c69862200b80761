"""Starting, stopping, crashing, and being told nonsense at the door."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import BINARY, wait_for
from pyln.client import RpcError


def test_the_plugin_starts_and_prices_every_channel(node):
    status = node.ready()
    assert status["version"].split(".")[0].isdigit()
    assert status["config"]["fee_range_ppm"] == [10, 5000]
    priced = {row["channel_id"] for row in node.rpc.call("revenue-fee-debug")["channels"]}
    assert priced == {c["short_channel_id"] for c in node.channels()}


def test_commands_answer_right_after_start(node):
    before = time.monotonic()
    node.start_plugin()
    assert node.rpc.call("revenue-status")["status"] in ("starting", "running")
    assert time.monotonic() - before < 10


def test_stop_and_start_keep_everything(node):
    node.ready()
    node.make_forwards()
    node.rpc.call("revenue-analyze")
    scid = node.channels()[0]["short_channel_id"]
    node.rpc.call("revenue-set-fee", {"channel_id": scid, "fee_ppm": 432})
    node.rpc.call("revenue-config", {"action": "set", "key": "max_fee_ppm", "value": 4000})
    before = node.rpc.call("revenue-status")
    node.stop_plugin()
    assert not node.plugin_runs()
    after = node.ready()
    assert after["config"]["fee_range_ppm"] == [10, 4000]
    assert after["ledger"]["forwards"] >= before["ledger"]["forwards"]
    assert after["ledger"]["sum_of_accounts_msat"] == 0
    assert {c["new_fee_ppm"] for c in after["recent_fee_changes"] if c["manual"]} == {432}
    assert node.fee_of(scid) == 432


def test_stopping_takes_less_than_two_seconds(node):
    node.ready()
    before = time.monotonic()
    node.stop_plugin()
    assert time.monotonic() - before < 2


def test_kill_loses_nothing_but_time(node):
    node.ready()
    node.make_forwards()
    node.rpc.call("revenue-analyze")
    before = node.rpc.call("revenue-status")["ledger"]["forwards"]
    assert before > 0
    pids = node.plugin_pids()
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not node.plugin_runs(), 20, "the node to notice")
    after = node.ready()
    assert after["ledger"]["forwards"] >= before
    assert after["ledger"]["problems"] == []


@pytest.mark.parametrize(
    "option, value, allowed",
    [
        ("min_fee_ppm", "abc", "a whole number from 0 to 100000"),
        ("min_fee_ppm", "6000", "revenue-ops-max-fee-ppm"),
        ("fee_interval", "0", "a whole number from 60 to 86400"),
        ("dry_run", "perhaps", "true or false"),
        ("scarcity_threshold", "1.5", "a number from 0 to 1"),
    ],
)
def test_a_bad_option_disables_with_one_sentence(node, option, value, allowed):
    with pytest.raises(RpcError) as refused:
        node.start_plugin(**{option: value})
    text = refused.value.error["message"]
    assert f"revenue-ops-{option.replace('_', '-')}" in text
    assert value in text
    assert allowed in text
    assert not node.plugin_runs()


def test_a_foreign_database_is_not_touched(node, tmp_path):
    path = tmp_path / "somebody.db"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE channel_states (channel_id TEXT PRIMARY KEY)")
    before = path.read_bytes()
    with pytest.raises(RpcError) as refused:
        node.start_plugin(db_path=str(path))
    assert "revenue-ops-db-path" in refused.value.error["message"]
    assert str(path) in refused.value.error["message"]
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_made_is_refused_at_the_door(node):
    with pytest.raises(RpcError) as refused:
        node.start_plugin(db_path="/proc/nope/x.db")
    assert "its folder '/proc/nope' cannot be made" in refused.value.error["message"]
    assert not node.plugin_runs()


def test_no_sqlite_file_is_not_touched(node, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(RpcError) as refused:
        node.start_plugin(db_path=str(path))
    assert "not a SQLite file" in refused.value.error["message"]
    assert path.read_text().startswith("dear diary")


def test_no_hooks_and_the_right_subscriptions():
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getmanifest", "params": {}})
    spoken = subprocess.run(
        [BINARY], input=asked + "\n\n", env={**os.environ, "LIGHTNINGD_PLUGIN": "1"}, capture_output=True, text=True,
        timeout=20,
    )
    messages = [json.loads(line) for line in spoken.stdout.splitlines() if line]
    manifest = next(message["result"] for message in messages if message.get("id") == 1)
    assert manifest["hooks"] == []
    assert sorted(manifest["subscriptions"]) == [
        "channel_opened", "channel_state_changed", "connect", "disconnect", "forward_event", "shutdown",
    ]


def test_the_node_has_every_command_while_the_plugin_runs(node):
    commands = {"revenue-status", "revenue-config", "revenue-analyze", "revenue-set-fee", "revenue-fee-debug",
                "revenue-wake-all", "revenue-policy", "revenue-ignore", "revenue-unignore", "revenue-list-ignored",
                "revenue-clboss-status", "revenue-remanage"}

    def known():
        return commands & {h["command"].split()[0] for h in node.rpc.help()["help"]}

    node.ready()
    listed = next(p for p in node.rpc.plugin_list()["plugins"] if Path(p["name"]).name == BINARY.name)
    assert listed["dynamic"] is True
    assert known() == commands
    node.stop_plugin()
    assert known() == set()


def test_the_ledger_of_another_node_stops_everything_but_the_plugin(node):
    """What a plugin that is important to lightningd must not do is to leave."""
    node.ready()
    node.stop_plugin()
    with closing(sqlite3.connect(node.db_path, isolation_level=None)) as ledger:
        ledger.execute("UPDATE owner SET node = ?", (bytes([2] * 33),))
    before = node.db_path.read_bytes()
    node.start_plugin()
    status = wait_for(
        lambda: next((s for s in [node.rpc.call("revenue-status")] if s["status"] == "disabled"), None), 30, "the reason"
    )
    assert "belongs to node 0202" in status["warnings"][0]
    assert "revenue-ops-db-path" in status["warnings"][0]
    with pytest.raises(RpcError) as refused:
        node.rpc.call("revenue-wake-all")
    assert refused.value.error["code"] == 4002
    assert status["warnings"][0] in refused.value.error["message"]
    assert node.plugin_runs()
    assert node.db_path.read_bytes() == before
