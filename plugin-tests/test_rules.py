"""Rule files from outside: checked, applied, reread, and explained channel by channel."""

import pytest
from conftest import wait_for
from pyln.client import RpcError


@pytest.fixture
def rules(node, tmp_path):
    """A rule file that is taken out of force in the end."""
    file = tmp_path / "rules.conf"
    node.ready()
    yield file
    node.rpc.call("revenue-config", ["set", "policy_file", "none"])


def apply(node, file, text):
    file.write_text(text)
    answer = node.rpc.call("revenue-config", ["set", "policy_file", str(file)])
    assert answer["status"] == "success"
    node.rpc.call("revenue-wake-all")


def first_channel(node):
    return node.channels()[0]["short_channel_id"]


def test_a_rule_file_is_in_force_and_what_it_leaves_open_is_the_controllers(node, rules):
    scid = first_channel(node)
    apply(node, rules, f"[one]\nchan.id = {scid}\nstrategy = static\nfee_ppm = 0\nbase_fee_msat = 3\nmax_htlc_msat = 40_000_000\n")
    local = wait_for(lambda: [u for u in [node.channel(scid)["updates"]["local"]]
                              if u["fee_proportional_millionths"] == 0], 20, "the rule's fee")[0]
    assert (local["fee_base_msat"], local["htlc_maximum_msat"]) == (3, 40_000_000)
    wait_for(lambda: node.fee_seen_by_peer(scid) == 0, 30, "the peer to hear of it")
    changes = [c for c in node.rpc.call("revenue-status")["recent_fee_changes"] if c["channel_id"] == scid]
    node.rpc.call("revenue-wake-all")
    assert changes == [c for c in node.rpc.call("revenue-status")["recent_fee_changes"] if c["channel_id"] == scid]
    tested = node.rpc.call("revenue-test-channel", [scid])
    assert tested["rules"]["section"] == "one" and tested["rules"]["line"] == 1
    assert {"member": "fee_ppm", "value": "0", "source": "section [one], line 1"} in tested["policy"]["trail"]
    assert any("one" in line for line in tested["lines"])
    with pytest.raises(RpcError) as error:
        node.rpc.call("revenue-set-fee", [scid, 500])
    assert "section [one], line 1" in error.value.error["message"]


def test_a_changed_file_is_reread_without_anybody_asking(node, rules):
    scid = first_channel(node)
    apply(node, rules, f"[one]\nchan.id = {scid}\nstrategy = static\nfee_ppm = 71\n")
    wait_for(lambda: node.fee_of(scid) == 71, 20, "the rule's fee")
    rules.write_text(f"[one]\nchan.id = {scid}\nstrategy = static\nfee_ppm = 1072\n")
    wait_for(lambda: node.fee_of(scid) == 1072, 90, "the new rule's fee")


def test_a_file_with_errors_changes_nothing_and_says_where(node, rules):
    scid = first_channel(node)
    apply(node, rules, f"[one]\nchan.id = {scid}\nstrategy = static\nfee_ppm = 71\n")
    wait_for(lambda: node.fee_of(scid) == 71, 20, "the rule's fee")
    rules.write_text(f"[one]\nchan.id = {scid}\nstrategy = static\nfee_pmm = 1072\n[two]\nstrategy = statik\n")
    node.rpc.call("revenue-wake-all")
    assert node.fee_of(scid) == 71
    checked = node.rpc.call("revenue-policy-file", ["check"])
    assert not checked["usable"] and checked["in_force"]["older"]
    texts = [finding["text"] for finding in checked["findings"] if finding["severity"] == "error"]
    assert any(":4: error: [one] fee_pmm" in text and "did you mean 'fee_ppm'?" in text for text in texts), texts
    assert any(":6: error: [two] strategy" in text and "'static'" in text for text in texts), texts
    assert any("The last rules without errors stay in force" in w for w in node.rpc.call("revenue-status")["warnings"])
    rules.write_text(f"[one]\nchan.id = {scid}\nstrategy = static\nfee_ppm = 73\n")
    node.rpc.call("revenue-wake-all")
    wait_for(lambda: node.fee_of(scid) == 73, 20, "the mended rule's fee")


def test_check_says_what_to_type(node):
    node.ready()
    for arguments, words in [(["check"], "policy-file check PATH"), (["try"], "there is 'check'")]:
        with pytest.raises(RpcError) as error:
            node.rpc.call("revenue-policy-file", arguments)
        assert words in error.value.error["message"]
    missing = node.rpc.call("revenue-policy-file", ["check", "/nowhere/rules.conf"])
    assert not missing["usable"] and "cannot be read" in missing["findings"][0]["text"]
    with pytest.raises(RpcError) as error:
        node.rpc.call("revenue-test-channel", ["1x1x1"])
    assert "1x1x1" in error.value.error["message"]
