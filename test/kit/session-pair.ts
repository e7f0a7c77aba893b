/** Two sessions that know each other, in one process, over memory links that tests can cut. */

import { systemClock } from "../../src/base/clock.ts"
import type { Clock } from "../../src/base/clock.ts"
import { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import { segmentPool } from "../../src/base/segments.ts"
import { emptyBytes } from "../../src/base/bytes.ts"
import { defaultLimits } from "../../src/mux/limits.ts"
import type { SessionLimits } from "../../src/mux/limits.ts"
import type { Link } from "../../src/mux/link.ts"
import { Session } from "../../src/mux/session.ts"
import type { SessionRuntime } from "../../src/mux/session-options.ts"
import type { SessionStream } from "../../src/mux/session-stream.ts"
import { memoryPair } from "../../src/transport/memory.ts"
import type { MemoryOptions, MemoryPair } from "../../src/transport/memory.ts"
import { crc32 } from "node:zlib"

export interface SessionPairOptions {
  readonly clock?: Clock
  readonly limits?: Partial<SessionLimits>
  readonly memory?: MemoryOptions
  /** With CHECK frames. Default false. */
  readonly checked?: boolean
  /** Streams that the acceptor side gets. */
  readonly onAccepted?: (stream: SessionStream) => void
  /** Streams that the acceptor opened. */
  readonly onDialled?: (stream: SessionStream) => void
  /** Puts a new link under both as soon as the old one is gone. */
  readonly relink?: boolean
  /** Stands between a session and each of its links. */
  readonly wrap?: (link: Link, side: "dialer" | "acceptor", pair: MemoryPair) => Link
}

export interface SessionPair {
  readonly dialer: Session
  readonly acceptor: Session
  /** The present link's knobs. */
  readonly link: MemoryPair
  readonly closed: { dialer: RdvError | undefined | "open"; acceptor: RdvError | undefined | "open" }
  /** Cuts the present link. */
  cut(): void
  /** Puts both sessions on a new link, as a resume handshake would. */
  relink(): void
  close(): void
}

export const testRuntime: SessionRuntime = {
  clock: systemClock,
  log: silentLog,
  defer: (callback) => void setImmediate(callback),
  checksum: (bytes, seed) => crc32(bytes, seed),
  segments: segmentPool(64),
}

export function sessionPair(options: SessionPairOptions = {}): SessionPair {
  const clock = options.clock ?? systemClock
  const limits: SessionLimits = { ...defaultLimits, ...options.limits }
  const runtime: SessionRuntime = { ...testRuntime, clock }
  const closed: SessionPair["closed"] = { dialer: "open", acceptor: "open" }
  const checked = options.checked ?? false
  let link: MemoryPair
  const refuse = (stream: SessionStream) => stream.reset("no_service")
  const relinkLater = () => {
    if (options.relink === true) setImmediate(relink)
  }
  const dialer: Session = new Session({
    id: "pair",
    role: "dialer",
    limits,
    peer: { windowBytes: limits.windowBytes, streams: limits.streams },
    runtime,
    onStream: options.onDialled ?? refuse,
    onSuspended: relinkLater,
    onClosed: (error) => (closed.dialer = error),
  })
  const acceptor: Session = new Session({
    id: "pair",
    role: "acceptor",
    limits,
    peer: { windowBytes: limits.windowBytes, streams: limits.streams },
    runtime,
    onStream: options.onAccepted ?? refuse,
    onClosed: (error) => (closed.acceptor = error),
  })
  function relink(): void {
    if (dialer.state === "closed" || acceptor.state === "closed") return
    const gone = new RdvError("link_lost")
    dialer.detachLink(gone)
    acceptor.detachLink(gone)
    const [atDialer, atAcceptor] = [dialer.received, acceptor.received]
    link = memoryPair(clock, { name: "pair", ...options.memory })
    const wrap = options.wrap ?? ((plain: Link) => plain)
    dialer.attachLink(wrap(link.a, "dialer", link), atAcceptor, checked, emptyBytes)
    acceptor.attachLink(wrap(link.b, "acceptor", link), atDialer, checked, emptyBytes)
  }
  relink()
  return {
    dialer,
    acceptor,
    closed,
    get link() {
      return link
    },
    cut: () => link.cut(),
    relink,
    close() {
      dialer.close()
      acceptor.close()
    },
  }
}
