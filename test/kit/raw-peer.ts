/** A session whose peer is a test that writes bytes: it can break every rule. */

import * as zlib from "node:zlib"
import { concat, emptyBytes } from "../../src/base/bytes.ts"
import type { RdvError } from "../../src/base/error.ts"
import { defaultLimits } from "../../src/mux/limits.ts"
import type { SessionLimits } from "../../src/mux/limits.ts"
import { Session } from "../../src/mux/session.ts"
import type { SessionStream } from "../../src/mux/session-stream.ts"
import { memoryPair } from "../../src/transport/memory.ts"
import type { MemoryPair } from "../../src/transport/memory.ts"
import { FakeClock, settle } from "./fake-clock.ts"
import { readFrames } from "./frames.ts"
import type { FrameEvent } from "./frames.ts"
import { testRuntime } from "./session-pair.ts"

export interface RawPeerOptions {
  /** The session's role. Default `acceptor`: the raw peer opens streams with odd numbers. */
  readonly role?: "dialer" | "acceptor"
  readonly limits?: Partial<SessionLimits>
  readonly peerStreams?: number
  readonly onStream?: (stream: SessionStream) => void
  /** The raw peer reads nothing. */
  readonly deaf?: boolean
}

export interface RawPeer {
  readonly clock: FakeClock
  readonly session: Session
  readonly link: MemoryPair
  /** What the session said on the present link. */
  frames(): FrameEvent[]
  /** Bytes it said on the present link. */
  said(): Uint8Array
  /** Sends bytes and lets the session react. */
  say(...bytes: readonly Uint8Array[]): Promise<void>
  /** A new link, as after a resume handshake in which the raw peer claims to have received so much. */
  relink(received: number): void
  /** How the session ended; "open" while it did not. */
  ended(): RdvError | undefined | "open"
}

export function rawPeer(options: RawPeerOptions = {}): RawPeer {
  const clock = new FakeClock()
  const limits: SessionLimits = { ...defaultLimits, ...options.limits }
  let ended: RdvError | undefined | "open" = "open"
  let link: MemoryPair
  let got: Uint8Array[] = []
  const session: Session = new Session({
    id: "raw",
    role: options.role ?? "acceptor",
    limits,
    peer: { windowBytes: 128 * 1024, streams: options.peerStreams ?? 100 },
    runtime: { ...testRuntime, clock, checksum: (bytes, seed) => zlib.crc32(bytes, seed) },
    onStream: options.onStream ?? ((stream) => stream.reset("no_service")),
    onClosed: (error) => (ended = error),
  })
  function relink(received: number): void {
    link = memoryPair(clock, { poison: true })
    const bytes: Uint8Array[] = []
    got = bytes
    link.b.attach({
      data(chunk) {
        bytes.push(chunk.slice())
        return false
      },
      drain() {},
      closed() {},
    })
    if (options.deaf === true) link.b.pause()
    session.attachLink(link.a, received, false, emptyBytes)
  }
  relink(0)
  return {
    clock,
    session,
    get link() {
      return link
    },
    said: () => concat(got),
    frames() {
      return readFrames(got)
    },
    async say(...bytes) {
      link.b.send(bytes.map((each) => each.slice()))
      await settle(3)
    },
    relink,
    ended: () => ended,
  }
}
