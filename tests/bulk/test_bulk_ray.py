"""Shards by actors of Ray on a cluster of two nodes, whose workers, whose driver and one of whose nodes are killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import unveil
from command_line import refused

psutil = pytest.importorskip("psutil", reason="the extra gallery is not installed")
pytest.importorskip("ray", reason="the extra ray is not installed")

SIZE = 3  # crops of a shard: 80 shards
TOLERANCE = 1e-4  # of a number in a vector of length 1: crops are multiplied in other batches
# Ray on loopback alone; see unveil.bulk.on_ray.
ENVIRONMENT = os.environ | {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "OMP_NUM_THREADS": "1",
}
# A process of its own for the cluster: its settings are read when Ray is imported, and it ends with its standard input.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=node)
second = cluster.add_node(**node)
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(second, allow_graceful=False)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[subprocess.Popen[str]]:
    """A cluster of two nodes with one processor each; a line to its standard input takes the second one away."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield process
    processes = psutil.Process(process.pid).children(recursive=True)
    process.stdin.close()
    process.wait(60)
    for left in processes:
        if left.is_running():
            left.kill()


@pytest.fixture(scope="module")
def address(cluster: subprocess.Popen[str]) -> str:
    return cluster.stdout.readline().strip()


@pytest.fixture
def embed(address: str, model: Path, crops: Path, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Start the command, which writes into ``tmp_path / "shards"``."""
    # A relative path: actors run in another folder.
    words = ["embed", model, crops.name, "--ray", address, "--shard-size", SIZE, "--out", tmp_path / "shards", "--json"]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "unveil", *map(str, words)], env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=crops.parent,
        )  # fmt: skip

    return start


def written(folder: Path, count: int) -> list[Path]:
    """Wait until so many shards are there and return them."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if len(found := sorted(folder.glob("part-*.parquet"))) >= count:
            return found
        time.sleep(0.005)
    pytest.fail(f"no {count} shards after five minutes")


def workers(cluster: subprocess.Popen[str]) -> list:
    """Return the processes of the cluster that embed."""
    found = []
    for process in psutil.Process(cluster.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # or a zombie
            found += [process] if any("ShardEmbedder" in word for word in process.cmdline()) else []
    return found


def ended(process: subprocess.Popen[str], code: int) -> dict:
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return json.loads(out)


def same(folder: Path, plain: Path) -> None:
    """Every crop is there once, as one process embedded it."""
    shards, one = unveil.load_embeddings(folder), unveil.load_embeddings(plain)
    assert shards.samples == one.samples
    assert (shards.identity, shards.source) == (one.identity, one.source)
    lengths = np.linalg.norm(one.embedding.vectors, axis=2, keepdims=True)
    np.testing.assert_allclose(
        shards.embedding.vectors / lengths, one.embedding.vectors / lengths, atol=TOLERANCE, rtol=0
    )
    np.testing.assert_array_equal(shards.embedding.visibility, one.embedding.visibility)
    assert not list(folder.glob(".part-*"))


def test_a_worker_that_is_killed_loses_and_doubles_nothing(embed, cluster, plain, tmp_path):
    running = embed()
    there = written(tmp_path / "shards", 3)
    killed = workers(cluster)
    assert len(killed) == 2
    killed[0].kill()
    assert len(there) < 80
    summary = ended(running, 1)
    assert summary | {"folder": "", "engine": ""} == {
        "folder": "", "crops": 239, "left_out": 1, "shape": "239x1x256", "engine": "", "shards": 80, "shards_made": 80
    }  # fmt: skip
    same(tmp_path / "shards", plain)


def test_after_the_command_was_killed_shards_that_are_there_stay_and_a_lost_node_is_done_without(
    embed, cluster, plain, tmp_path
):
    running = embed()
    folder = tmp_path / "shards"
    written(folder, 3)
    running.kill()
    running.communicate()
    while workers(cluster):  # Ray ends them: their driver is gone
        time.sleep(0.05)
    there = {path: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}
    assert 3 <= len(there) < 80
    damaged = min(there)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (folder / ".part-00000-of-00080.parquet.1.tmp").write_bytes(b"half")
    running = embed()
    written(folder, len(there) + 2)
    print("take the second node away", file=cluster.stdin, flush=True)
    summary = ended(running, 1)
    assert summary["shards_made"] == 80 - len(there) + 1
    assert all(path.stat().st_mtime_ns == time for path, time in there.items() if path != damaged)
    same(folder, plain)


def test_no_cluster_at_the_address_is_said_at_once(model, crops, tmp_path):
    said = refused("embed", model, crops, "--ray", "127.0.0.1:9", "--out", tmp_path / "shards")
    assert said == "no Ray cluster answers at 127.0.0.1:9: Connection refused"
    assert "expected local, or HOST:PORT" in refused("embed", model, crops, "--ray", "nowhere", "--out", tmp_path / "s")
