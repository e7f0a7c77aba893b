import assert from "node:assert/strict"
import { createServer } from "node:net"
import { test } from "node:test"
import { connectClient, clientScenario, listening, loadTarget } from "../../../../test/kit/load-client.ts"
import { Addresses } from "./addresses.ts"
import type { Lookup, Route } from "./addresses.ts"
import { createFactory } from "./factory.ts"

/** Answers later, and counts. */
function resolver(...answers: readonly (readonly string[] | Error)[]): { lookup: Lookup; asked: () => number } {
  let asked = 0
  return {
    asked: () => asked,
    lookup: (_host, done) => {
      const answer = answers[Math.min(asked++, answers.length - 1)]
      setImmediate(() => (answer instanceof Error ? done(answer, []) : done(null, answer ?? [])))
    },
  }
}

function route(addresses: Addresses): Promise<Route | Error | undefined> {
  return new Promise((resolve) => addresses.route((error, found) => resolve(found ?? error)))
}

async function first(addresses: Addresses): Promise<string | undefined> {
  return ((await route(addresses)) as Route).next()
}

test("a name is resolved once, and its addresses take turns", async () => {
  const { lookup, asked } = resolver(["1.1.1.1", "2.2.2.2", "1.1.1.1"])
  const addresses = new Addresses("h", { lookup })
  const found = await Promise.all([first(addresses), first(addresses), first(addresses)])
  assert.deepEqual([...found, await first(addresses)], ["1.1.1.1", "2.2.2.2", "1.1.1.1", "2.2.2.2"])
  assert.equal(asked(), 1)
})

test("with eachTime each connection resolves", async () => {
  const { lookup, asked } = resolver(["1.1.1.1"], ["2.2.2.2"])
  const addresses = new Addresses("h", { lookup, eachTime: true })
  assert.deepEqual([await first(addresses), await first(addresses)], ["1.1.1.1", "2.2.2.2"])
  await Promise.all([first(addresses), first(addresses)])
  assert.equal(asked(), 4)
})

test("an address needs no resolver, and a failure is not remembered", async () => {
  const { lookup, asked } = resolver(new Error("no"), ["1.1.1.1"])
  assert.equal(await first(new Addresses("::1", { lookup })), "::1")
  assert.equal(asked(), 0)
  const addresses = new Addresses("h", { lookup })
  assert.ok((await route(addresses)) instanceof Error)
  assert.equal(await first(addresses), "1.1.1.1")
  assert.ok((await route(new Addresses("h", { lookup: resolver([]).lookup }))) instanceof Error)
})

test("an address that failed is passed over while another one is left", async () => {
  const addresses = new Addresses("h", { lookup: resolver(["1.1.1.1", "2.2.2.2", "3.3.3.3"]).lookup })
  const tried = (await route(addresses)) as Route
  assert.equal(tried.next(), "1.1.1.1")
  tried.failed("1.1.1.1")
  assert.deepEqual([tried.next(), tried.next(), tried.next()], ["2.2.2.2", "3.3.3.3", undefined])
  assert.ok(!(await Promise.all(Array.from({ length: 6 }, () => first(addresses)))).includes("1.1.1.1"))
  tried.failed("2.2.2.2")
  tried.failed("3.3.3.3")
  assert.equal(new Set(await Promise.all(Array.from({ length: 6 }, () => first(addresses)))).size, 3)
})

test("a connection goes to the next address when one refuses, and is refused when all do", async (t) => {
  const server = createServer((socket) => void socket.end())
  const port = await listening(server)
  t.after(() => void server.close())
  const lookup = resolver(["127.0.0.2", "127.0.0.3", "127.0.0.1"]).lookup
  const target = loadTarget("tcp", port, { host: "several.test" })
  for (let round = 0; round < 3; round++) {
    const factory = createFactory(target, clientScenario(), { addresses: { lookup } })
    const exchanges = Array.from({ length: 4 }, () => connectClient(factory))
    assert.deepEqual(await Promise.all(exchanges.map(({ closed }) => closed)), Array(4).fill(undefined))
  }
  const none = createFactory(target, clientScenario(), {
    addresses: { lookup: resolver(["127.0.0.2", "127.0.0.3"]).lookup },
  })
  assert.equal((await connectClient(none).closed)?.kind, "refused")
})
