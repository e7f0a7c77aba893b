/** Receives a share into a folder: a session to its relay, a target on the disk, a receiver between them. */

import { createHash } from "node:crypto"
import { hostname } from "node:os"
import { join, resolve } from "node:path"
import { base64url } from "./base/bytes.ts"
import { delay, systemClock } from "./base/clock.ts"
import { asRdvError, RdvError } from "./base/error.ts"
import type { JsonObject } from "./base/json.ts"
import { silentLog } from "./base/log.ts"
import type { Log } from "./base/log.ts"
import { parseCode } from "./capabilities/share/code/code.ts"
import type { Code } from "./capabilities/share/code/code.ts"
import type { SwarmKeys } from "./capabilities/share/code/swarm-keys.ts"
import { nodeKeys } from "./capabilities/share/node/node-keys.ts"
import type { Manifest } from "./capabilities/share/content/manifest.ts"
import { folderTarget } from "./capabilities/share/disk/folder-target.ts"
import { PartLock } from "./capabilities/share/disk/part-lock.ts"
import { nodeCrypto } from "./capabilities/share/node/node-crypto.ts"
import type { DirectNet } from "./capabilities/share/paths/direct-net.ts"
import type { MissingFiles } from "./capabilities/share/peer/missing-files.ts"
import { startReceiver } from "./capabilities/share/peer/receiver.ts"
import type { Receiver } from "./capabilities/share/peer/receiver.ts"
import type { Finished, Target } from "./capabilities/share/peer/target.ts"
import type { ReceiverPhase } from "./capabilities/share/peer/waiting.ts"
import type { ByteWays } from "./capabilities/share/protocol/control.ts"
import type { RunningAgent } from "./node.ts"
import { guestToken, openShareAccess } from "./share-access.ts"
import type { RelayOptions, ShareAccess } from "./share-access.ts"
import { inWords } from "./share-refusals.ts"
import { castOf, openNet } from "./start-share.ts"
import { verified } from "./verified-target.ts"

export interface GetOptions extends RelayOptions {
  /** A link holds the relay's address as well, but `relay` says which one is asked. */
  readonly code: Code | string
  readonly password?: string
  /** What follows from both, where somebody has worked it out already: that takes a tenth of a second. */
  readonly keys?: SwarmKeys
  /** A folder that is there or ends with `/`, or the name that the thing shall have. Default: the working directory. */
  readonly output?: string
  /** Replaces what is there and differs. */
  readonly overwrite?: boolean
  /** Goes on with later versions. */
  readonly follow?: boolean
  /** Reads everything again from the disk at the end. */
  readonly verify?: boolean
  /** False: it is in its place before the disk has it all, and a power cut may lose it. Default true. */
  readonly sync?: boolean
  /** How long others are served at most when everything is here, ms. Default 10 000. */
  readonly serveMs?: number
  /** Gives up with `timeout` when nothing came for so long; waits as long for the share to be there. */
  readonly timeoutMs?: number
  readonly limitBytesPerSecond?: number | undefined
  /** Connections to others past the relay. Default true. */
  readonly direct?: boolean
  readonly multicast?: "auto" | "on" | "off"
  /** What others see it as. Default: the name of this machine. */
  readonly label?: string
  /**
   * A folder for a file that says, while this runs, that this instance receives this share into this place: another one would end
   * it at the relay. It rejects `ended` with `in_use` instead.
   */
  readonly lockFolder?: string
  readonly log?: Log
  readonly onEvent?: (event: GetEvent) => void
}

export type GetEvent =
  /** What comes, and how much of it was here before. */
  | {
      readonly kind: "manifest"
      readonly version: number
      readonly name: string
      readonly bytes: number
      readonly files: number
      readonly foundBytes: number
    }
  /** Everything is in its place. */
  | {
      readonly kind: "done"
      readonly version: number
      readonly name: string
      readonly place: string
      readonly bytes: number
      readonly files: number
      readonly foundBytes: number
      readonly ms: number
      readonly via: ByteWays
      readonly remarks: readonly string[]
    }
  | { readonly kind: "remark"; readonly text: string }

/** What is true now. */
export interface GetFigures {
  readonly name: string | undefined
  /** In words. */
  readonly phase: string
  readonly bytes: number
  readonly haveBytes: number
  readonly foundBytes: number
  readonly bytesPerSecond: number | undefined
  readonly sentBytes: number
  /** Of parts that came a second time. */
  readonly duplicateBytes: number
  readonly via: ByteWays
  readonly peers: number
  /** Completes "waiting for …". */
  readonly waitsFor: string | undefined
  /** Files of which parts are with nobody who is here, when it waits for those: the first three, and how many more. */
  readonly missing: MissingFiles | undefined
}

export interface Get {
  readonly agent: RunningAgent
  /** Everything of one version at least is in its place. */
  readonly isDone: boolean
  /** Resolves when nothing more is to do, also for others. Rejects when it is not all here and cannot go on. */
  readonly ended: Promise<void>
  figures(): GetFigures
  /** Keeps what is there for another run. */
  stop(): Promise<void>
}

/** Rejects `usage`; what goes wrong later rejects `ended`. */
export async function get(options: GetOptions): Promise<Get> {
  const { code } = options
  const read = typeof code === "string" ? parseCode(code) : code
  return new RunningGet(options, read, options.keys ?? (await nodeKeys(read, options.password)))
}

/** A share that is not there yet is looked for so often, ms. */
const againMs = 1_000
const stopGraceMs = 1_000
/** Who asks for multicast waits for a beacon, and for the others to come, ms. */
const castFirstMs = 8_000

class RunningGet implements Get {
  readonly agent: RunningAgent
  readonly ended: Promise<void>
  readonly #options: GetOptions
  readonly #code: Code
  readonly #keys: SwarmKeys
  readonly #log: Log
  readonly #access: ShareAccess
  readonly #stopping: AbortController = new AbortController()
  readonly #startedAt: number = systemClock.now()
  readonly #running: Promise<void>
  #receiver: Receiver | undefined
  #manifest: Manifest | undefined
  /** When the present version began, and what had come before it. */
  #began = { at: this.#startedAt, via: none }
  #waitsFor: string | undefined
  #missing: MissingFiles | undefined
  #isDone = false
  #stopped: Promise<void> | undefined

  constructor(options: GetOptions, code: Code, keys: SwarmKeys) {
    const { log = silentLog } = options
    this.#options = options
    this.#code = code
    this.#keys = keys
    this.#log = log
    this.#access = openShareAccess({
      ...options,
      token: options.token ?? guestToken(code.swarm, keys),
      log,
      onLink: (event) => {
        // When we leave, the end of the session is no news.
        if (this.#stopped === undefined && this.#receiver?.progress.phase !== "over") options.onLink?.(event)
      },
    })
    this.agent = this.#access.agent
    this.agent.agent.report("share", () => this.#status())
    this.#running = this.#run()
    // Whoever looks at it later hears it as well.
    this.#running.catch(() => undefined)
    this.ended = this.#running
  }

  get isDone(): boolean {
    return this.#isDone
  }

  figures(): GetFigures {
    const progress = this.#receiver?.progress
    const phase = progress?.phase ?? "joining"
    return {
      name: this.#manifest?.name,
      phase: this.#manifest === undefined && this.#waitsFor !== undefined ? "waiting" : phases[phase],
      bytes: progress?.bytes ?? 0,
      haveBytes: progress?.haveBytes ?? 0,
      foundBytes: progress?.foundBytes ?? 0,
      bytesPerSecond: progress?.bytesPerSecond,
      sentBytes: progress?.sentBytes ?? 0,
      duplicateBytes: this.#receiver?.traffic.duplicateBytes ?? 0,
      via: progress?.via ?? none,
      peers: progress?.peers ?? 0,
      waitsFor: this.#waitsFor,
      missing: this.#missing,
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #run(): Promise<void> {
    const { direct = true, timeoutMs } = this.#options
    const { signal } = this.#stopping
    let lock: PartLock | undefined
    let net: DirectNet | undefined
    try {
      lock = this.#lock()
      if (direct) net = await openNet(this.#log)
      for (;;) {
        const error = await this.#receive(net)
        if (error === undefined || signal.aborted) return
        const waitedMs = systemClock.now() - this.#startedAt
        // A folder that is not there is no share that is not there yet.
        const isEarly = error.code === "not_found" && error.origin === "remote"
        if (!isEarly || timeoutMs === undefined) throw inWords(error, this.#code.swarm)
        if (waitedMs >= timeoutMs)
          throw new RdvError("timeout", `Nobody shares ${this.#code.swarm} within the time given`)
        this.#waitsFor = `somebody who shares ${this.#code.swarm}`
        await delay(systemClock, Math.min(againMs, timeoutMs - waitedMs), signal).catch(() => undefined)
        if (signal.aborted) return
      }
    } finally {
      await net?.close()
      lock?.release()
      // Nobody stops what has ended by itself.
      void this.stop()
    }
  }

  /** Before the relay hears of it: two of the same name there would take each other's place. Throws `in_use`. */
  #lock(): PartLock | undefined {
    const { instance, lockFolder, output = "." } = this.#options
    if (instance === undefined || lockFolder === undefined) return undefined
    const name = `${ownName(instance, this.#code, output)}.receiving`
    try {
      return PartLock.take(join(lockFolder, name), lockFolder)
    } catch (error) {
      if (asRdvError(error).code === "in_use") throw error
      // A folder that cannot be written is no reason to receive nothing.
      this.#log.warn("share.lock_failed", { reason: asRdvError(error).message })
      return undefined
    }
  }

  /** Until it ends; the error that ended it. */
  async #receive(net: DirectNet | undefined): Promise<RdvError | undefined> {
    const {
      output = ".",
      overwrite,
      sync,
      follow,
      verify,
      serveMs,
      timeoutMs,
      limitBytesPerSecond,
      instance,
    } = this.#options
    const folder = folderTarget({
      path: output,
      signal: this.#stopping.signal,
      ...(overwrite !== undefined && { overwrite }),
      ...(sync !== undefined && { sync }),
    })
    let late: RdvError | undefined
    const quiet = new Quiet(timeoutMs, () => {
      late = new RdvError("timeout", `Nothing came for ${Math.round((timeoutMs as number) / 1_000)} s`, {
        ...(this.#waitsFor !== undefined && { mend: `it waits for ${this.#waitsFor}` }),
      })
      void receiver.stop()
    })
    const receiver = startReceiver({
      swarm: this.#code.swarm,
      keys: this.#keys,
      ...(instance !== undefined && { member: ownName(instance, this.#code, output) }),
      access: this.#access.access,
      target: opened(
        verify === true ? verified(folder, this.#stopping.signal) : folder,
        (manifest, version, foundBytes) => this.#begin(manifest, version, foundBytes),
      ),
      crypto: (hash) => nodeCrypto(this.#keys, hash),
      direct: net,
      cast: castOf(this.#options),
      castFirstMs: this.#options.multicast === "on" ? castFirstMs : 0,
      label: this.#options.label ?? hostname().slice(0, 64),
      bytesPerSecond: limitBytesPerSecond,
      ...(follow !== undefined && { follow }),
      ...(serveMs !== undefined && { stayMs: serveMs }),
      clock: systemClock,
      log: this.#log,
      events: {
        manifest: (manifest) => (this.#manifest = manifest),
        progress: ({ haveBytes, phase }) => quiet.look(haveBytes, phase),
        waiting: (what, files) => {
          this.#waitsFor = what
          this.#missing = files
        },
        corrupt: (chunk, from) =>
          this.#tell({ kind: "remark", text: `part ${chunk} from ${fromText(from)} was false and thrown away` }),
        done: (finished, version) => this.#finished(receiver, finished, version),
      },
    })
    this.#receiver = receiver
    const onStop = () => void receiver.stop()
    this.#stopping.signal.addEventListener("abort", onStop, { once: true })
    if (this.#stopping.signal.aborted) onStop()
    const error = await receiver.ended
    quiet.stop()
    this.#stopping.signal.removeEventListener("abort", onStop)
    return late ?? error
  }

  #begin(manifest: Manifest, version: number, foundBytes: number): void {
    if (this.#isDone) this.#began = { at: systemClock.now(), via: this.#receiver?.progress.via ?? none }
    const { entries, name } = manifest
    this.#tell({ kind: "manifest", version, name, bytes: bytesOf(manifest), files: filesOf(entries), foundBytes })
  }

  #finished(receiver: Receiver, { place, files, bytes, remarks }: Finished, version: number): void {
    this.#isDone = true
    const { via, foundBytes } = receiver.progress
    this.#tell({
      kind: "done",
      version,
      name: this.#manifest?.name ?? "",
      place,
      bytes,
      files,
      foundBytes,
      remarks,
      ms: systemClock.now() - this.#began.at,
      via: {
        relay: via.relay - this.#began.via.relay,
        direct: via.direct - this.#began.via.direct,
        cast: via.cast - this.#began.via.cast,
      },
    })
  }

  #status(): JsonObject {
    const { name, phase, bytes, haveBytes, bytesPerSecond, sentBytes, via, peers, waitsFor } = this.figures()
    return {
      role: "receiver",
      swarm: this.#code.swarm,
      name: name ?? "",
      phase,
      bytes,
      haveBytes,
      inBytesPerSecond: bytesPerSecond ?? 0,
      outBytesPerSecond: 0,
      sentBytes,
      via: { ...via },
      peers,
      waitsFor: waitsFor ?? null,
    }
  }

  #tell(event: GetEvent): void {
    if (this.#stopped === undefined) this.#options.onEvent?.(event)
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new RdvError("cancelled", "It was stopped"))
    await this.#running.catch(() => undefined)
    await this.#access.stop(stopGraceMs)
  }
}

const none: ByteWays = { relay: 0, direct: 0, cast: 0 }

const phases: Readonly<Record<ReceiverPhase, string>> = {
  joining: "asking the relay",
  manifest: "asking what there is",
  opening: "looking at what is here",
  fetching: "receiving",
  finishing: "putting everything in its place",
  staying: "everything is here; serving others",
  over: "ended",
}

/** Calls when nothing came for too long. */
class Quiet {
  readonly #ms: number | undefined
  readonly #onQuiet: () => void
  #timer: NodeJS.Timeout | undefined
  #have = -1

  constructor(ms: number | undefined, onQuiet: () => void) {
    this.#ms = ms
    this.#onQuiet = onQuiet
    this.#start()
  }

  look(haveBytes: number, phase: ReceiverPhase): void {
    if (phase === "staying" || phase === "over") this.stop()
    else if (haveBytes !== this.#have || phase === "opening" || phase === "finishing") this.#start()
    this.#have = haveBytes
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #start(): void {
    clearTimeout(this.#timer)
    if (this.#ms !== undefined) this.#timer = setTimeout(this.#onQuiet, this.#ms)
  }
}

/** Tells what a target found. */
function opened(target: Target, tell: (manifest: Manifest, version: number, foundBytes: number) => void): Target {
  return {
    async open(version) {
      const holdings = await target.open(version)
      tell(version.manifest, version.table.version, holdings.foundBytes)
      return holdings
    },
  }
}

/** The same in each run, so that the relay knows who comes back; another one for another folder. */
function ownName(instance: string, { swarm }: Code, output: string): string {
  const text = `rdv/share/1 receiver ${instance} ${swarm} ${resolve(output)}`
  return base64url(createHash("sha256").update(text).digest().subarray(0, 12))
}

function fromText(from: string): string {
  return from === "relay" ? "the relay" : from === "cast" ? "multicast" : `member ${from}`
}

function bytesOf({ entries }: Manifest): number {
  return entries.reduce((sum, entry) => sum + (entry.type === "file" ? entry.size : 0), 0)
}

function filesOf(entries: Manifest["entries"]): number {
  return entries.filter(({ type }) => type === "file").length
}
