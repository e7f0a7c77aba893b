/** What `rdv share` shows: the code, then the swarm as it grows, and what happens to it. Tells hooks as well. */

import { printable } from "../base/columns.ts"
import { counted } from "../base/counted.ts"
import { systemClock } from "../base/clock.ts"
import type { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { SwarmPicture } from "../capabilities/share/protocol/control.ts"
import { amount, lasting, percent, took } from "../capabilities/share/terminal/amounts.ts"
import { Hooks } from "../capabilities/share/terminal/hooks.ts"
import type { HookEvent, HookFacts, HooksOptions } from "../capabilities/share/terminal/hooks.ts"
import { LiveBlock } from "../capabilities/share/terminal/live-block.ts"
import { qrLines } from "../capabilities/share/terminal/qr.ts"
import { swarmLine, swarmLines } from "../capabilities/share/terminal/swarm-lines.ts"
import { SwarmStory } from "../capabilities/share/terminal/swarm-story.ts"
import type { SwarmStoryOptions } from "../capabilities/share/terminal/swarm-story.ts"
import type { ShareEvent } from "../share.ts"
import type { Output } from "./output.ts"
import { relayWords } from "./share-code.ts"

export interface ShareDeskOptions extends SwarmStoryOptions {
  readonly output: Output
  readonly code: string
  readonly swarm: string
  /** Whether the code needs a password beside it. */
  readonly password: boolean
  readonly qr: boolean
  /** How somebody elsewhere reaches the relay; shown below the link. */
  readonly hint: string | undefined
  /** That receivers use; without it the link says where it is. */
  readonly relay: string | undefined
  readonly hooks: HooksOptions["hooks"]
  /** What `--seed-until` says has come true. */
  readonly onEnough: () => void
}

/** For what hooks still do at the end, ms. */
const hooksEndMs = 10_000

export class ShareDesk {
  readonly #options: ShareDeskOptions
  readonly #hooks: Hooks
  readonly #story: SwarmStory
  readonly #block: LiveBlock
  #reading: { readonly bytes: number; readonly of: number | undefined } | undefined
  #picture: SwarmPicture | undefined
  #name: string | undefined
  #bytes = 0
  #version = 0
  #told: string | undefined

  constructor(options: ShareDeskOptions) {
    this.#options = options
    const { output, hooks, seedUntil, waitFor } = options
    this.#block = new LiveBlock({
      sink: output.interactive ? process.stdout : process.stderr,
      clock: systemClock,
      interactive: output.interactive,
      frame: (columns) => this.#frame(columns),
      line: () => (output.json ? undefined : this.#line()),
    })
    this.#hooks = new Hooks({
      hooks,
      clock: systemClock,
      onTrouble: (text) => this.#warn(text),
      onOutput: (line) => this.#note(printable(line)),
    })
    this.#story = new SwarmStory(
      { seedUntil, waitFor },
      {
        safe: (copies) => this.#safe(copies),
        unsafe: () => this.#unsafe(),
        allDone: (receivers) => this.#allDone(receivers),
        enough: options.onEnough,
      },
    )
  }

  start(): void {
    this.#block.start()
  }

  hear(event: ShareEvent): void {
    const { output } = this.#options
    switch (event.kind) {
      case "reading":
        this.#reading = { bytes: event.bytes, of: event.ofBytes }
        return
      case "published":
        this.#published(event)
        return
      case "picture":
        this.#picture = event.picture
        output.record({ event: "share.swarm", ...(event.picture as unknown as JsonObject) })
        this.#story.look(event.picture)
        return
      case "client-done":
        this.#story.done()
        output.record({ event: "share.client-done", client: event.client, ms: Math.round(event.ms) })
        this.#say("green", `${printable(event.client)} has everything, after ${took(event.ms)}`)
        this.#tell("client-done", { client: event.client, durationMs: Math.round(event.ms) })
        return
      case "client-failed":
        output.record({ event: "share.client-failed", client: event.client, reason: event.reason })
        this.#say("yellow", `${printable(event.client)} gave up: ${printable(event.reason)}`)
        this.#tell("failed", { client: event.client, reason: event.reason })
        return
      case "cast": {
        const { receivers, bytes, wireBytes, ms } = event.report
        output.record({ event: "share.cast", receivers, bytes, wireBytes, ms: Math.round(ms) })
        const share = bytes > 0 ? (wireBytes / bytes).toFixed(2) : "0"
        this.#say(
          "green",
          `multicast to ${counted(receivers, "receiver")}: ${amount(bytes)} in ${took(ms)}, ${share}× on the wire`,
        )
        return
      }
      case "remark":
        output.record({ event: "share.remark", text: event.text })
        this.#say("yellow", printable(event.text))
        return
    }
  }

  /** The command fails. */
  failed(error: RdvError): void {
    this.#options.output.record({ event: "share.failed", code: error.code, reason: error.message })
    this.#tell("failed", { reason: error.message })
  }

  /** The last words are the caller's; waits for hooks. May be called twice. */
  async end(): Promise<void> {
    this.#block.stop({ leave: this.#picture !== undefined })
    await this.#hooks.finish(hooksEndMs)
  }

  /** The share is over, and nobody here has stopped it. */
  over(text: string): void {
    this.#say("yellow", text)
  }

  /** Above the block. */
  note(text: string): void {
    this.#note(text)
  }

  #published({ version, name, bytes, files, link, expiresMs }: ShareEvent & { readonly kind: "published" }): void {
    const { output, code, swarm, password, qr, hint, relay } = this.#options
    this.#reading = undefined
    this.#name = name
    this.#bytes = bytes
    const isFirst = this.#version === 0
    this.#version = version
    const what = `${printable(name)}, ${amount(bytes)}${files === 1 ? "" : ` in ${counted(files, "file")}`}`
    output.record({
      event: "share.published",
      code,
      link,
      swarm,
      version,
      name,
      bytes,
      files,
      pid: process.pid,
      ...(expiresMs !== undefined && { expiresAt: new Date(Date.now() + expiresMs).toISOString() }),
    })
    if (!isFirst) {
      this.#say("green", `a new version is shared: ${what}`)
      return
    }
    if (output.json) return
    const lines = [
      what,
      "",
      output.paint("bold", code),
      "",
      link,
      ...(hint === undefined ? [] : [output.paint("dim", hint)]),
      ...(password ? [output.paint("dim", "The code needs the password beside it.")] : []),
      ...(expiresMs === undefined ? [] : [output.paint("dim", `Good for ${lasting(expiresMs)}.`)]),
    ]
    const coloured = output.paint("bold", "x") !== "x"
    const code2d = qr && output.interactive ? qrLines(link, { columns: output.columns, coloured }) : undefined
    if (code2d !== undefined) lines.push("", ...code2d)
    const get = `rdv get ${code}${relayWords(relay, link)}`
    lines.push("", output.interactive ? output.paint("dim", `Others run: ${get}`) : get, "")
    // The block would stand in between.
    this.#block.stop()
    for (const line of lines) output.line(line)
    this.#block.start()
  }

  #safe(copies: number): void {
    this.#options.output.record({ event: "share.safe", copies })
    this.#say("green", "every part is elsewhere in the swarm now: you may stop with Ctrl+C, the others go on")
  }

  #unsafe(): void {
    this.#options.output.record({ event: "share.unsafe" })
    this.#say("yellow", "somebody left with the only copy beside yours of a part: stay until the swarm has it again")
  }

  #allDone(receivers: number): void {
    this.#options.output.record({ event: "share.all-done", receivers })
    this.#say(
      "green",
      receivers === 1 ? "the only receiver has everything" : `all ${receivers} receivers have everything`,
    )
    this.#tell("all-done", {})
  }

  #tell(event: HookEvent, facts: Partial<HookFacts>): void {
    const { swarm } = this.#options
    this.#hooks.tell({ swarm, name: this.#name, bytes: this.#bytes, version: this.#version, ...facts, event })
  }

  #frame(columns: number): string[] {
    const { output } = this.#options
    if (this.#reading !== undefined) return [readingText(this.#reading)]
    if (this.#picture === undefined) return this.#name === undefined ? [] : ["waiting for the first receiver"]
    const rows = Math.max(1, (process.stdout.rows || 24) - 7)
    return swarmLines(this.#picture, { columns, rows, paint: (style, text) => output.paint(style, text) })
  }

  /** Not the same line twice. */
  #line(): string | undefined {
    const text =
      this.#reading !== undefined
        ? readingText(this.#reading)
        : this.#picture === undefined
          ? undefined
          : swarmLine(this.#picture, this.#story.finished)
    if (text === undefined || text === this.#told) return undefined
    this.#told = text
    return `rdv: ${text}`
  }

  #say(style: "green" | "yellow", text: string): void {
    if (!this.#options.output.json) this.#note(`rdv: ${this.#options.output.paintNote(style, text)}`)
  }

  #warn(text: string): void {
    this.#options.output.record({ event: "share.hook-failed", reason: text })
    this.#note(`${this.#options.output.paintNote("yellow", "rdv: warning:")} ${printable(text)}`)
  }

  #note(text: string): void {
    this.#block.note(text)
  }
}

function readingText({ bytes, of }: { readonly bytes: number; readonly of: number | undefined }): string {
  return of === undefined ? `reading: ${amount(bytes)}` : `reading: ${percent(bytes, of)} % of ${amount(of)}`
}
