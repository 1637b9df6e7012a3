"""A stand-in for Consul's agent that records what it is asked and answers as told."""
import http.server
import json
import sys
import threading
import urllib.parse

from .wait import until


class Call:
    """One request as it came in."""

    def __init__(self, method, target, headers, body):
        url = urllib.parse.urlsplit(target)
        self.method, self.target, self.path = method, target, url.path
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.method} {self.target} {self.body!r}"


class Consul:
    """`with Consul() as consul:` answers on consul.address until the block ends.

    Health queries answer from `services` (name -> list of (id, address, port)); change it with set_service,
    which wakes waiting queries. `refuse` (a function of Call) may give another status for a call. `tls`, an
    ssl.SSLContext, makes it speak HTTPS.
    """

    def __init__(self, port=0, tls=None):
        self.calls = []
        self.services = {}
        self.index = 1
        self.refuse = lambda call: None
        self._changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self.command, self.path, self.headers, body)
                with outer._changed:
                    outer.calls.append(call)
                    outer._changed.notify_all()
                outer._answer(self, call)

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128  # five would be few for a hundred watches

            def handle_error(self, request, client_address):
                if not isinstance(sys.exc_info()[1], ConnectionError):  # the agent hung up, as it may
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", port), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with self._changed:
            self.index += 1
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def set_service(self, name, instances):
        with self._changed:
            self.services[name] = list(instances)
            self.index += 1
            self._changed.notify_all()

    def seen(self, method, prefix):
        """Calls so far whose path starts so."""
        with self._changed:
            return [c for c in self.calls if c.method == method and c.path.startswith(prefix)]

    def wait_for(self, method, prefix, count=1, timeout=10.0):
        """Waits for the count-th such call and returns it."""
        calls = until(lambda: len(found := self.seen(method, prefix)) >= count and found,
                      f"{count} x {method} {prefix} among {self.calls}", timeout)
        return calls[count - 1]

    def _answer(self, handler, call):
        status = self.refuse(call)
        body = b""
        if status is None:
            status = 200
            if call.path.startswith("/v1/health/service/"):
                body = self._health(call)
            elif call.path in ("/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/state/any"):
                self._wait(call)
            elif call.path == "/v1/agent/self":
                body = json.dumps({"Config": {"Datacenter": "dc1", "NodeName": "stand-in"}}).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.send_header("Content-Type", "application/json")
            handler.send_header("X-Consul-Index", str(self.index))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass  # the agent hung up, as it may

    def _wait(self, call):
        known = int(call.query.get("index") or 0)
        with self._changed:
            if known:
                self._changed.wait_for(lambda: self.index != known, timeout=60)

    def _health(self, call):
        name = call.path.removeprefix("/v1/health/service/")
        self._wait(call)
        with self._changed:
            instances = self.services.get(name, [])
        return json.dumps([
            {"Node": {"Node": "stand-in", "Address": address},
             "Service": {"ID": identity, "Service": name, "Tags": [], "Address": address, "Port": port},
             "Checks": [{"Status": "passing"}]} for identity, address, port in instances]).encode()
