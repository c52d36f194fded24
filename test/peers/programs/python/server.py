"""The paths of the server, one connection at a time."""

import json
import socket
from urllib.parse import parse_qs, urlsplit

import h2.events

from connection import Body, Connection
from pattern import Check

OK = (":status", "200")


class Server:
    def __init__(self, sock, window):
        self.connection = Connection(sock, False, window, self)
        self.requests = {}
        self.together = []
        self.resets = []
        self.waiting = []

    def on_event(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.on_request(event.stream_id, dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.connection.read(event)
            request = self.requests.get(event.stream_id)
            if request:
                request.data(event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            if event.stream_id in self.requests:
                self.requests[event.stream_id].trailers = [tuple(field) for field in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            request = self.requests.pop(event.stream_id, None)
            if request:
                request.end()
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(event.stream_id, None)
            self.connection.bodies.pop(event.stream_id, None)
            self.resets.append(int(event.error_code))
            self.say_resets()

    def on_request(self, stream, headers):
        url = urlsplit(headers[":path"])
        name = "tunnel" if headers[":method"] == "CONNECT" else url.path[1:]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        kind = KINDS.get(name)
        if kind is None:
            self.connection.h2.send_headers(stream, [(":status", "404")], end_stream=True)
            return
        request = kind(self, stream, query, headers)
        request.raw_query = url.query
        self.requests[stream] = request
        request.start()

    def respond(self, stream, *fields):
        self.connection.h2.send_headers(stream, [OK, *fields])
        body = self.connection.bodies[stream] = Body()
        return body

    def finish(self, stream, text):
        body = self.respond(stream)
        body.added += text.encode()
        body.ended = True

    def say_resets(self):
        for stream, count in list(self.waiting):
            if len(self.resets) >= count:
                self.waiting.remove((stream, count))
                self.finish(stream, json.dumps(self.resets, separators=(",", ":")))


class Request:
    """Reads a request; what its path means is in the methods that others of this kind give."""

    def __init__(self, server, stream, query, headers):
        self.server = server
        self.stream = stream
        self.query = query
        self.headers = headers
        self.trailers = None
        self.raw_query = ""

    def start(self):
        pass

    def data(self, chunk):
        pass

    def end(self):
        pass


class Echo(Request):
    def start(self):
        self.body = self.server.respond(self.stream)

    def data(self, chunk):
        self.body.added += chunk

    def end(self):
        self.body.trailers = self.trailers
        self.body.ended = True


class Tunnel(Echo):
    def start(self):
        self.body = self.server.respond(self.stream, ("x-protocol", self.headers[":protocol"]))


class Exchange(Request):
    def start(self):
        self.check = Check()
        self.body = self.server.respond(self.stream)
        self.body.size = int(self.query["bytes"])

    def data(self, chunk):
        self.check.add(chunk)

    def end(self):
        intact = "true" if self.check.intact else "false"
        self.body.trailers = [("x-received", str(self.check.bytes)), ("x-intact", intact)]
        self.body.ended = True


class Early(Request):
    def end(self):
        hints = [(":status", "103"), ("link", "</a>; rel=preload")]
        self.server.connection.h2.send_headers(self.stream, hints)
        self.server.finish(self.stream, "final")


class Reset(Request):
    def end(self):
        connection = self.server.connection
        self.server.respond(self.stream).added += b"some"
        connection.pump()
        del connection.bodies[self.stream]
        connection.h2.reset_stream(self.stream, 2)


class Hold(Request):
    def start(self):
        self.server.respond(self.stream)


class Resets(Request):
    def end(self):
        self.server.waiting.append((self.stream, int(self.query["count"])))
        self.server.say_resets()


class Together(Request):
    def end(self):
        together = self.server.together
        together.append(self.stream)
        if len(together) == int(self.query["count"]):
            for stream in together:
                self.server.finish(stream, "all here")
            together.clear()


class Settings(Request):
    def end(self):
        self.server.connection.change(self.raw_query, lambda: self.server.finish(self.stream, "settled"))


class GoAway(Request):
    def end(self):
        self.server.connection.go_away(int(self.query.get("last", self.stream)))
        self.server.finish(self.stream, "last")


KINDS = {
    "echo": Echo,
    "tunnel": Tunnel,
    "exchange": Exchange,
    "early": Early,
    "reset": Reset,
    "hold": Hold,
    "resets": Resets,
    "together": Together,
    "settings": Settings,
    "goaway": GoAway,
}


def serve(window):
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        with sock:
            Server(sock, window).connection.run()
