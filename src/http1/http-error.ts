/**
 * A request that cannot be served as it was written, with the status that says so. Only the ingress sees it: it answers
 * with `status` and closes the connection, because after a refused head or chunk nobody knows where the next message
 * starts. What a local service answers wrongly is `bad_response` instead.
 */

import { RdvError } from "../base/error.ts"

export class HttpError extends Error {
  /** 400, 414 (request line too long), 431 (fields or trailers too large), 501 or 505. */
  readonly status: number
  /** What is wrong, one line. It may quote the visitor: printable characters only, but not escaped for HTML. */
  readonly detail: string

  constructor(status: number, detail: string) {
    super(detail)
    this.name = "HttpError"
    this.status = status
    this.detail = detail
  }
}

/** Makes the error for a rule that was broken; parsing is shared by both directions, and this is where they differ. */
export type Fail = (status: number, detail: string) => Error

export const badRequest: Fail = (status, detail) => new HttpError(status, detail)

export const badResponse: Fail = (_status, detail) =>
  new RdvError("bad_response", `The target's answer is not valid HTTP/1.1: ${detail}`)

/** Quotes a piece of foreign text for a `detail`: short, on one line, printable ASCII. */
export function quote(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text
  return `"${short.replace(/[^\x20-\x7e…]/g, "?")}"`
}
