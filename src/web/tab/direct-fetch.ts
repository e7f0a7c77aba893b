/**
 * `fetch` for the own server over a direct port, with credit both ways: browsers read ahead without bound from a service
 * worker, and some have no streams there. Other addresses go to the browser's own `fetch`.
 */

import { answerResponse } from "./answer-response.ts"
import { askLeader } from "./ask-leader.ts"
import type { DirectLink } from "./direct-link.ts"
import type { RequestHead } from "./messages.ts"

export function directFetch(link: DirectLink): typeof fetch {
  return async (input, init) => {
    const given = new Request(input, withoutBody(init))
    if (new URL(given.url).origin !== location.origin) return fetch(input, init)
    const bodyless = given.method === "GET" || given.method === "HEAD"
    const body = bodyless ? undefined : await bodyOf(input, init, given.headers)
    let { method } = given
    let url = given.url.replace(/#.*/s, "")
    for (let hop = 0; hop < maxHops; hop++) {
      given.signal.throwIfAborted()
      const head: RequestHead = {
        method,
        url,
        headers: [...given.headers],
        isNavigation: false,
        referrer: location.href.replace(/#.*/s, ""),
      }
      const answered = await askLeader({
        leaders: link,
        head,
        body: method === given.method ? body : undefined,
        patienceMs,
        signal: given.signal,
      })
      given.signal.throwIfAborted()
      const response = answerResponse(answered)
      Object.defineProperty(response, "url", { value: url })
      if (hop > 0) Object.defineProperty(response, "redirected", { value: true })
      const to = redirects.includes(response.status) ? response.headers.get("location") : null
      if (to === null || given.redirect === "manual") return response
      const next = new URL(to, url)
      const keepsMethod = response.status >= 307
      void response.body?.cancel()
      if (given.redirect === "error" || (keepsMethod && body instanceof ReadableStream)) {
        throw new TypeError(`${url} sends this on to ${next.href}`)
      }
      if (!keepsMethod && method !== "HEAD") method = "GET"
      if (next.origin !== location.origin) return fetch(next, { method, signal: given.signal })
      url = next.href.replace(/#.*/s, "")
    }
    throw new TypeError(`${given.url} sends this on more than ${maxHops} times`)
  }
}

/** Streams are not given to `Request`: some browsers make text of them. */
function withoutBody(init: RequestInit | undefined): RequestInit | undefined {
  if (init === undefined) return undefined
  const { body: _body, ...rest } = init
  return rest
}

/** The body, and its type among the headers if they name none. */
async function bodyOf(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  headers: Headers,
): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined> {
  if (init?.body !== undefined && init.body !== null) {
    const content = new Response(init.body)
    const type = content.headers.get("content-type")
    if (type !== null && !headers.has("content-type")) headers.set("content-type", type)
    return content.body ?? undefined
  }
  if (!(input instanceof Request)) return undefined
  const type = input.headers.get("content-type")
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type)
  if (input.body !== undefined) return input.body ?? undefined
  return new Uint8Array(await input.arrayBuffer())
}

const redirects: readonly number[] = [301, 302, 303, 307, 308]
const maxHops = 20
const patienceMs = 5000
