/**
 * One edition of a published application on disk: a folder with the files under their hashes, so that no name of the
 * publisher's is ever one of the file system's, their packed forms beside them, and a list of what they are called.
 *
 *     REVISION/files.json    REVISION/SHA256    REVISION/SHA256.br    REVISION/SHA256.gz
 */

import { createHash } from "node:crypto"
import type { Hash } from "node:crypto"
import { open, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import type { FileHandle } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { brotliCompress, constants, gzip } from "node:zlib"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { Json } from "../../../base/json.ts"
import { isPackable, readPublishedFile } from "./published-file.ts"
import type { PublishedFile } from "./published-file.ts"

export interface AppFile extends PublishedFile {
  /** Bytes of the packed forms that are there. */
  readonly packed: { readonly br?: number; readonly gzip?: number }
}

/** Writes one file of a draft: `write` for its bytes in order, then `end`. */
export class FileWriter {
  readonly #folder: string
  readonly #file: PublishedFile
  readonly #hash: Hash = createHash("sha256")
  readonly #handle: FileHandle
  #bytes = 0

  private constructor(folder: string, file: PublishedFile, handle: FileHandle) {
    this.#folder = folder
    this.#file = file
    this.#handle = handle
  }

  static async open(folder: string, file: PublishedFile): Promise<FileWriter> {
    return new FileWriter(folder, file, await open(join(folder, partName), "w", 0o600))
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk)
    for (let at = 0; at < chunk.length;) at += (await this.#handle.write(chunk, at)).bytesWritten
    this.#bytes += chunk.length
  }

  /** Rejects `corrupt` when the bytes are not those that were promised. */
  async end(): Promise<void> {
    const { path, bytes, sha256 } = this.#file
    await this.#handle.sync()
    await this.close()
    if (this.#bytes !== bytes || this.#hash.digest("hex") !== sha256) {
      throw new RdvError("corrupt", `The bytes of ${JSON.stringify(path)} are not those of its SHA-256`)
    }
    await rename(join(this.#folder, partName), join(this.#folder, sha256))
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** Packs what becomes smaller by it, and writes the list: the folder is complete then. */
export async function finishRevision(folder: string, files: readonly PublishedFile[]): Promise<AppFile[]> {
  const packed = new Map<string, AppFile["packed"]>()
  for (const { sha256, type, bytes } of files) {
    if (!packed.has(sha256)) packed.set(sha256, await pack(join(folder, sha256), type, bytes))
  }
  const all = files.map((file) => ({ ...file, packed: packed.get(file.sha256) ?? {} }))
  const list = await open(join(folder, listName), "w", 0o600)
  try {
    await list.writeFile(JSON.stringify(all))
    await list.sync()
  } finally {
    await list.close()
  }
  return all
}

/** Reads the list of a folder that was finished. Rejects when it is not one. */
export async function readRevision(folder: string): Promise<AppFile[]> {
  const list = JSON.parse(await readFile(join(folder, listName), "utf8")) as Json
  if (!Array.isArray(list)) throw new RdvError("corrupt", `${join(folder, listName)} is no list`)
  return (list as readonly Json[]).map((each) => {
    const packed = isJsonObject(each) ? each["packed"] : undefined
    if (!isJsonObject(each) || !isJsonObject(packed))
      throw new RdvError("corrupt", `${join(folder, listName)} is damaged`)
    return { ...readPublishedFile(each), packed }
  })
}

async function pack(path: string, type: string, bytes: number): Promise<AppFile["packed"]> {
  if (!isPackable(type) || bytes < leastPacked) return {}
  const plain = await readFile(path)
  const quality = bytes > largeBytes ? 5 : 9
  const br = await brotli(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes },
  })
  const gz = await gzipped(plain, { level: 9 })
  const most = bytes * worthwhile
  if (br.length < most) await writeFile(`${path}.br`, br, { mode: 0o600 })
  if (gz.length < most) await writeFile(`${path}.gz`, gz, { mode: 0o600 })
  return { ...(br.length < most && { br: br.length }), ...(gz.length < most && { gzip: gz.length }) }
}

/** Removes the folder; one that is not there is no failure. */
export async function removeRevision(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

const brotli = promisify(brotliCompress)
const gzipped = promisify(gzip)

const partName = "part"
const listName = "files.json"
/** Below this a packed answer saves no packet. */
const leastPacked = 1_024
/** A packed form that is larger than this part of the plain one is not kept. */
const worthwhile = 0.9
/** Above this, packing well takes seconds. */
const largeBytes = 4 * 1024 * 1024
