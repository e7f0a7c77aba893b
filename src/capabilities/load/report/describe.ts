/** A scenario in words, for people who did not write it: one sentence a part, the same in every report. */

import type {
  Expectation,
  Framing,
  MessagePlan,
  Pace,
  Phase,
  Scenario,
  ShapePlan,
  Target,
} from "../scenario/scenario.ts"
import { byteCount, counted, lasting, perSecond, whole } from "./numbers.ts"

/** A part of the scenario and what it is, in the order of reading. */
export type Fact = readonly [part: string, text: string]

export function describeScenario(scenario: Scenario): Fact[] {
  const facts: Fact[] = [
    [scenario.targets.length === 1 ? "Target" : "Targets", describeTargets(scenario.targets)],
    ["Model", describeModel(scenario)],
    ...describePhases(scenario),
    ["Messages", describeMessages(scenario)],
    ["Answer", describeExpectation(scenario.expect)],
    ["Pace", describePace(scenario.pace)],
    ["End", describeEnding(scenario)],
  ]
  if (scenario.warmUpMs > 0) facts.push(["Warm-up", `${lasting(scenario.warmUpMs)}, not counted`])
  if (scenario.thresholds.length > 0) facts.push(["Thresholds", scenario.thresholds.join(", ")])
  facts.push(["Seed", String(scenario.seed)])
  return facts.filter(([, text]) => text !== "")
}

export function describeTargets(targets: readonly Target[], most = 12): string {
  const named = targets.slice(0, most).map(describeTarget)
  return named.join(", ") + (targets.length > most ? ` and ${whole(targets.length - most)} more` : "")
}

function describeTarget(target: Target): string {
  const address = addressOf(target)
  const also = target.address === undefined ? "" : ` at ${target.address}`
  return `${target.label === address || target.label === "" ? address : `${target.label} (${address})`}${also}`
}

function addressOf({ protocol, host, port, path }: Target): string {
  if (protocol === "unix") return `unix:${path}`
  const name = host.includes(":") ? `[${host}]` : host
  return `${protocol}://${name}:${port}${path}`
}

export function describeModel({ model }: Scenario): string {
  if (model.kind === "closed") {
    const each = model.each === undefined ? "" : `, ${counted(model.each, "message")} each`
    return `closed: each connection waits for its answer before it sends again${each}`
  }
  const arrivals = model.arrivals === "poisson" ? "random (Poisson) arrivals" : "even arrivals"
  const busy =
    model.whenBusy === "drop"
      ? "a message that finds none free is dropped"
      : `messages that find none free wait in a queue of at most ${whole(model.queueLimit)}`
  const most = model.maxRate === undefined ? "" : `, never above ${perSecond(model.maxRate)}/s`
  return `open: messages start when the plan says${most}; ${arrivals}, at most ${counted(model.connections, "connection")}, ${busy}`
}

/** `open` with its rates or `closed` with its connections, in a few words. */
export function describeModelShortly(scenario: Scenario): string {
  const { model, phases } = scenario
  const shapes = phases.map((phase) => describePhase(phase, model.kind))
  const plan = shapes.length > 2 ? `${shapes.length} phases` : shapes.join(", then ")
  if (model.kind === "open") return `open model, ${plan}, at most ${counted(model.connections, "connection")}`
  return `closed model, ${plan}${model.each === undefined ? "" : `, ${counted(model.each, "message")} each`}`
}

function describePhases({ phases, model }: Scenario): Fact[] {
  const part = model.kind === "open" ? "Rate" : "Connections"
  return phases.map((phase, at) => [
    phases.length === 1 ? part : `${part}, phase ${at + 1}`,
    describePhase(phase, model.kind),
  ])
}

function describePhase({ shape, durationMs }: Phase, kind: "open" | "closed"): string {
  const text = describeShape(shape, kind)
  return durationMs === undefined ? text : `${text} for ${lasting(durationMs)}`
}

function describeShape(shape: ShapePlan, kind: "open" | "closed"): string {
  const value = (rate: number) => (kind === "open" ? `${perSecond(rate)}/s` : counted(rate, "connection"))
  switch (shape.kind) {
    case "constant":
      return value(shape.value)
    case "ramp":
      return `${value(shape.from)} → ${value(shape.to)}`
    case "step":
      return `steps from ${value(shape.from)} by ${value(shape.by)} every ${lasting(shape.everyMs)} until ${value(shape.until)}`
    case "sine":
      return `sine around ${value(shape.mean)} ± ${value(shape.amplitude)} every ${lasting(shape.periodMs)}`
    case "sawtooth":
      return `saw-tooth ${value(shape.from)} → ${value(shape.to)} every ${lasting(shape.periodMs)}`
    case "spike":
      return `${value(shape.base)} with spikes of ${value(shape.peak)} for ${lasting(shape.widthMs)} every ${lasting(shape.everyMs)}`
    case "replay":
      return `replay of ${counted(shape.atMs.length, "instant")}`
  }
}

function describeMessages({ messages, framing }: Scenario): string {
  return describePlan(messages) + describeFraming(framing)
}

function describePlan(plan: MessagePlan): string {
  switch (plan.kind) {
    case "text":
      return `“${brief(plan.text)}”`
    case "bytes":
      return byteCount(base64Bytes(plan.base64))
    case "random":
      return `${byteCount(plan.bytes)} at random`
    case "sequence":
      return `${counted(plan.entries.length, "message")} chosen by weight`
    case "http": {
      const headers = plan.headers.length === 0 ? "" : `, ${counted(plan.headers.length, "header")} of its own`
      const body = plan.bodyBase64 === undefined ? "" : `, body of ${byteCount(base64Bytes(plan.bodyBase64))}`
      return `HTTP ${plan.method}${headers}${body}`
    }
  }
}

function describeFraming(framing: Framing): string {
  switch (framing.kind) {
    case "none":
      return ""
    case "newline":
      return ", each ends with a newline"
    case "length":
      return `, each begins with its length in ${counted(framing.bytes, "byte")}`
    case "fixed":
      return `, answers of ${byteCount(framing.bytes)}`
  }
}

function describeExpectation(expect: Expectation): string {
  switch (expect.kind) {
    case "echo":
      return "the same bytes come back"
    case "any":
      return "anything"
    case "size":
      return byteCount(expect.bytes)
    case "match":
      return `matches /${brief(expect.pattern)}/${expect.flags}`
    case "status":
      return expect.codes.length === 0 ? "any status below 400" : `status ${expect.codes.join(", ")}`
  }
}

function describePace(pace: Pace): string {
  const parts: string[] = []
  if (pace.burst !== undefined)
    parts.push(`bursts of ${counted(pace.burst.messages, "message")} every ${lasting(pace.burst.everyMs)}`)
  if (pace.pauseBeforeMs > 0) parts.push(`${lasting(pace.pauseBeforeMs)} before the first message`)
  if (pace.thinkMs > 0) parts.push(`${lasting(pace.thinkMs)} between messages`)
  if (pace.pauseAfterMs > 0) parts.push(`${lasting(pace.pauseAfterMs)} after the last message`)
  if (pace.readBytesPerSecond !== undefined) parts.push(`reads ${byteCount(pace.readBytesPerSecond)}/s a connection`)
  if (pace.writeBytesPerSecond !== undefined) parts.push(`writes ${byteCount(pace.writeBytesPerSecond)}/s a connection`)
  if (pace.lifetimeMs !== undefined) parts.push(`connections are replaced after ${lasting(pace.lifetimeMs)}`)
  if (!pace.keepAlive) parts.push("a new connection for each message")
  return parts.join(", ")
}

function describeEnding({ ending }: Scenario): string {
  const ends: string[] = []
  if (ending.durationMs !== undefined) ends.push(`after ${lasting(ending.durationMs)}`)
  if (ending.count !== undefined) ends.push(`after ${counted(ending.count, "message")}`)
  if (ending.stopWhen.length > 0) ends.push(`when ${ending.stopWhen.join(" or ")}`)
  const waits = ending.drainMs > 0 ? `answers under way get ${lasting(ending.drainMs)}` : "answers under way are cut"
  return `${ends.length === 0 ? "" : `${ends.join(", or ")}; `}${waits}; an answer is given up after ${lasting(ending.timeoutMs)}`
}

/** Why it ended, as the engine says it, in words. */
export function describeEnd(ended: string): string {
  return endings[ended] ?? ended
}

const endings: Readonly<Record<string, string>> = {
  duration: "the planned time was over",
  count: "all messages were sent",
  finished: "each connection had sent its messages",
  interrupted: "it was interrupted",
  threshold: "a threshold was not held",
}

function brief(text: string): string {
  const line = text.replaceAll(/\s+/g, " ")
  return line.length <= 60 ? line : `${line.slice(0, 59)}…`
}

function base64Bytes(base64: string): number {
  return Math.floor((base64.replaceAll(/[\s=]/g, "").length * 3) / 4)
}
