/**
 * A scenario that comes over the network, checked field by field before anything is done with it: as a file's, its numbers
 * have bounds, its texts lengths and its patterns a form. What it says and this version does not know is refused, because
 * a generator that left it out would measure something else.
 */

import { RdvError } from "../../../base/error.ts"
import { readHost } from "../../../config/host-port.ts"
import { kinds, list, number, object, oneOf, optional, pair, text, truth, whole } from "../report/form.ts"
import type { Form } from "../report/form.ts"
import type { Ending, Pace, Protocol, Scenario, Target } from "../scenario/scenario.ts"

/** Throws `usage` with the place: `plan.targets[0].port is missing: …`. */
export function readPlan(value: unknown): Scenario {
  scenario(value, "plan")
  const plan = value as Scenario
  checkTogether(plan)
  return plan
}

const only = true
/** Ten years. */
const span = number(0, 3_653 * 86_400_000)
const period = number(1, 3_653 * 86_400_000)
const line = text(10_000)
/** Of 16 MiB, in base64. */
const content = text(23_000_000)
const messageBytes = whole(0, 16 * 1024 * 1024)
/** Of rates and connections, for all targets together. */
const level = number(0, 1e13)
const rate = number(1e-6, 1e15)

const host: Form = (value, at) => {
  text(255)(value, at)
  if (value !== "") placed(at, () => readHost(value as string))
}

const pattern: Form = (value, at) => {
  object({ kind: text(10), pattern: line, flags: text(4) }, only)(value, at)
  const { pattern: source, flags } = value as { pattern: string; flags: string }
  if (!/^[imsu]*$/.test(flags)) throw new RdvError("usage", `${at}.flags is none of i, m, s and u`)
  placed(at, () => new RegExp(source, flags))
}

const step: Form = (value, at) => {
  const { from, by, until } = value as { from: number; by: number; until: number }
  if (by === 0 || (until - from) / by < 0) throw new RdvError("usage", `${at}.by does not lead to its end`)
}

const ascending: Form = (value, at) => {
  list(span, 1_000_000)(value, at)
  const instants = value as readonly number[]
  if (instants.some((instant, index) => index > 0 && instant < (instants[index - 1] as number))) {
    throw new RdvError("usage", `${at} is not in order`)
  }
}

const plainShape = kinds(
  {
    constant: { value: level },
    ramp: { from: level, to: level },
    step: { from: level, by: number(-1e13, 1e13), everyMs: period, until: level },
    sine: { mean: level, amplitude: level, periodMs: period },
    sawtooth: { from: level, to: level, periodMs: period },
    spike: { base: level, peak: level, everyMs: period, widthMs: span },
    replay: { atMs: ascending },
  },
  only,
)

const shape: Form = (value, at) => {
  plainShape(value, at)
  if ((value as { kind: string }).kind === "step") step(value, at)
}

const plainExpectation = kinds(
  {
    echo: {},
    any: {},
    size: { bytes: whole(0, Number.MAX_SAFE_INTEGER) },
    match: { pattern: line, flags: text(4) },
    status: { codes: list(whole(100, 599), 500) },
  },
  only,
)

const expectation: Form = (value, at) => {
  plainExpectation(value, at)
  if ((value as { kind: string }).kind === "match") pattern(value, at)
}

/** A field that is added to `Type` is missed here. */
function complete<Type>(fields: { readonly [Name in keyof Required<Type>]: Form }): Form {
  return object(fields, only)
}

const target = complete<Target>({
  label: line,
  protocol: oneOf("tcp", "tls", "unix", "http", "https", "ws", "wss"),
  host,
  port: whole(0, 65_535),
  path: line,
  address: optional(host),
  tls: optional(object({ insecure: truth, ca: optional(text(1024 * 1024)), serverName: optional(text(255)) }, only)),
})

const scenario = complete<Scenario>({
  name: line,
  targets: list(target, 10_000),
  model: kinds(
    {
      closed: { each: optional(whole(1, 1e12)) },
      open: {
        connections: whole(1, 1e10),
        arrivals: oneOf("even", "poisson"),
        whenBusy: oneOf("queue", "drop"),
        queueLimit: whole(1, 10_000_000),
        maxRate: optional(rate),
      },
    },
    only,
  ),
  phases: list(object({ durationMs: optional(span), shape }, only), 10_000),
  warmUpMs: span,
  messages: kinds(
    {
      text: { text: content },
      bytes: { base64: content },
      random: { bytes: messageBytes },
      sequence: {
        entries: list(object({ weight: number(0, 1e12), text: content, expect: optional(expectation) }, only), 10_000),
      },
      http: { method: text(20), headers: list(pair(line, line), 1000), bodyBase64: optional(content) },
    },
    only,
  ),
  framing: kinds({ none: {}, newline: {}, length: { bytes: oneOf(1, 2, 4) }, fixed: { bytes: messageBytes } }, only),
  expect: expectation,
  pace: complete<Pace>({
    readBytesPerSecond: optional(rate),
    writeBytesPerSecond: optional(rate),
    pauseBeforeMs: span,
    thinkMs: span,
    pauseAfterMs: span,
    burst: optional(object({ messages: whole(1, 1e9), everyMs: number(0.001, 3_653 * 86_400_000) }, only)),
    lifetimeMs: optional(span),
    keepAlive: truth,
  }),
  ending: complete<Ending>({
    durationMs: optional(span),
    count: optional(whole(1, 1e12)),
    stopWhen: list(line, 1000),
    drainMs: span,
    timeoutMs: span,
    connectTimeoutMs: span,
  }),
  thresholds: list(line, 1000),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
})

const families: Readonly<Record<Protocol, string>> = {
  tcp: "streams",
  tls: "streams",
  unix: "streams",
  http: "HTTP",
  https: "HTTP",
  ws: "WebSockets",
  wss: "WebSockets",
}

/** What each field alone does not show. */
function checkTogether({ targets, model, phases, messages, framing, expect, pace }: Scenario): void {
  const refuse = (what: string) => {
    throw new RdvError("usage", `plan ${what}`)
  }
  const [first] = targets
  if (first === undefined) throw new RdvError("usage", "plan.targets is empty")
  const family = families[first.protocol]
  if (targets.some(({ protocol }) => families[protocol] !== family)) refuse("mixes targets of different protocols")
  for (const { protocol, host: name, port, path } of targets) {
    if (protocol === "unix" ? path === "" || path.includes("\0") : name === "" || port === 0) {
      refuse("has a target that leads nowhere")
    }
  }
  const isHttp = family === "HTTP"
  if (messages.kind !== "sequence" && (messages.kind === "http") !== isHttp) {
    refuse(`has messages that are not for ${family}`)
  }
  if (framing.kind !== "none" && family !== "streams") refuse(`has a framing that is not for ${family}`)
  if (expect.kind === "status" && family !== "HTTP") refuse(`wants a status of ${family}`)
  if (messages.kind === "sequence" && !messages.entries.some(({ weight }) => weight > 0)) {
    refuse("has no message with a weight above 0")
  }
  if (phases.length === 0) refuse("has no phase")
  for (const [
    index,
    {
      durationMs,
      shape: { kind },
    },
  ] of phases.entries()) {
    if (kind === "replay" && model.kind !== "open") refuse("replays instants, which only the open model has")
    if (durationMs === undefined && (kind === "ramp" || (index < phases.length - 1 && kind !== "replay"))) {
      refuse(`.phases[${index}] has no end`)
    }
  }
  if (pace.burst !== undefined && model.kind === "open") refuse("has bursts, which only the closed model has")
}

/** Says the place in front of what a reader throws. */
function placed(at: string, read: () => unknown): void {
  try {
    read()
  } catch (error) {
    throw new RdvError("usage", `${at}: ${(error as Error).message}`, { cause: error })
  }
}
