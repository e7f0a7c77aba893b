/**
 * Requests with an `Idempotency-Key`: whoever does not know whether a request came through sends it again with the same
 * key, and its effect happens once. The answer is kept in the transaction of the effect, so that there is no moment in
 * which one exists without the other. A failure (5xx, or a throw) takes everything back and is not kept: try again.
 */

import { base64url, concat } from "../../../base/bytes.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { Clock } from "../../../base/clock.ts"
import type { Visitor } from "../app/visitor.ts"
import { oneLine, plainAnswer } from "./plain-answer.ts"
import { storedBodyBytes } from "./replies.ts"
import type { Replies, ReplyData, StoredReply } from "./replies.ts"
import { servedRequest } from "./served-request.ts"

/** Bodies of requests are read before the transaction begins, because nothing else is written meanwhile; up to this. */
export const keyedBodyBytes: number = 1024 * 1024

/** An answer has to be whole so long after its head, ms: nothing else is written meanwhile, and a feed has no end. */
export const keyedAnswerMs = 5000

const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])

/** Undefined: the request needs none. A response: the key is none. */
export function keyOf(request: Request): string | Response | undefined {
  const key = request.headers.get("idempotency-key")
  if (key === null || safeMethods.has(request.method)) return undefined
  if (key !== "" && key.length <= 255) return key
  return plainAnswer(400, "An Idempotency-Key has 1 to 255 characters")
}

export interface OnceOptions {
  readonly key: string
  readonly request: Request
  readonly visitor: Visitor
  readonly replies: Replies
  readonly clock: Clock
  /** Asks the application; the request is one with the whole body. */
  readonly answer: (request: Request, data: ReplyData) => Promise<Response>
}

/** Rejects with what the application throws. */
export async function answerOnce(options: OnceOptions): Promise<{ response: Response; again: boolean }> {
  const { request, visitor } = options
  const body = request.body === null ? undefined : await readUpTo(request.body, keyedBodyBytes)
  if (typeof body === "string") {
    const line = `With an Idempotency-Key, a body has at most ${keyedBodyBytes} bytes`
    return { response: plainAnswer(413, line), again: false }
  }
  try {
    const { reply, again } = await options.replies.once(await nameOf(options.key, request, visitor), async (data) => {
      const response = await options.answer(withBody(request, body), data)
      // Thrown, so that the transaction is taken back.
      if (response.status >= 500) throw new Unkept(response)
      return await stored(response, options.clock)
    })
    return { response: restored(reply, again), again }
  } catch (thrown) {
    if (thrown instanceof Unkept) return { response: thrown.response, again: false }
    throw thrown
  }
}

/** An answer that takes its effects back. */
class Unkept extends Error {
  readonly response: Response
  constructor(response: Response) {
    super("The answer is a failure")
    this.response = response
  }
}

/** One visitor's key says nothing about another's, and one of a place nothing about other places. */
async function nameOf(key: string, request: Request, visitor: Visitor): Promise<string> {
  const { pathname, search } = new URL(request.url)
  const who = visitor.kind === "peer" ? `peer ${visitor.peer.key}` : visitor.kind
  const { headers } = request
  const facts = [key, who, request.method, pathname + search, headers.get("authorization"), headers.get("cookie")]
  const digest = await crypto.subtle.digest("SHA-256", utf8Encode(JSON.stringify(facts)) as Uint8Array<ArrayBuffer>)
  return base64url(new Uint8Array(digest))
}

function withBody(request: Request, body: Uint8Array | undefined): Request {
  const { url, method, headers, signal } = request
  const content = body === undefined ? null : new Response(body as Uint8Array<ArrayBuffer>).body
  return servedRequest({ url, method, headers, body: content, signal })
}

async function stored(response: Response, clock: Clock): Promise<StoredReply> {
  const body = response.body === null ? new Uint8Array(0) : await readUpTo(response.body, storedBodyBytes, clock)
  if (body === "more" || body === "late") {
    const bound =
      body === "more" ? `has more than ${storedBodyBytes} bytes` : `was not whole within ${keyedAnswerMs} ms`
    throw new Unkept(plainAnswer(500, `The answer to a request with an Idempotency-Key ${bound}: nothing was done`))
  }
  const headers: string[] = []
  for (const [name, value] of response.headers) headers.push(name, value)
  return { status: response.status, headers, body }
}

function restored({ status, headers, body }: StoredReply, again: boolean): Response {
  const fields = new Headers()
  for (let at = 0; at < headers.length; at += 2) fields.append(headers[at] as string, headers[at + 1] as string)
  if (again) fields.set("idempotency-replayed", "true")
  const isBare = status === 204 || status === 205 || status === 304
  return new Response(isBare ? null : (body as Uint8Array<ArrayBuffer>), { status, headers: fields })
}

/** The whole body, or that there is more, or that it takes longer than an answer may; then the rest is cancelled. */
async function readUpTo(
  body: ReadableStream<Uint8Array>,
  most: number,
  clock?: Clock,
): Promise<Uint8Array | "more" | "late"> {
  const reader = body.getReader()
  const stop = () => void reader.cancel().catch((thrown: unknown) => oneLine(thrown))
  let isLate = false
  const timer = clock?.after(keyedAnswerMs, () => {
    isLate = true
    stop()
  })
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (isLate) return "late"
      if (done) return concat(parts, length)
      length += value.length
      if (length > most) {
        stop()
        return "more"
      }
      parts.push(value)
    }
  } finally {
    timer?.cancel()
  }
}
