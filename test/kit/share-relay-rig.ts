/** The share service at a relay on loopback, with members written by hand that tests can make lie, stall and leave. */

import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import type { TestContext } from "node:test"
import { base64url } from "../../src/base/bytes.ts"
import type { RdvError } from "../../src/base/error.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream } from "../../src/base/stream.ts"
import { accessHash, tableMac } from "../../src/capabilities/share/code/proofs.ts"
import type { SwarmKeys } from "../../src/capabilities/share/code/swarm-keys.ts"
import { Bitmap } from "../../src/capabilities/share/content/bitmap.ts"
import { ChunkTable } from "../../src/capabilities/share/content/chunk-table.ts"
import { nodeHash } from "../../src/capabilities/share/node/node-crypto.ts"
import type { ChunkPath, ChunkPathSink } from "../../src/capabilities/share/paths/chunk-path.ts"
import type { Pipe } from "../../src/base/pipe.ts"
import { greetRelay, relayGreetingByte } from "../../src/capabilities/share/paths/relay-greeting.ts"
import { streamPath } from "../../src/capabilities/share/paths/stream-path.ts"
import { streamPipe } from "../../src/capabilities/share/paths/stream-pipe.ts"
import { piecesService, shareService } from "../../src/capabilities/share/protocol/control.ts"
import type {
  MemberMessage,
  RelayMessage,
  ShareHeader,
  ShareRules,
  TableFacts,
} from "../../src/capabilities/share/protocol/control.ts"
import type { RelayAccess } from "../../src/capabilities/share/peer/relay-access.ts"
import { startShare } from "../../src/capabilities/share/relay/share-service.ts"
import type { ShareOptions, ShareRelay } from "../../src/capabilities/share/relay/share-service.ts"
import type { Link } from "../../src/mux/link.ts"
import type { RunningAgent, RunningRelay } from "../../src/node.ts"
import { guestToken } from "../../src/share-access.ts"
import { dial } from "../../src/transport/dial.ts"
import { localAgent, localRelay } from "./local-sessions.ts"
import { someKeys } from "./swarm-keys.ts"

export interface ShareRig {
  readonly running: RunningRelay
  readonly share: ShareRelay
  /** An agent of its own behind it. */
  member(): Promise<RawMember>
  /** One who shows the code alone. */
  guest(swarm?: string, keys?: SwarmKeys): Promise<RawMember>
  /** For members of the product; one session each. */
  access(): Promise<RelayAccess>
}

/** Ends with the test. */
export async function shareRig(t: TestContext, options: ShareOptions = {}): Promise<ShareRig> {
  const running = await localRelay(t)
  const share = startShare(running.relay, options)
  running.relay.letGuestsIn("share", (what, proof, address) => share.admit(what.slice("share/".length), proof, address))
  running.relay.takeGuests(relayGreetingByte, (link, head) => share.takeLink(link, head))
  t.after(() => share.close())
  const connect = () => dial(running.addresses[0] as never, { timeoutMs: 5_000 })
  return {
    running,
    share,
    async member() {
      return new RawMember(await localAgent(t, running, {}), connect)
    },
    async guest(swarm = "482713", keys = someKeys(1)) {
      return new RawMember(await localAgent(t, running, { token: guestToken(swarm, keys) }), connect)
    },
    async access() {
      const { agent } = await localAgent(t, running, {})
      return {
        open: (service, header) => Promise.resolve(agent.dial(service, { header })),
        connect: (signal) => dial(running.addresses[0] as never, { timeoutMs: 5_000, signal }),
      }
    },
  }
}

export interface RawContent {
  readonly table: ChunkTable
  readonly chunks: readonly Uint8Array[]
  readonly facts: TableFacts
}

/** Chunks of random bytes; the first one stands for the manifest. Nothing is sealed: the relay could not tell. */
export function rawContent(lengths: readonly number[], version: number = 1, keys: SwarmKeys = someKeys(1)): RawContent {
  const chunks = lengths.map((length) => new Uint8Array(randomBytes(length)))
  return contentOf(chunks, version, keys)
}

export function contentOf(chunks: readonly Uint8Array[], version: number, keys: SwarmKeys = someKeys(1)): RawContent {
  const hash = nodeHash("sha256")
  const table = ChunkTable.build({
    version,
    hash,
    manifestChunks: 1,
    chunks: chunks.map((chunk) => ({ length: chunk.length, hash: hash.hash(chunk) })),
  })
  const bytes = table.encode()
  return { table, chunks, facts: { version, bytes: bytes.length, mac: base64url(tableMac(keys, bytes)) } }
}

export interface PublishOptions extends ShareRules {
  readonly swarm?: string
  readonly member?: string
  readonly publisher?: string
  readonly keys?: SwarmKeys
}

export class RawMember {
  readonly messages: RelayMessage[] = []
  readonly tables: Uint8Array[] = []
  /** What the relay sent over the path, checked against the table. */
  readonly got: Map<number, Uint8Array> = new Map()
  readonly asked: number[] = []
  readonly agent: RunningAgent
  stream: Stream | undefined
  path: ChunkPath | undefined
  table: ChunkTable | undefined
  /** Undefined while it is open. */
  end: RdvError | "good order" | undefined
  pathEnd: RdvError | "good order" | undefined
  duplicates = 0
  corrupt = 0
  /** Chunks that came, where nobody looks into them (`sink`). */
  count = 0
  sink = false
  /** Answers what the relay asks for; undefined: it does not answer. */
  answer: ((chunk: number) => Uint8Array | undefined) | undefined
  /** Its next path does not read. */
  stall = false
  /** Tells the relay what has come, at once. */
  reports = true
  readonly #connect: () => Promise<Link>
  #incoming: { readonly bytes: number; readonly parts: Uint8Array[]; length: number } | undefined
  #unsaid: { version: number; chunks: number[]; bytes: number } = { version: 0, chunks: [], bytes: 0 }
  #saying: ReturnType<typeof setTimeout> | undefined
  #waiting: { readonly isIt: () => boolean; readonly resolve: () => void }[] = []

  constructor(agent: RunningAgent, connect: () => Promise<Link>) {
    this.agent = agent
    this.#connect = connect
  }

  open(header: ShareHeader | JsonObject, table?: Uint8Array): void {
    this.end = undefined
    const stream = this.agent.agent.dial(shareService, { header: header as JsonObject })
    this.stream = stream
    stream.attach({
      data: (chunk) => this.#data(stream, chunk),
      meta: (block) => {
        const message = block as unknown as RelayMessage
        this.messages.push(message)
        if (message.do === "table") this.#incoming = { bytes: message.table.bytes, parts: [], length: 0 }
        this.#look()
      },
      end: () => {
        stream.end()
      },
      drain: () => undefined,
      closed: (error) => {
        if (this.stream === stream) this.end = error ?? "good order"
        this.#look()
      },
    })
    if (table !== undefined) stream.write(table)
  }

  publish(content: RawContent, options: PublishOptions = {}): void {
    const { swarm = "482713", member = "sender", publisher = "cHVibGlzaGVyLXNlY3JldA", keys = someKeys(1) } = options
    const { once, expiresMs, maxPeers, cache } = options
    this.table = content.table
    const header: ShareHeader = {
      do: "publish",
      swarm,
      member,
      access: base64url(accessHash(keys.access)),
      publisher,
      table: content.facts,
      ...(once !== undefined && { once }),
      ...(expiresMs !== undefined && { expiresMs }),
      ...(maxPeers !== undefined && { maxPeers }),
      ...(cache !== undefined && { cache }),
    }
    this.answer ??= (chunk) => content.chunks[chunk]
    this.open(header as unknown as JsonObject, content.table.encode())
  }

  join(member: string, options: { swarm?: string; keys?: SwarmKeys; label?: string; looks?: boolean } = {}): void {
    const { swarm = "482713", keys = someKeys(1), label = member, looks } = options
    this.open({ do: "join", swarm, member, access: base64url(keys.access), label, ...(looks === true && { looks }) })
  }

  /** Publishes, opens a path and says that it has everything. */
  async share(content: RawContent, options: PublishOptions = {}): Promise<void> {
    this.publish(content, options)
    await this.connected()
    this.holds(true)
  }

  /** Joins, opens a path and says that it has nothing. */
  async receive(
    member: string,
    options: { swarm?: string; keys?: SwarmKeys; window?: number; looks?: boolean } = {},
  ): Promise<void> {
    this.join(member, options)
    await this.connected()
    await this.until(() => this.table !== undefined, "a table")
    this.holds(false)
    this.say({ do: "window", bytes: options.window ?? 4 << 20 })
  }

  say(message: MemberMessage): void {
    if (message.do !== "have") this.#sayReport()
    this.stream?.meta(message as unknown as JsonObject)
  }

  holds(isAll: boolean): void {
    const table = this.table as ChunkTable
    const bitmap = new Bitmap(table.count)
    if (isAll) bitmap.fill()
    this.say({ do: "holds", version: table.version, bitmap: base64url(bitmap.bytes()) })
  }

  async connected(over: "connection" | "session" = "connection"): Promise<void> {
    const { ticket } = await this.message("welcome")
    await this.openPath(ticket, over)
  }

  async openPath(ticket: string, over: "connection" | "session" = "connection"): Promise<void> {
    const pipe =
      over === "connection"
        ? await greetRelay(await this.#connect(), ticket)
        : streamPipe(this.agent.agent.dial(piecesService, { header: { ticket } }))
    if (this.stall) pipe.pause()
    const path = streamPath(this.stall ? stalled(pipe) : pipe)
    this.path = path
    this.pathEnd = undefined
    path.attach(this.#sink(path))
  }

  /** The newest message of this kind, when there is one. */
  async message<Verb extends RelayMessage["do"]>(verb: Verb): Promise<Extract<RelayMessage, { do: Verb }>> {
    const find = () => this.messages.findLast((message) => message.do === verb)
    await this.until(() => find() !== undefined, `"${verb}"`)
    return find() as Extract<RelayMessage, { do: Verb }>
  }

  /** How the stream ended. */
  async ended(): Promise<RdvError> {
    await this.until(() => this.end !== undefined, "the end of the stream")
    assert.ok(this.end !== undefined && this.end !== "good order", "the stream ended in good order")
    return this.end
  }

  async until(isIt: () => boolean, what: string, withinMs = 5_000): Promise<void> {
    if (isIt()) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push({ isIt, resolve })
    // What depends on time alone is looked at, too.
    const look = setInterval(() => this.#look(), 20)
    const limit = setTimeout(() => resolve(), withinMs)
    await promise
    clearTimeout(limit)
    clearInterval(look)
    const end = this.end === undefined || this.end === "good order" ? this.end : this.end.message
    assert.ok(isIt(), `${what} did not come; the stream: ${end ?? "open"}`)
  }

  #data(stream: Stream, chunk: Uint8Array): void {
    const incoming = this.#incoming
    assert.ok(incoming !== undefined, "bytes that belong to no table")
    incoming.parts.push(chunk.slice())
    incoming.length += chunk.length
    stream.consumed(chunk.length)
    if (incoming.length < incoming.bytes) return
    const bytes = new Uint8Array(Buffer.concat(incoming.parts))
    this.#incoming = undefined
    this.tables.push(bytes)
    this.table = ChunkTable.decode(bytes, nodeHash)
    this.#look()
  }

  #sink(path: ChunkPath): ChunkPathSink {
    return {
      room: (_name, length) => (this.sink ? sunk.subarray(0, length) : new Uint8Array(length)),
      chunk: ({ chunk, version }, sealed) => {
        const table = this.table as ChunkTable
        if (version !== table.version) return
        if (this.sink) this.count++
        else if (!table.matches(chunk, sealed)) this.corrupt++
        else if (this.got.has(chunk)) this.duplicates++
        else this.got.set(chunk, sealed)
        if (this.reports) this.#report(version, chunk, sealed.length)
        this.#look()
      },
      asked: (name) => {
        this.asked.push(name.chunk)
        const bytes = this.answer?.(name.chunk)
        if (bytes !== undefined) path.send(name, bytes)
        this.#look()
      },
      cancelled: () => undefined,
      refused: () => undefined,
      ready: () => undefined,
      closed: (error) => {
        if (this.path === path) this.pathEnd = error ?? "good order"
        this.#look()
      },
    }
  }

  /** Some at once, as members of the product do. */
  #report(version: number, chunk: number, bytes: number): void {
    if (this.#unsaid.version !== version) this.#sayReport()
    this.#unsaid.version = version
    this.#unsaid.chunks.push(chunk)
    this.#unsaid.bytes += bytes
    if (this.#unsaid.chunks.length === 16) this.#sayReport()
    else this.#saying ??= setTimeout(() => this.#sayReport(), 5)
  }

  #sayReport(): void {
    clearTimeout(this.#saying)
    this.#saying = undefined
    const { version, chunks, bytes } = this.#unsaid
    this.#unsaid = { version, chunks: [], bytes: 0 }
    if (chunks.length > 0) this.say({ do: "have", version, chunks, via: { relay: bytes, direct: 0, cast: 0 } })
  }

  #look(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const each of waiting) {
      if (each.isIt()) each.resolve()
      else this.#waiting.push(each)
    }
  }
}

/** What is not looked into all goes here. */
const sunk = new Uint8Array(1_048_592)

/** Nothing is read of it any more. */
function stalled(pipe: Pipe): Pipe {
  pipe.pause()
  return {
    kind: pipe.kind,
    peer: pipe.peer,
    attach: (sink) => {
      pipe.attach(sink)
      pipe.pause()
    },
    send: (parts) => pipe.send(parts),
    queuedBytes: 0,
    pause: () => undefined,
    resume: () => undefined,
    close: () => pipe.close(),
    abort: (error) => pipe.abort(error),
  }
}
