/** What came of a request, as a response. */

import type { Answered } from "./ask-leader.ts"

export function answerResponse(answered: Answered): Response {
  switch (answered.kind) {
    case "response":
      try {
        const { status, statusText, headers } = answered.head
        return new Response(answered.body ?? null, { status, statusText, headers: headers as [string, string][] })
      } catch (error) {
        return plainResponse(502, `The answer cannot be passed on: ${String(error)}`)
      }
    case "failed":
      return plainResponse(502, answered.trouble.text)
    case "lost":
      return plainResponse(503, "The server ended while it worked on this: it may have run")
    case "none":
      return plainResponse(503, "No tab serves this application right now: try again")
  }
}

export function plainResponse(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { ...notKept, "content-type": "text/plain; charset=utf-8" } })
}

export const notKept: { readonly [name: string]: string } = { "cache-control": "no-store", "retry-after": "1" }
