"""
Channels from a shell, in Python (section 9.5 of docs/protocol.md).

    python3 interop/chan.py new /jobs
    python3 interop/chan.py send /jobs hello
    python3 interop/chan.py recv /jobs

Exit codes: 0 done, 1 refused or failed, 3 nothing happened in time, 2 wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from channels import Case, ChannelError, Channels, Message, Sender
from frames import Code
from links import CutBudget, CuttingLink, Link, LinkLost, connect
from rdv import Refused
from session import Options
from stream import StreamEnded

IN_FLIGHT = 256
NOTHING_CAME = 3


def report(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


async def lines() -> AsyncIterator[bytes]:
    """Standard input, line by line."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        yield line.removesuffix(b"\n")


async def given(options: argparse.Namespace) -> AsyncIterator[bytes]:
    if not options.messages:
        async for line in lines():
            yield line
    for text in options.messages:
        yield text.encode("utf-8")


async def send(channels: Channels, options: argparse.Namespace) -> None:
    """Many at once, in order; ends when each of them has arrived."""
    sender = await channels.sender(options.path, {} if options.create else None)
    pending: set[asyncio.Future[None]] = set()
    count = 0
    async for message in given(options):
        _, settled = await sender.offer(message, options.timeout)
        pending.add(settled)
        count += 1
        if len(pending) >= IN_FLIGHT:
            pending = await _settle_some(pending)
    while pending:
        pending = await _settle_some(pending)
    await _finish_sending(sender, channels, options)
    if options.json:
        report("sent", count=count)


async def _settle_some(pending: set[asyncio.Future[None]]) -> set[asyncio.Future[None]]:
    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        each.result()
    return pending


async def _finish_sending(sender: Sender, channels: Channels, options: argparse.Namespace) -> None:
    await sender.close()
    if options.end:
        await channels.end(options.path)


async def receive(channels: Channels, options: argparse.Namespace) -> None:
    """One message, or `--count`, or until the channel is closed. With `--ack`, standard input says what became of each."""
    count = options.count or (None if options.follow else 1)
    window = min(options.window, count or options.window)
    receiver = await channels.receiver(options.path, {} if options.create else None, window)
    answers = lines() if options.ack else None
    taken = 0
    while count is None or taken < count:
        message = await receiver.receive(options.timeout)
        if message is None:
            break
        taken += 1
        show(message, options.json)
        if answers is None:
            await message.done()
        else:
            await _answer(message, await anext(answers, b"fail nobody answered"))
    await receiver.close()
    if options.json:
        report("received", count=taken)


async def _answer(message: Message, line: bytes) -> None:
    verdict, _, reason = line.decode("utf-8", "replace").partition(" ")
    if verdict == "ok":
        await message.done()
    elif verdict == "fail":
        await message.fail(reason)
    else:
        await message.fail("no answer that is known")
        raise ValueError(f'an answer is "ok" or "fail REASON", and not "{verdict}"')


def show(message: Message, as_json: bool) -> None:
    if as_json:
        text = message.octets.decode("utf-8", "replace")
        report("message", id=message.id, attempt=message.attempt, text=text)
    else:
        sys.stdout.buffer.write(message.octets + b"\n")
        sys.stdout.buffer.flush()


async def select(channels: Channels, options: argparse.Namespace) -> None:
    """Exactly one of the cases: `/path?` receives, `/path!MESSAGE` sends."""
    chosen = await channels.select([read_case(text) for text in options.cases], options.timeout)
    path = options.cases[chosen.case].partition("?")[0].partition("!")[0]
    if chosen.message is None:
        report("closed" if chosen.closed else "sent", case=chosen.case, path=path)
    else:
        report("chosen", case=chosen.case, path=path, text=chosen.message.octets.decode("utf-8", "replace"))
        await chosen.message.done()


def read_case(text: str) -> Case:
    path, mark, message = text.partition("!")
    if path.startswith("/") and mark == "" and path.endswith("?"):
        return Case(path[:-1])
    if path.startswith("/") and mark == "!":
        return Case(path, message.encode("utf-8"))
    raise ValueError(f'"{text}" is no case; write /path? to receive, /path!MESSAGE to send')


async def ls(channels: Channels, options: argparse.Namespace) -> None:
    for entry in await channels.list(options.path, deep=True):
        if options.json:
            print(json.dumps(entry))
        else:
            print(entry["path"] + ("/" if entry["kind"] == "folder" else ""))


async def new(channels: Channels, options: argparse.Namespace) -> None:
    await channels.create(options.path, {} if options.size is None else {"size": options.size}, folders=True)


async def remove(channels: Channels, options: argparse.Namespace) -> None:
    await channels.remove(options.path)


async def run(options: argparse.Namespace) -> int:
    """Does it over one session; SIGINT and SIGTERM end that in good order. Returns the exit code."""
    budget = CutBudget(options.cut_after)
    budget.on_cut = lambda total: report("cut", after=total)

    async def make_link() -> Link | CuttingLink:
        link = await connect(options.server)
        return CuttingLink(link, budget) if options.cut_after else link

    token = options.token_file.read_text("utf-8").strip() if options.token_file is not None else None
    async with asyncio.timeout(options.connect_seconds):
        channels = await Channels.connect(options.server, Options(token=token), make_link)
    channels.session.on_resume = lambda replayed: report("resumed", replayed=replayed) if options.cut_after else None
    doing = asyncio.create_task(options.do(channels, options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, doing.cancel)
    try:
        await doing
        return 0
    except asyncio.CancelledError:
        return 130
    finally:
        await channels.close()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Sends to channels and receives from them.")
    parser.add_argument("--server", default="tcp://127.0.0.1:5640", help="tcp://, tls://, unix:, http(s):// or ws(s)://")
    parser.add_argument("--token-file", type=Path, help="a file with the token")
    parser.add_argument("--connect-seconds", type=float, default=10.0, help="for the first session")
    parser.add_argument("--json", action="store_true", help="one JSON object for each line")
    parser.add_argument("--cut-after", type=int, action="append", default=[], metavar="BYTES", help="as agent.py does")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: object, help_text: str, path: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help_text)
        made.set_defaults(do=do)
        if path:
            made.add_argument("path")
        return made

    sending = command("send", send, "send messages, or the lines of standard input")
    sending.add_argument("messages", nargs="*", metavar="MESSAGE")
    sending.add_argument("--timeout", type=float, metavar="SECONDS", help="for a receiver of each; 0: only at once")
    sending.add_argument("--create", action="store_true", help="make the channel when it is missing")
    sending.add_argument("--end", action="store_true", help="close the channel behind the last message")
    receiving = command("recv", receive, "receive one message, or more")
    receiving.add_argument("--follow", action="store_true", help="until the channel is closed")
    receiving.add_argument("--count", type=int, help="so many messages")
    receiving.add_argument("--window", type=int, default=1, metavar="N", help="so many may be under way to here")
    receiving.add_argument("--ack", action="store_true", help='a line "ok" or "fail REASON" of standard input answers each')
    receiving.add_argument("--timeout", type=float, metavar="SECONDS", help="for each message; 0: only what is there")
    receiving.add_argument("--create", action="store_true", help="make the channel when it is missing")
    selecting = command("select", select, "do one of several things", path=False)
    selecting.add_argument("cases", nargs="+", metavar="CASE", help="/path? receives, /path!MESSAGE sends")
    selecting.add_argument("--timeout", type=float, metavar="SECONDS", help="0: only what can happen at once")
    listing = command("ls", ls, "list channels", path=False)
    listing.add_argument("path", nargs="?", default="/")
    making = command("new", new, "make a channel, with its folders")
    making.add_argument("--size", type=int, help="messages that wait in it without a receiver; default 0")
    command("rm", remove, "remove a channel, or an empty folder")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    try:
        return asyncio.run(run(options))
    except (ChannelError, StreamEnded, Refused) as error:
        print(f"chan.py: {error}", file=sys.stderr)
        return NOTHING_CAME if getattr(error, "code", None) in (Code.TIMEOUT, Code.WOULD_BLOCK) else 1
    except (LinkLost, TimeoutError) as error:
        print(f"chan.py: {str(error) or 'no session in time'}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"chan.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
