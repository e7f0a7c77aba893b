/**
 * A crew whose generators are elsewhere: each gets the plan and its share of it through the relay, all start together, and
 * what they measure comes back once a second. A link that breaks meanwhile is the sessions' matter; a generator that is
 * gone for good ends the run with what the others have measured.
 */

import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Clock } from "../../../base/clock.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Host } from "../../../host/host.ts"
import { dialPrivate } from "../../../host/private-call.ts"
import type { Crew, CrewOptions } from "../engine/crew.ts"
import { IntervalReader } from "../record/interval-codec.ts"
import type { Interval } from "../record/interval.ts"
import type { Scenario } from "../scenario/scenario.ts"
import type { Share } from "../shape/share.ts"
import { JsonLines, writeLine } from "./json-lines.ts"
import { longestReason, readFromGenerator, remoteVersion, serviceOf } from "./messages.ts"
import type { ToGenerator } from "./messages.ts"

export interface AgentsOptions extends Omit<CrewOptions, "workers" | "version"> {
  readonly host: Host
  /** Names of generators; each has the share of its place. */
  readonly agents: readonly string[]
  /** One is gone before the run was over: a sentence. */
  readonly onLost: (text: string) => void
}

/** From the call to a generator that is ready, ms. */
const readyMs = 30_000
/** A generator speaks each second. One whose session waits for its link is silent for the relay's grace time, ms. */
const silentMs = 180_000
/** A measured instant lies no further ahead of our own clock, ms. */
const aheadMs = 10_000

/** Ends as the plan says. */
const usualReasons: ReadonlySet<string> = new Set(["duration", "count", "finished"])

/** Rejects, with the name in front, when one of them cannot start; then none has. */
export async function startAgents(options: AgentsOptions): Promise<Crew> {
  const { agents, host, scenario, onInterval, onLeft, onLost } = options
  const doubts: string[] = []
  let ended: string | undefined
  const remotes = agents.map(
    (name, index) =>
      new RemoteGenerator({
        host,
        name,
        scenario,
        share: { index, of: agents.length },
        onInterval: (interval) => onInterval(interval, index),
      }),
  )
  try {
    await Promise.all(remotes.map(({ ready }) => ready))
  } catch (error) {
    for (const remote of remotes) remote.leave()
    throw error
  }
  const startMs = host.clock.now()
  for (const remote of remotes) remote.start()
  const tell = (message: ToGenerator & { kind: "stop" | "cut" }) => {
    ended ??= message.reason
    for (const remote of remotes) remote.tell(message)
  }
  const watch = async (remote: RemoteGenerator, index: number): Promise<string> => {
    const { reason, lost } = await remote.done
    onLeft(index)
    if (lost === undefined && (usualReasons.has(reason) || reason === ended)) return reason
    const seconds = ((host.clock.now() - startMs) / 1000).toFixed(1)
    const text =
      lost === undefined
        ? `Agent ${remote.name} stopped after ${seconds} s (${reason === longestReason ? "its owner allows no more" : reason}), and the others with it`
        : `Agent ${remote.name} was lost after ${seconds} s (${lost}): what it did since its last report is missing, and the others stopped early`
    doubts.push(text)
    onLost(text)
    tell({ kind: "stop", reason: `agent ${remote.name} was lost` })
    return reason
  }
  const done = Promise.all(remotes.map(watch)).then((reasons) => ended ?? (reasons[0] as string))
  return {
    done,
    stop: (reason) => tell({ kind: "stop", reason }),
    cut: (reason) => tell({ kind: "cut", reason }),
    place: { host: agents.join(", "), cores: remotes.reduce((sum, { cores }) => sum + cores, 0) },
    doubts,
  }
}

interface RemoteOptions {
  readonly host: Host
  readonly name: string
  readonly scenario: Scenario
  readonly share: Share
  readonly onInterval: (interval: Interval) => void
}

interface Over {
  readonly reason: string
  /** It did not end by itself: why. */
  readonly lost?: string
}

class RemoteGenerator {
  readonly name: string
  /** Rejects with the name in front. */
  readonly ready: Promise<void>
  /** Never rejects. */
  readonly done: Promise<Over>
  cores = 0
  readonly #options: RemoteOptions
  readonly #clock: Clock
  readonly #reader: IntervalReader
  readonly #ready = Promise.withResolvers<void>()
  readonly #done = Promise.withResolvers<Over>()
  #stream: Stream | undefined
  #timer: { cancel(): void } | undefined
  #startMs: number | undefined
  #over = false

  constructor(options: RemoteOptions) {
    this.#options = options
    this.name = options.name
    this.#clock = options.host.clock
    this.#reader = new IntervalReader(options.scenario.targets.length)
    this.ready = this.#ready.promise
    this.done = this.#done.promise
    // All are waited for, and the first failure is told.
    this.ready.catch(() => undefined)
    this.#wait(readyMs)
    try {
      this.#call()
    } catch (error) {
      this.#fail(asRdvError(error))
    }
  }

  start(): void {
    this.#startMs = this.#clock.now()
    this.#wait(silentMs)
    this.tell({ kind: "start" })
  }

  tell(message: ToGenerator): void {
    if (!this.#over && this.#stream !== undefined) writeLine(this.#stream, message)
  }

  /** Wants nothing of it any more. */
  leave(): void {
    this.#end({ reason: "left" })
    this.#stream?.reset("cancelled")
  }

  #call(): void {
    const { host, name, scenario, share } = this.#options
    const stream = dialPrivate(host, serviceOf(name), { version: remoteVersion })
    this.#stream = stream
    const lines = new JsonLines((json) => this.#hear(json))
    stream.attach({
      data: (chunk) => {
        try {
          if (!this.#over) lines.push(chunk)
        } catch (error) {
          // What one generator does wrong shall not end the session of all.
          const { message } = asRdvError(error)
          this.#fail(new RdvError("protocol", `what it sent cannot be read: ${message}`))
          stream.reset("protocol", message)
        }
        stream.consumed(chunk.length)
      },
      meta: () => undefined,
      end: () => this.#fail(new RdvError("closed", "it ended without a word")),
      drain: () => undefined,
      closed: (error) => this.#fail(this.#told(error)),
    })
    // Thresholds are ours to judge.
    const plan = { ...scenario, thresholds: [], ending: { ...scenario.ending, stopWhen: [] } }
    this.tell({ kind: "plan", scenario: plan, share })
  }

  #hear(json: JsonObject): void {
    const message = readFromGenerator(json)
    switch (message.kind) {
      case "ready":
        this.cores = message.cores
        this.#ready.resolve()
        return
      case "interval": {
        const interval = this.#reader.read(message.interval)
        const sinceMs = this.#startMs === undefined ? -Infinity : this.#clock.now() - this.#startMs
        if (interval.toMs > sinceMs + aheadMs) throw new RdvError("protocol", "It measured what is still to come")
        this.#wait(silentMs)
        this.#options.onInterval(interval)
        return
      }
      case "done":
        this.#end({ reason: message.reason })
        this.#stream?.end()
        return
      case "failed":
        this.#fail(
          new RdvError("forbidden", message.message, {
            origin: "remote",
            ...(message.mend === undefined ? {} : { mend: message.mend }),
          }),
        )
        this.#stream?.end()
    }
  }

  #told(error: RdvError | undefined): RdvError {
    if (error?.code !== "no_service") return error ?? new RdvError("closed", "it has left")
    return new RdvError("no_service", "no such agent", {
      mend: `start it with rdv load serve --name ${this.name} and the same token`,
    })
  }

  #wait(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(ms, () => {
      this.#fail(new RdvError("timeout", `it was silent for ${ms / 1000} s`))
      this.#stream?.reset("timeout")
    })
  }

  #fail(error: RdvError): void {
    const { code, origin, message, mend } = error
    this.#ready.reject(
      new RdvError(code, `${this.name}: ${message}`, { origin, cause: error, ...(mend === undefined ? {} : { mend }) }),
    )
    this.#end({ reason: "lost", lost: message })
  }

  #end(over: Over): void {
    this.#over = true
    this.#timer?.cancel()
    this.#done.resolve(over)
  }
}
