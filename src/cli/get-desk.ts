/** What `rdv get` shows: how far it is, what it waits for, where everything is at the end. Tells hooks as well. */

import { printable } from "../base/columns.ts"
import { counted } from "../base/counted.ts"
import { systemClock } from "../base/clock.ts"
import type { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import { amount, percent, rate, took } from "../capabilities/share/terminal/amounts.ts"
import { Hooks } from "../capabilities/share/terminal/hooks.ts"
import type { HookEvent, HookFacts, HooksOptions } from "../capabilities/share/terminal/hooks.ts"
import { LiveBlock } from "../capabilities/share/terminal/live-block.ts"
import { origins, progressFrame, progressLine } from "../capabilities/share/terminal/progress-lines.ts"
import type { GetEvent, GetFigures } from "../share.ts"
import type { Output } from "./output.ts"

export interface GetDeskOptions {
  readonly output: Output
  readonly swarm: string
  readonly hooks: HooksOptions["hooks"]
  readonly read: () => GetFigures | undefined
}

const hooksEndMs = 10_000
const recordMs = 1_000

export class GetDesk {
  readonly #options: GetDeskOptions
  readonly #hooks: Hooks
  readonly #block: LiveBlock
  readonly #timer: NodeJS.Timeout
  #told: string | undefined
  /** A version came before. */
  #isKnown = false
  #recorded: string | undefined

  constructor(options: GetDeskOptions) {
    this.#options = options
    const { output, hooks } = options
    this.#block = new LiveBlock({
      sink: output.interactive ? process.stdout : process.stderr,
      clock: systemClock,
      interactive: output.interactive,
      frame: (columns) => {
        const figures = this.#options.read()
        return figures === undefined
          ? ["connecting"]
          : progressFrame(figures, columns, (style, text) => output.paint(style, text))
      },
      line: () => (output.json ? undefined : this.#line()),
    })
    this.#hooks = new Hooks({
      hooks,
      clock: systemClock,
      onTrouble: (text) => this.#warn(text),
      onOutput: (line) => this.#block.note(printable(line)),
    })
    this.#timer = setInterval(() => this.#record(), recordMs)
    this.#timer.unref()
  }

  start(): void {
    this.#block.start()
  }

  hear(event: GetEvent): void {
    const { output } = this.#options
    switch (event.kind) {
      case "manifest": {
        const { version, name, bytes, files, foundBytes } = event
        output.record({ event: "share.manifest", version, name, bytes, files, foundBytes })
        if (this.#isKnown) this.#say("green", `a new version of ${printable(name)}: ${amount(bytes)}`)
        this.#isKnown = true
        if (foundBytes > 0)
          this.#say("green", `${amount(foundBytes)} of it are here already (${percent(foundBytes, bytes)} %)`)
        return
      }
      case "done": {
        const { version, place, name, bytes, files, ms, via, foundBytes, remarks } = event
        output.record({
          event: "share.done",
          version,
          path: place,
          name,
          bytes,
          files,
          ms: Math.round(ms),
          foundBytes,
          via: { ...via },
        })
        for (const remark of remarks) this.#say("yellow", printable(remark))
        const came = via.relay + via.direct + via.cast
        const facts = [
          `${amount(bytes)}${files === 1 ? "" : ` in ${counted(files, "file")}`}`,
          took(ms),
          ...(came > 0 && ms > 0 ? [rate((came / ms) * 1_000)] : []),
          origins({ via, peers: 0, foundBytes, sentBytes: 0 }),
        ]
        this.#say("green", `done: ${facts.join(", ")}`)
        this.#answer(place)
        this.#tell("done", { path: place, name, bytes, version, durationMs: Math.round(ms) })
        return
      }
      case "remark":
        output.record({ event: "share.remark", text: event.text })
        this.#say("yellow", printable(event.text))
        return
    }
  }

  failed(error: RdvError): void {
    const missing = this.#options.read()?.missing
    this.#options.output.record({
      event: "share.failed",
      code: error.code,
      reason: error.message,
      ...(missing !== undefined && { missing: missing as unknown as JsonObject }),
    })
    this.#tell("failed", { reason: error.message })
  }

  note(text: string): void {
    if (!this.#options.output.json) this.#block.note(`rdv: ${text}`)
  }

  /** May be called twice. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    this.#block.stop()
    await this.#hooks.finish(hooksEndMs)
  }

  #record(): void {
    const { output } = this.#options
    if (!output.json) return
    const figures = this.#options.read()
    if (figures === undefined) return
    const { phase, bytes, haveBytes, foundBytes, sentBytes, via, peers, waitsFor, missing, bytesPerSecond } = figures
    const record = {
      event: "share.progress",
      phase,
      bytes,
      haveBytes,
      foundBytes,
      sentBytes,
      via: { ...via },
      peers,
      bytesPerSecond: Math.round(bytesPerSecond ?? 0),
      ...(waitsFor !== undefined && { waitsFor }),
      ...(missing !== undefined && { missing: missing as unknown as JsonObject }),
    }
    // A line a second of a transfer that stands still would say nothing.
    const text = JSON.stringify(record)
    if (text === this.#recorded) return
    this.#recorded = text
    output.record(record)
  }

  #line(): string | undefined {
    const figures = this.#options.read()
    if (figures === undefined) return undefined
    const text = progressLine(figures)
    if (text === this.#told) return undefined
    this.#told = text
    return `rdv: ${text}`
  }

  /** For scripts: where it is, alone on standard output. */
  #answer(place: string): void {
    const { output } = this.#options
    if (output.json) return
    if (output.interactive) this.#block.note(printable(place))
    else output.line(place)
  }

  #tell(event: HookEvent, facts: Partial<HookFacts>): void {
    this.#hooks.tell({ swarm: this.#options.swarm, ...facts, event })
  }

  #say(style: "green" | "yellow", text: string): void {
    if (!this.#options.output.json) this.#block.note(`rdv: ${this.#options.output.paintNote(style, text)}`)
  }

  #warn(text: string): void {
    this.#options.output.record({ event: "share.hook-failed", reason: text })
    this.#block.note(`${this.#options.output.paintNote("yellow", "rdv: warning:")} ${printable(text)}`)
  }
}
