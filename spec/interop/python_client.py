"""A client of the `websockets` package: talks to the servers of spec/support/interop.ts and says what it saw, as JSON."""

import asyncio
import json
import sys

import websockets


async def echo(url, lengths):
    """Sends text and bytes of all lengths, and counts what came back unchanged."""
    same = 0
    async with websockets.connect(url, max_size=2**22) as socket:
        for length in lengths:
            for data in ("x" * length, "ä" * (length // 2), bytes([length % 256]) * length):
                await socket.send(data)
                same += (await socket.recv()) == data
    return {"same": same, "code": socket.close_code}


async def fragments(url):
    """Sends one message in fragments, with a ping between them."""

    async def pieces():
        yield "one "
        pong = await socket.ping()
        yield "two "
        await pong
        yield "three"

    async with websockets.connect(url) as socket:
        await socket.send(pieces())
        return {"received": await socket.recv()}


async def burst(url, count):
    """Sends many messages at once and reads the answers."""
    async with websockets.connect(url) as socket:
        for i in range(count):
            await socket.send(str(i))
        return {"inOrder": [await socket.recv() for _ in range(count)] == [str(i) for i in range(count)]}


async def ping(url):
    """Pings, and is pinged."""
    async with websockets.connect(url) as socket:
        latency = await (await socket.ping(b"payload"))
        await socket.send("")
        return {"answered": latency >= 0, "received": await socket.recv()}


async def close(url):
    """Closes with a code and a reason."""
    async with websockets.connect(url) as socket:
        await socket.close(4000, "mÿ reason")
    return {"code": socket.close_code}


async def closed(url):
    """Is closed with a code and a reason."""
    async with websockets.connect(url) as socket:
        await socket.send("gö")
        try:
            await socket.recv()
        except websockets.ConnectionClosed:
            pass
    return {"code": socket.close_code, "reason": socket.close_reason}


async def main():
    name, base, *rest = sys.argv[1:]
    print(json.dumps(await globals()[name](base, *[json.loads(value) for value in rest])))


asyncio.run(main())
