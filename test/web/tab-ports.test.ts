/** The ports between pages, service worker and server worker of a tab, without a browser. */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { MessageChannel } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"

interface Server {
  serve(port: MessagePort, from: string): void
  close(): void
}

interface Leaders {
  introduce(port: MessagePort, epoch: number, protocol: number, page: string): void
}

// By names that the compiler does not follow: what they use of browsers has no types here.
const source = new URL("../../src/web/tab/", import.meta.url)
const load = async <Module>(file: string): Promise<Module> => (await import(new URL(file, source).href)) as Module

const { PortServer } = await load<{ PortServer: new (options: object) => Server }>("port-server.ts")
const { HeldLeader } = await load<{ HeldLeader: new (clients: object) => Leaders }>("held-leader.ts")
const { protocolVersion } = await load<{ protocolVersion: number }>("messages.ts")
type Route = (request: object, leaders: Leaders) => Promise<Response>
const { routeRequest } = await load<{ routeRequest: Route }>("route-request.ts")

function portServer(t: TestContext, fetch: () => Promise<Response>): Server {
  const server = new PortServer({
    server: { fetch, socket: () => Promise.resolve(undefined), hold: () => () => undefined },
    epoch: 1,
  })
  t.after(() => server.close())
  return server
}

test(
  "a port that gives way to newer ones is told before, so that its page takes another",
  { timeout: 5000 },
  async (t) => {
    const server = portServer(t, () => Promise.resolve(new Response()))
    const told = Promise.withResolvers<void>()
    const ports: MessagePort[] = []
    t.after(() => {
      for (const port of ports) port.close()
    })
    for (let count = 0; count < 257; count++) {
      const { port1, port2 } = new MessageChannel()
      ports.push(port1)
      port1.on("message", (data: readonly { readonly kind: string }[]) => {
        if (data.some(({ kind }) => kind === "draining")) told.resolve()
      })
      server.serve(port2, "page")
    }
    await told.promise
  },
)

test("a page without an end is shown as it comes, after a while", { timeout: 5000 }, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  Object.assign(globalThis, { caches: { match: () => Promise.resolve(undefined) } })
  t.after(() => Reflect.deleteProperty(globalThis, "caches"))
  const hasBegun = Promise.withResolvers<void>()
  const server = portServer(t, () => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("<p>first")),
      pull: () => (hasBegun.resolve(), new Promise(() => undefined)),
    })
    return Promise.resolve(new Response(body, { headers: { "content-type": "text/html" } }))
  })
  const clients = {
    get: () => Promise.resolve(undefined),
    matchAll: () => Promise.resolve([]),
    claim: () => Promise.resolve(),
  }
  const leaders = new HeldLeader(clients)
  const { port1, port2 } = new MessageChannel()
  server.serve(port2, "service-worker")
  leaders.introduce(port1, 1, protocolVersion, "page")
  const asked = {
    mode: "navigate",
    destination: "document",
    method: "GET",
    url: "http://localhost/feed",
    headers: new Headers(),
    referrer: "",
    signal: new AbortController().signal,
  }
  let isAnswered = false
  const answer = routeRequest(asked, leaders).then((response) => {
    isAnswered = true
    return response
  })
  await hasBegun.promise
  while (!isAnswered) {
    t.mock.timers.tick(1000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const reader = (await answer).body?.getReader()
  assert.equal(new TextDecoder().decode((await reader?.read())?.value), "<p>first")
  await reader?.cancel()
})
