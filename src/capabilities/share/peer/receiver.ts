/**
 * Whoever receives: checks that the table was made with the code, gets the manifest, opens its target, and goes on until
 * everything is in its place; then it serves others for as long as they need it. It is never silent: when nothing comes,
 * it says what is waited for.
 *
 *     joining ─▶ manifest ─▶ opening ─▶ fetching ─▶ finishing ─▶ staying ─▶ over
 *        ▲___________________________________________________│  another version
 */

import { base64url, fromBase64url, randomBytes } from "../../../base/bytes.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { checkTableMac } from "../code/proofs.ts"
import type { SwarmKeys } from "../code/swarm-keys.ts"
import type { ChunkCrypto, HashName } from "../content/chunk-crypto.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import { checkManifest } from "../content/manifest-rules.ts"
import type { Manifest } from "../content/manifest.ts"
import { openManifest } from "../content/sealed-manifest.ts"
import type { ChunkCast } from "../paths/chunk-cast.ts"
import type { DirectNet } from "../paths/direct-net.ts"
import type { RelayMessage, TableFacts } from "../protocol/control.ts"
import { CastEar } from "./cast-ear.ts"
import type { Holdings } from "./holdings.ts"
import { shortVersion } from "./local-version.ts"
import type { LocalVersion } from "./local-version.ts"
import { Member } from "./member.ts"
import { NowhereFiles } from "./missing-files.ts"
import type { MissingFiles, Nowhere } from "./missing-files.ts"
import type { MemberTraffic } from "./member.ts"
import { MemoryHoldings } from "./memory-holdings.ts"
import { toldFailure } from "./told-failure.ts"
import { Progress } from "./progress.ts"
import type { ProgressFacts } from "./progress.ts"
import type { RelayAccess } from "./relay-access.ts"
import type { Finished, Target, TargetHoldings } from "./target.ts"
import { waitsFor } from "./waiting.ts"
import type { ReceiverPhase } from "./waiting.ts"

export interface ReceiverOptions {
  /** Six digits. */
  readonly swarm: string
  readonly keys: SwarmKeys
  /** This installation in this swarm, the same over new starts. Default: random. */
  readonly member?: string
  readonly access: RelayAccess
  readonly target: Target
  readonly crypto: (hash: HashName) => ChunkCrypto
  readonly direct?: DirectNet | undefined
  readonly cast?: ChunkCast | undefined
  /** Waits so long for the multicast before it takes anything from the relay or others, ms. Default 0. */
  readonly castFirstMs?: number | undefined
  /** What it is called in the picture of the swarm. */
  readonly label?: string
  /** Most that goes to others, bytes/s. 0: it only takes. */
  readonly bytesPerSecond?: number | undefined
  /** Gets later versions too; it ends only when it is stopped, or the share is over. Default false. */
  readonly follow?: boolean
  /** It joins to show what there is, and takes a place when its target is open. Default false. */
  readonly looks?: boolean
  /** How long it serves others when it is through, ms: less when nobody needs it, `Infinity`: until stopped. Default 10,000. */
  readonly stayMs?: number
  readonly clock: Clock
  readonly log: Log
  readonly random?: () => number
  readonly events?: ReceiverEvents
}

export interface ReceiverEvents {
  /** The relay knows the code. `expiresMs` from now. */
  joined?(facts: { readonly expiresMs: number | undefined }): void
  /** What comes. */
  manifest?(manifest: Manifest, version: number): void
  /** Five times a second while something changes, and once a second else. */
  progress?(facts: ProgressFacts): void
  /**
   * Completes "waiting for …": nothing came for some seconds. Undefined: something comes again. `files`: those of which parts
   * are with nobody who is here.
   */
  waiting?(what: string | undefined, files?: MissingFiles): void
  /** Somebody gave something false, which was thrown away: `relay`, `cast`, or a member's number. */
  corrupt?(chunk: number, from: string): void
  /** It is in its place. Others may still be served. */
  done?(finished: Finished, version: number): void
  /** Nothing follows. Without an error it is through, or was stopped. */
  ended?(error: RdvError | undefined): void
}

export interface Receiver {
  /** What came of the first version that was finished. Rejects with what made it impossible; `closed` when stopped before. */
  readonly done: Promise<Finished>
  /** Resolves when nothing runs any more; it never rejects. */
  readonly ended: Promise<RdvError | undefined>
  readonly progress: ProgressFacts
  readonly traffic: MemberTraffic
  /** Keeps what is there for another run. */
  stop(): Promise<void>
}

export function startReceiver(options: ReceiverOptions): Receiver {
  return new RunningReceiver(options)
}

/** A version under way. */
interface Job {
  readonly table: ChunkTable
  readonly crypto: ChunkCrypto
  /** The manifest, and what came before the target was open. */
  readonly memory: MemoryHoldings
  manifest: Manifest | undefined
  target: TargetHoldings | undefined
  isFinished: boolean
}

class RunningReceiver implements Receiver {
  readonly done: Promise<Finished>
  readonly ended: Promise<RdvError | undefined>
  readonly #options: ReceiverOptions
  readonly #member: Member
  readonly #name: string
  readonly #progress: Progress
  readonly #ear: CastEar | undefined
  /** Until then the multicast comes first. */
  #patience: Timer | undefined
  #job: Job | undefined
  #phase: ReceiverPhase = "joining"
  /** What is done to targets happens one behind the other. */
  #work: Promise<void> = Promise.resolve()
  #looks: boolean
  #nowhere: Nowhere | undefined
  readonly #nowhereFiles: NowhereFiles = new NowhereFiles()
  #downReason: string | undefined
  #corrupt = 0
  #waiting: string | undefined
  #ticker: Timer | undefined
  #stay: Timer | undefined
  /** Nobody needs what we have, as far as the relay has said. */
  #isNeeded = true
  #ending: Promise<void> | undefined
  #settleDone: { resolve(finished: Finished): void; reject(error: RdvError): void }
  #settleEnded: (error: RdvError | undefined) => void = () => undefined

  constructor(options: ReceiverOptions) {
    const { access, swarm, keys, direct, clock, log, bytesPerSecond, random, events } = options
    this.#options = options
    this.#name = options.member ?? base64url(randomBytes(12))
    this.#looks = options.looks === true
    this.#settleDone = { resolve: () => undefined, reject: () => undefined }
    this.done = new Promise((resolve, reject) => (this.#settleDone = { resolve, reject }))
    // Who listens to events need not look at it.
    this.done.catch(() => undefined)
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve))
    this.#progress = new Progress(clock)
    this.#member = new Member({
      access,
      swarm,
      keys,
      direct,
      clock,
      log,
      bytesPerSecond,
      ...(random !== undefined && { random }),
      opening: () => ({
        header: {
          do: "join",
          swarm,
          member: this.#name,
          access: base64url(keys.access),
          ...(this.#looks && { looks: true }),
          ...(options.label !== undefined && options.label !== "" && { label: options.label.slice(0, 64) }),
        },
      }),
      events: {
        message: (message) => this.#message(message),
        table: (facts, bytes) => this.#table(facts, bytes),
        stored: (chunk, bytes) => this.#stored(chunk, bytes),
        corrupt: (chunk, from) => {
          this.#corrupt++
          events?.corrupt?.(chunk, from)
        },
        unstored: (_chunk, error) => this.#fail(error),
        lost: (chunk) => {
          if (this.#job !== undefined && !this.#job.isFinished) this.#progress.lost(this.#job.table.lengthOf(chunk))
        },
        down: (error) => {
          this.#downReason = error.message
          this.#nowhere = undefined
        },
        ended: (error) => this.#over(error),
      },
    })
    if (options.cast !== undefined) {
      this.#ear = new CastEar({
        cast: options.cast,
        place: { swarm, key: keys.peer },
        inflow: this.#member.inflow({ from: "cast", way: "cast", reject: () => undefined }),
        log,
        began: () => this.#takeAll(),
        have: (number) => {
          const { version } = this.#member
          return version !== undefined && shortVersion(version.number) === number
            ? version.holdings.have.bytes()
            : undefined
        },
        say: (state) => this.#member.say({ do: "cast", state }),
      })
    }
    this.#member.start()
    this.#tick()
  }

  get progress(): ProgressFacts {
    return this.#progress.facts(this.#member.traffic, this.#phase)
  }

  get traffic(): MemberTraffic {
    return this.#member.traffic
  }

  stop(): Promise<void> {
    return this.#end(undefined)
  }

  #message(message: RelayMessage): void {
    switch (message.do) {
      case "welcome":
        this.#downReason = undefined
        this.#ear?.again()
        this.#options.events?.joined?.({ expiresMs: message.expiresMs })
        // What is finished stays so, whatever the relay has forgotten.
        if (this.#job?.isFinished === true) this.#member.say({ do: "done", version: this.#job.table.version })
        break
      case "nowhere":
        if (message.version === this.#job?.table.version)
          this.#nowhere = message.ranges.length === 0 ? undefined : message
        break
      case "needed":
        this.#isNeeded = message.needed
        this.#consider()
        break
      default:
    }
  }

  #table(facts: TableFacts, bytes: Uint8Array): void {
    if (this.#ending !== undefined) return
    const mac = fromBase64url(facts.mac)
    if (mac === undefined || !checkTableMac(this.#options.keys, bytes, mac)) {
      this.#fail(
        new RdvError("corrupt", "The relay gave a table that nobody with this code has made", { origin: "remote" }),
      )
      return
    }
    let table: ChunkTable
    try {
      table = ChunkTable.decode(bytes, this.#options.crypto)
    } catch (error) {
      this.#fail(asRdvError(error, "protocol"))
      return
    }
    const job = this.#job
    if (job !== undefined && areEqual(job.table.root, table.root)) this.#member.tell()
    // A relay that was started anew may have an older one; its publisher brings the newer one again.
    else if (job !== undefined && table.version < job.table.version) return
    else if (job?.isFinished === true && this.#options.follow !== true) this.#leave()
    else this.#begin(table)
  }

  /** Turns to a version; what is there of the one before is kept where it may be of use. */
  #begin(table: ChunkTable): void {
    const before = this.#job
    const job: Job = {
      table,
      crypto: this.#options.crypto(table.hash),
      memory: new MemoryHoldings(table.count),
      manifest: undefined,
      target: undefined,
      isFinished: false,
    }
    this.#job = job
    this.#nowhere = undefined
    this.#isNeeded = true
    this.#stay?.cancel()
    this.#stay = undefined
    this.#phase = "manifest"
    this.#ear?.close()
    this.#member.rest()
    this.#progress.begin(table)
    this.#own(async () => {
      await this.#member.stored()
      await before?.target?.close()
      if (this.#job !== job || this.#ending !== undefined) return
      let manifestBytes = 0
      for (let chunk = 0; chunk < table.manifestChunks; chunk++) manifestBytes += table.lengthOf(chunk)
      const accepts = (chunk: number) => chunk < table.manifestChunks
      this.#member.work({ number: table.version, table, holdings: job.memory, accepts }, manifestBytes)
    })
  }

  #stored(chunk: number, bytes: number): void {
    const job = this.#job
    if (job === undefined) return
    this.#progress.stored(chunk, bytes)
    this.#corrupt = 0
    if (job.target === undefined) {
      if (this.#phase === "manifest" && job.memory.have.count === job.table.manifestChunks) this.#open(job)
    } else if (job.target.have.isFull) this.#finish(job, job.target)
  }

  #open(job: Job): void {
    this.#phase = "opening"
    const { table, crypto, memory } = job
    // Nothing has a place before the target is open.
    this.#member.pause()
    this.#member.flush()
    this.#own(async () => {
      if (this.#job !== job || this.#ending !== undefined) return
      const chunks: Uint8Array[] = []
      for (let chunk = 0; chunk < table.manifestChunks; chunk++) chunks.push(memory.read(chunk))
      const manifest = await openManifest(chunks, crypto)
      checkManifest(manifest, table)
      job.manifest = manifest
      this.#options.events?.manifest?.(manifest, table.version)
      const target = await this.#options.target.open({ table, manifest, crypto })
      if (this.#job !== job || this.#ending !== undefined) {
        await target.close()
        return
      }
      for (let chunk = 0; chunk < table.manifestChunks; chunk++) target.have.add(chunk)
      job.target = target
      if (this.#looks) {
        this.#looks = false
        this.#member.say({ do: "begin" })
      }
      this.#phase = "fetching"
      this.#progress.opened(target.have, target.foundBytes)
      const version: LocalVersion = {
        number: table.version,
        table,
        holdings: withManifest(target, memory, table.manifestChunks),
        accepts: () => true,
      }
      const { castFirstMs = 0 } = this.#options
      const isPatient = this.#ear !== undefined && castFirstMs > 0 && !target.have.isFull
      this.#member.work(version, isPatient ? 0 : Infinity)
      if (isPatient) this.#patience = this.#options.clock.after(castFirstMs, () => this.#takeAll())
      if (target.have.isFull) this.#finish(job, target)
      else this.#ear?.open()
    })
  }

  /** The multicast has begun, and the relay gives nothing beside it; or it did not come. */
  #takeAll(): void {
    if (this.#patience === undefined) return
    this.#patience.cancel()
    this.#patience = undefined
    this.#member.widen()
  }

  #finish(job: Job, target: TargetHoldings): void {
    if (this.#phase !== "fetching") return
    this.#phase = "finishing"
    this.#ear?.close()
    this.#member.flush()
    this.#own(async () => {
      await this.#member.stored()
      if (this.#job !== job || this.#ending !== undefined) return
      let finished: Finished
      try {
        finished = await target.finish()
      } catch (error) {
        // Something was changed from outside: what is missing now is fetched again.
        if (asRdvError(error).code !== "corrupt" || target.have.isFull) throw error
        this.#options.log.warn("share.target.changed", { reason: asRdvError(error).message })
        this.#phase = "fetching"
        this.#progress.opened(target.have, target.foundBytes)
        this.#ear?.open()
        this.#member.tell()
        return
      }
      job.isFinished = true
      this.#phase = "staying"
      this.#member.say({ do: "done", version: job.table.version })
      this.#tell()
      this.#options.events?.done?.(finished, job.table.version)
      this.#settleDone.resolve(finished)
      this.#consider()
    })
  }

  /** Stays for as long as others need it, and no longer than it was told. */
  #consider(): void {
    if (this.#phase !== "staying" || this.#options.follow === true || this.#ending !== undefined) return
    const { clock, stayMs = defaultStayMs } = this.#options
    if (stayMs === 0 || (!this.#isNeeded && stayMs !== Infinity)) this.#leave()
    else if (stayMs !== Infinity) this.#stay ??= clock.after(stayMs, () => this.#leave())
  }

  #leave(): void {
    void this.#end(undefined)
  }

  /** The line has ended for good. */
  #over(error: RdvError | undefined): void {
    if (this.#job?.isFinished === true) void this.#end(undefined)
    else if (error === undefined)
      void this.#end(new RdvError("removed", "The share has ended before everything was here", { origin: "remote" }))
    else void this.#end(error)
  }

  #fail(error: RdvError): void {
    if (this.#ending !== undefined) return
    this.#member.say({ do: "failure", reason: toldFailure(error) })
    void this.#end(error)
  }

  #end(error: RdvError | undefined): Promise<void> {
    this.#ending ??= this.#stop(error)
    return this.#ending
  }

  async #stop(error: RdvError | undefined): Promise<void> {
    this.#phase = "over"
    this.#ticker?.cancel()
    this.#stay?.cancel()
    this.#patience?.cancel()
    this.#ear?.close()
    await this.#member.stop()
    await this.#work
    try {
      await this.#job?.target?.close()
    } catch (thrown) {
      this.#options.log.warn("share.target.unclosed", { reason: asRdvError(thrown).message })
    }
    this.#settleDone.reject(error ?? new RdvError("closed", "It was stopped before everything was here"))
    this.#options.events?.ended?.(error)
    this.#settleEnded(error)
  }

  /** Runs behind what runs; a failure is the receiver's. */
  #own(task: () => Promise<void>): void {
    this.#work = this.#work.then(task).catch((error: unknown) => this.#fail(asRdvError(error)))
  }

  #tick(): void {
    this.#ticker = this.#options.clock.after(tickMs, () => {
      this.#tell()
      this.#tick()
    })
  }

  #tell(): void {
    const { events } = this.#options
    if (this.#progress.isDue(this.#phase)) events?.progress?.(this.progress)
    const silentMs = this.#phase === "staying" ? 0 : this.#progress.silentMs
    const isSilent = silentMs >= silenceMs
    const nowhereFiles = isSilent ? this.#nowhereFiles.of(this.#nowhere, this.#job) : undefined
    const what = !isSilent
      ? undefined
      : waitsFor({
          phase: this.#phase,
          isUp: this.#member.isUp,
          downReason: this.#downReason,
          nowhere: this.#nowhere,
          nowhereFiles,
          backlogBytes: this.#member.backlogBytes,
          missing: this.#missing(),
          hasRelayPath: this.#member.traffic.relayOver !== undefined,
          corruptChunks: this.#corrupt,
        })
    if (what === this.#waiting) return
    this.#waiting = what
    events?.waiting?.(what, nowhereFiles)
  }

  #missing(): number {
    const job = this.#job
    return job === undefined ? 0 : job.table.count - (job.target ?? job.memory).have.count
  }
}

/** The target knows nothing of the manifest's chunks; others are given them from memory. */
function withManifest(target: TargetHoldings, memory: MemoryHoldings, manifestChunks: number): Holdings {
  return {
    have: target.have,
    read: (chunk, into) => (chunk < manifestChunks ? memory.read(chunk) : target.read(chunk, into)),
    store: (chunk, sealed) => target.store(chunk, sealed),
  }
}

function areEqual(one: Uint8Array, another: Uint8Array): boolean {
  return one.length === another.length && one.every((byte, at) => byte === another[at])
}

const tickMs = 200
/** After so long a silence it says what it waits for. */
const silenceMs = 3_000
const defaultStayMs = 10_000
