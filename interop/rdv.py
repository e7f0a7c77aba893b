"""
The handshakes of `rdv/1`: section 3 of docs/protocol.md.

`dial` opens a session and keeps it alive over new links; an `Acceptor` is the other side. A `Session` opens streams and
serves those of its peer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable

from frames import MAX_CREDIT, MIN_WINDOW, Code, Violation
from links import Link, LinkLost
from session import Limits, Options, Services, Session, Wire

VERSION = 1
HANDSHAKE_SECONDS = 10.0
LAST_PAUSE_SECONDS = 5.0
REFUSED_FOR_NOW = (Code.DRAINING, Code.RATE_LIMITED)  # worth another attempt within the grace time

Connect = Callable[[], Awaitable[Link]]


class Refused(Exception):
    """The acceptor answered `refuse`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} (code {code})")
        self.code = Code(code)
        self.reason = reason


# --- Messages ---


def encode_base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode_base64url(text: object, size: int) -> bytes:
    """Bytes of a base64url text without padding, which must be of this size."""
    if isinstance(text, str) and "=" not in text:
        with contextlib.suppress(binascii.Error, ValueError):
            octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if len(octets) == size:
                return octets
    raise Violation(f"not the base64url of {size} bytes")


def proof(secret: bytes, word: str, dial_nonce: str, accept_nonce: str, received: int) -> str:
    """What shows that a side holds the secret; `word` is `dial` or `accept`."""
    text = f"rdv/1 {word} {dial_nonce}.{accept_nonce} {received}"
    return encode_base64url(hmac.new(secret, text.encode("ascii"), hashlib.sha256).digest())


def _proves(message: dict, secret: bytes, word: str, dial_nonce: str, accept_nonce: str) -> bool:
    expected = proof(secret, word, dial_nonce, accept_nonce, _number(message, "received"))
    return hmac.compare_digest(expected.encode("ascii"), str(message.get("proof")).encode("utf-8", "replace"))


def _number(message: dict, key: str, least: int = 0) -> int:
    value = message.get(key)
    if type(value) is not int or value < least:
        raise Violation(f"{key} is not a number from {least} up")
    return value


def _limits(message: dict) -> Limits:
    limits = message.get("limits")
    if not isinstance(limits, dict):
        raise Violation("limits are missing")
    window = _number(limits, "window", MIN_WINDOW)
    if window > MAX_CREDIT:
        raise Violation("limits.window is above 2^30")
    return Limits(window, _number(limits, "streams"))


def _text(message: dict, key: str, most: int) -> str:
    value = message.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise Violation(f"{key} is not a text of 1 to {most} characters")
    return value


def _expect(message: dict, kind: str) -> dict:
    if message.get("kind") == "refuse":
        code = message.get("code")
        raise Refused(code if type(code) is int else Code.INTERNAL, str(message.get("reason", "")))
    if message.get("kind") != kind:
        raise Violation(f"{kind} was due")
    return message


def _wants_check(options: Options, link: Link) -> bool:
    return not link.detects_changes if options.check is None else options.check


# --- Dialer ---


async def dial(connect: Connect, services: Services, options: Options = Options()) -> Session:
    """Opens a session and keeps it over new links. Raises LinkLost, Refused, or TimeoutError."""
    link = await connect()
    wire = Wire(link)
    check = _wants_check(options, link)
    limits = {"window": options.limits.window, "streams": options.limits.streams}
    hello = {"kind": "new", "versions": [VERSION], "token": options.token, "agent": options.agent}
    hello |= {"instance": options.instance, "limits": limits, "check": check}
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            wire.say({key: value for key, value in hello.items() if value is not None})
            await wire.flush()
            welcome = _expect(await wire.hear(), "welcome")
        if welcome.get("version") != VERSION:
            raise Violation("the acceptor chose a version that was not offered")
        session = Session(
            _text(welcome, "session", 64),
            decode_base64url(welcome.get("secret"), 32),
            True,
            options,
            _limits(welcome),
            _number(welcome, "graceMs") / 1000,
            services,
        )
    except BaseException as error:
        link.cut()
        raise LinkLost(f"bad handshake: {error}") if isinstance(error, Violation) else error
    wire.end_handshake(check or welcome.get("check") is True)
    session.attach(wire)
    session.keeper = asyncio.create_task(_keep(session, wire, connect))
    return session


async def _keep(session: Session, wire: Wire | None, connect: Connect) -> None:
    while wire is not None:
        await session.carry(wire)
        wire = None
        if session.ended is None:
            wire = await _redial(session, connect)


async def _redial(session: Session, connect: Connect) -> Wire | None:
    """Another link for the session; None when the session has ended instead."""
    pause = session.options.redial_seconds
    try:
        async with asyncio.timeout(session.grace_seconds):
            while True:
                try:
                    async with asyncio.timeout(HANDSHAKE_SECONDS):
                        return await _resume(session, await connect())
                except (LinkLost, TimeoutError, Refused) as failure:
                    if isinstance(failure, Refused) and failure.code not in REFUSED_FOR_NOW:
                        raise
                    await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
                    pause = min(pause * 2, LAST_PAUSE_SECONDS)
    except TimeoutError:
        session.finish(Code.EXPIRED, "the link stayed away longer than the grace time")
    except Violation as violation:
        session.finish(Code.PROTOCOL, str(violation))
    except Refused as refused:
        # Section 3: streams of a session that is not known any more end with code 10.
        code = Code.EXPIRED if refused.code is Code.UNKNOWN_SESSION else refused.code
        session.finish(code, refused.reason)
    return None


async def _resume(session: Session, link: Link) -> Wire:
    """The dialer's side of `resume`, `challenge`, `proof`, `resumed`."""
    wire = Wire(link)
    check = _wants_check(session.options, link)
    nonce = encode_base64url(secrets.token_bytes(16))
    try:
        wire.say({"kind": "resume", "versions": [VERSION], "session": session.identity, "nonce": nonce, "check": check})
        await wire.flush()
        challenge = _expect(await wire.hear(), "challenge")
        accept_nonce = challenge.get("nonce")
        decode_base64url(accept_nonce, 16)
        received = session.applied
        mine = proof(session.secret, "dial", nonce, accept_nonce, received)
        wire.say({"kind": "proof", "received": received, "proof": mine})
        await wire.flush()
        resumed = _expect(await wire.hear(), "resumed")
        if not _proves(resumed, session.secret, "accept", nonce, accept_nonce):
            raise Violation("the acceptor's proof is wrong")
    except BaseException as error:
        link.cut()
        raise LinkLost(f"bad handshake: {error}") if isinstance(error, Violation) else error
    try:
        session.rewind(_number(resumed, "received"))
    except (LinkLost, Violation):
        link.cut()
        raise
    wire.end_handshake(check or challenge.get("check") is True)
    session.attach(wire)
    return wire


# --- Acceptor ---


class Acceptor:
    """Takes links and makes or continues sessions on them."""

    def __init__(
        self,
        services: Services,
        options: Options = Options(),
        grace_seconds: float = 60.0,
        admits: Callable[[str | None], bool] = lambda token: True,
        on_session: Callable[[Session], None] = lambda session: None,
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self._services = services
        self._options = options
        self._grace_seconds = grace_seconds
        self._admits = admits
        self._on_session = on_session

    async def accept(self, link: Link) -> None:
        """Runs one link to its end. Nothing of it is an error of the caller."""
        wire = Wire(link)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                session = await self._shake_hands(wire)
        except (LinkLost, TimeoutError):
            return link.cut()
        except (Refused, Violation) as error:
            code, reason = (error.code, error.reason) if isinstance(error, Refused) else (Code.PROTOCOL, str(error))
            wire.say({"kind": "refuse", "code": code, "reason": reason})
            with contextlib.suppress(LinkLost):
                await wire.flush()
            return await link.close()
        await session.carry(wire)
        if session.ended is None and session.wire is None:
            session.keeper = asyncio.create_task(self._expire(session, session.resumes))
        elif session.ended is not None:
            self.sessions.pop(session.identity, None)

    async def _shake_hands(self, wire: Wire) -> Session:
        hello = await wire.hear()
        if hello.get("kind") not in ("new", "resume"):
            raise Violation("new or resume was due")
        versions = hello.get("versions")
        if not isinstance(versions, list) or VERSION not in versions:
            raise Refused(Code.VERSION, f"this side speaks version {VERSION} only")
        check = _wants_check(self._options, wire.link)
        session = await (self._new if hello["kind"] == "new" else self._continue)(wire, hello, check)
        # `welcome` or `resumed` waits in the wire; what follows it at once goes out with it.
        wire.end_handshake(check or hello.get("check") is True)
        session.attach(wire)
        return session

    async def _new(self, wire: Wire, hello: dict, check: bool) -> Session:
        if not self._admits(hello.get("token")):
            raise Refused(Code.UNAUTHORIZED, "the token is missing or unknown")
        identity, secret = secrets.token_hex(8), secrets.token_bytes(32)
        limits = self._options.limits
        session = Session(
            identity, secret, False, self._options, _limits(hello), self._grace_seconds, self._services
        )
        self.sessions[identity] = session
        wire.say(
            {
                "kind": "welcome",
                "version": VERSION,
                "session": identity,
                "secret": encode_base64url(secret),
                "graceMs": round(self._grace_seconds * 1000),
                "limits": {"window": limits.window, "streams": limits.streams},
                "check": check,
            }
        )
        self._on_session(session)
        return session

    async def _continue(self, wire: Wire, hello: dict, check: bool) -> Session:
        session = self.sessions.get(_text(hello, "session", 64))
        if session is None or session.ended is not None:
            raise Refused(Code.UNKNOWN_SESSION, "the session is not known here any more")
        dial_nonce = hello.get("nonce")
        decode_base64url(dial_nonce, 16)
        accept_nonce = encode_base64url(secrets.token_bytes(16))
        wire.say({"kind": "challenge", "nonce": accept_nonce, "check": check})
        await wire.flush()
        message = await wire.hear()
        # Nothing of the session is touched before this line (section 3, step 1).
        if message.get("kind") != "proof" or not _proves(message, session.secret, "dial", dial_nonce, accept_nonce):
            raise Refused(Code.UNAUTHORIZED, "the proof is wrong")
        if session.ended is not None:
            raise Refused(Code.UNKNOWN_SESSION, "the session is not known here any more")
        session.detach()
        try:
            session.rewind(_number(message, "received"))
        except Violation as violation:
            self.sessions.pop(session.identity, None)
            session.finish(Code.PROTOCOL, str(violation))
            raise
        if session.keeper is not None:
            session.keeper.cancel()
        mine = proof(session.secret, "accept", dial_nonce, accept_nonce, session.applied)
        wire.say({"kind": "resumed", "received": session.applied, "proof": mine})
        return session

    async def _expire(self, session: Session, resumes: int) -> None:
        await asyncio.sleep(session.grace_seconds)
        if session.wire is None and session.resumes == resumes:
            self.sessions.pop(session.identity, None)
            session.finish(Code.EXPIRED, "the link stayed away longer than the grace time")
