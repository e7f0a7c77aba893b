/**
 * A member of a swarm, whether it sends or receives: the line to the relay, the paths of chunks, what comes in and what
 * goes out. It decides nothing about the content: the sender and the receiver do, who own it. Nor does it choose whom to
 * ask: the relay does, who sees all.
 *
 *                    ┌─ line: messages, tables ──────────────┐
 *     owner ── Member┤─ relay path ─┐                        ├─ relay
 *                    │─ direct paths├▶ intake ▶ holdings     │
 *                    └─ multicast ──┘  uploads ◀ holdings ───┘
 */

import { base64url } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { SwarmKeys } from "../code/swarm-keys.ts"
import type { ChunkName, ChunkPath, ChunkPathSink } from "../paths/chunk-path.ts"
import type { DirectNet } from "../paths/direct-net.ts"
import type { ByteWays, MemberMessage, RelayMessage, TableFacts } from "../protocol/control.ts"
import { ChunkMemory } from "./chunk-memory.ts"
import { Direct } from "./direct.ts"
import type { DirectPeer } from "./direct-peer.ts"
import { HaveBatch } from "./have-batch.ts"
import type { Way } from "./have-batch.ts"
import { Intake } from "./intake.ts"
import type { ChunkSource, Inflow, IntakeEvents } from "./intake.ts"
import type { LocalVersion } from "./local-version.ts"
import type { RelayAccess } from "./relay-access.ts"
import { RelayLine } from "./relay-line.ts"
import type { RelayOpening } from "./relay-line.ts"
import { RelayPath } from "./relay-path.ts"
import { mostHeldBytes, Uploads } from "./uploads.ts"
import type { UploadLane } from "./uploads.ts"
import { mostWindowBytes, Window } from "./window.ts"

export interface MemberOptions {
  readonly access: RelayAccess
  /** Six digits. */
  readonly swarm: string
  readonly keys: Pick<SwarmKeys, "peer">
  readonly direct?: DirectNet | undefined
  readonly clock: Clock
  readonly log: Log
  /** Most that goes to others, bytes/s. */
  readonly bytesPerSecond?: number | undefined
  /** In [0, 1), for the pauses between attempts. */
  readonly random?: () => number
  readonly opening: () => RelayOpening
  /** As of `RelayLine`. */
  readonly amend?: (error: RdvError) => boolean
  readonly events: MemberEvents
}

export interface MemberEvents {
  /** All but `take`, `drop` and `peers`, which the member follows by itself. */
  message(message: RelayMessage): void
  table(facts: TableFacts, bytes: Uint8Array): void
  stored(chunk: number, bytes: number, way: Way): void
  /** Somebody gave something false: the relay, a member, the multicast. */
  corrupt(chunk: number, from: string): void
  /** A right chunk cannot be kept: the disk is full, the folder is gone. */
  unstored(chunk: number, error: RdvError): void
  /** What it had cannot be read any more. */
  lost(chunk: number, error: RdvError): void
  down(error: RdvError): void
  /** There is no way back to the relay, or the swarm is over (no error). */
  ended(error: RdvError | undefined): void
}

export interface MemberTraffic {
  /** Of chunks that were kept. */
  readonly received: ByteWays
  readonly sent: ByteWays
  /** Of chunks that came twice. */
  readonly duplicateBytes: number
  readonly corruptChunks: number
  /** Members that are reached directly. */
  readonly peers: number
  /** What carries chunks to the relay: `tcp`, `tls`, `session`; undefined: nothing does. */
  readonly relayOver: string | undefined
}

export class Member {
  readonly #options: MemberOptions
  readonly #line: RelayLine
  readonly #relayPath: RelayPath
  readonly #direct: Direct | undefined
  readonly #intake: Intake
  readonly #uploads: Uploads
  readonly #batch: HaveBatch
  readonly #window: Window
  #version: LocalVersion | undefined
  /** The relay knows the version and what we have of it. */
  #isTold = false
  #paused = false
  /** Not more than this, whatever the network could do: before the target is open. */
  #mostWindow = Infinity
  #toldWindow: number | undefined
  readonly #received: Record<Way, number> = { relay: 0, direct: 0, cast: 0 }
  readonly #sent = { relay: 0, direct: 0 }
  readonly #junctions = new Map<ChunkPath, Junction>()
  #duplicateBytes = 0
  #corruptChunks = 0

  constructor(options: MemberOptions) {
    this.#options = options
    const { access, clock, log, direct, random, bytesPerSecond, events } = options
    const chance = random === undefined ? {} : { random }
    this.#window = new Window(clock)
    this.#line = new RelayLine({
      access,
      clock,
      log,
      ...chance,
      opening: options.opening,
      amend: options.amend,
      events: {
        message: (message) => this.#message(message),
        table: (facts, bytes) => events.table(facts, bytes),
        clear: () => this.#batch.flush(),
        down: (error) => {
          this.#isDown()
          events.down(error)
        },
        ended: (error) => {
          this.#isDown()
          this.#relayPath.close()
          events.ended(error)
        },
      },
    })
    this.#batch = new HaveBatch({ clock, say: (chunks, via) => this.#sayHave(chunks, via) })
    const memory = new ChunkMemory({ limitBytes: mostMemoryBytes, spareBytes: mostSpareBytes })
    const arriving: IntakeEvents = {
      stored: (chunk, bytes, source) => this.#stored(chunk, bytes, source),
      duplicate: (chunk, bytes, source) => this.#duplicate(chunk, bytes, source),
      corrupt: (chunk, source) => this.#corrupt(chunk, source),
      skipped: (chunk, source) => {
        if (source.way === "direct") this.#direct?.peer(source.from)?.refused(chunk)
        // The multicast is sent to everybody, wanted or not.
        if (source.way !== "cast") this.#sayFailed(chunk, source.from, "lost")
      },
      unstored: (chunk, error) => events.unstored(chunk, error),
      backlog: (bytes) => {
        this.#window.backlog = bytes
        this.#sayWindow()
      },
    }
    this.#intake = new Intake(arriving, memory)
    this.#uploads = new Uploads({
      clock,
      memory,
      bytesPerSecond,
      lost: (version, chunk, error) => this.#lost(version, chunk, error),
    })
    this.#relayPath = new RelayPath({
      access,
      clock,
      log,
      ...chance,
      sink: (path) => this.#relaySink(path),
      up: (path) => {
        log.debug("share.path.up", { over: path.over })
        // Something to hear behind what was said before: the relay uses a path that was lost when it hears it.
        this.#batch.flush()
        this.#toldWindow = undefined
        this.#sayWindow()
      },
      down: (path) => this.#part(path),
    })
    if (direct !== undefined) {
      this.#direct = new Direct({
        net: direct,
        swarm: options.swarm,
        key: options.keys.peer,
        clock,
        log,
        ...chance,
        events: {
          sink: (peer) => this.#directSink(peer),
          up: (peer) => this.#sayPath(peer, "up"),
          down: (peer, awaited) => this.#directDown(peer, awaited),
          late: (peer, name) => this.#sayFailed(name.chunk, peer.member, "late"),
        },
      })
    }
  }

  get isUp(): boolean {
    return this.#line.isUp
  }

  get version(): LocalVersion | undefined {
    return this.#version
  }

  /** Bytes that came and wait for the disk. */
  get backlogBytes(): number {
    return this.#window.backlog
  }

  get isUploading(): boolean {
    return this.#uploads.isBusy
  }

  get traffic(): MemberTraffic {
    const sent = { ...this.#sent, cast: 0 }
    for (const [path, { way }] of this.#junctions) sent[way] += path.sentBytes
    return {
      received: { ...this.#received },
      sent,
      duplicateBytes: this.#duplicateBytes,
      corruptChunks: this.#corruptChunks,
      peers: this.#direct?.count ?? 0,
      relayOver: this.#relayPath.current?.over,
    }
  }

  start(): void {
    this.#line.start()
  }

  /** Works on this version from now on, unpaused, and tells the relay what is there of it. At most `windowBytes` may be under way. */
  work(version: LocalVersion, windowBytes: number = Infinity): void {
    const isNew = this.#version?.number !== version.number
    this.#version = version
    this.#mostWindow = windowBytes
    this.#paused = false
    this.#batch.clear()
    this.#intake.version = version
    this.#uploads.version = version
    if (isNew) for (const peer of this.#direct ?? []) peer.forget()
    this.tell()
  }

  /** Nothing is worked on, or told, until `work` is called again. */
  rest(): void {
    this.#version = undefined
    this.#isTold = false
    this.#batch.clear()
    this.#intake.version = undefined
    this.#uploads.version = undefined
    for (const peer of this.#direct ?? []) peer.forget()
  }

  /** As much may be under way as the network carries, whatever `work` said. */
  widen(): void {
    this.#mostWindow = Infinity
    this.#sayWindow()
  }

  /** Nothing new is sent here until `work` is called again. */
  pause(): void {
    this.#paused = true
    this.#sayWindow()
  }

  say(message: MemberMessage): void {
    this.#line.say(message)
  }

  /** A table behind the message that announced it. */
  sayTable(bytes: Uint8Array): void {
    this.#line.sayTable(bytes)
  }

  /** Tells what has gathered at once. */
  flush(): void {
    this.#batch.flush()
  }

  /** For chunks that come by another way than paths: the multicast. */
  inflow(source: ChunkSource): Inflow {
    return this.#intake.source(source)
  }

  /** Settles when all that has arrived is stored. */
  stored(): Promise<void> {
    return this.#intake.idle()
  }

  /** Takes nothing new, gives nothing new, says goodbye. Holdings are not used any more when it resolves. */
  async stop(): Promise<void> {
    this.#uploads.leave()
    this.#batch.flush()
    await this.#line.stop()
    this.#isDown()
    this.#relayPath.close()
    this.#intake.version = undefined
    await this.#direct?.close()
    await this.#relayPath.over()
    await this.#intake.idle()
  }

  #isDown(): void {
    this.#isTold = false
    this.#toldWindow = undefined
    this.#batch.clear()
  }

  #message(message: RelayMessage): void {
    switch (message.do) {
      case "welcome": {
        this.#relayPath.open(message.ticket, message.connections)
        this.#direct?.begin(message.you)
        const addresses = this.#direct?.addresses ?? []
        if (this.#direct !== undefined) this.#line.say({ do: "reach", addresses: addresses.slice(0, mostAddresses) })
        const { bytesPerSecond } = this.#options
        if (bytesPerSecond !== undefined) this.#line.say({ do: "uplink", bytesPerSecond })
        this.#options.events.message(message)
        return
      }
      case "take":
        for (const [chunk, member] of message.chunks) this.#take(message.version, chunk, member)
        return
      case "drop":
        if (message.version === this.#version?.number)
          for (const chunk of message.chunks) for (const peer of this.#direct ?? []) peer.cancel(chunk)
        return
      case "peers":
        this.#direct?.meet(message.peers)
        return
      default:
        this.#options.events.message(message)
    }
  }

  /** The relay has the table, or has just sent it: says what is there of it. */
  tell(): void {
    const version = this.#version
    if (version === undefined || !this.#line.isUp) return
    this.#isTold = true
    // Part of what follows.
    this.#batch.clear()
    this.#line.say({ do: "holds", version: version.number, bitmap: base64url(version.holdings.have.bytes()) })
    this.#toldWindow = undefined
    this.#sayWindow()
  }

  #sayWindow(): void {
    if (!this.#isTold || !this.#line.isUp || this.#version === undefined) return
    const isFull = this.#version.holdings.have.isFull
    const bytes = this.#paused ? 0 : Math.min(this.#mostWindow, this.#window.bytes)
    if (bytes === this.#toldWindow || (isFull && this.#toldWindow !== undefined)) return
    this.#toldWindow = bytes
    this.#line.say({ do: "window", bytes })
  }

  #sayHave(chunks: readonly number[], via: ByteWays): boolean {
    if (!this.#isTold || this.#version === undefined || !this.#line.isClear) return false
    this.#line.say({ do: "have", version: this.#version.number, chunks, via })
    return true
  }

  #sayFailed(chunk: number, from: string, why: "corrupt" | "late" | "refused" | "lost"): void {
    this.#options.log.debug("share.chunk.failed", { chunk, from, why })
    if (this.#isTold && this.#version !== undefined)
      this.#line.say({ do: "failed", version: this.#version.number, chunk, from, why })
  }

  #sayPath(peer: DirectPeer, state: "up" | "down"): void {
    this.#line.say({ do: "path", member: peer.member, state, over: peer.path.over })
  }

  #take(number: number, chunk: number, member: string): void {
    const version = this.#version
    if (version === undefined || version.number !== number || chunk >= version.table.count) return
    // It crossed with what we said, or will be said when it is stored.
    if (version.holdings.have.has(chunk) || this.#intake.isStoring(chunk)) return
    const peer = this.#direct?.peer(member)
    if (peer === undefined) this.#sayFailed(chunk, member, "lost")
    else peer.ask({ version: number, chunk })
  }

  #stored(chunk: number, bytes: number, { way }: ChunkSource): void {
    this.#received[way] += bytes
    this.#batch.add(chunk, bytes, way)
    this.#options.events.stored(chunk, bytes, way)
  }

  #duplicate(chunk: number, bytes: number, source: ChunkSource): void {
    this.#duplicateBytes += bytes
    if (source.way === "direct") this.#direct?.peer(source.from)?.refused(chunk)
  }

  #corrupt(chunk: number, { from, reject }: ChunkSource): void {
    this.#corruptChunks++
    this.#options.log.warn("share.chunk.corrupt", { chunk, from })
    this.#sayFailed(chunk, from, "corrupt")
    reject()
    this.#options.events.corrupt(chunk, from)
  }

  #lost(version: LocalVersion, chunk: number, error: RdvError): void {
    version.holdings.have.remove(chunk)
    if (this.#version !== version) return
    this.#options.log.warn("share.chunk.lost", { chunk, reason: error.message })
    if (this.#isTold) this.#line.say({ do: "lost", version: version.number, chunks: [chunk] })
    this.#options.events.lost(chunk, error)
  }

  #relaySink(path: ChunkPath): Omit<ChunkPathSink, "closed"> {
    const reject = () => path.abort(new RdvError("corrupt", "The relay gave a chunk that is none"))
    const { inflow, lane } = this.#join(path, { from: "relay", way: "relay", reject })
    return {
      room: (name, length) => inflow.room(name, length),
      chunk: (name, sealed) => {
        this.#arrived(sealed.length, path.rttMs, "relay")
        inflow.chunk(name, sealed)
      },
      asked: (name) => lane.asked(name),
      cancelled: (name) => lane.cancelled(name),
      // Nothing is asked of the relay: it sends by itself.
      refused: () => undefined,
      ready: () => lane.ready(),
    }
  }

  #directSink(peer: DirectPeer): Omit<ChunkPathSink, "closed"> {
    const { path, member } = peer
    const { inflow, lane } = this.#join(path, { from: member, way: "direct", reject: () => this.#direct?.ban(peer) })
    return {
      room: (name, length) => inflow.room(name, length),
      chunk: (name, sealed) => {
        this.#arrived(sealed.length, peer.arrived(name.chunk), "direct")
        inflow.chunk(name, sealed)
      },
      asked: (name) => lane.asked(name),
      cancelled: (name) => lane.cancelled(name),
      refused: (name, why) => {
        if (peer.refused(name.chunk)) this.#sayFailed(name.chunk, member, why === "missing" ? "refused" : "lost")
      },
      ready: () => lane.ready(),
    }
  }

  #join(path: ChunkPath, source: ChunkSource): Junction {
    const junction: Junction = {
      inflow: this.#intake.source(source),
      lane: this.#uploads.lane(path),
      way: source.way === "relay" ? "relay" : "direct",
    }
    this.#junctions.set(path, junction)
    return junction
  }

  #part(path: ChunkPath): void {
    const junction = this.#junctions.get(path)
    if (junction === undefined) return
    this.#junctions.delete(path)
    this.#sent[junction.way] += path.sentBytes
    junction.inflow.close()
    junction.lane.close()
  }

  #directDown(peer: DirectPeer, awaited: readonly ChunkName[]): void {
    this.#part(peer.path)
    this.#sayPath(peer, "down")
    for (const name of awaited) this.#sayFailed(name.chunk, peer.member, "lost")
  }

  #arrived(bytes: number, delayMs: number | undefined, way: "relay" | "direct"): void {
    if (this.#window.arrived(bytes, delayMs, way)) this.#sayWindow()
  }
}

/** What belongs to one path, and ends with it. */
interface Junction {
  readonly inflow: Inflow
  readonly lane: UploadLane
  readonly way: "relay" | "direct"
}

const mostAddresses = 16
/** The widest window, room for what comes twice, and for what goes out. */
const mostMemoryBytes = mostWindowBytes + 16 * 1024 * 1024 + mostHeldBytes
const mostSpareBytes = 8 * 1024 * 1024
