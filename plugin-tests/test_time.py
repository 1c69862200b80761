"""The plugin's process on a market that both play faster: it must earn there what its pricing earns alone, in process."""

import json
import subprocess
import time

from conftest import BINARY, SimulatedNode

DAY = 86_400
SCENARIO, SEED, DAYS = "S1", 1, 60
SPEED = 30_000
# Points of the oracle. Timers vary by chance, so that single plays spread by about a point: where one is further away, the mean of up to
# three must be within.
CLOSE = 2.0
PLAYS = 3


# A single tape turns small differences of timing into points: with cycles that are a hundredth longer pricing alone earns one more or two less.
# The plugin's timers vary by chance, so it is compared with the mean over cycles of these lengths, in seconds.
CYCLES = range(1700, 1901, 25)


def alone():
    """Mean earnings of pricing alone, and the oracle's, in msat."""
    cycles = "fee-interval=" + ",".join(str(seconds) for seconds in CYCLES)
    command = [str(BINARY), "simulate", "sweep", "--scenario", SCENARIO, "--seeds", "1", "--set", "train", "--days", str(DAYS),
               "--option", cycles, "--json", "-"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    tapes = [row["tapes"][0] for row in answer["rows"] if "default" not in row["policy"]]
    assert len(tapes) == len(CYCLES) and {tape["seed"] for tape in tapes} == {SEED}
    return sum(tape["earned_msat"] for tape in tapes) / len(tapes), tapes[0]["oracle_msat"]


def play(directory):
    """What the process earns in its days, in msat."""
    node = SimulatedNode(directory / "node", "--scenario", SCENARIO, "--fee-ppm", "200", "--quiet",
                         "--speed", str(SPEED), "--plugin", str(BINARY),
                         "--option", f"revenue-ops-db-path={directory / 'revenue_ops.db'}", seed=SEED)
    try:
        time.sleep(3 + DAYS * DAY / SPEED + 1)
        forwards = node.rpc.call("listforwards")["forwards"]
        start = 1_704_067_200
        end = start + DAYS * DAY
        assert max(f["received_time"] for f in forwards) > end, "the market is behind its clock"
        earned = sum(f["fee_msat"] for f in forwards if f["status"] == "settled" and f["resolved_time"] < end)
        status = node.rpc.call("revenue-status")
        refused = refused_for_old_prices(node)
    finally:
        node.close()
    assert f"time passes {SPEED} times" in node.log()
    assert not [w for w in status["warnings"] if "failed" in w], status["warnings"]
    # In this market all of them come back who would pay the new price.
    came, stayed = (sum(payers) for payers in zip(*refused))
    assert 0 < stayed < came, "payers come with old prices, and some do not want the new one"
    return earned


def refused_for_old_prices(node):
    """Of each channel, those whom the learner has heard of, and those of them who paid the new price."""
    channels = [c["short_channel_id"] for c in node.channels()]
    heard = [node.rpc.call("revenue-fee-debug", [scid])["learner"]["old_price"] for scid in channels]
    return [(payers["refused"], payers["came_back"]) for payers in heard]


def test_an_accelerated_plugin_earns_what_its_pricing_earns_in_process(tmp_path):
    ours, oracle = alone()
    expected, shares = 100 * ours / oracle, []

    def apart():
        return abs(sum(shares) / len(shares) - expected)

    while not shares or (apart() > CLOSE and len(shares) < PLAYS):
        directory = tmp_path / str(len(shares))
        directory.mkdir()
        shares.append(100 * play(directory) / oracle)
    print(f"process {', '.join(f'{share:.1f}' for share in shares)} %, in process {expected:.1f} % of the oracle")
    assert apart() <= CLOSE, (shares, expected)
