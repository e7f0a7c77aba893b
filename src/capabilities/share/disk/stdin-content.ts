/**
 * Content that comes along once: standard input. It is kept in a temporary file, since its length has to be known before its
 * first chunk, and since receivers come later. Nobody else can open that file: its name is gone while it is written.
 */

import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { RdvError } from "../../../base/error.ts"
import { diskError } from "./disk-error.ts"
import { cutContent } from "./file-content.ts"
import type { CutSettings, FileContent } from "./file-content.ts"
import { scannedFile } from "./tree-scan.ts"
import type { ScannedFile } from "./tree-scan.ts"

export interface StdinContentOptions extends CutSettings {
  /** What receivers call it. */
  readonly name: string
  /** Where it is kept meanwhile. Default: the system's folder for temporary files. */
  readonly folder?: string
  /** Bytes that have come so far. */
  onSpooled?(bytes: number): void
}

/** Rejects `limit` (the disk is full), `forbidden`, and what the stream rejects. */
export async function stdinContent(
  stream: AsyncIterable<Uint8Array>,
  options: StdinContentOptions,
): Promise<FileContent> {
  const spool = new Spool(options.folder ?? tmpdir())
  try {
    for await (const bytes of until(stream, options.signal)) {
      await spool.write(bytes)
      options.onSpooled?.(spool.bytes)
    }
    return await spool.content(options)
  } finally {
    spool.close()
  }
}

/** What comes until the signal, also while nothing comes: somebody types, or a program that writes stands still. */
async function* until(stream: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const iterator = stream[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await nextOf(iterator, signal)
      if (done === true) return
      yield value
    }
  } finally {
    // It may wait for what never comes, and keep the process alive.
    if (stream instanceof Readable) stream.destroy()
    else void iterator.return?.().catch(() => undefined)
  }
}

function nextOf(iterator: AsyncIterator<Uint8Array>, signal?: AbortSignal): Promise<IteratorResult<Uint8Array>> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal?.reason as Error)
    if (signal?.aborted === true) {
      onAbort()
      return
    }
    signal?.addEventListener("abort", onAbort, { once: true })
    void iterator
      .next()
      .finally(() => signal?.removeEventListener("abort", onAbort))
      .then(resolve, reject)
  })
}

class Spool {
  readonly #path: string
  readonly #fd: number
  /** The content closes the file. */
  #isGiven = false
  bytes = 0

  constructor(folder: string) {
    this.#path = join(folder, `rdv-share-${randomUUID()}`)
    try {
      this.#fd = fs.openSync(this.#path, "wx+", 0o600)
      fs.unlinkSync(this.#path)
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }

  /** By the thread pool, so that the rest of the process goes on while a disk is slow. */
  async write(bytes: Uint8Array): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      done += await new Promise<number>((resolve, reject) => {
        fs.write(this.#fd, bytes, done, bytes.length - done, this.bytes + done, (error, count) => {
          if (error === null) resolve(count)
          else reject(this.#failed(error))
        })
      })
    }
    this.bytes += bytes.length
  }

  async content(options: StdinContentOptions): Promise<FileContent> {
    const entry = { type: "file", path: "", size: this.bytes } as const
    const file = scannedFile(entry, this.#path, fs.fstatSync(this.#fd))
    const scan = { name: options.name, entries: [entry], files: [file], remarks: [] }
    return cutContent(options, {
      scan,
      scannedAt: Date.now(),
      open: () => this.#give(),
      check: (now) => this.#check(now),
    })
  }

  /** Unless the content has it. */
  close(): void {
    if (!this.#isGiven) fs.closeSync(this.#fd)
  }

  #give(): number {
    if (this.#isGiven) throw new RdvError("closed", "The content is closed")
    this.#isGiven = true
    return this.#fd
  }

  #check(file: ScannedFile): void {
    if (this.#isGiven && fs.fstatSync(this.#fd).size !== file.size)
      throw new RdvError("corrupt", "The temporary file of the input changed")
  }

  #failed(error: unknown): RdvError {
    const known = diskError(error, this.#path)
    if (known.code !== "limit") return known
    return new RdvError("limit", `The disk is full: ${this.#path}, which keeps the input while it is shared`, {
      cause: error,
      mend: "set TMPDIR to a folder with more room",
    })
  }
}
