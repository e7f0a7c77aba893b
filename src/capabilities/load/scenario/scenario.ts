/**
 * What a run shall do, as plain data: the readers of files and flags make it, workers and agents get a copy of it, the
 * report says it again. Times are ms, sizes bytes, rates per second.
 */

export interface Scenario {
  readonly name: string
  readonly targets: readonly Target[]
  readonly model: Model
  /** One after the other. The last one may have no end. */
  readonly phases: readonly Phase[]
  /** Not counted at the start, ms. */
  readonly warmUpMs: number
  readonly messages: MessagePlan
  readonly framing: Framing
  readonly expect: Expectation
  readonly pace: Pace
  readonly ending: Ending
  /** As they were written: `p99<20ms over 30s`. All were parsed once when the scenario was read. */
  readonly thresholds: readonly string[]
  /** Of everything random: the same seed, the same run. */
  readonly seed: number
}

export type Protocol = "tcp" | "tls" | "unix" | "http" | "https" | "ws" | "wss"

export interface Target {
  /** Names it in reports: `five-thousand:5001`, `https://example.test/`. */
  readonly label: string
  readonly protocol: Protocol
  /** A name or an address, without brackets; empty for `unix`. */
  readonly host: string
  /** 0 for `unix`. */
  readonly port: number
  /** The socket's path for `unix`, path and query for HTTP and WebSocket, else empty. */
  readonly path: string
  /** Connects here instead, as `--resolve` says. */
  readonly address?: string
  readonly tls?: TlsSettings
}

export interface TlsSettings {
  readonly insecure: boolean
  /** PEM. */
  readonly ca?: string
  readonly serverName?: string
}

/**
 * `closed`: each connection sends, waits for the answer, sends again. `open`: messages start when the plan says, whether
 * or not earlier ones were answered.
 */
export type Model =
  | { readonly kind: "closed"; /** Messages of each connection; undefined: until the end. */ readonly each?: number }
  | {
      readonly kind: "open"
      /** The most connections; as many as needed are opened. */
      readonly connections: number
      readonly arrivals: "even" | "poisson"
      /** No connection is free at the planned instant: wait in a queue (counted as latency), or be dropped and counted. */
      readonly whenBusy: "queue" | "drop"
      /** What the queue holds; beyond it, dropped and counted. */
      readonly queueLimit: number
      /** Messages per second, whatever the shape says. */
      readonly maxRate?: number
    }

export interface Phase {
  /** Undefined only in the last phase, and never for a `replay`. */
  readonly durationMs: number | undefined
  /** Messages per second in the open model, connections in the closed one. */
  readonly shape: ShapePlan
}

/** A value over the phase's own time. */
export type ShapePlan =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "ramp"; readonly from: number; readonly to: number }
  | {
      readonly kind: "step"
      readonly from: number
      readonly by: number
      readonly everyMs: number
      /** Stays there. */
      readonly until: number
    }
  | { readonly kind: "sine"; readonly mean: number; readonly amplitude: number; readonly periodMs: number }
  | { readonly kind: "sawtooth"; readonly from: number; readonly to: number; readonly periodMs: number }
  | {
      readonly kind: "spike"
      readonly base: number
      readonly peak: number
      /** A peak of `widthMs` begins every `everyMs`, the first one after `everyMs - widthMs`. */
      readonly everyMs: number
      readonly widthMs: number
    }
  /** Instants in ms from the phase's start, ascending; open model only. */
  | { readonly kind: "replay"; readonly atMs: readonly number[] }

export type MessagePlan =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bytes"; /** Base64. */ readonly base64: string }
  | { readonly kind: "random"; readonly bytes: number }
  /** With `{{counter}}`, `{{uuid}}`, `{{time}}` in the texts; weights choose. */
  | { readonly kind: "sequence"; readonly entries: readonly MessageEntry[] }
  | HttpPlan

export interface MessageEntry {
  readonly weight: number
  /** With an HTTP target a request: `METHOD path`, headers, an empty line, the body. */
  readonly text: string
  /** An answer of its own; undefined: the scenario's. */
  readonly expect?: Expectation
}

export interface HttpPlan {
  readonly kind: "http"
  readonly method: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Base64; undefined: no body. */
  readonly bodyBase64?: string
}

/** How the end of an answer is found, and what is put around a message. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "newline" }
  | { readonly kind: "length"; readonly bytes: 1 | 2 | 4 }
  /** Each answer has so many bytes. */
  | { readonly kind: "fixed"; readonly bytes: number }

export type Expectation =
  /** The answer is the message. Without framing, its length also tells where the answer ends. */
  | { readonly kind: "echo" }
  | { readonly kind: "any" }
  | { readonly kind: "size"; readonly bytes: number }
  | { readonly kind: "match"; readonly pattern: string; readonly flags: string }
  /** HTTP: one of these; by default any below 400. */
  | { readonly kind: "status"; readonly codes: readonly number[] }

export interface Pace {
  /** Of one connection, bytes/s; undefined: no limit. */
  readonly readBytesPerSecond?: number
  readonly writeBytesPerSecond?: number
  /** Before the first message of a connection, between an answer and the next message, after the last, ms. */
  readonly pauseBeforeMs: number
  readonly thinkMs: number
  readonly pauseAfterMs: number
  /** So many messages at once, then a pause; closed model. */
  readonly burst?: { readonly messages: number; readonly everyMs: number }
  /** A connection older than this is replaced by a new one after its answer, ms. */
  readonly lifetimeMs?: number
  readonly keepAlive: boolean
}

export interface Ending {
  readonly durationMs?: number
  /** Messages in all. */
  readonly count?: number
  /** Conditions that end the run, as thresholds are written. */
  readonly stopWhen: readonly string[]
  /** How long answers are waited for at the end, ms; then they are cut and counted. */
  readonly drainMs: number
  /** An answer that takes longer is given up, ms. */
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
}
