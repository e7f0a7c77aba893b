/**
 * Publishing: an application comes as a stream (docs/protocol.md, section 9.7), one file after the other, and is served when
 * all of it has arrived and is what it was said to be. Until then nothing changes for anybody.
 */

import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Call, Caller } from "../../../host/host.ts"
import type { FileWriter } from "./app-revision.ts"
import type { AppDraft, AppShelf, PublishedApp } from "./app-shelf.ts"
import { readPublishedFile } from "./published-file.ts"
import type { PublishedFile } from "./published-file.ts"
import type { TabLimits } from "./tab-limits.ts"

export const publishService = "tab/publish"
export const unpublishService = "tab/unpublish"

export interface PublishServiceOptions {
  readonly clock: Clock
  readonly shelf: AppShelf
  readonly limits: TabLimits
  /** The one spelling of the name, which is the caller's from now on. Throws `forbidden`, `claimed`, `usage`. */
  readonly claim: (app: string, caller: Caller) => string
  /** The same without a claim: throws `forbidden` when somebody else has it. */
  readonly checkOwner: (app: string, caller: Caller) => void
  /** An application is there, or another revision of it; undefined: it was taken back. */
  readonly onChange: (app: string, published: PublishedApp | undefined) => void
  readonly urlOf: (app: string) => string
}

export class PublishService {
  readonly #options: PublishServiceOptions
  readonly #running: Set<Publishing> = new Set()

  constructor(options: PublishServiceOptions) {
    this.#options = options
  }

  /** Serves a stream of `tab/publish`; the header says how much will come. */
  publish({ stream, caller }: Call): void {
    const { limits, claim } = this.#options
    const wanted = readWanted(stream.header)
    this.#checkRoom(wanted)
    if (this.#running.size >= limits.publishing) {
      throw new RdvError("limit", `${limits.publishing} applications are being published: try again in a moment`)
    }
    const app = claim(wanted.app, caller)
    const publishing = new Publishing(this.#options, stream, { ...wanted, app }, () => this.#running.delete(publishing))
    this.#running.add(publishing)
    publishing.start()
  }

  /** Serves a stream of `tab/unpublish`. */
  unpublish({ stream, caller }: Call): void {
    const { shelf, checkOwner, onChange } = this.#options
    const { app } = stream.header
    if (typeof app !== "string") throw wrong("app")
    checkOwner(app, caller)
    if (shelf.get(app) === undefined)
      throw new RdvError("not_found", `No application ${JSON.stringify(app)} is published`)
    onChange(app, undefined)
    const done = shelf.remove(app).then(
      () => {
        stream.meta({ unpublished: app })
        stream.end()
      },
      (thrown: unknown) => resetWith(stream, thrown),
    )
    void done
    stream.attach({
      data: (chunk) => stream.consumed(chunk.length),
      meta: () => undefined,
      end: () => undefined,
      drain: () => undefined,
      closed: () => undefined,
    })
  }

  /** Ends what runs; resolves when nothing of it is left. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((each) => each.abandon(new RdvError("draining"))))
  }

  #checkRoom({ app, files, bytes }: Wanted): void {
    const { shelf, limits } = this.#options
    if (files > limits.appFiles) {
      throw new RdvError("too_large", `An application has at most ${limits.appFiles} files, not ${files}`)
    }
    if (bytes > limits.appBytes) {
      throw new RdvError("too_large", `An application has at most ${limits.appBytes} bytes, not ${bytes}`)
    }
    const before = shelf.get(app)
    if (before === undefined && shelf.list().length >= limits.apps) {
      throw new RdvError("limit", `This relay has ${limits.apps} applications, which is the most`)
    }
    if (shelf.bytes - (before?.bytes ?? 0) + bytes > limits.appsBytes) {
      throw new RdvError("limit", `The applications of this relay have ${limits.appsBytes} bytes at most`)
    }
  }
}

interface Wanted {
  readonly app: string
  readonly files: number
  readonly bytes: number
}

function readWanted(json: JsonObject): Wanted {
  const { app, files, bytes } = json
  if (typeof app !== "string" || app.length > 63) throw wrong("app")
  if (typeof files !== "number" || !Number.isSafeInteger(files) || files < 1) throw wrong("files")
  if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) throw wrong("bytes")
  return { app: app.toLowerCase(), files, bytes }
}

/** One stream. Bytes are written in order; credit goes back when they are on disk. */
class Publishing {
  readonly #options: PublishServiceOptions
  readonly #stream: Stream
  readonly #wanted: Wanted
  readonly #onOver: () => void
  readonly #files: Map<string, PublishedFile> = new Map()
  /** What comes is done one after the other. */
  #work: Promise<void>
  #draft: AppDraft | undefined
  #writer: FileWriter | undefined
  /** Bytes of the present file that did not come yet, and of all that were announced. */
  #left = 0
  #announced = 0
  #hasEnded = false
  #isOver = false
  #idle: Timer | undefined

  constructor(options: PublishServiceOptions, stream: Stream, wanted: Wanted, onOver: () => void) {
    this.#options = options
    this.#stream = stream
    this.#wanted = wanted
    this.#onOver = onOver
    this.#work = options.shelf.draft(wanted.app).then((draft) => void (this.#draft = draft))
  }

  start(): void {
    this.#work.catch((error: unknown) => this.#fail(error))
    this.#waitForMore()
    this.#stream.attach({
      data: (chunk) => this.#data(chunk),
      meta: (block) => this.#try(() => this.#next(readPublishedFile(block))),
      end: () => this.#try(() => this.#end()),
      drain: () => undefined,
      closed: (error) => {
        if (error !== undefined) void this.abandon(error)
      },
    })
  }

  async abandon(error: RdvError): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#idle?.cancel()
    await this.#work.catch(() => undefined)
    await this.#writer?.close().catch(() => undefined)
    await this.#draft?.abandon().catch(() => undefined)
    this.#onOver()
    // Last: who hears of it may try again at once.
    this.#stream.reset(error.code, error.message)
  }

  #fail(thrown: unknown): void {
    void this.abandon(asRdvError(thrown))
  }

  /** What a peer sends wrong ends it; so does what a disk cannot. */
  #try(step: () => void): void {
    if (this.#isOver) return
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
    this.#waitForMore()
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (!this.#isOver) await step()
    })
    this.#work.catch((error: unknown) => this.#fail(error))
  }

  #next(file: PublishedFile): void {
    const { files, bytes } = this.#wanted
    if (this.#hasEnded || this.#left > 0) throw new RdvError("protocol", "A file begins within another one")
    if (this.#files.has(file.path)) throw new RdvError("usage", `${JSON.stringify(file.path)} comes twice`)
    this.#announced += file.bytes
    if (this.#files.size >= files || this.#announced > bytes) {
      throw new RdvError("too_large", `More comes than the ${files} files and ${bytes} bytes that were announced`)
    }
    this.#files.set(file.path, file)
    this.#left = file.bytes
    this.#then(async () => {
      this.#writer = await this.#draftNow().file(file)
      if (file.bytes === 0) await this.#finishFile()
    })
  }

  #data(chunk: Uint8Array): void {
    this.#try(() => {
      if (chunk.length > this.#left) throw new RdvError("protocol", "More bytes come than the file has")
      this.#left -= chunk.length
      const isLast = this.#left === 0
      this.#then(async () => {
        await this.#writer?.write(chunk)
        this.#stream.consumed(chunk.length)
        if (isLast) await this.#finishFile()
      })
    })
  }

  async #finishFile(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    await writer?.end()
  }

  #end(): void {
    const { app, files, bytes } = this.#wanted
    if (this.#left > 0 || this.#files.size !== files || this.#announced !== bytes) {
      throw new RdvError("protocol", "The application ended before all of it had come")
    }
    if (!this.#files.has("index.html")) {
      throw new RdvError("usage", "The application has no index.html", { mend: "build it first: rdv tab build" })
    }
    this.#hasEnded = true
    this.#then(async () => {
      const published = await this.#draftNow().publish([...this.#files.values()])
      this.#isOver = true
      this.#idle?.cancel()
      this.#options.onChange(app, published)
      const { revision } = published
      this.#stream.meta({ published: { app, url: this.#options.urlOf(app), files, bytes, revision } })
      this.#stream.end()
      this.#onOver()
    })
  }

  #draftNow(): AppDraft {
    if (this.#draft === undefined) throw new RdvError("internal", "The draft was not begun")
    return this.#draft
  }

  #waitForMore(): void {
    this.#idle?.cancel()
    if (this.#isOver || this.#hasEnded) return
    this.#idle = this.#options.clock.after(this.#options.limits.publishIdleMs, () =>
      this.#fail(new RdvError("timeout", "Nothing more of the application has come")),
    )
  }
}

function resetWith(stream: Stream, thrown: unknown): void {
  const { code, message } = asRdvError(thrown)
  stream.reset(code, message)
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a request to publish is missing or wrong`)
}
