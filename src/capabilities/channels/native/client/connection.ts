/**
 * What the client's parts share: streams to a server of channels, whatever lies between. Sessions keep streams over cuts;
 * when a session is lost its streams are lost with it, and their owners open new ones here.
 */

import { Backoff } from "../../../../base/backoff.ts"
import type { Clock, Timer } from "../../../../base/clock.ts"
import { asRdvError } from "../../../../base/error.ts"
import type { ErrorCode, RdvError } from "../../../../base/error.ts"
import type { JsonObject } from "../../../../base/json.ts"
import type { Stream, StreamSink } from "../../../../base/stream.ts"
import type { Outlet } from "../frame-writer.ts"

export interface Connection {
  readonly clock: Clock
  readonly outlet: Outlet
  /** Opens a stream of the service; waits for a session where there is none. Rejects when none will come. */
  open(header: JsonObject): Promise<Stream>
}

/** The session is gone or going, which says nothing about the channel: a new one may be had. */
const lostCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "closed",
  "expired",
  "unknown_session",
  "replaced",
  "draining",
  "link_lost",
  "connection_reset",
  "unreachable",
])

export function isLost(error: RdvError): boolean {
  return lostCodes.has(error.code)
}

export interface LaneOwner extends StreamSink {
  /** A new stream, before anything arrives on it. */
  opened(stream: Stream): void
  /** No stream can be had; `closed` is not called for it. */
  refused(error: RdvError): void
}

/** One stream at a time, opened when it is wanted and again when it was lost. */
export class Lane {
  readonly #connection: Connection
  readonly #header: JsonObject
  readonly #owner: LaneOwner
  readonly #backoff = new Backoff({ firstMs: 50, maxMs: 1_000 })
  #state: "none" | "opening" | "open" | "over" = "none"
  #stream: Stream | undefined
  #retry: Timer | undefined

  constructor(connection: Connection, header: JsonObject, owner: LaneOwner) {
    this.#connection = connection
    this.#header = header
    this.#owner = owner
  }

  get stream(): Stream | undefined {
    return this.#stream
  }

  /** Makes sure that there is a stream, now or soon. */
  want(): void {
    if (this.#state !== "none" || this.#retry !== undefined) return
    this.#state = "opening"
    this.#connection.open(this.#header).then(
      (stream) => this.#begin(stream),
      (thrown: unknown) => {
        if (this.#state === "over") return
        this.#state = "none"
        this.#owner.refused(asRdvError(thrown))
      },
    )
  }

  /** The same after a pause that grows: the last stream was lost. */
  wantAgain(): void {
    if (this.#state !== "none" || this.#retry !== undefined) return
    this.#retry = this.#connection.clock.after(this.#backoff.next(), () => {
      this.#retry = undefined
      this.want()
    })
  }

  /** The server has said that it is ready. */
  settled(): void {
    this.#backoff.reset()
  }

  /** No stream is opened any more; a present one is its owner's to end. */
  stop(): void {
    this.#state = "over"
    this.#retry?.cancel()
    this.#retry = undefined
  }

  #begin(stream: Stream): void {
    if (this.#state === "over") {
      stream.attach(deaf)
      stream.reset("cancelled")
      return
    }
    this.#state = "open"
    this.#stream = stream
    const owner = this.#owner
    owner.opened(stream)
    stream.attach({
      data: (chunk) => owner.data(chunk),
      meta: (block) => owner.meta(block),
      end: () => owner.end(),
      drain: () => owner.drain(),
      closed: (error) => {
        this.#stream = undefined
        if (this.#state === "open") this.#state = "none"
        owner.closed(error)
      },
    })
  }
}

const deaf: StreamSink = {
  data: () => undefined,
  meta: () => undefined,
  end: () => undefined,
  drain: () => undefined,
  closed: () => undefined,
}
