/**
 * Whoever shares: publishes the table, again whenever the relay has forgotten it, gives chunks to those who are told to ask,
 * and hears what becomes of the swarm, until it is not needed any more.
 */

import { base64url, randomBytes } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { accessHash, tableMac } from "../code/proofs.ts"
import type { SwarmKeys } from "../code/swarm-keys.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import type { Content } from "../content/content.ts"
import { portableHash } from "../content/portable-crypto.ts"
import type { CastReport, ChunkCast } from "../paths/chunk-cast.ts"
import type { DirectNet } from "../paths/direct-net.ts"
import type { MemberPicture, RelayMessage, ShareRules, SwarmPicture, TableFacts } from "../protocol/control.ts"
import { Casting } from "./casting.ts"
import { Member } from "./member.ts"
import type { MemberTraffic } from "./member.ts"
import type { RelayAccess } from "./relay-access.ts"
import type { RelayOpening } from "./relay-line.ts"

/** When the sender leaves by itself. `complete`: everybody who came has everything; copies: each chunk is so often elsewhere. */
export type SeedUntil = "complete" | { readonly copies: number } | "forever"

export interface SenderOptions {
  /** Six digits. */
  readonly swarm: string
  readonly keys: SwarmKeys
  /** This installation in this swarm, the same over new starts. Default: random. */
  readonly member?: string
  /** A secret that later publications of the same swarm need, base64url. Default: random. */
  readonly publisher?: string
  readonly access: RelayAccess
  /** The sender's from now on: it is closed when it is no longer used. */
  readonly content: Content
  readonly direct?: DirectNet | undefined
  readonly cast?: ChunkCast | undefined
  /** As `CastingOptions.leastReceivers`. */
  readonly castFrom?: number | undefined
  readonly rules?: ShareRules
  /** Default `forever`. */
  readonly seedUntil?: SeedUntil
  /** Most that goes out, bytes/s. */
  readonly bytesPerSecond?: number | undefined
  readonly clock: Clock
  readonly log: Log
  readonly random?: () => number
  readonly events?: SenderEvents
}

export interface SenderEvents {
  /** The code works now, or again. */
  published?(facts: PublishedFacts): void
  picture?(picture: SwarmPicture): void
  /** A receiver has everything. `member` is its label. */
  finished?(member: string, ms: number): void
  failed?(member: string, reason: string): void
  /** Every chunk is at another member: the sender may leave. Once per version. */
  safe?(version: number): void
  /** A file was changed while it is shared: this chunk cannot be given any more. */
  changed?(chunk: number, error: RdvError): void
  /** The relay is away; it is looked for. */
  away?(error: RdvError): void
  /** Everything goes out once by multicast. */
  cast?(state: "begun" | "over", report: CastReport | undefined): void
  /** Nothing follows. Without an error it has done what it should, or was stopped. */
  ended?(error: RdvError | undefined): void
}

export interface PublishedFacts {
  /** The page of the swarm, without the secret; undefined: the relay has none. */
  readonly url: string | undefined
  readonly version: number
  readonly once: boolean
  /** From now, ms. */
  readonly expiresMs: number | undefined
}

export interface Sender {
  /** Resolves when nothing runs any more; it never rejects. */
  readonly ended: Promise<RdvError | undefined>
  readonly traffic: MemberTraffic
  readonly version: number
  /** Another version takes the place of this one, with the next number if its own is not higher. Throws `closed`. */
  update(content: Content): Promise<void>
  /**
   * `leave`: the swarm goes on with what is there; `close`: and nobody new comes in; `end`: it is over for all. Default:
   * `close` when every chunk is elsewhere, `end` else.
   */
  stop(how?: "leave" | "close" | "end"): Promise<void>
}

/** Throws `usage`, `too_large`. */
export function startSender(options: SenderOptions): Sender {
  return new RunningSender(options)
}

/** A `holds` is one message, and a message has its bound (`wire/limits.ts`). */
export const mostSharedChunks: number = 360_000

const mostVersion = 2 ** 30

class RunningSender implements Sender {
  readonly ended: Promise<RdvError | undefined>
  readonly #options: SenderOptions
  readonly #member: Member
  readonly #casting: Casting | undefined
  readonly #publisher: string
  readonly #name: string
  #content: Content
  #facts: TableFacts
  /** The one that the present stream knows. */
  #toldVersion = 0
  /** The one that was said to be safe. */
  #safeVersion = 0
  #ending: Promise<void> | undefined
  #settle: (error: RdvError | undefined) => void = () => undefined

  constructor(options: SenderOptions) {
    const { clock, log, access, swarm, keys, direct, bytesPerSecond, random, cast, content } = options
    this.#options = options
    this.#content = content
    this.#facts = this.#factsOf(content.table)
    this.#name = options.member ?? base64url(randomBytes(12))
    this.#publisher = options.publisher ?? base64url(randomBytes(16))
    this.ended = new Promise((resolve) => (this.#settle = resolve))
    this.#member = new Member({
      access,
      swarm,
      keys,
      direct,
      clock,
      log,
      bytesPerSecond,
      ...(random !== undefined && { random }),
      opening: () => this.#opening(),
      amend: (error) => this.#renumber(error),
      events: {
        message: (message) => this.#message(message),
        // The relay sends no table to its publisher.
        table: () => undefined,
        stored: () => undefined,
        corrupt: () => undefined,
        unstored: () => undefined,
        lost: (chunk, error) => options.events?.changed?.(chunk, error),
        down: (error) => options.events?.away?.(error),
        ended: (error) => void this.#end(error),
      },
    })
    this.#casting =
      cast === undefined
        ? undefined
        : new Casting({
            cast,
            place: { swarm, key: keys.peer },
            clock,
            log,
            bytesPerSecond,
            leastReceivers: options.castFrom,
            began: () => {
              this.#member.say({ do: "casting", state: "begun" })
              options.events?.cast?.("begun", undefined)
            },
            over: (report) => {
              this.#member.say({ do: "casting", state: "over" })
              options.events?.cast?.("over", report)
            },
          })
    this.#work()
    this.#member.start()
  }

  get traffic(): MemberTraffic {
    return this.#member.traffic
  }

  get version(): number {
    return this.#content.table.version
  }

  async update(content: Content): Promise<void> {
    const before = this.#content
    if (this.#ending !== undefined) throw new RdvError("closed")
    this.#content = numbered(content, Math.max(content.table.version, before.table.version + 1))
    this.#facts = this.#factsOf(this.#content.table)
    this.#publish()
    this.#work()
    await before.close()
  }

  stop(how?: "leave" | "close" | "end"): Promise<void> {
    const isSafe = this.#safeVersion === this.version
    const says = how ?? (isSafe ? "close" : "end")
    if (this.#ending === undefined) {
      if (says === "close") this.#member.say({ do: "end" })
      if (says === "end") this.#member.say({ do: "end", now: true })
    }
    return this.#end(undefined)
  }

  /** To a stream that knows an older version; another one begins with this one. */
  #publish(): void {
    if (!this.#member.isUp) return
    this.#toldVersion = this.version
    this.#member.say({ do: "version", table: this.#facts })
    this.#member.sayTable(this.#content.table.encode())
  }

  #work(): void {
    const { table } = this.#content
    this.#member.work({ number: table.version, table, holdings: this.#content, accepts: () => false })
    this.#casting?.begin(this.#content)
  }

  #end(error: RdvError | undefined): Promise<void> {
    this.#ending ??= this.#leave(error)
    return this.#ending
  }

  async #leave(error: RdvError | undefined): Promise<void> {
    await this.#casting?.close()
    await this.#member.stop()
    await this.#content.close()
    this.#options.events?.ended?.(error)
    this.#settle(error)
  }

  #factsOf(table: ChunkTable): TableFacts {
    if (table.count > mostSharedChunks) {
      throw new RdvError("too_large", `There are ${table.count} parts, and a share has at most ${mostSharedChunks}`, {
        mend: "share it as several",
      })
    }
    const bytes = table.encode()
    return { version: table.version, bytes: bytes.length, mac: base64url(tableMac(this.#options.keys, bytes)) }
  }

  /**
   * The relay has other versions from an earlier run of this sender, and a manifest is never sealed the same twice: the next
   * free number takes what is shared now. Receivers find again what they have.
   */
  #renumber({ code }: RdvError): boolean {
    if (code !== "exists" || this.version >= mostVersion) return false
    this.#content = numbered(this.#content, this.version * 2)
    this.#facts = this.#factsOf(this.#content.table)
    this.#work()
    return true
  }

  #opening(): RelayOpening {
    this.#toldVersion = this.version
    const { swarm, keys, rules } = this.#options
    return {
      header: {
        ...rules,
        do: "publish",
        swarm,
        member: this.#name,
        access: base64url(accessHash(keys.access)),
        publisher: this.#publisher,
        table: this.#facts,
      },
      table: this.#content.table.encode(),
    }
  }

  #message(message: RelayMessage): void {
    const { events } = this.#options
    switch (message.do) {
      case "welcome":
        if (this.#toldVersion !== this.version) this.#publish()
        this.#member.tell()
        this.#casting?.again()
        events?.published?.({
          url: message.url,
          version: this.version,
          once: message.once,
          expiresMs: message.expiresMs,
        })
        break
      case "swarm":
        events?.picture?.(message.picture)
        this.#look(message.picture)
        this.#casting?.look(message.picture)
        break
      case "finished":
        events?.finished?.(message.member, message.ms)
        break
      case "failure":
        events?.failed?.(message.member, message.reason)
        break
      default:
    }
  }

  /** Whether the swarm could do without us. We are one of those who have each chunk. */
  #look({ version, copies, members, more }: SwarmPicture): void {
    if (version !== this.version) return
    if (this.#safeVersion !== version && areElsewhere(copies, 1)) {
      this.#safeVersion = version
      this.#options.events?.safe?.(version)
    }
    const { seedUntil = "forever" } = this.#options
    if (seedUntil === "forever") return
    const isEnough =
      seedUntil === "complete" ? more === 0 && isEverybodyThrough(members) : areElsewhere(copies, seedUntil.copies)
    if (isEnough) void this.stop("leave")
  }
}

/** The same content as a version of this number. */
function numbered(content: Content, version: number): Content {
  const { table } = content
  if (table.version === version) return content
  const chunks = Array.from({ length: table.count }, (_, chunk) => ({
    length: table.lengthOf(chunk),
    hash: table.hashOf(chunk),
  }))
  return {
    table: ChunkTable.build({ version, hash: portableHash(table.hash), manifestChunks: table.manifestChunks, chunks }),
    manifest: content.manifest,
    have: content.have,
    read: (chunk, into) => content.read(chunk, into),
    store: (chunk, sealed) => content.store(chunk, sealed),
    close: () => content.close(),
  }
}

function isEverybodyThrough(members: readonly MemberPicture[]): boolean {
  const receivers = members.filter(({ role }) => role === "receiver")
  return (
    receivers.some(({ state }) => state === "done") &&
    receivers.every(({ state }) => state !== "working" && state !== "waiting")
  )
}

/** Every chunk is at so many members beside the sender; `copies` counts to 8 others at most. */
function areElsewhere(copies: readonly number[], least: number): boolean {
  return copies.slice(0, Math.min(least, 8) + 1).every((chunks) => chunks === 0)
}
