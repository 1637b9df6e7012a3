"""Drives a catalog with Debian's python3-consul, a client nobody here wrote.

Usage: python_consul_client.py HOST:PORT. Exits with 77 when the library is not installed.
"""

import sys
import threading
import time

try:
    import consul
except ImportError:
    sys.exit(77)


def main(address):
    host, port = address.rsplit(":", 1)
    client = consul.Consul(host=host, port=int(port))
    assert client.status.leader() == address
    assert client.agent.self()["Config"]["Datacenter"] == "dc1"

    assert client.agent.service.register(
        "redis", service_id="redis-1", address="192.0.2.7", port=6379, tags=["primary"],
        check=consul.Check.ttl("10s"))
    assert client.agent.services()["redis-1"]["Port"] == 6379
    assert client.agent.checks()["service:redis-1"]["Status"] == "critical"
    index, nodes = client.health.service("redis", passing=True)
    assert nodes == [], nodes

    # A query that waits sees the first beat.
    seen = []

    def wait():
        waiter = consul.Consul(host=host, port=int(port))
        seen.append(waiter.health.service("redis", passing=True, index=index, wait="20s"))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)  # gives the query time to be there; the result does not depend on it
    begin = time.monotonic()
    assert client.agent.check.ttl_pass("service:redis-1", notes="fine")
    thread.join(timeout=15)
    assert time.monotonic() - begin < 5
    new_index, nodes = seen[0]
    assert int(new_index) > int(index)
    assert nodes[0]["Service"]["Address"] == "192.0.2.7"
    assert nodes[0]["Checks"][0]["Output"] == "fine"

    _, nodes = client.health.service("redis", tag="primary", passing=True)
    assert len(nodes) == 1
    _, nodes = client.health.service("redis", tag="replica")
    assert nodes == []
    _, services = client.catalog.services()
    assert services == {"redis": ["primary"]}, services
    _, nodes = client.catalog.service("redis")
    assert nodes[0]["ServicePort"] == 6379
    assert client.catalog.datacenters() == ["dc1"]
    _, nodes = client.catalog.nodes()
    assert len(nodes) == 1

    assert client.agent.check.ttl_warn("service:redis-1", notes="slow")
    _, checks = client.health.checks("redis")
    assert checks[0]["Status"] == "warning"
    assert client.agent.check.ttl_fail("service:redis-1")
    _, checks = client.health.state("critical")
    assert checks[0]["ServiceID"] == "redis-1"

    assert client.agent.check.register("extra", check=consul.Check.ttl("5s"), check_id="extra", service_id="redis-1")
    assert client.agent.check.deregister("extra")
    assert client.agent.service.maintenance("redis-1", True, reason="swap")
    assert client.agent.checks()["_service_maintenance:redis-1"]["Notes"] == "swap"
    assert client.agent.service.maintenance("redis-1", False)
    assert client.agent.service.deregister("redis-1")
    assert client.agent.services() == {}


main(sys.argv[1])
