"""A machine of a Ray cluster that is lost in mid-sweep; all machines are this one.

python -m tests.faults.ray_node
"""

import os
from typing import Any

from stylebench import store
from stylebench.sweeps import engines, plan
from stylebench.sweeps.experiment import load_sweep
from tests.faults import sweeps
from tests.faults.outcome import Outcome, main

JOBS = 40


def _lose(cluster: Any, times: int) -> tuple[list[store.JobRecord], int]:
    """Run a sweep on three machines and take one away `times` times; each comes back."""
    node = cluster.add_node(num_cpus=1)
    with sweeps.folder() as folder:
        config = load_sweep(sweeps.write(folder / "faults.yaml", evals=1000))
        specs = plan.expand(config).jobs
        how = engines.EngineOptions(name="ray", workers=3, batch=1)
        records = []
        for record in engines.run(specs, folder / "out", how):
            records.append(record)
            if len(records) % (JOBS // (times + 1)) == 0 and times:
                cluster.remove_node(node, allow_graceful=False)
                times -= 1
                node = cluster.add_node(num_cpus=1)
        return records, len(store.pending(folder / "out", specs))


def measure(times: int) -> list[Outcome]:
    """Start a cluster of three machines with one core each."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        records, left = _lose(cluster, times)
    finally:
        ray.shutdown()
        cluster.shutdown()
    ids = {record.job_id for record in records}
    ok = sum(record.status == "ok" for record in records)
    return [
        Outcome(
            f"a Ray node lost in mid-sweep, {times} times",
            "the sweep completes, every job once",
            f"{len(records)} outcomes of {len(ids)} jobs, {ok} ok, {left} left",
            (len(records), len(ids), ok, left) == (JOBS, JOBS, JOBS, 0),
        )
    ]


if __name__ == "__main__":
    main(measure, 2, str(__doc__))
