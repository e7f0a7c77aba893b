/**
 * A result as a file, and back. What is read may come from anybody, so each figure that reports print is checked, and
 * everything has a bound.
 */

import { RdvError } from "../../../base/error.ts"
import { errorKinds } from "../client/client.ts"
import type { Result } from "../record/result.ts"
import { kinds, list, number, object, oneOf, optional, pair, text, truth } from "./form.ts"
import type { Form } from "./form.ts"

/** Characters of a file that is read. */
export const longestResult: number = 64 * 1024 * 1024

/** JSON for people and programs, with a line's end. */
export function encodeResult(result: Result): string {
  // JSON has no NaN: it would become null, which no reader expects.
  const finite = (_key: string, value: unknown) => (typeof value === "number" && !Number.isFinite(value) ? 0 : value)
  return `${JSON.stringify(result, finite, 2)}\n`
}

/**
 * @param name Stands before what is wrong: the file's name.
 * @throws RdvError `usage`, one line.
 */
export function decodeResult(json: string, name: string): Result {
  try {
    if (json.length > longestResult) throw new RdvError("usage", `is longer than ${longestResult} characters`)
    const value = parsed(json)
    resultForm(value, "")
    return value as Result
  } catch (error) {
    if (!(error instanceof RdvError)) throw error
    throw new RdvError("usage", `${name}: ${error.message}`, {
      cause: error,
      mend: "Give a file that rdv load --json has written.",
    })
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown
  } catch (error) {
    const why = (error as Error).message.replaceAll(/\s+/g, " ")
    throw new RdvError("usage", `the file is no JSON: ${why}`, { cause: error })
  }
}

const line = text(10_000)
const long = text(16 * 1024 * 1024)
const lines = list(line, 1000)

const quantiles = object(
  Object.fromEntries(
    ["count", "min", "mean", "stddev", "p50", "p75", "p90", "p95", "p99", "p999", "p9999", "max"].map((name) => [
      name,
      number(),
    ]),
  ),
)

const errorCount = optional(object({ count: number(), example: line }))

const figures: Readonly<Record<string, Form>> = {
  planned: number(),
  completed: number(),
  failed: number(),
  timedOut: number(),
  cut: number(),
  dropped: number(),
  neverSent: number(),
  connects: number(),
  bytesSent: number(),
  bytesReceived: number(),
  rate: number(),
  wait: optional(quantiles),
  service: quantiles,
  latency: quantiles,
  connect: quantiles,
  corrected: optional(quantiles),
  errors: object(Object.fromEntries(errorKinds.map((kind) => [kind, errorCount]))),
  hdr: text(4 * 1024 * 1024),
}

const point = object({
  atMs: number(),
  spanMs: number(),
  planned: number(),
  completed: number(),
  failed: number(),
  dropped: number(),
  rate: number(),
  connections: number(),
  inFlight: number(),
  queued: number(),
  bytesSent: number(),
  bytesReceived: number(),
  p50: number(),
  p90: number(),
  p99: number(),
  p999: number(),
  max: number(),
  errors: number(),
  loopLagMs: number(),
})

const shape = kinds({
  constant: { value: number() },
  ramp: { from: number(), to: number() },
  step: { from: number(), by: number(-1e9), everyMs: number(), until: number() },
  sine: { mean: number(), amplitude: number(), periodMs: number() },
  sawtooth: { from: number(), to: number(), periodMs: number() },
  spike: { base: number(), peak: number(), everyMs: number(), widthMs: number() },
  replay: { atMs: list(number(), 10_000_000) },
})

const expectation = kinds({
  echo: {},
  any: {},
  size: { bytes: number() },
  match: { pattern: line, flags: text(16) },
  status: { codes: list(number(0, 999), 1000) },
})

const messages = kinds({
  text: { text: long },
  bytes: { base64: long },
  random: { bytes: number() },
  sequence: { entries: list(object({ weight: number(), text: long, expect: optional(expectation) }), 1_000_000) },
  http: { method: text(100), headers: list(pair(line, line), 1000), bodyBase64: optional(long) },
})

const scenario = object({
  name: line,
  targets: list(
    object({
      label: line,
      protocol: oneOf("tcp", "tls", "unix", "http", "https", "ws", "wss"),
      host: line,
      port: number(0, 65_535),
      path: line,
      address: optional(line),
    }),
    100_000,
  ),
  model: kinds({
    closed: { each: optional(number()) },
    open: {
      connections: number(),
      arrivals: oneOf("even", "poisson"),
      whenBusy: oneOf("queue", "drop"),
      queueLimit: number(),
      maxRate: optional(number()),
    },
  }),
  phases: list(object({ durationMs: optional(number()), shape }), 10_000),
  warmUpMs: number(),
  messages,
  framing: kinds({ none: {}, newline: {}, length: { bytes: oneOf(1, 2, 4) }, fixed: { bytes: number() } }),
  expect: expectation,
  pace: object({
    readBytesPerSecond: optional(number()),
    writeBytesPerSecond: optional(number()),
    pauseBeforeMs: number(),
    thinkMs: number(),
    pauseAfterMs: number(),
    burst: optional(object({ messages: number(), everyMs: number() })),
    lifetimeMs: optional(number()),
    keepAlive: truth,
  }),
  ending: object({
    durationMs: optional(number()),
    count: optional(number()),
    stopWhen: lines,
    drainMs: number(),
    timeoutMs: number(),
    connectTimeoutMs: number(),
  }),
  thresholds: lines,
  seed: number(Number.MIN_SAFE_INTEGER),
})

const resultForm = object({
  format: oneOf("rdv-load/1"),
  scenario,
  startedAt: text(100),
  durationMs: number(),
  generator: object({ host: line, version: text(200), cores: number(), workers: number() }),
  total: object(figures),
  targets: list(object({ ...figures, label: line }), 100_000),
  series: list(point, 1_000_000),
  thresholds: list(object({ text: line, held: truth, measured: line }), 1000),
  doubts: lines,
  overloaded: truth,
  ended: line,
})
