/** Bodies of public visitors of a tab: bounded by who reads, whole, at once, and over when nobody waits any more. */

import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { WebSocket } from "ws"
import { noiseParts } from "./apps/noise.ts"
import { OutsideClient } from "../kit/outside-client.ts"
import { browserKinds, buildSite, comesTrue, goPublic, opened, run } from "../kit/tab-browser.ts"
import type { TabBrowser, TabPage } from "../kit/tab-browser.ts"
import { tabRelay } from "../kit/tab-relay.ts"

const isLong = process.env["RDV_CHAOS_FULL"] === "1"
const mostAheadBytes = 8 * 1024 * 1024

interface Facts {
  readonly producedBytes: number
  readonly aborted: readonly string[]
}

for (const { name: kind, skip, start } of browserKinds) {
  describe(`public visitors of a tab in ${kind}`, { skip, timeout: 120_000 }, () => {
    const largeBytes = isLong || kind === "Chromium" ? 100_000_000 : 30_000_000
    let browser: TabBrowser
    before(async () => {
      browser = await start()
    })
    after(() => browser?.close())

    async function visited(
      t: TestContext,
    ): Promise<{ outside: OutsideClient; page: TabPage; facts(): Promise<Facts> }> {
      const relay = await tabRelay(t)
      const site = await buildSite(t, { relay: `ws://${relay.at}`, domain: "localhost" })
      const page = await opened(browser, `${site.origin}/`)
      t.after(() => page.close())
      const outside = new OutsideClient(await goPublic(page, "alice"))
      t.after(() => outside.close())
      return { outside, page, facts: async () => JSON.parse((await outside.ask("/facts")).body.toString()) as Facts }
    }

    test("who reads slowly stops the producer; who leaves ends it", async (t) => {
      const { outside, facts } = await visited(t)
      const response = await outside.open("/noise?bytes=1e10")
      response.pause()
      let last = -1
      await comesTrue("the producer waits", async () => {
        const { producedBytes } = await facts()
        const waits = producedBytes === last && producedBytes > 0
        last = producedBytes
        // So long nothing more has come.
        if (!waits) await new Promise((resolve) => setTimeout(resolve, 200))
        return waits
      })
      t.diagnostic(`the producer stopped after ${(last / 2 ** 20).toFixed(1)} MiB`)
      assert.ok(last <= mostAheadBytes, `${last} bytes were produced`)
      // It goes on when somebody reads, and in the right order.
      let read = 0
      for await (const part of response) {
        assert.equal((part as Buffer)[0] === undefined, false)
        read += (part as Buffer).length
        if (read > last + mostAheadBytes) break
      }
      assert.ok((await facts()).producedBytes > last)
      await comesTrue("the producer knows", async () => (await facts()).aborted.includes("noise"))
    })

    test("100 MB go up into the database and come back, with equal hashes", async (t) => {
      const { outside } = await visited(t)
      const expected = createHash("sha256")
      async function* parts(): AsyncGenerator<Uint8Array> {
        for (const part of noiseParts(largeBytes)) {
          expected.update(part)
          yield part
        }
      }
      const up = performance.now()
      const stored = await outside.ask("/blobs", { method: "POST", body: parts() })
      assert.equal(stored.status, 200, stored.body.toString())
      const { id, bytes } = JSON.parse(stored.body.toString()) as { id: string; bytes: number }
      t.diagnostic(`${rate(bytes, up)} MB/s up into the database`)
      assert.equal(bytes, largeBytes)
      assert.equal(id, expected.digest("base64url"))
      const down = performance.now()
      const hash = createHash("sha256")
      for await (const part of await outside.open(`/blobs/${id}`)) hash.update(part as Buffer)
      t.diagnostic(`${rate(bytes, down)} MB/s from the database`)
      assert.equal(hash.digest("base64url"), id)
    })

    test("events arrive at once", async (t) => {
      const { outside, facts } = await visited(t)
      const response = await outside.open("/events")
      const delays: number[] = []
      for await (const part of response) {
        // Two events may come in one piece: the older one tells.
        delays.push(Date.now() - Number(/data: (\d+)/.exec(String(part))?.[1]))
        if (delays.length === 20) break
      }
      delays.sort((a, b) => a - b)
      t.diagnostic(`events arrive after ${delays[10]} ms (median), ${delays[19]} ms (longest)`)
      assert.ok((delays[10] as number) < 50, delays.join())
      await comesTrue("the producer knows", async () => (await facts()).aborted.includes("events"))
    })

    test("a visitor who leaves before there is an answer aborts the handler", async (t) => {
      const { outside, facts } = await visited(t)
      const left = outside.leave("/forever?mark=left")
      await left.sent
      left.abort()
      await comesTrue("the handler knows", async () => (await facts()).aborted.includes("left"))
    })

    test("a WebSocket of a visitor reaches the tab", async (t) => {
      const { outside, page } = await visited(t)
      const { host, port } = new URL(await run<string>(page, "return (await rdv.status()).url"))
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host } })
      await once(socket, "open")
      const answer = once(socket, "message")
      socket.send("Grüße")
      const [data] = (await answer) as [Buffer]
      assert.equal(data.toString(), "Grüße")
      socket.close()
      await once(socket, "close")
      assert.equal((await outside.ask("/small")).status, 200)
    })
  })
}

function rate(bytes: number, since: number): string {
  return (bytes / 1000 / (performance.now() - since)).toFixed(1)
}
