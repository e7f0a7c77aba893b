/** Shares files, a folder or a stream: content from the disk, a session to a relay, a sender between them. */

import { createHash } from "node:crypto"
import { asRdvError, RdvError } from "./base/error.ts"
import type { ErrorCode } from "./base/error.ts"
import { base64url } from "./base/bytes.ts"
import { systemClock } from "./base/clock.ts"
import type { JsonObject } from "./base/json.ts"
import { silentLog } from "./base/log.ts"
import type { Log } from "./base/log.ts"
import { newCode, parseCode, printCode, printLink } from "./capabilities/share/code/code.ts"
import type { Code } from "./capabilities/share/code/code.ts"
import { nodeKeys } from "./capabilities/share/node/node-keys.ts"
import type { SwarmKeys } from "./capabilities/share/code/swarm-keys.ts"
import type { HashName } from "./capabilities/share/content/chunk-crypto.ts"
import { fileContent } from "./capabilities/share/disk/file-content.ts"
import type { CutSettings, FileContent } from "./capabilities/share/disk/file-content.ts"
import { stdinContent } from "./capabilities/share/disk/stdin-content.ts"
import { watchContent } from "./capabilities/share/disk/watch.ts"
import type { ContentWatch } from "./capabilities/share/disk/watch.ts"
import { nodeCrypto } from "./capabilities/share/node/node-crypto.ts"
import { castInterfaces, udpCast } from "./capabilities/share/node/udp-cast.ts"
import { openMemberNet } from "./capabilities/share/node/udp-net.ts"
import type { CastReport, ChunkCast } from "./capabilities/share/paths/chunk-cast.ts"
import type { DirectNet } from "./capabilities/share/paths/direct-net.ts"
import { startSender } from "./capabilities/share/peer/sender.ts"
import type { PublishedFacts, Sender } from "./capabilities/share/peer/sender.ts"
import type { SwarmPicture } from "./capabilities/share/protocol/control.ts"
import type { RunningAgent } from "./node.ts"
import { openShareAccess } from "./share-access.ts"
import type { RelayOptions, ShareAccess } from "./share-access.ts"
import { inWords } from "./share-refusals.ts"
import { parseAddress, printHostPort } from "./transport/address.ts"
import { isLoopback } from "./transport/loopback.ts"

export interface ShareOptions extends RelayOptions {
  /** Files and folders; several become one folder. */
  readonly paths?: readonly string[]
  /** In their place; `name` says what it is. */
  readonly input?: AsyncIterable<Uint8Array>
  readonly name?: string
  /** Default: a new one. */
  readonly code?: Code | string
  /** There was a share with this code already: what is shared now is a new version of it. */
  readonly goesOn?: boolean
  /** Beside the code. */
  readonly password?: string
  /** It ends when one receiver has everything, and those who had begun by then; not with `maxPeers`. */
  readonly once?: boolean
  readonly expiresMs?: number
  readonly maxPeers?: number
  /** False: the relay keeps no parts. */
  readonly cache?: boolean
  /** Leaves out what may not be read, and says so; without it the share is `forbidden`. */
  readonly skipUnreadable?: boolean
  /** Shares new versions when files change. */
  readonly watch?: boolean
  /** Of a part before it is sealed; default: by the size of the whole. */
  readonly chunkBytes?: number
  /** Default: the faster one here. */
  readonly hash?: HashName
  readonly limitBytesPerSecond?: number | undefined
  /** Connections to receivers past the relay. Default true. */
  readonly direct?: boolean
  readonly multicast?: "auto" | "on" | "off"
  /** Our way to the relay is within this machine, and others come to it over a network. */
  readonly othersReachRelay?: boolean
  readonly log?: Log
  readonly onEvent?: (event: ShareEvent) => void
}

export type ShareEvent =
  /** Before it is published. */
  | { readonly kind: "reading"; readonly bytes: number; readonly ofBytes: number | undefined }
  /** The code works, or a new version is there. */
  | {
      readonly kind: "published"
      readonly version: number
      readonly name: string
      readonly bytes: number
      readonly files: number
      readonly link: string
      readonly expiresMs: number | undefined
    }
  /** About once a second while something changes. */
  | { readonly kind: "picture"; readonly picture: SwarmPicture }
  | { readonly kind: "client-done"; readonly client: string; readonly ms: number }
  | { readonly kind: "client-failed"; readonly client: string; readonly reason: string }
  /** Everything was sent once by multicast. */
  | { readonly kind: "cast"; readonly report: CastReport }
  | { readonly kind: "remark"; readonly text: string }

export interface Share {
  readonly code: string
  readonly agent: RunningAgent
  /** Resolves when the share is over: `once`, expired, stopped. Rejects when it cannot begin or go on. */
  readonly ended: Promise<void>
  /** Leaves: the receivers go on when they have every part among them, else the share is over for them. */
  stop(): Promise<void>
  /** Leaves, and the share stays as it is: receivers wait for who comes back with this code. */
  leave(): Promise<void>
}

/** Rejects `usage`; what goes wrong later rejects `ended`. */
export async function share(options: ShareOptions): Promise<Share> {
  const { code = newCode(), paths, input, name } = options
  const read = typeof code === "string" ? parseCode(code) : code
  if ((paths === undefined) === (input === undefined)) {
    throw new RdvError("usage", "A share has either paths or an input")
  }
  if (options.once === true && options.maxPeers !== undefined) {
    throw new RdvError("usage", "`once` and `maxPeers` exclude each other", { mend: "leave one out" })
  }
  if (input !== undefined && name === undefined) {
    throw new RdvError("usage", "An input has no name of its own", { mend: "give one" })
  }
  return new RunningShare(options, read, await nodeKeys(read, options.password))
}

const mostComplaints = 100
const stopGraceMs = 1_000
/** What a sender hears in the same words as a receiver. */
const told: ReadonlySet<ErrorCode> = new Set(["no_service", "replaced"])

class RunningShare implements Share {
  readonly code: string
  readonly agent: RunningAgent
  readonly ended: Promise<void>
  readonly #options: ShareOptions
  readonly #code: Code
  readonly #keys: SwarmKeys
  readonly #log: Log
  readonly #stopping: AbortController = new AbortController()
  readonly #access: ShareAccess
  readonly #begun: Promise<void>
  readonly #over: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  #sender: Sender | undefined
  #content: FileContent | undefined
  #net: DirectNet | undefined
  #picture: SwarmPicture | undefined
  #url: string | undefined
  #watch: ContentWatch | undefined
  #updating: Promise<void> = Promise.resolve()
  #published = 0
  readonly #complaints = new Set<string>()
  #stopped: Promise<void> | undefined

  constructor(options: ShareOptions, code: Code, keys: SwarmKeys) {
    const { log = silentLog } = options
    this.#options = options
    this.#log = log
    this.#code = code
    this.#keys = keys
    this.code = printCode(code)
    this.ended = this.#over.promise
    // Whoever looks at it later hears it as well.
    this.ended.catch(() => undefined)
    this.#access = openShareAccess({ ...options, log })
    this.agent = this.#access.agent
    this.agent.agent.report("share", () => this.#status())
    this.#access.failed.catch((error: unknown) => this.#fail(asRdvError(error)))
    this.#begun = this.#begin().catch((error: unknown) => this.#fail(asRdvError(error)))
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  leave(): Promise<void> {
    this.#stopped ??= this.#stop("leave")
    return this.#stopped
  }

  async #begin(): Promise<void> {
    const { hash, chunkBytes, watch, paths, name, direct = true, limitBytesPerSecond } = this.#options
    const { once, expiresMs, maxPeers, cache, instance } = this.#options
    const keys = this.#keys
    const cut: CutSettings = {
      crypto: nodeCrypto(keys, hash),
      ...(chunkBytes !== undefined && { chunkBytes }),
      ...(watch === true && { chunking: "content-defined" as const }),
    }
    const content = await this.#read({
      ...cut,
      // What the relay has of this code from an earlier run is older, whatever it is; equal parts of it stay good.
      ...(this.#options.goesOn === true && { version: secondsNow() }),
      signal: this.#stopping.signal,
      onProgress: (bytes, ofBytes) => this.#tell({ kind: "reading", bytes, ofBytes }),
    })
    for (const text of content.remarks) this.#tell({ kind: "remark", text })
    if (content.manifest.name.startsWith(".")) {
      this.#tell({ kind: "remark", text: "its name is hidden: receivers have to say with -o how it shall be called" })
    }
    if (this.#stopping.signal.aborted) {
      await content.close()
      return
    }
    this.#content = content
    if (direct) this.#net = await openNet(this.#log)
    const own = instance === undefined ? {} : ownNames(instance, this.#code)
    this.#sender = startSender({
      swarm: this.#code.swarm,
      keys,
      ...own,
      access: this.#access.access,
      content,
      direct: this.#net,
      cast: castOf(this.#options),
      // Members that help each other are as fast; what it saves is the network's load, and that grows with their number.
      castFrom: this.#options.multicast === "on" ? 2 : 8,
      rules: {
        ...(once !== undefined && { once }),
        ...(expiresMs !== undefined && { expiresMs }),
        ...(maxPeers !== undefined && { maxPeers }),
        ...(cache !== undefined && { cache }),
      },
      bytesPerSecond: limitBytesPerSecond,
      clock: systemClock,
      log: this.#log,
      events: {
        published: (facts) => this.#isPublished(facts),
        picture: (picture) => {
          this.#picture = picture
          this.#tell({ kind: "picture", picture })
        },
        finished: (client, ms) => this.#tell({ kind: "client-done", client, ms }),
        failed: (client, reason) => this.#tell({ kind: "client-failed", client, reason }),
        cast: (state, report) => {
          if (state === "over" && report !== undefined) this.#tell({ kind: "cast", report })
        },
        changed: (_chunk, error) => this.#changed(error.message),
        ended: (error) => {
          if (error === undefined) this.#over.resolve()
          else this.#over.reject(told.has(error.code) ? inWords(error, this.#code.swarm) : error)
        },
      },
    })
    if (watch !== true || paths === undefined) return
    this.#watch = watchContent({
      ...cut,
      paths,
      skipUnreadable: this.#options.skipUnreadable === true,
      ...(name !== undefined && { name }),
      current: content,
      clock: systemClock,
      onVersion: (version) => {
        this.#updating = this.#updating.then(() => this.#update(version))
      },
      onProblem: (error) => this.#tell({ kind: "remark", text: error.message }),
    })
  }

  /** A file that became shorter is many parts that are not there any more, and one line. */
  #changed(text: string): void {
    if (this.#complaints.has(text) || this.#complaints.size >= mostComplaints) return
    this.#complaints.add(text)
    const mend = this.#options.watch === true ? "" : "; share it again when nobody writes to it, or with --watch"
    this.#tell({ kind: "remark", text: `${text}: what is gone of it cannot be sent${mend}` })
  }

  async #update(content: FileContent): Promise<void> {
    const { version } = content.table
    try {
      await this.#sender?.update(content)
      this.#content = content
      this.#complaints.clear()
      this.#isPublished({ url: this.#url, version, expiresMs: undefined, once: false })
    } catch (error) {
      await content.close()
      this.#tell({ kind: "remark", text: `version ${version} is not shared: ${asRdvError(error).message}` })
    }
  }

  #read(cut: CutSettings): Promise<FileContent> {
    const { paths, input, name, skipUnreadable = false } = this.#options
    if (input === undefined) {
      return fileContent({ ...cut, paths: paths ?? [], skipUnreadable, ...(name !== undefined && { name }) })
    }
    const onSpooled = (bytes: number) => this.#tell({ kind: "reading", bytes, ofBytes: undefined })
    return stdinContent(input, { ...cut, name: name as string, onSpooled })
  }

  #isPublished({ url, version, expiresMs }: PublishedFacts): void {
    this.#url = url
    // A new session publishes the same again.
    if (this.#published === version || this.#content === undefined) return
    this.#published = version
    const { manifest, totalBytes } = this.#content
    const files = manifest.entries.filter(({ type }) => type === "file").length
    const link = this.#link(url)
    this.#tell({ kind: "published", version, name: manifest.name, bytes: totalBytes, files, link, expiresMs })
  }

  #link(url: string | undefined): string {
    // What the relay says is shown on a terminal, with the secret behind it.
    const told = url === undefined ? null : URL.parse(url)
    if (told === null || !["http:", "https:"].includes(told.protocol)) {
      return printLink(webAddress(this.#options.relay), this.#code)
    }
    told.hash = this.code.slice(this.#code.swarm.length + 1)
    return told.href
  }

  #status(): JsonObject {
    const { traffic } = this.#sender ?? {}
    const bytes = this.#content?.totalBytes ?? 0
    const own = this.#picture?.members.find(({ role }) => role === "sender")
    return {
      role: "sender",
      swarm: this.#code.swarm,
      name: this.#content?.manifest.name ?? this.#options.name ?? "",
      bytes,
      haveBytes: bytes,
      inBytesPerSecond: own?.inBytesPerSecond ?? 0,
      outBytesPerSecond: own?.outBytesPerSecond ?? 0,
      traffic: traffic === undefined ? null : (traffic as unknown as JsonObject),
      picture: (this.#picture as unknown as JsonObject | undefined) ?? null,
    }
  }

  #tell(event: ShareEvent): void {
    if (this.#stopped === undefined) this.#options.onEvent?.(event)
  }

  #fail(error: RdvError): void {
    this.#over.reject(error)
  }

  async #stop(how?: "leave"): Promise<void> {
    this.#stopping.abort(new RdvError("cancelled", "The share was stopped"))
    await this.#begun
    await this.#watch?.close()
    await this.#updating
    await this.#sender?.stop(how)
    await this.#net?.close()
    await this.#access.stop(stopGraceMs)
    this.#over.resolve()
  }
}

/** Without it chunks still come and go by the relay. */
export async function openNet(log: Log): Promise<DirectNet | undefined> {
  try {
    return await openMemberNet()
  } catch (error) {
    log.warn("share.direct.unavailable", { reason: asRdvError(error).message })
    return undefined
  }
}

/** Where receivers share the machine with their relay, multicast is a detour. */
export function castOf({
  multicast = "auto",
  relay,
  othersReachRelay = false,
}: Pick<ShareOptions, "multicast" | "relay" | "othersReachRelay">): ChunkCast | undefined {
  if (multicast === "off") return undefined
  if (multicast === "on") {
    if (castInterfaces().length > 0) return udpCast()
    throw new RdvError("usage", "This machine has no network for multicast", { mend: "leave --multicast on out" })
  }
  const address = parseAddress(relay, "tcp")
  const isNear = !othersReachRelay && (!("host" in address) || isLoopback(address.host))
  return isNear || castInterfaces().length === 0 ? undefined : udpCast()
}

/** The same names for a sender that comes back to its code, and nobody else can make them: the relay takes new versions by them. */
function ownNames(instance: string, { swarm, secret }: Code): { member: string; publisher: string } {
  const name = (use: string): Uint8Array =>
    createHash("sha256").update(`rdv/share/1 ${use} ${instance} ${swarm} `).update(secret).digest()
  return { member: base64url(name("member").subarray(0, 12)), publisher: base64url(name("publisher").subarray(0, 16)) }
}

/** A version that follows all earlier ones, and fits 32 bits. */
function secondsNow(): number {
  return Math.floor(Date.now() / 1_000)
}

/** A relay's address as the beginning of a link. */
function webAddress(relay: string): string {
  const address = parseAddress(relay, "tcp")
  if (!("host" in address)) return "http://localhost"
  const secure = address.scheme === "tls" || address.scheme === "https" || address.scheme === "wss"
  const port = address.port === (secure ? 443 : 80) ? undefined : address.port
  return `${secure ? "https" : "http"}://${printHostPort(address.host === "" ? "localhost" : address.host, port)}`
}
