"""The commands of the client, each with a result that is printed."""

import socket
from urllib.parse import urlsplit

import h2.events

from connection import Body, Connection
from pattern import Check


class Exchange:
    """One request and what came of it."""

    def __init__(self):
        self.check = Check()
        self.text = bytearray()
        self.keeps = True
        self.informational = []
        self.headers = {}
        self.trailers = {}
        self.reset = None
        self.ended = False
        self.stream = 0

    @property
    def over(self):
        return self.ended or self.reset is not None


class Client:
    def __init__(self, url, window):
        self.authority = urlsplit(url).netloc
        host, port = self.authority.split(":")
        self.connection = Connection(socket.create_connection((host, int(port))), True, window, self)
        self.exchanges = {}
        self.settled = False
        self.until(lambda: self.settled)

    def until(self, done):
        if not self.connection.run(done):
            raise ConnectionError("the engine hung up")

    def on_event(self, event):
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.settled = True
        if isinstance(event, h2.events.ConnectionTerminated):
            raise ConnectionError(f"GOAWAY {event.error_code}")
        exchange = self.exchanges.get(getattr(event, "stream_id", None))
        if exchange is None:
            return
        if isinstance(event, h2.events.InformationalResponseReceived):
            fields = dict(event.headers)
            exchange.informational.append([int(fields[":status"]), fields.get("link")])
        elif isinstance(event, h2.events.ResponseReceived):
            exchange.headers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            exchange.check.add(event.data)
            if exchange.keeps:
                exchange.text += event.data
            self.connection.read(event)
        elif isinstance(event, h2.events.TrailersReceived):
            exchange.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            exchange.ended = True
            del self.exchanges[event.stream_id]
        elif isinstance(event, h2.events.StreamReset):
            exchange.reset = int(event.error_code)
            del self.exchanges[event.stream_id]

    def request(self, method, path, body=None, *fields):
        connection = self.connection
        exchange = Exchange()
        exchange.stream = connection.h2.get_next_available_stream_id()
        self.exchanges[exchange.stream] = exchange
        pseudo = [(":method", method), (":scheme", "http"), (":authority", self.authority), (":path", path)]
        connection.h2.send_headers(exchange.stream, [*pseudo, *fields], end_stream=body is None)
        if body is not None:
            connection.bodies[exchange.stream] = body
        return exchange

    def get(self, path):
        exchange = self.request("GET", path)
        self.until(lambda: exchange.over)
        return exchange.text.decode()

    def start_echo(self, i, size):
        exchange = self.request("POST", "/echo", Body(size, [("x-sum", f"sum of {i}")], True))
        exchange.keeps = False
        return exchange

    @staticmethod
    def echoed(i, size, exchange):
        check = exchange.check
        return exchange.ended and check.intact and check.bytes == size and exchange.trailers.get("x-sum") == f"sum of {i}"

    def echoes(self, count, size):
        exchanges = [self.start_echo(i, size) for i in range(count)]
        self.until(lambda: all(exchange.over for exchange in exchanges))
        return sum(self.echoed(i, size, exchange) for i, exchange in enumerate(exchanges))

    # Commands.

    def echo(self, count, size):
        return {"ok": self.echoes(int(count), int(size))}

    def together(self, count):
        exchanges = [self.request("GET", f"/together?count={count}") for _ in range(int(count))]
        self.until(lambda: all(exchange.over for exchange in exchanges))
        return {"ok": sum(exchange.text == b"all here" for exchange in exchanges)}

    def exchange(self, size):
        exchange = self.request("POST", f"/exchange?bytes={size}", Body(int(size), ended=True))
        exchange.keeps = False
        self.until(lambda: exchange.over)
        trailers = [exchange.trailers.get("x-received"), exchange.trailers.get("x-intact")]
        return {"received": exchange.check.bytes, "intact": exchange.check.intact, "trailers": trailers}

    def early(self):
        exchange = self.request("GET", "/early")
        self.until(lambda: exchange.over)
        status = int(exchange.headers[":status"])
        return {"informational": exchange.informational, "status": status, "body": exchange.text.decode()}

    def reset(self):
        exchange = self.request("GET", "/reset")
        self.until(lambda: exchange.over)
        return {"before": exchange.text.decode(), "code": exchange.reset}

    def cancel(self):
        exchange = self.request("POST", "/hold", Body(100_000))
        self.until(lambda: exchange.text)
        self.connection.bodies.pop(exchange.stream)
        self.connection.h2.reset_stream(exchange.stream, 8)
        return {"resets": self.get("/resets?count=1")}

    def connect(self):
        assert self.connection.h2.remote_settings.enable_connect_protocol == 1
        body = Body()
        exchange = self.request("CONNECT", "/tunnel", body, (":protocol", "websocket"))
        self.until(lambda: exchange.headers)
        body.added += b"there and back"
        body.ended = True
        self.until(lambda: exchange.over)
        protocol = exchange.headers.get("x-protocol")
        return {"status": int(exchange.headers[":status"]), "protocol": protocol, "echo": exchange.text.decode()}

    def settings(self, *queries):
        def change(query):
            assert self.get(f"/settings?{query}") == "settled"

        return self.while_bodies_flow(queries, change)

    def own_settings(self, *queries):
        def change(query):
            acknowledged = []
            self.connection.change(query, lambda: acknowledged.append(True))
            self.until(lambda: acknowledged)

        return self.while_bodies_flow(queries, change)

    def while_bodies_flow(self, queries, change):
        """Makes each change and a request after it, with bodies on their way all the time."""
        size = 4 * 1024 * 1024
        intact = True
        for query in queries:
            flowing = [self.start_echo(i, size) for i in range(8)]
            change(query)
            assert not all(exchange.over for exchange in flowing)
            assert self.echoes(1, 1000) == 1
            self.until(lambda: all(exchange.over for exchange in flowing))
            intact = intact and all(self.echoed(i, size, exchange) for i, exchange in enumerate(flowing))
        return {"intact": intact, "changes": len(queries)}

    def limit(self, most, count):
        """h2 leaves it to its user to wait for a place, and knows how many there are."""
        assert self.get(f"/settings?maxConcurrentStreams={most}") == "settled"
        connection = self.connection.h2
        exchanges = []
        while len(exchanges) < int(count):
            limit = connection.remote_settings.max_concurrent_streams
            self.until(lambda: connection.open_outbound_streams < limit)
            exchanges.append(self.request("GET", "/peak"))
        self.until(lambda: all(exchange.over for exchange in exchanges))
        return {"ok": sum(exchange.text == b"done" for exchange in exchanges)}


def run_client(url, window, command, args):
    return getattr(Client(url, window), command.replace("-", "_"))(*args)
