/**
 * A relay for the tests of members: it speaks the protocol, its scheduler is the real one, and it does wrong when it is
 * told to. No limits, no persistence, no admission: those are tried with the real one.
 */

import type { ErrorCode } from "../../src/base/error.ts"
import { fromBase64url } from "../../src/base/bytes.ts"
import type { Clock } from "../../src/base/clock.ts"
import { RdvError } from "../../src/base/error.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream } from "../../src/base/stream.ts"
import { Bitmap } from "../../src/capabilities/share/content/bitmap.ts"
import { ChunkTable } from "../../src/capabilities/share/content/chunk-table.ts"
import { nodeHash } from "../../src/capabilities/share/node/node-crypto.ts"
import type { ChunkPath } from "../../src/capabilities/share/paths/chunk-path.ts"
import type { Pipe } from "../../src/base/pipe.ts"
import { readGreeting } from "../../src/capabilities/share/paths/relay-greeting.ts"
import { streamPath } from "../../src/capabilities/share/paths/stream-path.ts"
import { streamPipe } from "../../src/capabilities/share/paths/stream-pipe.ts"
import type { RelayAccess } from "../../src/capabilities/share/peer/relay-access.ts"
import type {
  MemberMessage,
  RelayMessage,
  ShareHeader,
  SwarmPicture,
  TableFacts,
} from "../../src/capabilities/share/protocol/control.ts"
import { readMemberMessage, readShareHeader } from "../../src/capabilities/share/protocol/read-control.ts"
import { Scheduler } from "../../src/capabilities/share/swarm/scheduler.ts"
import type { Carrier } from "../../src/capabilities/share/swarm/scheduler.ts"
import { memoryPair } from "../../src/transport/memory.ts"
import type { MemoryPair } from "../../src/transport/memory.ts"
import { streamPair } from "./stream-pair.ts"
import type { StreamPairEnds } from "./stream-pair.ts"

interface Publication {
  readonly facts: TableFacts
  readonly bytes: Uint8Array
  readonly table: ChunkTable
}

export class FakeShareRelay {
  readonly #clock: Clock
  readonly #bytesPerSecond: number | undefined
  readonly #members = new Map<string, FakeMember>()
  readonly #streams = new Set<StreamPairEnds>()
  readonly #pairs = new Set<MemoryPair>()
  readonly #cache = new Map<number, Uint8Array>()
  #publication: Publication | undefined
  #scheduler: Scheduler | undefined
  #next = 1
  /** Whatever members said, in order. */
  readonly heard: { readonly member: string; readonly message: MemberMessage }[] = []
  readonly pushed: number[] = []
  readonly fetched: number[] = []
  /** Changes what is pushed. */
  spoil: ((chunk: number, sealed: Uint8Array) => Uint8Array) | undefined
  carrier: Carrier = "relay"
  /** Connections of their own are taken. */
  takesConnections = true
  /** No session is to be had. */
  isDown = false
  #isCasting = false
  /** How it refuses whoever comes. */
  refusal: ErrorCode | undefined
  /** Waits of those who open meanwhile. */
  #waiting: (() => void)[] = []

  /** `bytesPerSecond` is that of each connection for chunks, each way. */
  constructor(clock: Clock, bytesPerSecond?: number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
  }

  /** With `label` in the tests' words. */
  access(): RelayAccess {
    return {
      open: async (service, header, signal) => {
        while (this.isDown) await new Promise<void>((resolve) => this.#wait(resolve, signal))
        signal.throwIfAborted()
        const ends = streamPair(service, header)
        this.#streams.add(ends)
        if (service === "share") this.#join(ends.b, readShareHeader(header))
        else this.#takePieces(ends.b, header)
        return ends.a
      },
      connect: async (signal) => {
        await Promise.resolve()
        signal.throwIfAborted()
        if (!this.takesConnections || this.isDown) throw new RdvError("unreachable", "No connection")
        const pair = memoryPair(this.#clock, {
          name: "relay",
          bufferBytes: 64 * 1024,
          ...(this.#bytesPerSecond !== undefined && { bytesPerSecond: this.#bytesPerSecond }),
        })
        this.#pairs.add(pair)
        void this.#greet(pair.b)
        return pair.a
      },
    }
  }

  /** Members that are here, by the name of their installation. */
  member(installation: string): FakeMember | undefined {
    return [...this.#members.values()].find((each) => each.header.member === installation)
  }

  get memberCount(): number {
    return this.#members.size
  }

  get cached(): number {
    return this.#cache.size
  }

  messages(verb: MemberMessage["do"], installation?: string): MemberMessage[] {
    return this.heard
      .filter(({ member, message }) => message.do === verb && (installation === undefined || member === installation))
      .map(({ message }) => message)
  }

  cutPaths(): void {
    for (const pair of this.#pairs) pair.cut()
    this.#pairs.clear()
  }

  cutStreams(code: "link_lost" | "removed" = "link_lost"): void {
    for (const ends of this.#streams) ends.cut(new RdvError(code, "It was cut", { origin: "remote" }))
    this.#streams.clear()
  }

  /** It starts anew: nobody is there, nothing is known but, perhaps, what was published. */
  restart({ forgets }: { readonly forgets: boolean }): void {
    this.cutPaths()
    this.cutStreams()
    for (const member of this.#members.values()) member.path?.abort(new RdvError("closed"))
    this.#members.clear()
    this.#cache.clear()
    this.#scheduler?.close()
    this.#scheduler = undefined
    const publication = this.#publication
    this.#publication = undefined
    if (!forgets && publication !== undefined) this.#publish(publication)
  }

  up(): void {
    this.isDown = false
    for (const wake of this.#waiting.splice(0)) wake()
  }

  forgetCache(): void {
    this.#cache.clear()
  }

  close(): void {
    this.#scheduler?.close()
    this.cutPaths()
    this.cutStreams()
  }

  /** To all, or to one. */
  say(message: RelayMessage, installation?: string): void {
    for (const member of this.#members.values())
      if (installation === undefined || member.header.member === installation) member.say(message)
  }

  picture(): SwarmPicture {
    const table = this.#publication?.table
    return {
      swarm: "123456",
      version: table?.version ?? 0,
      chunks: table?.count ?? 0,
      bytes: table?.sealedBytes ?? 0,
      copies: this.#scheduler?.stats().copies ?? [],
      cache: { chunks: 0, bytes: 0, hits: 0, misses: 0 },
      relay: { inBytes: 0, outBytes: 0 },
      members: [],
      more: 0,
    }
  }

  #wait(resolve: () => void, signal: AbortSignal): void {
    this.#waiting.push(resolve)
    signal.addEventListener("abort", resolve, { once: true })
  }

  #join(stream: Stream, header: ShareHeader): void {
    if (this.refusal !== undefined) {
      stream.reset(this.refusal)
      return
    }
    if (header.do === "watch") throw new RdvError("usage", "Nobody watches in these tests")
    for (const before of this.#members.values())
      if (before.header.member === header.member) before.stream.reset("replaced")
    const name = `m${this.#next++}`
    const member = new FakeMember(name, header, stream)
    this.#members.set(name, member)
    const publication = this.#publication
    if (header.do === "publish") member.expect(header.table)
    else if (publication === undefined) {
      this.#members.delete(name)
      stream.reset("not_found", "Nobody shares this")
      return
    }
    stream.attach({
      data: (chunk) => {
        const table = member.took(chunk)
        if (table !== undefined) this.#published(table)
      },
      meta: (block) => this.#hear(member, readMemberMessage(block)),
      end: () => stream.end(),
      drain: () => undefined,
      closed: () => {
        if (!this.#members.delete(name)) return
        this.#scheduler?.leave(name)
        member.path?.abort(new RdvError("closed"))
      },
    })
    member.say({
      do: "welcome",
      you: name,
      ticket: member.ticket,
      connections: this.takesConnections,
      once: false,
      ...(header.do === "publish" && { url: "http://relay.test/share/123456" }),
    })
    if (header.do === "join" && publication !== undefined) member.sayTable(publication)
  }

  #published({ facts, bytes }: { facts: TableFacts; bytes: Uint8Array }): void {
    const table = ChunkTable.decode(bytes, nodeHash)
    const before = this.#publication
    if (before !== undefined && Buffer.from(before.bytes).equals(bytes)) return
    this.#publish({ facts, bytes: bytes.slice(), table })
    for (const member of this.#members.values())
      if (member.header.do === "join") member.sayTable(this.#publication as Publication)
  }

  #publish(publication: Publication): void {
    this.#scheduler?.close()
    this.#cache.clear()
    this.#publication = publication
    const { table } = publication
    const version = table.version
    this.#scheduler = new Scheduler({
      clock: this.#clock,
      count: table.count,
      manifestChunks: table.manifestChunks,
      cacheBytes: 64 * 1024 * 1024,
      lengthOf: (chunk) => table.lengthOf(chunk),
      port: {
        push: (name, chunk) => {
          const sealed = this.#cache.get(chunk) as Uint8Array
          this.pushed.push(chunk)
          this.#members.get(name)?.path?.send({ version, chunk }, this.spoil?.(chunk, sealed) ?? sealed)
        },
        fetch: (name, chunk) => {
          this.fetched.push(chunk)
          this.#members.get(name)?.path?.ask({ version, chunk })
        },
        unfetch: (name, chunk) => this.#members.get(name)?.path?.cancel({ version, chunk }),
        take: (name, chunk, from) => this.#members.get(name)?.say({ do: "take", version, chunks: [[chunk, from]] }),
        drop: (name, chunk) => this.#members.get(name)?.say({ do: "drop", version, chunks: [chunk] }),
        cached: (chunk) => this.#cache.has(chunk),
      },
    })
    this.#scheduler.carrier(this.carrier)
  }

  #hear(member: FakeMember, message: MemberMessage): void {
    this.heard.push({ member: member.header.member, message })
    const scheduler = this.#scheduler
    const table = this.#publication?.table
    if (message.do === "version") {
      member.expect(message.table)
      return
    }
    if (scheduler === undefined || table === undefined) return
    if ("version" in message && message.version !== table.version) return
    const { name } = member
    switch (message.do) {
      case "holds": {
        const have = Bitmap.from(fromBase64url(message.bitmap) as Uint8Array, table.count)
        if (member.holds === table.version) {
          for (let chunk = 0; chunk < table.count; chunk++) if (have.has(chunk)) scheduler.have(name, chunk)
          break
        }
        member.holds = table.version
        scheduler.join(name, { have })
        if (member.path !== undefined) scheduler.relayPath(name, "up")
        for (const other of member.paths) scheduler.path(name, other, "up")
        break
      }
      case "have":
        for (const chunk of message.chunks) scheduler.have(name, chunk)
        break
      case "lost":
        for (const chunk of message.chunks) scheduler.lost(name, chunk)
        break
      case "window":
        scheduler.window(name, message.bytes)
        break
      case "cast":
        member.isCast = message.state === "heard"
        this.#cast(scheduler)
        break
      case "casting":
        this.#isCasting = message.state === "begun"
        this.#cast(scheduler)
        break
      case "uplink":
        scheduler.uplink(name, message.bytesPerSecond)
        break
      case "failed":
        scheduler.failed(name, message.chunk, message.from)
        break
      case "reach":
        member.addresses = message.addresses
        for (const other of this.#members.values()) {
          if (other === member || other.addresses.length === 0) continue
          member.say({ do: "peers", peers: [{ member: other.name, addresses: other.addresses, dial: true }] })
          other.say({ do: "peers", peers: [{ member: name, addresses: member.addresses, dial: false }] })
        }
        break
      case "path":
        if (message.state === "up") member.paths.add(message.member)
        else member.paths.delete(message.member)
        scheduler.path(name, message.member, message.state)
        break
      default:
    }
  }

  #cast(scheduler: Scheduler): void {
    const heard = [...this.#members.values()].filter(({ isCast }) => isCast)
    scheduler.casting(this.#isCasting ? heard.map(({ name }) => name) : [])
  }

  async #greet(pipe: Pipe): Promise<void> {
    const redeem = (ticket: Uint8Array) =>
      [...this.#members.values()].find((each) => Buffer.from(ticket).equals(Buffer.from(each.ticket, "base64url")))
    try {
      const { owner, pipe: greeted } = await readGreeting(pipe, new Uint8Array(0), redeem, { clock: this.#clock })
      this.#path(owner, streamPath(greeted, { clock: this.#clock }))
    } catch {
      // It says so to the member.
    }
  }

  #takePieces(stream: Stream, header: JsonObject): void {
    const owner = [...this.#members.values()].find(({ ticket }) => ticket === header["ticket"])
    if (owner === undefined) stream.reset("unauthorized")
    else this.#path(owner, streamPath(streamPipe(stream, { clock: this.#clock }), { clock: this.#clock }))
  }

  #path(member: FakeMember, path: ChunkPath): void {
    member.path = path
    const coming = new Map<number, Uint8Array>()
    path.attach({
      room: (name, length) => {
        const memory = new Uint8Array(length)
        coming.set(name.chunk, memory)
        return memory
      },
      chunk: ({ chunk }, sealed) => {
        const table = this.#publication?.table
        if (table?.matches(chunk, sealed) !== true) {
          this.#scheduler?.refused(member.name, chunk)
          return
        }
        this.#cache.set(chunk, sealed)
        this.#scheduler?.arrived(chunk, member.name)
      },
      asked: () => undefined,
      cancelled: () => undefined,
      refused: ({ chunk }) => this.#scheduler?.refused(member.name, chunk),
      ready: () => undefined,
      closed: () => {
        if (member.path !== path) return
        member.path = undefined
        this.#scheduler?.relayPath(member.name, "down")
      },
    })
    this.#scheduler?.relayPath(member.name, "up")
  }
}

export class FakeMember {
  readonly name: string
  readonly header: Exclude<ShareHeader, { do: "watch" }>
  readonly stream: Stream
  readonly ticket: string
  path: ChunkPath | undefined
  /** The version of which it has said what it has. */
  holds = 0
  addresses: readonly string[] = []
  /** It hears the multicast. */
  isCast = false
  /** Members that it reaches directly. */
  readonly paths: Set<string> = new Set()
  #table: { readonly facts: TableFacts; readonly bytes: Uint8Array; at: number } | undefined

  constructor(name: string, header: Exclude<ShareHeader, { do: "watch" }>, stream: Stream) {
    this.name = name
    this.header = header
    this.stream = stream
    this.ticket = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url")
  }

  say(message: RelayMessage): void {
    this.stream.meta(message as unknown as JsonObject)
  }

  sayTable({ facts, bytes }: Publication): void {
    this.say({ do: "table", table: facts })
    this.stream.write(bytes)
  }

  expect(facts: TableFacts): void {
    this.#table = { facts, bytes: new Uint8Array(facts.bytes), at: 0 }
  }

  /** The table when it is whole. */
  took(chunk: Uint8Array): { facts: TableFacts; bytes: Uint8Array } | undefined {
    const table = this.#table
    if (table === undefined) throw new RdvError("protocol", "Bytes without a table")
    table.bytes.set(chunk, table.at)
    table.at += chunk.length
    if (table.at < table.bytes.length) return undefined
    this.#table = undefined
    return table
  }
}
