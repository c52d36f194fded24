"""A client on the websockets library: sends texts and bytes to an echo, prints what came back as JSON. Arguments: URL, CA file or ''."""

import asyncio
import json
import ssl
import sys

import websockets


async def main(url: str, ca: str) -> None:
    context = ssl.create_default_context(cafile=ca) if ca else None
    if context:
        context.check_hostname = False
    options = {"ssl": context} if context else {}
    large = "é" * 300_000
    async with websockets.connect(url, subprotocols=["chat"], max_size=None, **options) as socket:
        await socket.send("hello")
        first = await socket.recv()
        await socket.send(large)
        same = await socket.recv() == large
        await socket.send([b"in ", b"two pieces"])
        pieces = await socket.recv()
        await (await socket.ping())
    print(
        json.dumps(
            {
                "first": first,
                "large": same,
                "pieces": pieces.decode(),
                "subprotocol": socket.subprotocol,
                "closed": socket.close_code,
            }
        )
    )


asyncio.run(asyncio.wait_for(main(sys.argv[1], sys.argv[2]), 20))
