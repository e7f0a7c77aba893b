/** A 9P server that answers what the test says, in the order that the test says. */

import assert from "node:assert/strict"
import { decode, encode } from "../../src/ninep/codec.ts"
import { Frames } from "../../src/ninep/frames.ts"
import type { Answer, Dialect, Request } from "../../src/ninep/message.ts"
import { bytePair, type BytePair, type BytePairEnd, type BytePairOptions } from "./byte-links.ts"

export interface NinepScript {
  /** The client's end. */
  readonly link: BytePairEnd
  readonly pair: BytePair
  /** The next request; fails the test when another type comes. */
  next<Type extends Request["type"]>(type: Type): Promise<Extract<Request, { readonly type: Type }>>
  answer(answer: Answer): void
  /** Bytes that are no message. */
  raw(bytes: Uint8Array): void
  /** Answers Tversion and Tattach. */
  welcome(version?: string, msize?: number): Promise<void>
  /** Requests that have come and that nobody has asked for. */
  readonly unheard: number
}

const deadlineMs = 2000

/** `dialect` is what is spoken after `welcome`. */
export function ninepScript(dialect: Dialect, options: BytePairOptions = {}): NinepScript {
  const pair = bytePair(options)
  const requests: Request[] = []
  const waiting: ((request: Request) => void)[] = []
  let spoken: Dialect = "9P2000"
  const frames = new Frames(1 << 21, (bytes, start, end) => {
    // What a Tattach has behind it depends on what was just agreed on.
    const request = decode(bytes.slice(start, end), spoken, "T")
    const tell = waiting.shift()
    if (tell === undefined) requests.push(request)
    else tell(request)
  })
  pair.b.onData = (bytes) => frames.push(bytes)
  const script: NinepScript = {
    link: pair.a,
    pair,
    get unheard() {
      return requests.length
    },
    async next(type) {
      const request = requests.shift() ?? (await heard(waiting, type))
      assert.equal(request.type, type)
      return request as Extract<Request, { readonly type: typeof type }>
    },
    answer: (answer) => void pair.b.write(encode(answer, spoken)),
    raw: (bytes) => void pair.b.write(bytes),
    async welcome(version = dialect, msize = 8192) {
      const { tag } = await script.next("Tversion")
      script.answer({ type: "Rversion", tag, msize, version })
      spoken = dialect
      const attach = await script.next("Tattach")
      script.answer({ type: "Rattach", tag: attach.tag, qid: { type: 0x80, version: 0, path: 0 } })
    },
  }
  return script
}

function heard(waiting: ((request: Request) => void)[], type: string): Promise<Request> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`No ${type} came`)), deadlineMs)
    waiting.push((request) => {
      clearTimeout(timer)
      resolve(request)
    })
  })
}
