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
    const to = input instanceof Request ? input.url : String(input)
    if (!URL.canParse(to, location.href) || new URL(to, location.href).origin !== location.origin) {
      return fetch(input, init)
    }
    // Takes the body of a request that was made before: from here on it is this one's.
    const given = new Request(input, withoutBody(init))
    const bodyless = given.method === "GET" || given.method === "HEAD"
    const body = bodyless ? undefined : await bodyOf(given, init)
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
      const leadsTo = redirects.includes(response.status) ? response.headers.get("location") : null
      if (leadsTo === null || given.redirect === "manual") return response
      const next = new URL(leadsTo, url)
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
  given: Request,
  init: RequestInit | undefined,
): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined> {
  const { headers } = given
  if (init?.body !== undefined && init.body !== null) {
    const content = new Response(init.body)
    const type = content.headers.get("content-type")
    if (type !== null && !headers.has("content-type")) headers.set("content-type", type)
    return content.body ?? undefined
  }
  // Firefox has no streams here.
  return given.body === undefined ? new Uint8Array(await given.arrayBuffer()) : (given.body ?? undefined)
}

const redirects: readonly number[] = [301, 302, 303, 307, 308]
const maxHops = 20
const patienceMs = 5000
