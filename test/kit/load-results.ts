/**
 * Results of load tests that never ran, as real ones look: latencies from a seeded log-normal distribution, a stall now
 * and then, a rate that follows its plan until the target is full. For the tests of reports.
 */

import { encodeIntoCompressedBase64 } from "hdr-histogram-js"
import type { Histogram } from "hdr-histogram-js"
import type { ErrorKind } from "../../src/capabilities/load/client/client.ts"
import { newRunHistogram, quantilesOf } from "../../src/capabilities/load/record/histogram.ts"
import type { Figures, Point, Result } from "../../src/capabilities/load/record/result.ts"
import type { Scenario, ShapePlan } from "../../src/capabilities/load/scenario/scenario.ts"

export interface SampleOptions {
  readonly seed?: number
  readonly model?: "open" | "closed"
  readonly seconds?: number
  readonly labels?: readonly string[]
  /** Messages per second (open) or connections (closed) over the run. */
  readonly from?: number
  readonly to?: number
  /** Messages per second that the target can answer. */
  readonly capacity?: number
  /** Median of the service time, ms. */
  readonly medianMs?: number
  readonly errors?: Readonly<Partial<Record<ErrorKind, { readonly count: number; readonly example: string }>>>
  readonly doubts?: readonly string[]
  readonly thresholds?: Result["thresholds"]
  readonly name?: string
}

/** Each second a few hundred latencies stand for all of its messages. */
const samplesPerSecond = 200

export function sampleResult(options: SampleOptions = {}): Result {
  const { seed = 1, model = "open", seconds = 60, labels = ["shop:5001"], medianMs = 2 } = options
  const { from = model === "open" ? 200 : 1, to = model === "open" ? 2000 : 64, capacity = 1700 } = options
  const random = randomFrom(seed)
  const histograms = { wait: newRunHistogram(), service: newRunHistogram(), latency: newRunHistogram() }
  const series: Point[] = []
  let queued = 0
  for (let second = 0; second < seconds; second++) {
    const level = from + ((to - from) * (second + 0.5)) / seconds
    const offered = model === "open" ? Math.round(level) : Math.round(Math.min(capacity, level * 180))
    const load = Math.min(1.1, offered / capacity)
    const stalled = second % 20 === 13
    const before = queued
    queued = Math.max(0, queued + offered - (stalled ? capacity * 0.4 : capacity))
    if (model === "closed") queued = 0
    const completed = Math.round(Math.max(0, offered + before - queued))
    const own = newRunHistogram()
    const weight = Math.max(1, Math.round(completed / samplesPerSecond))
    for (let sample = 0; sample < Math.min(samplesPerSecond, completed); sample++) {
      const slow = random() < 0.006 ? 6 : 1
      const stall = stalled && random() < 0.2 ? 400_000 * random() : 0
      const service = Math.round(
        medianMs * 1000 * slow * Math.exp(0.35 * normal(random)) * (1 + load ** 4 * 1.5) + stall,
      )
      const wait =
        model === "closed"
          ? 0
          : Math.round((queued / capacity) * 1e6 * random() + 20 + 60 * random() * load ** 3 + stall / 3)
      histograms.service.recordValueWithCount(service, weight)
      if (model === "open") histograms.wait.recordValueWithCount(wait, weight)
      histograms.latency.recordValueWithCount(service + wait, weight)
      own.recordValue(service + wait)
    }
    const failed = options.errors === undefined ? 0 : Math.round(random() * 3 * load)
    series.push({
      atMs: second * 1000 + 500,
      spanMs: 1000,
      planned: model === "open" ? offered : completed,
      completed,
      failed,
      dropped: stalled && queued > 500 ? Math.round(queued / 10) : 0,
      rate: completed,
      connections: model === "open" ? Math.min(64, 4 + Math.round(load * 50)) : Math.round(level),
      inFlight: Math.round(Math.min(64, load * 40 * (stalled ? 1.6 : 1))),
      queued: Math.round(queued),
      bytesSent: completed * 11,
      bytesReceived: completed * 11,
      p50: own.getValueAtPercentile(50),
      p90: own.getValueAtPercentile(90),
      p99: own.getValueAtPercentile(99),
      p999: own.getValueAtPercentile(99.9),
      max: own.maxValue,
      errors: failed,
      loopLagMs: 0.4 + random() * 2,
    })
  }
  const total = figuresOf(series, histograms, seconds, model, options)
  const share = figuresOf(series, histograms, seconds, model, options, labels.length)
  return {
    format: "rdv-load/1",
    scenario: sampleScenario(model, labels, seconds, from, to, options),
    startedAt: "2026-03-14T09:26:53.589Z",
    durationMs: seconds * 1000,
    generator: { host: "bench-2", version: "0.2.0", cores: 4, workers: 2 },
    total,
    targets: labels.map((label) => ({ ...share, label })),
    series,
    thresholds: options.thresholds ?? [],
    doubts: options.doubts ?? [],
    overloaded: (options.doubts ?? []).length > 0,
    ended: "duration",
  }
}

function figuresOf(
  series: readonly Point[],
  histograms: Readonly<Record<"wait" | "service" | "latency", Histogram>>,
  seconds: number,
  model: "open" | "closed",
  { errors = {} }: SampleOptions,
  shares = 1,
): Figures {
  const sum = (value: (point: Point) => number) =>
    Math.round(series.reduce((before, point) => before + value(point), 0) / shares)
  const completed = sum((point) => point.completed)
  const timedOut = Math.round((errors["timeout"]?.count ?? 0) / shares)
  const all = Object.values(errors).reduce((before, error) => before + (error?.count ?? 0), 0)
  const failed = Math.round(all / shares) - timedOut
  const dropped = sum((point) => point.dropped)
  const latency = quantilesOf(histograms.latency)
  return {
    planned: completed + failed + timedOut + dropped,
    completed,
    failed,
    timedOut,
    cut: 0,
    dropped,
    neverSent: 0,
    connects: 64,
    bytesSent: sum((point) => point.bytesSent),
    bytesReceived: sum((point) => point.bytesReceived),
    rate: completed / seconds,
    ...(model === "open" ? { wait: quantilesOf(histograms.wait) } : {}),
    service: quantilesOf(histograms.service),
    latency,
    connect: { ...latency, count: 64, p50: 310, p99: 1240, max: 1900 },
    ...(model === "closed"
      ? {
          corrected: { ...latency, p99: (latency.p99 + latency.p999) / 2, p999: (latency.p999 + latency.max) / 2 },
        }
      : {}),
    errors,
    hdr: encodeIntoCompressedBase64(histograms.latency),
  }
}

function sampleScenario(
  model: "open" | "closed",
  labels: readonly string[],
  seconds: number,
  from: number,
  to: number,
  { name = "checkout under a rising load", thresholds = [] }: SampleOptions,
): Scenario {
  const shape: ShapePlan = from === to ? { kind: "constant", value: from } : { kind: "ramp", from, to }
  return {
    name,
    targets: labels.map((label, at) => ({ label, protocol: "tcp", host: "127.0.0.1", port: 5001 + at, path: "" })),
    model:
      model === "closed"
        ? { kind: "closed" }
        : { kind: "open", connections: 64, arrivals: "even", whenBusy: "queue", queueLimit: 10_000 },
    phases: [{ durationMs: seconds * 1000, shape }],
    warmUpMs: 5000,
    messages: { kind: "text", text: "hello world" },
    framing: { kind: "newline" },
    expect: { kind: "echo" },
    pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
    ending: { durationMs: seconds * 1000, stopWhen: [], drainMs: 5000, timeoutMs: 5000, connectTimeoutMs: 5000 },
    thresholds: thresholds.map(({ text }) => text),
    seed: 7,
  }
}

/** Mulberry32: small and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
