"""The plugin from outside: against the lightningd on PATH, or, without one, against the simulated node of this package.

Both are spoken to in the same way, through pyln-client; which one it was is said in pytest's header.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from pyln.client import LightningRpc, RpcError

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("CL_REVENUE_OPS", ROOT / "target" / "release" / "cl-revenue-ops"))
LIGHTNINGD = shutil.which("lightningd")


def pytest_report_header():
    if LIGHTNINGD:
        version = subprocess.run([LIGHTNINGD, "--version"], capture_output=True, text=True).stdout.strip()
        return f"node under the plugin: real lightningd {version} ({LIGHTNINGD})"
    return "node under the plugin: simulated (no lightningd on PATH)"


def wait_for(true, seconds=30, what="the condition"):
    """Waits until `true()` answers something true, and returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = true()
        except RpcError:
            answer = None
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Node:
    """A node that the plugin runs on, real or simulated."""

    def __init__(self, rpc, network_dir, log_path):
        self.rpc = rpc
        self.network_dir = Path(network_dir)
        self.log_path = Path(log_path)
        self.db_path = None

    def start_plugin(self, **options):
        """`plugin start`, with a ledger of the test's own unless told otherwise; options without their prefix."""
        options.setdefault("db_path", str(self.db_path))
        named = {f"revenue-ops-{key.replace('_', '-')}": value for key, value in options.items()}
        return self.rpc.call("plugin", {"subcommand": "start", "plugin": str(BINARY), **named})

    def stop_plugin(self):
        return self.rpc.call("plugin", {"subcommand": "stop", "plugin": BINARY.name})

    def ready(self, **options):
        """Starts the plugin and waits until its first fee cycle is over."""
        self.start_plugin(**options)
        return self.wait_ready()

    def wait_ready(self):
        def cycled():
            status = self.rpc.call("revenue-status")
            return status if status["status"] == "running" and status["jobs"]["fees"]["last_run"] else None

        return wait_for(cycled, 60, "the first fee cycle")

    def plugin_runs(self):
        return any(Path(p["name"]).name == BINARY.name and p["active"] for p in self.rpc.plugin_list()["plugins"])

    def plugin_pids(self):
        """Processes of the plugin; the simulated node is the same binary, but says so in its arguments."""
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                ours = (process / "exe").resolve() == BINARY.resolve()
                if ours and b"simnode" not in (process / "cmdline").read_bytes():
                    pids.append(int(process.name))
            except OSError:
                continue
        return pids

    def channels(self):
        return [c for c in self.rpc.call("listpeerchannels")["channels"] if c["state"] == "CHANNELD_NORMAL"]

    def channel(self, scid):
        return next(c for c in self.rpc.call("listpeerchannels")["channels"] if c.get("short_channel_id") == scid)

    def channel_scid(self, channel_id):
        found = [c for c in self.channels() if c["channel_id"] == channel_id]
        return found[0].get("short_channel_id") if found else None

    def fee_of(self, scid):
        return self.channel(scid)["updates"]["local"]["fee_proportional_millionths"]

    def log(self):
        return self.log_path.read_text(errors="replace")


class SimulatedNode(Node):
    def __init__(self, directory, *arguments, seed=7):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [str(BINARY), "simnode", "--lightning-dir", str(self.directory), "--seed", str(seed), *arguments]
        self.output = open(self.directory / "simnode.out", "w")
        self.process = subprocess.Popen(command, stdout=self.output, stderr=subprocess.STDOUT)
        network_dir = self.directory / "regtest"
        socket = network_dir / "lightning-rpc"
        wait_for(lambda: socket.exists() or self.process.poll() is not None, 30, "the simulated node's socket")
        assert self.process.poll() is None, (self.directory / "simnode.out").read_text()
        super().__init__(LightningRpc(str(socket)), network_dir, self.directory / "log")
        self.db_path = self.directory / "revenue_ops.db"

    def make_forwards(self):
        self.rpc.call("sim-advance", {"seconds": 6 * 3600})

    def fee_seen_by_peer(self, scid):
        ours = self.rpc.getinfo()["id"]
        seen = self.rpc.call("listchannels", {"short_channel_id": scid})["channels"]
        return next(c["fee_per_millionth"] for c in seen if c["source"] == ours)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


class RealNode(Node):
    """The middle one of three nodes in a line, on regtest."""

    def __init__(self, line):
        self.left, self.middle, self.right = line
        network_dir = Path(self.middle.daemon.lightning_dir) / "regtest"
        super().__init__(self.middle.rpc, network_dir, Path(self.middle.daemon.lightning_dir) / "log")
        self.paid = 0

    def make_forwards(self):
        for _ in range(3):
            self.paid += 1
            invoice = self.right.rpc.invoice(2_000_000 + self.paid, f"paid-{time.time_ns()}", "a forward")
            self.left.rpc.call("xpay", {"invstring": invoice["bolt11"]})

    def fee_seen_by_peer(self, scid):
        ours = self.rpc.getinfo()["id"]
        peer = self.channel(scid)["peer_id"]
        watcher = self.left if self.left.info["id"] == peer else self.right
        seen = watcher.rpc.call("listchannels", {"short_channel_id": scid})["channels"]
        return next((c["fee_per_millionth"] for c in seen if c["source"] == ours), None)

    def log(self):
        self.middle.daemon.logs_catchup()
        return "\n".join(self.middle.daemon.logs)


def heard(node, method):
    """What a neighbour that is played was told."""
    told = node.rpc.call("played-heard" if LIGHTNINGD else "sim-neighbours")["heard"]
    return [h["params"] for h in told if h["method"] == method]


if LIGHTNINGD:
    from concurrent import futures

    from pyln.testing.db import SqliteDbProvider
    from pyln.testing.utils import BitcoinD, LightningNode, NodeFactory

    def regtest(request, tmp_path_factory):
        """Three nodes in a row. Who changes more of the network than its fees takes one of its own."""
        directory = str(tmp_path_factory.mktemp("regtest"))
        bitcoind = BitcoinD(bitcoin_dir=directory)
        bitcoind.start()
        bitcoind.generate_block(101)
        executor = futures.ThreadPoolExecutor(max_workers=8)
        databases = SqliteDbProvider(directory)
        databases.start()
        factory = NodeFactory(
            request, "plugin-tests", bitcoind, executor, directory=directory, db_provider=databases,
            node_cls=LightningNode, jsonschemas={},
        )
        yield factory.line_graph(3, wait_for_announce=True, fundamount=10**7)
        factory.killall([True] * len(factory.nodes))
        bitcoind.stop()
        executor.shutdown(wait=False)

    line = pytest.fixture(scope="session")(regtest)
    own_line = pytest.fixture(scope="module")(regtest)

    @pytest.fixture
    def node(line, tmp_path):
        node = RealNode(line)
        node.db_path = tmp_path / "revenue_ops.db"
        yield node
        if node.plugin_runs():
            node.stop_plugin()

else:

    @pytest.fixture
    def node(request, tmp_path):
        """A test that asks for it has a network of another seed."""
        seed, channels, *arguments = getattr(request, "param", (7, 4))
        node = SimulatedNode(tmp_path / "node", "--channels", str(channels), *arguments, seed=seed)
        yield node
        node.close()
