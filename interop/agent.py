"""
An agent in Python: serves a tiny site through a live relay (section 9 of docs/protocol.md).

    python3 interop/agent.py --relay tcp://127.0.0.1:7000 --name blog

It prints one JSON object per line: `session`, `exposed`, `cut`, `resumed`, `ended`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from frames import Code
from links import CutBudget, CuttingLink, Link, LinkLost, connect
from rdv import Connect, Refused, dial
from session import Handler, Options, Session
from stream import Stream, StreamEnded

SERVICE = "http"
PERIOD = bytes((place * place + (place >> 3)) & 0xFF for place in range(65521))
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.25, 5.0


def report(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


# --- The site: one exchange per stream (section 9.2) ---


class Exchange:
    """A request whose head came with OPEN, and the answer to it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.method = str(stream.header.get("method", ""))
        url = urlsplit(str(stream.header.get("target", "")))
        self.path = url.path
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        flat = stream.header.get("headers", [])
        self.headers = {name.lower(): value for name, value in zip(flat[::2], flat[1::2], strict=False)}

    async def begin(self, status: int, reason: str, *headers: str) -> None:
        await self.stream.send_meta({"status": status, "reason": reason, "headers": list(headers)})

    async def answer(self, status: int, reason: str, text: str, *headers: str) -> None:
        body = text.encode("utf-8")
        fields = ("content-type", "text/plain; charset=utf-8", "content-length", str(len(body)), *headers)
        await self.begin(status, reason, *fields)
        if self.method != "HEAD":
            await self.stream.write(body)

    def number(self, name: str, default: int, most: int) -> int:
        text = self.query.get(name, str(default))
        return min(int(text), most) if text.isascii() and text.isdigit() else default


async def serve_exchange(stream: Stream) -> None:
    exchange = Exchange(stream)
    methods, page = PAGES.get(exchange.path, (("GET", "HEAD"), serve_missing))
    if exchange.method in methods:
        await page(exchange)
    else:
        await exchange.answer(405, "Method Not Allowed", "Not here\n", "allow", ", ".join(methods))
    stream.end()
    while await stream.receive() is not None:  # what is left of the request
        pass


async def serve_front(exchange: Exchange) -> None:
    await exchange.answer(200, "OK", "Hello from Python\n")


async def serve_missing(exchange: Exchange) -> None:
    await exchange.answer(404, "Not Found", "No such page\n")


async def serve_big(exchange: Exchange) -> None:
    """`n` bytes; the byte at place p is (q * q + (q >> 3)) mod 256, with q = p mod 65521."""
    size = exchange.number("n", 2**20, 2**40)
    await exchange.begin(200, "OK", "content-type", "application/octet-stream", "content-length", str(size))
    if exchange.method == "HEAD":
        return
    whole, rest = divmod(size, len(PERIOD))
    for _ in range(whole):
        await exchange.stream.write(PERIOD)
    await exchange.stream.write(PERIOD[:rest])


async def serve_echo(exchange: Exchange) -> None:
    """The request's body, while it arrives, and its trailers."""
    if exchange.headers.get("expect", "").lower() == "100-continue":
        await exchange.begin(100, "Continue")
    content_type = exchange.headers.get("content-type", "application/octet-stream")
    await exchange.begin(200, "OK", "content-type", content_type)
    while (item := await exchange.stream.receive()) is not None:
        await (exchange.stream.send_meta(item) if isinstance(item, dict) else exchange.stream.write(item))


async def serve_events(exchange: Exchange) -> None:
    """`n` server-sent events, one each `ms` milliseconds."""
    count, pause = exchange.number("n", 5, 10**9), exchange.number("ms", 100, 60_000)
    await exchange.begin(200, "OK", "content-type", "text/event-stream", "cache-control", "no-store")
    for number in range(count):
        await exchange.stream.write(f"id: {number}\ndata: event {number}\n\n".encode())
        await asyncio.sleep(pause / 1000)


PAGES = {
    "/": (("GET", "HEAD"), serve_front),
    "/big": (("GET", "HEAD"), serve_big),
    "/echo": (("POST", "PUT"), serve_echo),
    "/events": (("GET",), serve_events),
}


# --- The session, and what it announces (section 9.1) ---


async def announce(session: Session, name: str | None) -> Stream:
    """Offers the site over a `control` stream; the stream lives as long as the session. Raises Refused."""
    control = await session.open("control")
    expose = {"kind": "http"} | ({"name": name} if name is not None else {})
    await control.send_meta({"do": "announce", "id": 1, "service": SERVICE, "expose": expose})
    answer = await next_message(control)
    if answer.get("do") != "exposed":
        raise Refused(answer.get("code", Code.INTERNAL), str(answer.get("reason", "")))
    report("exposed", url=answer.get("url"), name=answer.get("name"))
    return control


async def next_message(control: Stream) -> dict:
    item = await control.receive()
    if not isinstance(item, dict):
        raise StreamEnded(Code.PROTOCOL, "the relay sent no message on the control stream")
    return item


async def run_session(make_link: Connect, options: Options, name: str | None, stop: asyncio.Event) -> None:
    """One session from `new` to its end. Returns when `stop` is set; else raises what ended it."""
    session = await dial(make_link, find_service, options)
    session.on_resume = lambda replayed: report("resumed", replayed=replayed, resumes=session.resumes)
    report("session", id=session.identity)
    try:
        control = await announce(session, name)
        stopping = asyncio.create_task(stop.wait())
        message = asyncio.create_task(next_message(control))
        try:
            await asyncio.wait([stopping, message], return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                withdrawn = await message
                raise Refused(withdrawn.get("code", Code.INTERNAL), str(withdrawn.get("reason", "")))
        finally:
            stopping.cancel()
            message.cancel()
            await asyncio.gather(stopping, message, return_exceptions=True)
    finally:
        await session.close()


def find_service(service: str) -> Handler | None:
    return serve_exchange if service == SERVICE else None


async def run(options: argparse.Namespace) -> int:
    """Keeps a session until a signal comes; a lost session is followed by a new one. Returns the exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    budget = CutBudget(options.cut_after)

    async def make_link() -> Link | CuttingLink:
        link = await connect(options.relay, options.ca_file)
        return CuttingLink(link, budget) if options.cut_after else link

    budget.on_cut = lambda total: report("cut", after=total)
    token = options.token_file.read_text("utf-8").strip() if options.token_file is not None else None
    check = {"auto": None, "on": True, "off": False}[options.check]
    session_options = Options(token=token, check=check, dead_seconds=options.dead_seconds)
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            await run_session(make_link, session_options, options.name, stop)
        except (LinkLost, TimeoutError) as failure:
            report("unreachable", reason=str(failure) or "it took too long")
        except StreamEnded as failure:
            report("ended", code=failure.code, reason=str(failure))
            pause = FIRST_PAUSE_SECONDS
        except Refused as refused:
            report("refused", code=refused.code, reason=refused.reason)
            return 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, LAST_PAUSE_SECONDS)
    report("ended", code=Code.CLOSED, reason="stopped")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serves a tiny site through a relay that speaks rdv/1.")
    parser.add_argument("--relay", required=True, help="tcp://, tls://, unix:, http(s):// or ws(s):// address")
    parser.add_argument("--token-file", type=Path, help="a file with the token; without it the agent is anonymous")
    parser.add_argument("--name", help="the wanted name; without it the relay picks one")
    parser.add_argument(
        "--cut-after",
        type=int,
        action="append",
        default=[],
        metavar="BYTES",
        help="reset the own connection when so many bytes have passed in both directions; may be given several times",
    )
    parser.add_argument("--check", choices=["auto", "on", "off"], default="auto", help="ask for CHECK frames")
    parser.add_argument("--dead-seconds", type=float, default=10.0, help="silence after which a link counts as broken")
    parser.add_argument("--ca-file", help="certificates to trust for tls://, https:// and wss://")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    try:
        return asyncio.run(run(options))
    except (OSError, ValueError) as error:
        print(f"agent.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
