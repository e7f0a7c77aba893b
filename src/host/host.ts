/**
 * The seam between the product's two halves: below it sessions, above it capabilities. A relay and an agent are both a
 * `Host`; a capability knows two verbs, accept and dial, and ends with its scope.
 */

import type { Clock } from "../base/clock.ts"
import type { Json, JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Scope } from "../base/scope.ts"
import type { Stream } from "../base/stream.ts"

/** Lower-case words, digits, `-` and `/`: `http/blog`, `tcp/2222`, `channel`. At most 100 bytes. */
export type ServiceName = string

/** What an agent asks a relay to let others reach of a service. */
export type Exposure =
  | {
      readonly kind: "http"
      /** The first label under the relay's domain; the relay picks a readable one when it is left out. */
      readonly name?: string
      /** Keeps a picked name the same for the same agent and target: any stable text. */
      readonly seed?: string
      /**
       * For servers that take each other's place: who comes with an older one than the name has seen is refused with
       * `replaced`. It wants a name.
       */
      readonly epoch?: number
    }
  | {
      readonly kind: "tcp"
      /** The relay's public port; 0 lets the relay choose one. */
      readonly port: number
      readonly seed?: string
    }
  | {
      /** Not public: only sessions of the same owner reach it, through the relay (`private-call.ts`). */
      readonly kind: "private"
      /** Spelled as a service name. */
      readonly name: string
      /** Other sessions may offer the same name beside this one, and calls are spread over them; else the newest has it. */
      readonly shared?: boolean
    }

/** What became of an exposure. */
export interface Exposed {
  /** Where visitors go: `http://blog.example.test:8080`, `tcp://example.test:2222`; `private:NAME` for no visitors. */
  readonly url: string
  /** The name or port that was bound. */
  readonly name: string
}

export interface AcceptOptions {
  readonly expose?: Exposure
  /** Hears where the service can be reached, at first and whenever that changes. */
  onExposed?(exposed: Exposed): void
  /** The relay refused, for a reason that may pass: it is asked again after `retryMs`. */
  onDelayed?(error: Error, retryMs: number): void
  /** The relay refused, for a reason that trying again does not mend. */
  onRefused?(error: Error): void
}

/** Who is on the other end of a call. */
export interface Caller {
  /** The session's peer address, for logs. */
  readonly peer: string
  /** The name of the token that the session was opened with; undefined for an anonymous one. */
  readonly owner: string | undefined
  /** What its token says about channels (`base/path-rights.ts`); undefined: everything is allowed. */
  readonly channels?: readonly string[] | undefined
  /** Let in by a capability's own proof, for this alone: `share/482713`. */
  readonly guest?: string | undefined
  /** At a relay: whom what it claims belongs to, and which names it may claim (undefined: all). */
  readonly id?: string
  readonly names?: readonly string[] | undefined
  /** At a relay: the session. */
  readonly session?: string
}

export interface Call {
  readonly stream: Stream
  readonly header: JsonObject
  readonly caller: Caller
}

/**
 * Owns one call. It attaches a sink to the stream before it returns; the host does not wait for it, because a call's end
 * is the stream's `closed`. What it throws resets the stream with `internal` and is logged.
 */
export type CallHandler = (call: Call) => void

export interface DialOptions {
  readonly header?: JsonObject
}

export interface Host {
  readonly scope: Scope
  readonly log: Log
  readonly clock: Clock
  /** Offers a service. Throws `usage` when the name is taken on this host. */
  accept(service: ServiceName, handle: CallHandler, options?: AcceptOptions): void
  /**
   * Calls a service of the peer behind a session. Throws `no_service` or `unreachable` when there is no session to call it
   * through; whatever comes later closes the stream.
   */
  dial(service: ServiceName, options?: DialOptions): Stream
  /** A branch of the status tree that `rdv status` shows. */
  report(name: string, read: () => Json): void
}
