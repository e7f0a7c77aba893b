/**
 * Parties that send, receive and select at random over the native protocol or over 9P, and tell everything that they do. What
 * goes wrong in a way that no network or killed process explains, they tell as a failure.
 */

import { connect } from "node:net"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { RdvError } from "../../src/base/error.ts"
import { SeededRandom } from "../../src/base/random.ts"
import { channels } from "../../src/channels.ts"
import type { Case, Channel, Channels, Message } from "../../src/channels.ts"
import { NinepClient } from "../../src/ninep/client.ts"
import { NinepError } from "../../src/ninep/errno.ts"
import type { Dialect } from "../../src/ninep/message.ts"
import { LinkLostError } from "../../src/ninep/remote-error.ts"
import { socketBytes } from "./byte-links.ts"
import type { Tell } from "./channel-ledger.ts"

export interface PartyOptions {
  readonly name: string
  readonly port: number
  readonly seed: number
  readonly paths: readonly string[]
  readonly tell: Tell
  /** It may be killed at any moment: it tells of a message before it answers it. */
  readonly mayDie?: boolean
  /** Of a 9P party. */
  readonly dialect?: Dialect
}

export interface Party {
  /** No new sends; resolves when those under way are settled. */
  stopSending(): Promise<void>
  /** In good order. */
  stop(): Promise<void>
}

abstract class Common implements Party {
  protected readonly options: PartyOptions
  protected readonly random: SeededRandom
  protected readonly tell: Tell
  /** Of waits that may be given up. */
  protected readonly stopping: AbortController = new AbortController()
  protected isSending = true
  #count = 0
  #senders: Promise<void>[] = []
  #receivers: Promise<void>[] = []

  constructor(options: PartyOptions) {
    this.options = options
    this.random = new SeededRandom(options.seed)
    this.tell = options.tell
  }

  protected begin(senders: readonly (() => Promise<void>)[], receivers: readonly (() => Promise<void>)[]): void {
    this.#senders = senders.map((run) => this.#loop(run, () => this.isSending))
    this.#receivers = receivers.map((run) => this.#loop(run, () => !this.stopping.signal.aborted))
  }

  async #loop(run: () => Promise<void>, goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      try {
        await run()
      } catch (thrown) {
        if (!goesOn()) return
        if (this.isExpected(thrown)) await sleep(5)
        else this.fail(thrown)
      }
      if (this.chance(0.2)) await sleep(this.below(8))
    }
  }

  protected fail(thrown: unknown): void {
    const { options } = this
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    this.tell({ event: "failure", reason: `${options.name}: ${text}` })
  }

  /** Of a network that breaks. */
  protected abstract isExpected(thrown: unknown): boolean

  protected below(count: number): number {
    return Math.floor(this.random.fraction() * count)
  }

  protected chance(probability: number): boolean {
    return this.random.fraction() < probability
  }

  protected path(): string {
    return this.options.paths[this.below(this.options.paths.length)] as string
  }

  /** Tells of a new message. Its text begins with its id. */
  protected compose(writer: string, channel: string): { id: string; text: string } {
    const id = `${this.options.name}.${this.#count++}`
    this.tell({ event: "sending", id, writer: `${this.options.name} ${writer}`, channel })
    return { id, text: `${id} ${"x".repeat(this.chance(0.1) ? this.below(20_000) : this.below(60))}` }
  }

  protected settled(id: string, verdict: "ok" | "failed" | "unknown", why = ""): void {
    this.tell({ event: "told", id, verdict, why })
  }

  async stopSending(): Promise<void> {
    this.isSending = false
    await Promise.all(this.#senders)
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await Promise.all([this.stopSending(), ...this.#receivers])
    await this.leave()
  }

  protected abstract leave(): Promise<void>
}

export function idOf(text: string): string {
  return text.slice(0, text.indexOf(" "))
}

/** Sends, receives and selects at once, over one session. */
export class NativeParty extends Common {
  readonly #client: Channels
  readonly #handles: readonly Channel[]

  static async start(options: PartyOptions): Promise<NativeParty> {
    return new NativeParty(options, await channels({ relay: `127.0.0.1:${options.port}`, connectMs: 20_000 }))
  }

  private constructor(options: PartyOptions, client: Channels) {
    super(options)
    this.#client = client
    this.#handles = options.paths.map((path) => client.channel(path))
    const selects = () => this.#select()
    this.begin([() => this.#send(), () => this.#burst(), selects], [() => this.#receive()])
  }

  protected isExpected(thrown: unknown): boolean {
    return thrown instanceof RdvError && ["link_lost", "timeout", "would_block", "closed"].includes(thrown.code)
  }

  protected async leave(): Promise<void> {
    await this.#client.close()
  }

  #handle(): Channel {
    return this.#handles[this.below(this.#handles.length)] as Channel
  }

  async #send(): Promise<void> {
    const channel = this.#handle()
    const { id, text } = this.compose("send", channel.path)
    const ways = [
      {},
      { timeoutMs: 1 + this.below(60) },
      { try: true },
      { signal: AbortSignal.timeout(this.below(15)) },
    ] as const
    await channel.send(text, ways[this.below(ways.length)]).then(
      () => this.settled(id, "ok"),
      (thrown: unknown) => this.#refused(id, thrown),
    )
  }

  /** Several under way at once. */
  async #burst(): Promise<void> {
    const channel = this.#handle()
    const all = Array.from({ length: 1 + this.below(12) }, () => this.compose("send", channel.path))
    await new Promise<void>((resolve) => {
      let left = all.length
      for (const { id, text } of all) {
        channel.push(text, (error) => {
          if (error === undefined) this.settled(id, "ok")
          else this.#refused(id, error)
          if (--left === 0) resolve()
        })
      }
    })
    await sleep(this.below(20))
  }

  async #receive(): Promise<void> {
    const channel = this.#handle()
    const lane = `${this.options.name} receive ${channel.path}`
    const { signal } = this.stopping
    const ways = [
      { timeoutMs: 1 + this.below(80), signal },
      { try: true, signal },
      { signal: AbortSignal.any([signal, AbortSignal.timeout(1 + this.below(30))]) },
    ] as const
    const ack = this.options.mayDie === true || this.chance(0.5)
    let message: Message | undefined
    try {
      message = await channel.receive({ ...ways[this.below(ways.length)], ack })
    } catch (thrown) {
      // Its answer came behind everything that was sent before.
      if (thrown instanceof RdvError && thrown.code === "would_block") this.tell({ event: "proven", lane })
      if (thrown instanceof DOMException) return
      throw thrown
    }
    if (message === undefined) return
    const id = idOf(message.text())
    this.tell({ event: "proven", lane })
    this.tell({ event: "got", id, lane, attempt: message.attempt, number: message.id })
    if (ack) {
      if (this.chance(0.3)) await sleep(this.below(10))
      if (this.chance(0.2)) {
        this.tell({ event: "back", id, lane })
        message.fail("not today")
        return
      }
      message.done()
    }
    this.tell({ event: "kept", id, lane })
  }

  async #select(): Promise<void> {
    const lane = `${this.options.name} select`
    const sends: { id: string; index: number }[] = []
    const cases = Array.from({ length: 1 + this.below(3) }, (_, index): Case => {
      const channel = this.#handle()
      if (this.chance(0.5)) return { receive: channel }
      const { id, text } = this.compose(`select ${index}`, channel.path)
      sends.push({ id, index })
      return { send: channel, message: text }
    })
    const ack = this.options.mayDie === true || this.chance(0.5)
    const ways = [{ timeoutMs: 1 + this.below(60) }, { default: true }, { signal: AbortSignal.timeout(this.below(30)) }]
    try {
      const chosen = await this.#client.select(cases, { ...ways[this.below(ways.length)], ack })
      this.tell({ event: "proven", lane })
      const index = "index" in chosen ? chosen.index : -1
      for (const each of sends) {
        if (chosen.kind === "sent" && each.index === index) this.settled(each.id, "ok")
        else this.settled(each.id, "failed", "not chosen")
      }
      if (chosen.kind !== "received") return
      const { message } = chosen
      const id = idOf(message.text())
      this.tell({ event: "got", id, lane, attempt: message.attempt })
      if (ack) message.done()
      this.tell({ event: "kept", id, lane })
    } catch (thrown) {
      for (const { id } of sends) this.#refused(id, thrown)
    }
  }

  #refused(id: string, thrown: unknown): void {
    if (thrown instanceof DOMException) this.settled(id, "failed", "aborted")
    else if (!(thrown instanceof RdvError)) this.fail(thrown)
    else if (thrown.code === "link_lost" || thrown.code === "closed") this.settled(id, "unknown", thrown.code)
    else this.settled(id, "failed", thrown.code)
  }
}

/** The same over one 9P connection after another. */
export class NinepParty extends Common {
  #client: NinepClient | undefined
  #connecting: Promise<NinepClient> | undefined
  #epoch = 0
  #next = 0

  static async start(options: PartyOptions): Promise<NinepParty> {
    const party = new NinepParty(options)
    await party.#connect()
    party.begin([() => party.#send(), () => party.#select()], [() => party.#receive()])
    return party
  }

  protected isExpected(thrown: unknown): boolean {
    return (
      thrown instanceof LinkLostError ||
      (thrown instanceof NinepError && thrown.errno === "EIO") ||
      ["ECONNREFUSED", "ECONNRESET"].includes((thrown as { code?: string }).code ?? "")
    )
  }

  protected async leave(): Promise<void> {
    this.#client?.close()
  }

  async #connect(): Promise<NinepClient> {
    if (this.#client !== undefined) return this.#client
    this.#connecting ??= this.#dial().finally(() => (this.#connecting = undefined))
    return this.#connecting
  }

  async #dial(): Promise<NinepClient> {
    const { port, dialect } = this.options
    const socket = connect({ port, noDelay: true })
    await once(socket, "connect")
    const client = await NinepClient.connect({
      link: socketBytes(socket),
      uid: 0,
      ...(dialect !== undefined && { dialects: [dialect] }),
      onClose: () => (this.#client = undefined),
    })
    this.#epoch++
    this.#client = client
    return client
  }

  /** One write, or several under way at once on one open file. */
  async #send(): Promise<void> {
    const client = await this.#connect()
    const path = this.path()
    const role = ["send", `send@${1 + this.below(60)}ms`, "send@try"][this.below(3)] as string
    const signal = this.chance(0.3) ? AbortSignal.timeout(this.below(20)) : undefined
    const file = await client.open(this.chance(0.2) ? path : `${path}.d/${role}`, { write: true })
    // Whoever opens the plain file or `send` waits for as long as it takes.
    const count = 1 + this.below(4)
    await Promise.all(
      Array.from({ length: count }, async () => {
        const { id, text } = this.compose("send", path)
        await file.write(0, new TextEncoder().encode(text), signal).then(
          () => this.settled(id, "ok"),
          (thrown: unknown) => this.#refused(id, thrown),
        )
      }),
    )
    await file.clunk()
  }

  async #receive(): Promise<void> {
    const client = await this.#connect()
    const path = this.path()
    const patience = this.chance(0.3) ? "try" : `${1 + this.below(60)}ms`
    const role = ["recv", "next", "take"][this.below(3)] as string
    const lane = `${this.options.name} ${role} ${path} ${this.#epoch}.${this.#next++}`
    const file = await client.open(`${path}.d/${role}@${patience}`, { read: true })
    let offset = 0
    for (let round = 1 + this.below(6); round > 0; round--) {
      const signal = this.chance(0.2) ? AbortSignal.timeout(this.below(20)) : undefined
      let bytes: Uint8Array
      try {
        bytes = await file.read(offset, file.mostBytes, signal)
      } catch (thrown) {
        if (thrown instanceof LinkLostError) throw thrown
        if (thrown instanceof DOMException) continue
        if (thrown instanceof NinepError && ["ETIMEDOUT", "EAGAIN"].includes(thrown.errno)) break
        throw thrown
      }
      // Of `next`, when its message was had.
      if (bytes.length === 0) break
      offset += bytes.length
      const text = new TextDecoder().decode(bytes)
      if (role === "take") {
        await this.#answer(client, path, lane, text)
        // The end of the message: nothing is shown by it here.
        await file.read(offset)
        continue
      }
      this.tell({ event: "got", id: idOf(text), lane })
      this.tell({ event: "kept", id: idOf(text), lane })
      if (this.chance(0.2)) break
      const end = await file.read(offset)
      if (end.length > 0) throw new Error(`${end.length} bytes where the end of a message was due`)
      this.tell({ event: "proven", lane })
    }
    await file.clunk()
    this.tell({ event: "proven", lane })
  }

  async #answer(client: NinepClient, path: string, lane: string, line: string): Promise<void> {
    const [tag = "", text = ""] = line.split("\t")
    const id = idOf(text)
    this.tell({ event: "got", id, lane, number: Number(tag.split("-")[0]) })
    const verdict = this.chance(0.2) ? "fail not today" : "ok"
    if (this.chance(0.3)) await sleep(this.below(10))
    try {
      const acks = await client.open(`${path}.d/ack`, { write: true })
      // From here on the server may know.
      this.tell({ event: verdict === "ok" ? "kept" : "back", id, lane })
      await acks.write(0, new TextEncoder().encode(`${tag} ${verdict}\n`))
      this.tell({ event: "proven", lane })
      await acks.clunk()
    } catch (thrown) {
      // The lease was over: it is somebody else's.
      if (thrown instanceof LinkLostError || !(thrown instanceof NinepError) || thrown.errno !== "ENOENT") throw thrown
      this.tell({ event: "back", id, lane })
    }
  }

  async #select(): Promise<void> {
    const client = await this.#connect()
    const lane = `${this.options.name} select ${this.#epoch}.${this.#next++}`
    const file = await client.open("/select/clone", { read: true, write: true })
    const sends = new Map<string, string>()
    const cases = this.options.paths
      .filter(() => this.chance(0.6))
      .map((path) => {
        if (this.chance(0.5)) return `${path}?`
        const { id, text } = this.compose("select", path)
        sends.set(path, id)
        return `${path}!${text}`
      })
    if (cases.length === 0) return file.clunk()
    cases.push(this.chance(0.3) ? "default" : `timeout ${1 + this.below(60)}ms`)
    try {
      await file.writeAll(new TextEncoder().encode(`${cases.join("\n")}\n`))
      const bytes = await file.read(0)
      const choice = new TextDecoder().decode(bytes)
      const sent = /^(\S+)!\n$/.exec(choice)?.[1]
      for (const [path, id] of sends) {
        if (path === sent) this.settled(id, "ok")
        else this.settled(id, "failed", "not chosen")
      }
      const received = /^(\S+)\?\t(\S+) /.exec(choice)
      if (received !== null) {
        const id = received[2] as string
        this.tell({ event: "got", id, lane })
        this.tell({ event: "kept", id, lane })
      }
      await file.read(bytes.length)
      this.tell({ event: "proven", lane })
      await file.clunk()
    } catch (thrown) {
      for (const id of sends.values()) this.#refused(id, thrown)
      throw thrown
    }
  }

  #refused(id: string, thrown: unknown): void {
    if (thrown instanceof DOMException) this.settled(id, "failed", "aborted")
    else if (thrown instanceof LinkLostError) this.settled(id, "unknown", "LinkLostError")
    else if (thrown instanceof NinepError && thrown.errno !== "EIO") this.settled(id, "failed", thrown.errno)
    else this.fail(thrown)
  }
}
