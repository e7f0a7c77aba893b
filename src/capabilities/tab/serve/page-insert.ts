/**
 * Puts a line of HTML into pages that the own browser navigates to, while they stream by: each such page carries the agent
 * that keeps the server running. Only the beginning is looked at: what may stand before and around the start of the head
 * (HTML standard, section 13.1), so that the doctype stays first and no page falls into quirks mode.
 */

import { concat, emptyBytes } from "../../../base/bytes.ts"
import { latin1Decode, utf8Encode } from "../../../base/text.ts"
import type { Visitor } from "../app/visitor.ts"

/** A beginning longer than this (a giant comment) is not waited for. */
const searchBytes = 64 * 1024

export function isOwnNavigation(request: Request, visitor: Visitor): boolean {
  if (visitor.kind !== "own" || request.method === "HEAD") return false
  return request.mode === "navigate" || request.headers.get("sec-fetch-mode") === "navigate"
}

/** The response with the HTML in it, or the same where it is no page, or one in a form that cannot be changed. */
export function insertIntoPage(response: Response, html: string): Response {
  const { body, headers, status, statusText } = response
  const type = headers.get("content-type") ?? ""
  if (body === null || status === 206 || !/^text\/html\b/i.test(type) || /charset="?utf-?(16|32)/i.test(type))
    return response
  const coding = headers.get("content-encoding")
  if (coding !== null && coding !== "identity") return response
  const inserted = utf8Encode(html)
  const fields = new Headers(headers)
  const length = headers.get("content-length")
  if (length !== null && /^\d+$/.test(length)) fields.set("content-length", String(Number(length) + inserted.length))
  return new Response(body.pipeThrough(insertion(inserted)), { status, statusText, headers: fields })
}

function insertion(inserted: Uint8Array): TransformStream<Uint8Array, Uint8Array> {
  let held: Uint8Array | undefined = emptyBytes
  const finish = (at: number, controller: TransformStreamDefaultController<Uint8Array>) => {
    const bytes = held ?? emptyBytes
    held = undefined
    controller.enqueue(concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]))
  }
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      if (held === undefined) {
        controller.enqueue(chunk)
        return
      }
      held = held.length === 0 ? chunk : concat([held, chunk])
      const { at, isSure } = placeFor(latin1Decode(held, 0, Math.min(held.length, searchBytes)))
      if (isSure || held.length >= searchBytes) finish(at, controller)
    },
    flush(controller) {
      if (held !== undefined) finish(placeFor(latin1Decode(held)).at, controller)
    },
  })
}

/**
 * Where the HTML goes: behind the last of byte order mark, doctype, `<html>` and `<head>`, with comments among them. Not
 * sure: the text ends before it is known.
 */
export function placeFor(text: string): { at: number; isSure: boolean } {
  let at = text.startsWith("\u00ef\u00bb\u00bf") ? 3 : 0
  let next = at
  for (;;) {
    const space = /[\t\n\f\r ]*/y
    space.lastIndex = next
    next += space.exec(text)?.[0].length ?? 0
    const rest = text.slice(next, next + 9).toLowerCase()
    const comment = rest.startsWith("<!--")
    if (!comment && !/^<(!doctype|html[\t\n\f\r />]|head[\t\n\f\r />])/.test(rest)) {
      const mayBecome = ["<!--", "<!doctype", "<html ", "<head "].some((start) => start.startsWith(rest))
      return { at, isSure: !mayBecome || rest.length >= 9 }
    }
    const end = comment ? text.indexOf("-->", next) : tagEnd(text, next)
    if (end < 0) return { at, isSure: false }
    next = comment ? end + 3 : end
    if (!comment) at = next
    if (rest.startsWith("<head")) return { at, isSure: true }
  }
}

/** Behind the `>` of a tag that begins there, or -1; quoted values may hold one. */
function tagEnd(text: string, from: number): number {
  const tag = /<[^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*>/y
  tag.lastIndex = from
  return tag.test(text) ? tag.lastIndex : -1
}
