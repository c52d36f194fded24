"""The hpack package as a coder beside ours: one JSON command a line on stdin, one JSON answer a line on stdout.

Octets travel as hexadecimal. A field is [name, value, never indexed].
"""

import json
import sys

from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple

encoder = Encoder()
decoder = Decoder(max_header_list_size=1 << 24)

for line in sys.stdin:
    command = json.loads(line)
    what = command["do"]
    if what == "encode":
        fields = [
            (NeverIndexedHeaderTuple if never else HeaderTuple)(bytes.fromhex(name), bytes.fromhex(value))
            for name, value, never in command["fields"]
        ]
        answer = encoder.encode(fields, huffman=command["huffman"]).hex()
    elif what == "decode":
        fields = decoder.decode(bytes.fromhex(command["block"]), raw=True)
        answer = [[bytes(name).hex(), bytes(value).hex(), not field.indexable] for field in fields for name, value in [field]]
    elif what == "resize encoder":
        encoder.header_table_size = command["size"]
        answer = None
    elif what == "resize decoder":
        decoder.max_allowed_table_size = command["size"]
        answer = None
    else:
        raise ValueError(what)
    print(json.dumps(answer))
