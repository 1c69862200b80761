"""CLBoss beside the plugin, played: on the simulated node by the node, on a real one by a plugin.

Runs before the tests that use setconfig: once an option of a plugin was set so and that plugin was stopped, Core Lightning
v26.06.6 falls over (signal 11) as soon as another plugin is started."""

import sys

import pytest
from conftest import LIGHTNINGD, heard, wait_for
from test_policies import fees_of, first_channel, policy, refused, simulated


# CLBoss as far as it is spoken to, for a real node: the list of tags replaces the one before.
CLBOSS = """#!{python}
from pyln.client import Plugin
plugin, unmanaged, heard = Plugin(), {{}}, []

@plugin.method("clboss-status")
def status(plugin):
    heard.append({{"method": "clboss-status", "params": []}})
    return {{"unmanaged": unmanaged}}

@plugin.method("clboss-unmanage")
def unmanage(plugin, nodeid, tags):
    heard.append({{"method": "clboss-unmanage", "params": [nodeid, tags]}})
    unmanaged[nodeid] = ", ".join(tags.split(","))
    return {{}}

@plugin.method("played-heard")
def played(plugin):
    return {{"heard": heard}}

plugin.run()
"""


@pytest.fixture
def clboss(node, tmp_path):
    """CLBoss beside the plugin, played."""
    if not LIGHTNINGD:
        node.rpc.call("sim-neighbours", {"clboss": True})
        yield
        return
    path = tmp_path / "clboss.py"
    path.write_text(CLBOSS.format(python=sys.executable))
    path.chmod(0o755)
    node.rpc.plugin_start(str(path))
    yield
    node.rpc.plugin_stop(str(path))


def test_clboss_is_told_once_and_keeps_what_the_user_set(node, clboss):
    scid, peer = first_channel(node)
    node.rpc.call("clboss-unmanage", [peer, "open,close"])
    node.ready()
    unmanaged = node.rpc.call("clboss-status")["unmanaged"]
    assert {c["peer_id"] for c in node.channels()} == set(unmanaged)
    assert set(unmanaged[peer].split(", ")) == {"close", "lnfee", "open"}
    told = len(heard(node, "clboss-unmanage"))
    asked = len(heard(node, "clboss-status"))
    node.rpc.call("revenue-wake-all")
    assert (len(heard(node, "clboss-unmanage")), len(heard(node, "clboss-status"))) == (told, asked)
    status = node.rpc.call("revenue-clboss-status")
    assert status["clboss_available"] and status["clboss_enabled"]
    row = next(row for row in status["unmanaged_peers"] if row["peer_id"] == peer)
    assert row["tags"] == ["lnfee"]
    assert set(status["clboss_status"]["unmanaged"][peer]) == {"close", "lnfee", "open"}
    answer = node.rpc.call("revenue-remanage", [peer])
    assert (answer["status"], answer["tags"]) == ("success", ["lnfee"]) and answer["warning_priced"]
    assert set(node.rpc.call("clboss-status")["unmanaged"][peer].split(", ")) == {"close", "open"}
    node.rpc.call("revenue-wake-all")
    assert "lnfee" not in node.rpc.call("clboss-status")["unmanaged"][peer], "what was given back stays there"
    assert node.rpc.call("revenue-remanage", [peer])["status"] == "noop"
    policy(node, "set", peer, "dynamic")
    wait_for(lambda: "lnfee" in node.rpc.call("clboss-status")["unmanaged"][peer], 10, "a new word to count more")
    assert "'tag' must be" in refused(node.rpc.call, "revenue-remanage", [peer, "everything"])["message"]


def test_an_ignored_peer_is_left_alone_by_clboss_as_well(node, clboss):
    node.ready()
    _, peer = first_channel(node)
    node.rpc.call("revenue-ignore", [peer])
    tags = lambda: set(node.rpc.call("clboss-status")["unmanaged"].get(peer, "").split(", "))
    wait_for(lambda: tags() == {"balance", "lnfee"}, 10, "CLBoss to be told")
    node.rpc.call("revenue-unignore", [peer])
    wait_for(lambda: tags() == {"lnfee"}, 10, "CLBoss to be told")
    for ending in [("delete", peer), ("set", peer, "dynamic"), ("untag", peer, "ignored")]:
        node.rpc.call("revenue-ignore", [peer])
        wait_for(lambda: tags() == {"balance", "lnfee"}, 10, "CLBoss to be told")
        policy(node, *ending)
        wait_for(lambda: tags() == {"lnfee"}, 10, f"CLBoss to be told after {ending[0]}")


@simulated
def test_a_clboss_that_fails_stops_nothing(node):
    node.rpc.call("sim-neighbours", {"clboss": True})
    node.rpc.call("sim-fault", ["clboss-unmanage", "error", 1000])
    status = node.ready()
    assert [w for w in status["warnings"] if "CLBoss" in w and "fees are set all the same" in w], status["warnings"]
    scid, peer = first_channel(node)
    policy(node, "set", peer, "static", "fee_ppm=44")
    wait_for(lambda: fees_of(node, peer) == {44}, 10, "the fee")
    node.rpc.call("sim-fault", ["clboss-unmanage", "error", 0])
    node.rpc.call("revenue-wake-all")
    assert "lnfee" in node.rpc.call("clboss-status")["unmanaged"][peer]
    assert not [w for w in node.rpc.call("revenue-status")["warnings"] if "CLBoss" in w]


@simulated
def test_without_clboss_or_with_the_option_off_nobody_is_told(node):
    node.ready(clboss_enabled="false")
    node.rpc.call("sim-neighbours", {"clboss": True})
    node.rpc.call("revenue-wake-all")
    assert heard(node, "clboss-unmanage") == []
    status = node.rpc.call("revenue-clboss-status")
    assert (status["clboss_enabled"], status["unmanaged_peers"]) == (False, [])
    node.rpc.call("sim-neighbours", {"clboss": False})
    assert node.rpc.call("revenue-clboss-status")["clboss_available"] is False
    _, peer = first_channel(node)
    assert node.rpc.call("revenue-remanage", [peer])["status"] == "noop"
