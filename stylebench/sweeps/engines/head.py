"""Whether a Ray cluster is still there: asked before Ray finds out, and ends this process."""

import contextlib
import socket
import threading
import time
from typing import Any

ASKED, SILENCE = 1.0, 30.0
"""Seconds between two questions to the head, and without an answer after which it is lost."""
CONNECTING = 5.0
"""Seconds for a connection to this machine's node."""


class Head:
    """The head of the cluster that this process has joined, and its node on this machine.

    The head is asked in a thread of its own: a call to one that is gone does not return.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        mine = ray.get_runtime_context().get_node_id()
        (node,) = (node for node in ray.nodes() if node["NodeID"] == mine)
        self._node = node["NodeManagerAddress"], int(node["NodeManagerPort"])
        self._resources: dict[str, float] = ray.cluster_resources()
        self._answered = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="ray-head", daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._closed.wait(ASKED):
            with contextlib.suppress(Exception):  # of Ray, anything: then it has not answered
                self._resources = self._ray.cluster_resources()
                self._answered = time.monotonic()

    def count(self, kind: str) -> int:
        """Return how many of a resource the cluster has; machines come and go."""
        return int(self._resources.get(kind, 0))

    def trouble(self) -> str:
        """Return why there is no cluster any more; empty while there is."""
        if time.monotonic() - self._answered > SILENCE:
            return f"its head has not answered for {SILENCE:g} s"
        return "" if self.has_node() else "its node on this machine has died"

    def has_node(self) -> bool:
        """Tell whether the node on this machine listens: Ray ends who asks a dead one."""
        try:
            socket.create_connection(self._node, CONNECTING).close()
        except ConnectionRefusedError:
            return False
        except OSError:  # a machine that has no port left, or takes longer
            return True
        return True

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()
        self._thread.join(ASKED)
