"""Payers who come with an old price: the node refuses them, and the learner hears of each once."""

import time

import pytest
from conftest import LIGHTNINGD, wait_for
from pyln.client import RpcError

real = pytest.mark.skipif(not LIGHTNINGD, reason="needs payers who go by a price of our choice")

AMOUNT = 10_000_000


def pay(line, channels, fee):
    """From the left to the right for that fee, whatever the network says."""
    left, middle, right = line
    invoice = right.rpc.invoice(AMOUNT, f"old-{time.time_ns()}", "with a price of our choice")
    secret = right.rpc.call("decode", [invoice["bolt11"]])["payment_secret"]
    hops = zip(channels, (middle, right), (AMOUNT + fee, AMOUNT), (34, 22))
    route = [
        {"amount_msat": amount, "id": node.info["id"], "delay": delay, "channel": scid, "style": "tlv"}
        for scid, node, amount, delay in hops
    ]
    left.rpc.call("sendpay", {
        "route": route, "payment_hash": invoice["payment_hash"], "payment_secret": secret, "amount_msat": AMOUNT, "bolt11": invoice["bolt11"],
    })
    return left.rpc.call("waitsendpay", {"payment_hash": invoice["payment_hash"], "timeout": 60})


@real
def test_who_is_refused_for_an_old_price_teaches_the_learner_once(node, line):
    _, middle, right = line
    node.ready()
    to_right = [c for c in node.channels() if c["peer_id"] == right.info["id"]]
    out = max(to_right, key=lambda c: c["spendable_msat"])["short_channel_id"]
    into = next(c["short_channel_id"] for c in node.channels() if c["peer_id"] == line[0].info["id"])
    old = node.channel(out)["updates"]["local"]

    def price(ppm):
        return old["fee_base_msat"] + AMOUNT * ppm // 1_000_000

    raised = 10 * old["fee_proportional_millionths"]
    # As another tool would; the plugin itself leaves payers ten minutes.
    node.rpc.call("setchannel", {"id": out, "feeppm": raised, "enforcedelay": 0})
    with pytest.raises(RpcError, match="(?i)fee_insufficient"):
        pay(line, (into, out), price(old["fee_proportional_millionths"]))
    pay(line, (into, out), price(raised))

    def heard():
        node.rpc.call("revenue-wake-all")
        counted = node.rpc.call("revenue-fee-debug", [out])["learner"]["old_price"]
        return counted if counted["refused"] else None

    # Whether a payer comes again is known after a minute.
    counted = wait_for(heard, 120, "the learner to hear of the refused payer")
    for _ in range(3):
        node.rpc.call("revenue-wake-all")
        counted = node.rpc.call("revenue-fee-debug", [out])["learner"]["old_price"]
    assert round(counted["refused"], 2) == 1 and round(counted["came_back"], 2) == 1, counted
