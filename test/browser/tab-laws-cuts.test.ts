/** The connection between a tab and its relay is cut again and again: visitors do not notice. */

import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { describe, test } from "node:test"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { OutsideClient } from "../kit/outside-client.ts"
import { browserKinds, buildSite, comesTrue, goPublic, opened } from "../kit/tab-browser.ts"
import { tabRelay } from "../kit/tab-relay.ts"
import { noiseParts } from "./apps/noise.ts"

const cuts = 20
const downloadBytes = 30_000_000

for (const { name: kind, skip, start } of browserKinds) {
  describe(`a tab in ${kind} whose link is cut`, { skip }, () => {
    test(`${cuts} cuts under load: no request fails, no write happens twice`, { timeout: 60_000 }, async (t) => {
      const relay = await tabRelay(t)
      const chaos = await chaosProxy({ target: { port: relay.port } })
      t.after(() => chaos.close())
      const site = await buildSite(t, { relay: `ws://127.0.0.1:${chaos.port}`, domain: "localhost" })
      const browser = await start()
      t.after(() => browser.close())
      const page = await opened(browser, `${site.origin}/`)
      const outside = new OutsideClient(await goPublic(page, "alice"))
      t.after(() => outside.close())

      const written: string[] = []
      const failures: string[] = []
      let longestMs = 0
      let isOver = false
      // Writes without a key: the session itself neither loses nor doubles anything.
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let n = 0; !isOver; n++) {
          const mark = `w${writer}-${n}`
          try {
            const { status, body, ms } = await outside.ask(`/rows?mark=${mark}`, { method: "POST" })
            longestMs = Math.max(longestMs, ms)
            if (status === 200) written.push(mark)
            else failures.push(`${status} ${body.toString()}`)
          } catch (error) {
            failures.push(String(error))
          }
        }
      })
      const expected = createHash("sha256")
      for (const part of noiseParts(downloadBytes)) expected.update(part)
      const hash = expected.digest("hex")
      let downloads = 0
      const downloading = (async () => {
        while (!isOver) {
          const { body } = await outside.ask(`/noise?bytes=${downloadBytes}`)
          if (createHash("sha256").update(body).digest("hex") !== hash)
            failures.push(`a download of ${body.length} bytes`)
          downloads++
        }
      })()
      for (let cut = 0; cut < cuts; cut++) {
        const before = written.length
        await comesTrue("it goes on", async () => chaos.connections > 0 && written.length >= before + 10)
        chaos.cutAll(cut % 2 === 0 ? "rst" : "fin")
      }
      const before = written.length
      await comesTrue("it goes on", async () => written.length >= before + 10)
      isOver = true
      await Promise.all([...writers, downloading])
      t.diagnostic(`${written.length} writes and ${downloads} downloads, longest wait ${Math.round(longestMs)} ms`)
      assert.deepEqual(failures, [])
      const rows = JSON.parse((await outside.ask("/rows")).body.toString()) as string[]
      assert.deepEqual(rows.toSorted(), written.toSorted())
    })
  })
}
