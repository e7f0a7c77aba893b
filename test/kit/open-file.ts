/** A descriptor over a handle, as the Linux client has it: a read is a loop of Treads, a write one of Twrites. */

import { concat } from "../../src/base/bytes.ts"
import { utf8Decode, utf8Encode } from "../../src/base/text.ts"
import type { NinepError } from "../../src/ninep/errno.ts"
import type { Handle, Node, OpenMode, ReadRequest, WriteRequest } from "../../src/ninep/tree.ts"

/** A request that was sent. */
export interface Asked<Result> {
  /** `waiting`, the errno's name, or what was answered. */
  readonly state: string | Result
  readonly outcome: Promise<Result>
  readonly isFlushed: boolean
  /** As Tflush does. True when it was answered within the call. */
  flush(): boolean
}

export class OpenFile {
  readonly handle: Handle
  /** The most that one message carries. */
  readonly most: number
  position = 0

  constructor(handle: Handle, most: number = 131_048) {
    this.handle = handle
    this.most = most
  }

  static async open(root: Node, path: string, how: "r" | "w" | "rw" = "r", most?: number): Promise<OpenFile> {
    const mode: OpenMode = { read: how !== "w", write: how !== "r", truncate: false, append: false }
    return new OpenFile(await (await walkTo(root, path)).open(mode), most)
  }

  /** read(2): one message, or a part of it; empty at the end. */
  async read(count: number = 65_536): Promise<string> {
    return utf8Decode(await this.readBytes(count))
  }

  async readBytes(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let got = 0
    while (got < count) {
      const part = await this.tread(this.position + got, count - got).outcome
      if (typeof part === "string") throw new Error(part)
      if (part.length === 0) break
      parts.push(part)
      got += part.length
    }
    this.position += got
    return concat(parts)
  }

  /** write(2). Rejects with the errno's name. */
  async write(text: string): Promise<void> {
    const outcome = await this.twrite(text).outcome
    if (outcome !== "ok") throw new Error(outcome)
  }

  tread(offset: number, count: number): Asked<Uint8Array | string> {
    const most = Math.min(count, this.most)
    return ask<Uint8Array, ReadRequest>(
      (base) => ({ ...base, offset, count: most, full: most === this.most }),
      (request) => this.handle.read(request),
    )
  }

  /** Its outcome is `ok` or an errno's name. */
  twrite(text: string | Uint8Array): Asked<string> {
    const bytes = new Uint8Array(typeof text === "string" ? utf8Encode(text) : text)
    this.position += bytes.length
    const asked = ask<string, WriteRequest>(
      (base) => ({ ...base, offset: 0, bytes, answer: () => base.answer("ok") }),
      (request) => this.handle.write(request),
    )
    // The server uses this memory again.
    bytes.fill(0)
    return asked
  }

  async close(gone = false): Promise<void> {
    await this.handle.close(gone)
  }
}

export async function walkTo(root: Node, path: string): Promise<Node> {
  let node = root
  for (const name of path.split("/").filter((each) => each !== "")) {
    const next = await node.walk(name)
    if (next === undefined) throw new Error(`ENOENT ${name}`)
    node = next
  }
  return node
}

interface Base<Answer> {
  offset: number
  onFlush: (() => void | Promise<void>) | undefined
  answer(result: Answer): void
  fail(error: NinepError): void
}

function ask<Answer extends Uint8Array | string, Request extends { onFlush: Base<Answer>["onFlush"] }>(
  make: (base: Base<Answer>) => Request,
  begin: (request: Request) => void,
): Asked<Answer | string> {
  const { promise, resolve } = Promise.withResolvers<Answer | string>()
  let state: Answer | string = "waiting"
  let isFlushed = false
  const settle = (result: Answer | string) => {
    if (state !== "waiting") throw new Error("A request was answered twice")
    if (isFlushed) throw new Error("A request was answered after its flush")
    state = typeof result === "string" ? result : (new Uint8Array(result) as Answer)
    resolve(state)
  }
  const request = make({ offset: 0, onFlush: undefined, answer: settle, fail: (error) => settle(error.errno) })
  begin(request)
  return {
    get state() {
      return state
    },
    get isFlushed() {
      return isFlushed
    },
    outcome: promise,
    flush() {
      if (state === "waiting") void request.onFlush?.()
      isFlushed = true
      return state !== "waiting"
    },
  }
}
