"""The same bodies as test/helpers/pattern-body.ts: byte i of a block is (7i + 13*(i // 256)) % 256, and the block comes over and over."""

PERIOD = 65521
_block = bytes((7 * i + 13 * (i >> 8)) & 0xFF for i in range(PERIOD))
# A piece of any length up to a large frame can be cut out at any place.
_MOST = 1024 * 1024
_run = memoryview(_block * (2 + _MOST // PERIOD))


def piece(at, size):
    """At most 1 MiB of the pattern from `at` on."""
    start = at % PERIOD
    return _run[start : start + min(size, _MOST)]


class Check:
    """Counts what it is given and compares every byte."""

    def __init__(self):
        self.bytes = 0
        self.intact = True

    def add(self, chunk):
        if chunk != piece(self.bytes, len(chunk)):
            self.intact = False
        self.bytes += len(chunk)
