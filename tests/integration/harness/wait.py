"""Waiting with a deadline, and the smallest of clients."""
import contextlib
import http.client
import json
import socket
import time
import urllib.parse


class Timeout(AssertionError):
    """What was waited for did not come."""


def until(condition, what, timeout=10.0, interval=0.01):
    """The first true value of condition(); a condition that cannot be asked yet (OSError, ...) is false."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            raise Timeout(f"waited {timeout} s for {what}; last: {last!r}")
        time.sleep(interval)


def free_ports(count):
    """Loopback ports nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        return ports


def free_port():
    return free_ports(1)[0]


class Response:
    """Status, headers and body of one answer."""

    def __init__(self, answer):
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def http_call(target, method="GET", body=None, headers=None, unix=None, timeout=5.0):
    """One request; target is a URL, or a path when `unix` names a socket. A dict as body is sent as JSON."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if unix:
        connection = _UnixConnection(unix, timeout)
        path = target
    else:
        url = urllib.parse.urlsplit(target)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
        path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        return Response(connection.getresponse())
