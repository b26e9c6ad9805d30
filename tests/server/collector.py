"""A small collector of OpenTelemetry: takes spans over HTTP as the real one does, and keeps them."""

import contextlib
import gzip
import http.server
import threading
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SERVER, CLIENT, INTERNAL = 2, 3, 1


class Kept:
    """One span as it arrived."""

    def __init__(self, span, resource):
        self.name = span.name
        self.trace_id = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.kind = span.kind
        self.start = span.start_time_unix_nano
        self.end = span.end_time_unix_nano
        self.attributes = _plain(span.attributes)
        self.failed = span.status.code == 2
        self.state = span.trace_state
        self.resource = resource

    def __repr__(self):
        return f"<{self.name} {self.id} below {self.parent or '-'} {self.attributes}>"


def _plain(attributes):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


class Collector:
    """``status``: what it answers (200 takes the spans). ``hold``: seconds before it answers."""

    def __init__(self):
        self.spans = []
        self.requests = []
        self.status = 200
        self.hold = 0.0
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                time.sleep(collector.hold)
                collector.requests.append((self.path, dict(self.headers)))
                if collector.status == 200:
                    collector.take(body)
                with contextlib.suppress(OSError):
                    self.send_response(collector.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, body):
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _plain(group.resource.attributes)
            self.spans += [Kept(s, about) for scope in group.scope_spans for s in scope.spans]

    def close(self):
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def of(self, trace_id):
        """Return the spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait(self, trace_id, enough=lambda spans: any(s.kind == SERVER for s in spans)):
        """Wait until the spans of a trace are there; return them, earliest first."""
        end = time.monotonic() + 10
        while not enough(self.of(trace_id)):
            assert time.monotonic() < end, self.of(trace_id)
            time.sleep(0.02)
        return sorted(self.of(trace_id), key=lambda span: (span.start, -span.end))


@contextlib.contextmanager
def collecting():
    """Collect for the length of a block."""
    collector = Collector()
    try:
        yield collector
    finally:
        collector.close()
