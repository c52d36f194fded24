"""One connection of hyper-h2 over a blocking socket: events go to the streams' owners, bodies leave as windows let them."""

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame

from pattern import piece

SETTINGS = {
    "initialWindowSize": h2.settings.SettingCodes.INITIAL_WINDOW_SIZE,
    "headerTableSize": h2.settings.SettingCodes.HEADER_TABLE_SIZE,
    "maxFrameSize": h2.settings.SettingCodes.MAX_FRAME_SIZE,
    "maxConcurrentStreams": h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS,
}
DEFAULT_WINDOW = 65535


class Body:
    """What a stream has yet to send: `size` bytes of pattern from `at` on, or bytes that are added."""

    def __init__(self, size=0, trailers=None, ended=False):
        self.at = 0
        self.size = size
        self.added = bytearray()
        self.trailers = trailers
        self.ended = ended

    def left(self):
        return self.size - self.at + len(self.added)

    def take(self, most):
        if self.added:
            chunk = bytes(self.added[:most])
            del self.added[:most]
            return chunk
        chunk = piece(self.at, min(most, self.size - self.at))
        self.at += len(chunk)
        return bytes(chunk)


class Connection:
    """`owner.on_event(event)` hears of every event; `bodies` are sent from, by stream."""

    def __init__(self, sock, client, window, owner):
        self.sock = sock
        self.owner = owner
        config = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.bodies = {}
        self.acknowledged = []
        self.lowest_refused = None
        self.unread = 0
        self.threshold = window // 2
        codes = h2.settings.SettingCodes
        values = {codes.INITIAL_WINDOW_SIZE: window}
        if client:
            values[codes.ENABLE_PUSH] = 0
        else:
            values[codes.MAX_CONCURRENT_STREAMS] = 2000
            values[codes.ENABLE_CONNECT_PROTOCOL] = 1
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=values)
        self.h2.initiate_connection()
        if window > DEFAULT_WINDOW:
            self.h2.increment_flow_control_window(window - DEFAULT_WINDOW)

    def run(self, done=lambda: False):
        """Until `done` says so or the peer hangs up; whether the first was the case."""
        while not done():
            self.pump()
            self.flush()
            if done():
                return True
            chunk = self.sock.recv(256 * 1024)
            if not chunk:
                return False
            for event in self.h2.receive_data(chunk):
                if isinstance(event, h2.events.SettingsAcknowledged):
                    if event.changed_settings and self.acknowledged:
                        self.acknowledged.pop(0)()
                elif not self._refused(event):
                    self.owner.on_event(event)
        return True

    def _refused(self, event):
        stream = getattr(event, "stream_id", None)
        return self.lowest_refused is not None and stream is not None and stream >= self.lowest_refused

    def pump(self):
        for stream in list(self.bodies):
            self._send(stream, self.bodies[stream])

    def _send(self, stream, body):
        connection = self.h2
        while body.left() > 0:
            room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
            if room <= 0:
                return
            connection.send_data(stream, body.take(min(room, body.left())))
            if len(connection._data_to_send) > 512 * 1024:
                self.flush()
        if body.ended:
            del self.bodies[stream]
            if body.trailers:
                connection.send_headers(stream, body.trailers, end_stream=True)
            else:
                connection.end_stream(stream)

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def read(self, event):
        """Gives credit for a DataReceived at once. h2's own way holds it back until half of the window was read, and forgets it
        when the window was made smaller meanwhile."""
        size = event.flow_controlled_length
        self.unread += size
        if self.unread >= self.threshold:
            self.h2.increment_flow_control_window(self.unread)
            self.unread = 0
        if size > 0 and event.stream_ended is None:
            try:
                self.h2.increment_flow_control_window(size, event.stream_id)
            except h2.exceptions.StreamClosedError:
                pass  # Reset by what came after it.

    def change(self, query, acknowledged):
        """Announces `initialWindowSize=1&…`."""
        pairs = (pair.split("=") for pair in query.split("&"))
        self.h2.update_settings({SETTINGS[key]: int(value) for key, value in pairs})
        self.acknowledged.append(acknowledged)

    def go_away(self, last):
        """GOAWAY, and on it goes with the streams up to `last`: h2's own way would end the connection at once."""
        self.flush()
        self.lowest_refused = last + 1
        self.sock.sendall(GoAwayFrame(0, last_stream_id=last).serialize())
