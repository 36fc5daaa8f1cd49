"""A Ray cluster of two machines with one core each, which are both this one."""

from collections.abc import Iterator
from typing import Any

import pytest

from stylebench.sweeps.engines import cluster


@pytest.fixture(scope="package")
def ray_cluster() -> Iterator[Any]:
    """Return `ray.cluster_utils.Cluster`; this process has joined it, but for other tests."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        for variable, value in cluster.STARTED.items():
            patched.setenv(variable, value)
        head = {"num_cpus": 1, "include_dashboard": False}
        machines = Cluster(initialize_head=True, head_node_args=head)
        machines.add_node(num_cpus=1)
        ray.init(address=machines.address, logging_level="ERROR", log_to_driver=False)
        try:
            yield machines
        finally:
            ray.shutdown()
            machines.shutdown()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return the engine that a test is run for, with a cluster if it needs one."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return str(request.param)
