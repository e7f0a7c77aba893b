/**
 * From a fresh link to a session: who are you, what do you take, and, for the next link of a session, the proof that both
 * sides hold its secret. The secret itself crosses the wire once, in `welcome`.
 */

import { base64url, equalConstantTime, fromBase64url, randomBytes } from "../base/bytes.ts"
import type { Clock } from "../base/clock.ts"
import { codeNumber, RdvError } from "../base/error.ts"
import { utf8Encode } from "../base/text.ts"
import type { Checksum } from "../wire/crc32.ts"
import { protocolVersion } from "../wire/frame.ts"
import { announcedJson } from "../wire/hello.ts"
import type { Announced, Hello, NewHello, ProofHello, ResumeHello, WelcomeHello } from "../wire/hello.ts"
import { HelloChannel } from "./hello-channel.ts"
import type { Link } from "./link.ts"

export interface HandshakeRuntime {
  readonly clock: Clock
  readonly checksum: Checksum
  /** Shorter than the protocol's 10 s for a dialer that knows its path; ms. */
  readonly handshakeMs?: number
}

/** A link whose handshake is done, ready for `Session.attachLink`. */
export interface ReadyLink {
  readonly link: Link
  readonly checked: boolean
  /** Bytes that arrived behind the handshake. */
  readonly early: Uint8Array
}

export interface Welcomed extends ReadyLink {
  readonly welcome: WelcomeHello
}

export interface Resumed extends ReadyLink {
  readonly peerReceived: number
}

export interface DialNewOptions {
  readonly token?: string | undefined
  readonly agent: string
  readonly instance?: string | undefined
  readonly windowBytes: number
  readonly streams: number
}

/** The dialer's half of a new session. Rejects with the peer's refusal, or with what broke the link. */
export async function dialNew(link: Link, runtime: HandshakeRuntime, options: DialNewOptions): Promise<Welcomed> {
  const channel = new HelloChannel(link, runtime.checksum, runtime.clock, runtime.handshakeMs)
  const check = !link.protected
  channel.send({
    kind: "new",
    versions: [protocolVersion],
    token: options.token,
    agent: options.agent,
    instance: options.instance,
    ...announcedJson({ windowBytes: options.windowBytes, streams: options.streams, check }),
  })
  const welcome = await channel.next()
  if (welcome.kind !== "welcome") throw unexpected(channel, welcome)
  if (welcome.version !== protocolVersion) {
    throw abortWith(channel, new RdvError("version", `The peer chose protocol version ${welcome.version}`))
  }
  return { link, welcome, checked: check || welcome.check, early: channel.finish() }
}

/** The dialer's half of the next link of a session. `received` is read once the peer answered, before the proof goes out. */
export async function dialResume(
  link: Link,
  runtime: HandshakeRuntime,
  session: { readonly id: string; readonly secret: Uint8Array; readonly freeze: () => number },
): Promise<Resumed> {
  const channel = new HelloChannel(link, runtime.checksum, runtime.clock, runtime.handshakeMs)
  const nonce = base64url(randomBytes(16))
  const check = !link.protected
  channel.send({ kind: "resume", versions: [protocolVersion], session: session.id, nonce, check })
  const challenge = await channel.next()
  if (challenge.kind !== "challenge") throw unexpected(channel, challenge)
  const nonces = `${nonce}.${challenge.nonce}`
  const received = session.freeze()
  channel.send({ kind: "proof", proof: base64url(await proofOf(session.secret, "dial", nonces, received)), received })
  const resumed = await channel.next()
  if (resumed.kind !== "resumed") throw unexpected(channel, resumed)
  await checkProof(channel, session.secret, "accept", nonces, resumed)
  return { link, peerReceived: resumed.received, checked: check || challenge.check, early: channel.finish() }
}

/** What an acceptor decides about strangers and returning sessions. */
export interface Acceptor {
  /** Lets a new session in, or throws the refusal. Nothing but the HELLO is held before. */
  admit(hello: NewHello, link: Link): Promise<Admission> | Admission
  /** The secret of a living session; undefined refuses with `unknown_session`. */
  secretOf(sessionId: string): Uint8Array | undefined
  /** After the proof: stops the present link of the session and returns its count of applied bytes. */
  freeze(sessionId: string): number
  /** The session is on its new link. */
  resumed(sessionId: string, ready: Resumed): void
}

export interface Admission {
  readonly session: string
  readonly secret: Uint8Array
  readonly graceMs: number
  readonly windowBytes: number
  readonly streams: number
  /** Called with the link once `welcome` is sent. */
  readonly start: (ready: ReadyLink, peer: Announced) => void
}

/**
 * The acceptor's half, for new and returning sessions. Resolves when the link is handed over or refused; rejects
 * only with what the acceptor itself threw and is no `RdvError`.
 */
export async function acceptHandshake(link: Link, runtime: HandshakeRuntime, acceptor: Acceptor): Promise<void> {
  const channel = new HelloChannel(link, runtime.checksum, runtime.clock)
  try {
    const hello = await channel.next()
    if (hello.kind === "new") await acceptNew(channel, hello, acceptor)
    else if (hello.kind === "resume") await acceptResume(channel, hello, acceptor)
    else throw unexpected(channel, hello)
  } catch (error) {
    if (error instanceof RdvError) channel.refuse(codeNumber(error.code), error.message)
    else {
      channel.refuse(codeNumber("internal"), "")
      throw error
    }
  }
}

async function acceptNew(channel: HelloChannel, hello: NewHello, acceptor: Acceptor): Promise<void> {
  checkVersion(hello.versions)
  const admission = await acceptor.admit(hello, channel.link)
  const check = !channel.link.protected
  const early = channel.finish()
  channel.send({
    kind: "welcome",
    version: protocolVersion,
    session: admission.session,
    secret: base64url(admission.secret),
    graceMs: admission.graceMs,
    ...announcedJson({ windowBytes: admission.windowBytes, streams: admission.streams, check }),
  })
  admission.start({ link: channel.link, checked: check || hello.check, early }, hello)
}

async function acceptResume(channel: HelloChannel, hello: ResumeHello, acceptor: Acceptor): Promise<void> {
  checkVersion(hello.versions)
  const secret = acceptor.secretOf(hello.session)
  if (secret === undefined) throw new RdvError("unknown_session")
  const nonce = base64url(randomBytes(16))
  const check = !channel.link.protected
  channel.send({ kind: "challenge", nonce, check })
  const proof = await channel.next()
  if (proof.kind !== "proof") throw unexpected(channel, proof)
  const nonces = `${hello.nonce}.${nonce}`
  await checkProof(channel, secret, "dial", nonces, proof)
  let received: number
  let answer: string
  do {
    if (acceptor.secretOf(hello.session) === undefined) throw new RdvError("unknown_session")
    received = acceptor.freeze(hello.session)
    answer = base64url(await proofOf(secret, "accept", nonces, received))
    // While the proof was made, a second link may have resumed the same session and moved its count.
  } while (acceptor.secretOf(hello.session) === undefined || acceptor.freeze(hello.session) !== received)
  const early = channel.finish()
  channel.send({ kind: "resumed", proof: answer, received })
  acceptor.resumed(hello.session, {
    link: channel.link,
    peerReceived: proof.received,
    checked: check || hello.check,
    early,
  })
}

function checkVersion(versions: readonly number[]): void {
  if (versions.includes(protocolVersion)) return
  throw new RdvError("version", `This side speaks rdv/${protocolVersion}, the peer ${versions.join(", ") || "nothing"}`)
}

/** Both nonces, the direction and the count are under the proof, so that none of them can be replayed or turned round. */
async function proofOf(
  secret: Uint8Array,
  who: "dial" | "accept",
  nonces: string,
  received: number,
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey(
    "raw",
    secret as Uint8Array<ArrayBuffer>,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  )
  const text = utf8Encode(`rdv/1 ${who} ${nonces} ${received}`) as Uint8Array<ArrayBuffer>
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, text))
}

async function checkProof(
  channel: HelloChannel,
  secret: Uint8Array,
  who: "dial" | "accept",
  nonces: string,
  hello: ProofHello,
): Promise<void> {
  const given = fromBase64url(hello.proof)
  const wanted = await proofOf(secret, who, nonces, hello.received)
  if (given !== undefined && equalConstantTime(given, wanted)) return
  const refusal = new RdvError("unauthorized", "The proof of possession is wrong")
  if (who === "accept") channel.abort(refusal)
  throw refusal
}

function unexpected(channel: HelloChannel, hello: Hello): RdvError {
  return abortWith(channel, new RdvError("protocol", `A HELLO of kind "${hello.kind}" at the wrong place`))
}

function abortWith(channel: HelloChannel, error: RdvError): RdvError {
  channel.abort(error)
  return error
}
