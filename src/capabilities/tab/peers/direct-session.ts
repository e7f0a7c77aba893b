/**
 * The session of two servers over one data channel after another. It is the ordinary session of this protocol, so what ran
 * when a channel broke goes on over the next one, and nothing is lost or doubled.
 */

import { base64url, equalConstantTime, fromBase64url, randomBytes } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import { acceptHandshake, dialNew, dialResume } from "../../../mux/handshake.ts"
import type { HandshakeRuntime } from "../../../mux/handshake.ts"
import { defaultLimits } from "../../../mux/limits.ts"
import type { SessionLimits } from "../../../mux/limits.ts"
import type { Link } from "../../../mux/link.ts"
import { Session } from "../../../mux/session.ts"
import type { SessionOptions, SessionRuntime } from "../../../mux/session-options.ts"

export interface DirectSessionOptions {
  readonly runtime: SessionRuntime
  readonly onStream: SessionOptions["onStream"]
  /** It waits for the next channel. */
  readonly onDown: (error: RdvError) => void
  /** Whatever ran over it is over. */
  readonly onClosed: (error: RdvError | undefined) => void
}

export class DirectSession {
  readonly #options: DirectSessionOptions
  readonly #handshake: HandshakeRuntime
  #session: Session | undefined
  #secret: Uint8Array = new Uint8Array(0)

  constructor(options: DirectSessionOptions) {
    this.#options = options
    const { clock, checksum } = options.runtime
    this.#handshake = { clock, checksum, handshakeMs }
  }

  /** While there is one that has not ended. */
  get session(): Session | undefined {
    return this.#session
  }

  /** Empty: none. */
  get id(): string {
    return this.#session?.id ?? ""
  }

  /** It carries new streams: its channel has answered. */
  get isReady(): boolean {
    const session = this.#session
    return session?.state === "live" && !session.draining && session.rttMs() > 0
  }

  /** The offerer's part. `isSame`: the other one has our session too. Rejects with what went wrong on the link. */
  async dial(link: Link, token: string, isSame: boolean): Promise<void> {
    const session = this.#session
    if (!isSame || session === undefined) {
      this.close()
      const { welcome, ...ready } = await dialNew(link, this.#handshake, {
        token,
        agent: agentName,
        windowBytes: limits.windowBytes,
        streams: limits.streams,
      })
      const secret = fromBase64url(welcome.secret)
      if (secret?.length !== secretBytes) throw new RdvError("protocol", "The peer's session secret is not 32 bytes")
      // Its own limit: the other side's word is not needed for giving up.
      this.#begin("dialer", welcome.session, secret, welcome).attachLink(link, 0, ready.checked, ready.early)
      return
    }
    const { peerReceived, checked, early } = await dialResume(link, this.#handshake, {
      id: session.id,
      secret: this.#secret,
      freeze: () => {
        session.detachLink(new RdvError("replaced", "A newer channel took over"))
        return session.received
      },
    })
    if (session.state === "closed") throw new RdvError("expired")
    session.attachLink(link, peerReceived, checked, early)
  }

  /** The answerer's part. Rejects when it refused. */
  async accept(link: Link, token: string, isSame: boolean): Promise<void> {
    if (!isSame) this.close()
    let isUp = false
    let refusal: RdvError | undefined
    await acceptHandshake(link, this.#handshake, {
      admit: (hello) => {
        if (!equalConstantTime(utf8Encode(hello.token ?? ""), utf8Encode(token))) {
          refusal = new RdvError("unauthorized", "The channel does not know the agreed secret")
          throw refusal
        }
        this.close()
        const id = base64url(randomBytes(16))
        const secret = randomBytes(secretBytes)
        return {
          session: id,
          secret,
          graceMs: limits.graceMs,
          windowBytes: limits.windowBytes,
          streams: limits.streams,
          start: ({ checked, early }, peer) => {
            isUp = true
            this.#begin("acceptor", id, secret, peer).attachLink(link, 0, checked, early)
          },
        }
      },
      secretOf: (id) => (isSame && this.#session?.id === id ? this.#secret : undefined),
      freeze: () => {
        this.#session?.detachLink(new RdvError("replaced", "A newer channel took over"))
        return this.#session?.received ?? 0
      },
      resumed: (_id, { peerReceived, checked, early }) => {
        isUp = true
        this.#session?.attachLink(link, peerReceived, checked, early)
      },
    })
    if (!isUp) throw refusal ?? new RdvError("link_lost", "The channel broke during the handshake")
  }

  /** With all its streams. */
  close(): void {
    this.#session?.close()
  }

  #begin(role: "dialer" | "acceptor", id: string, secret: Uint8Array, peer: SessionOptions["peer"]): Session {
    const { runtime, onStream, onDown, onClosed } = this.#options
    this.#secret = secret
    const session: Session = new Session({
      id,
      role,
      limits,
      peer,
      runtime,
      onStream,
      onSuspended: onDown,
      onClosed: (error) => {
        if (this.#session !== session) return
        this.#session = undefined
        onClosed(error)
      },
    })
    this.#session = session
    return session
  }
}

const agentName = "rdv tab"
const secretBytes = 32
const handshakeMs = 5_000

/** A data channel carries some 30 MB/s: less memory than for a relay's session does. */
const limits: SessionLimits = {
  ...defaultLimits,
  maxWindowBytes: 4 * 1024 * 1024,
  sessionWindowBytes: 32 * 1024 * 1024,
  logBytes: 8 * 1024 * 1024,
  streams: 1000,
  // Whoever waits for an answer waits so long at most, before it is asked for again by way of the relay.
  graceMs: 15_000,
  // Browsers tell a dead connection after 15 s.
  deadAfterMs: 3_000,
}
