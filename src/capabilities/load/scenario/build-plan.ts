/** The model, the phases and the end of a run, of what was said about them. */

import { RdvError } from "../../../base/error.ts"
import { defaultOf } from "./options.ts"
import type { Model, Phase, ShapePlan } from "./scenario.ts"
import { refuse } from "./settings.ts"
import type { Given, Settings, WrittenPhase } from "./settings.ts"

export interface Plan {
  readonly model: Model
  readonly phases: readonly Phase[]
  /** Of the run; undefined when something else ends it. */
  readonly durationMs: number | undefined
}

const defaultDurationMs = 10_000
/** With a file of Apps. */
const defaultEach = 10
/** With a rate, in all. */
const defaultMostConnections = 1_000

/** Throws `usage`. */
export function buildPlan(settings: Settings, targets: number, ofApps: boolean): Plan {
  const { model, rate, phase } = settings
  const planned = rate !== undefined || (phase !== undefined && model?.value !== "closed")
  const kind = model?.value ?? (planned ? "open" : "closed")
  return kind === "open" ? openPlan(settings, targets) : closedPlan(settings, targets, ofApps)
}

function openPlan(settings: Settings, targets: number): Plan {
  const { model, rate, phase, connections, count } = settings
  const written = rate === undefined ? phase : { from: rate.from, value: [rate.value] }
  if (written === undefined) {
    throw new RdvError("usage", `${model?.from} wants the open model, and no rate is given`, {
      mend: "give a rate, such as 100",
    })
  }
  if (rate !== undefined && phase !== undefined) throw twice(rate, phase)
  refuse(
    settings,
    ["each"],
    "is for connections that wait for their answers, and there is a rate",
    "give a count of messages in all",
  )
  refuse(
    settings,
    ["burst"],
    "is for connections that wait for their answers, and there is a rate",
    "use a spike as the rate's shape",
  )
  if (settings["when-busy"]?.value === "drop") {
    refuse(settings, ["queue-limit"], "is for a queue, and what finds no connection is dropped", "leave it out")
  }
  const most = connections?.value.shape
  if (connections !== undefined && (most?.kind !== "constant" || connections.value.durationMs !== undefined)) {
    const mend = "write a number, and give the shape to the rate"
    throw new RdvError("usage", `${connections.from} has a shape, and with a rate it is the most there may be`, {
      mend,
    })
  }
  const maxRate = settings["max-rate"]?.value
  const given =
    most?.kind === "constant" && connections !== undefined ? whole(most.value, connections) * targets : undefined
  const { phases, bounded } = finished(written, settings)
  const ends = bounded || count !== undefined || settings["stop-when"] !== undefined
  return {
    model: {
      kind: "open",
      connections: given ?? Math.max(targets, defaultMostConnections),
      arrivals: settings.arrivals?.value ?? defaultOf("arrivals"),
      whenBusy: settings["when-busy"]?.value ?? defaultOf("when-busy"),
      queueLimit: settings["queue-limit"]?.value ?? defaultOf("queue-limit"),
      ...(maxRate === undefined ? {} : { maxRate }),
    },
    phases,
    durationMs: settings.duration?.value ?? (ends ? undefined : defaultDurationMs),
  }
}

function closedPlan(settings: Settings, targets: number, ofApps: boolean): Plan {
  const { model, rate, phase, connections, count, duration } = settings
  if (rate !== undefined) {
    throw new RdvError("usage", `${rate.from} is for the open model, and ${model?.from} wants the closed one`, {
      mend: "leave one out",
    })
  }
  const what = "is for a run with a rate, and there is none"
  refuse(settings, ["arrivals", "when-busy", "queue-limit", "max-rate"], what, "give a rate, or leave it out")
  if (phase !== undefined && connections !== undefined) throw twice(connections, phase)
  const one: WrittenPhase = { shape: { kind: "constant", value: 1 }, durationMs: undefined, perTime: false }
  const written = phase ?? { from: connections?.from ?? "", value: [connections?.value ?? one] }
  for (const { perTime, shape } of written.value) {
    if (perTime) {
      const mend = "write a number alone, or give it as the rate"
      throw new RdvError("usage", `${written.from} is a number of connections, and has one per time`, { mend })
    }
    if (shape.kind === "replay") {
      throw new RdvError("usage", `${written.from} replays instants, and without a rate nothing starts at an instant`, {
        mend: "give it as the rate",
      })
    }
    if (shape.kind === "constant") whole(shape.value, written)
  }
  const { phases, bounded } = finished(written, settings)
  const ends = bounded || [count, duration, settings.each, settings["stop-when"]].some((given) => given !== undefined)
  const each = settings.each?.value ?? (ofApps && !ends ? defaultEach : undefined)
  return {
    model: { kind: "closed", ...(each === undefined ? {} : { each }) },
    phases: phases.map(({ shape, durationMs }) => ({ shape: scaled(shape, targets), durationMs })),
    durationMs: duration?.value ?? (ends || each !== undefined ? undefined : defaultDurationMs),
  }
}

/** With ends where the plan needs them; `bounded` when the last phase has one. */
function finished(
  { from, value }: Given<readonly WrittenPhase[]>,
  { duration }: Settings,
): { readonly phases: readonly Phase[]; readonly bounded: boolean } {
  let beforeMs = 0
  const phases = value.map(({ shape, durationMs }, at): Phase => {
    if (shape.kind === "replay") {
      const lengthMs = durationMs ?? (shape.atMs.at(-1) ?? 0) + 1
      beforeMs += lengthMs
      return { shape, durationMs: lengthMs }
    }
    if (durationMs === undefined && at < value.length - 1) {
      throw new RdvError("usage", `${from} has phase ${at + 1} without an end, and another one behind it`, {
        mend: 'add "for 10s"',
      })
    }
    if (durationMs === undefined && shape.kind === "ramp") {
      const restMs = (duration?.value ?? 0) - beforeMs
      if (restMs > 0) return { shape, durationMs: restMs }
      throw new RdvError("usage", `${from} has a ramp without an end`, { mend: 'add "for 30s", or give a duration' })
    }
    beforeMs += durationMs ?? Infinity
    return { shape, durationMs }
  })
  return { phases, bounded: phases.every(({ durationMs }) => durationMs !== undefined) }
}

function scaled(shape: ShapePlan, by: number): ShapePlan {
  switch (shape.kind) {
    case "constant":
      return { ...shape, value: shape.value * by }
    case "ramp":
    case "sawtooth":
      return { ...shape, from: shape.from * by, to: shape.to * by }
    case "step":
      return { ...shape, from: shape.from * by, by: shape.by * by, until: shape.until * by }
    case "sine":
      return { ...shape, mean: shape.mean * by, amplitude: shape.amplitude * by }
    case "spike":
      return { ...shape, base: shape.base * by, peak: shape.peak * by }
    case "replay":
      return shape
  }
}

const mostConnections = 1_000_000

function whole(value: number, { from }: Given<unknown>): number {
  if (Number.isInteger(value) && value >= 1 && value <= mostConnections) return value
  throw new RdvError(
    "usage",
    `${from} is a number of connections, and ${value} is not a whole one from 1 to ${mostConnections}`,
    {
      mend: "change it",
    },
  )
}

function twice(one: Given<unknown>, other: Given<unknown>): RdvError {
  return new RdvError("usage", `${other.from} says what ${one.from} says too`, { mend: "leave one out" })
}
