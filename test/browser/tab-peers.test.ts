/** Two browsers whose tabs talk to each other: directly, and through the relay when that does not work. */

import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { networkInterfaces } from "node:os"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { eventually } from "../kit/raw-http.ts"
import { browserKinds, buildSite, goPublic, opened, run } from "../kit/tab-browser.ts"
import type { TabBrowser, TabPage } from "../kit/tab-browser.ts"
import { tabRelay } from "../kit/tab-relay.ts"
import type { TabRelay } from "../kit/tab-relay.ts"
import { noisePart, noisePartBytes } from "./apps/noise.ts"

interface Asked {
  readonly status: number
  readonly bytes: number
  readonly sha256: string
  readonly ms: number
}

interface PeerStatus {
  readonly name: string
  readonly path: string
  readonly rttMs: number | null
}

const isAlone = !Object.values(networkInterfaces()).some((each) => each?.some(({ internal }) => !internal))
/** 100 MiB in the first pair, and in all of them in a long run. */
const isLong = process.env["RDV_CHAOS_FULL"] === "1"
const pairs = [
  ["Chromium", "Chromium"],
  ["Firefox", "Chromium"],
] as const

function kindOf(name: string): (typeof browserKinds)[number] {
  return browserKinds.find((kind) => kind.name === name) as (typeof browserKinds)[number]
}

for (const [one, other] of pairs) {
  const skip = (isAlone && "WebRTC needs a network interface") || kindOf(one).skip || kindOf(other).skip
  describe(`peers in ${one} and ${other}`, { skip, timeout: 180_000 }, () => {
    const largeBytes = (isLong || one === other ? 100 : 30) * 1024 * 1024
    let browsers: readonly TabBrowser[] = []
    before(async () => {
      browsers = [await kindOf(one).start(), await kindOf(other).start()]
    })
    after(() => Promise.all(browsers.map((browser) => browser.close())))

    interface Two {
      readonly relay: TabRelay
      readonly alice: TabPage
      readonly bob: TabPage
    }

    async function two(t: TestContext, blind = ""): Promise<Two> {
      const relay = await tabRelay(t)
      const pages: TabPage[] = []
      for (const [index, browser] of browsers.entries()) {
        const site = await buildSite(t, { relay: `ws://${relay.at}`, domain: "localhost" })
        const page = await opened(browser, `${site.origin}/`)
        t.after(() => page.close())
        if (blind !== "") await page.evaluate(blind)
        await goPublic(page, index === 0 ? "alice" : "bob")
        pages.push(page)
      }
      return { relay, alice: pages[0] as TabPage, bob: pages[1] as TabPage }
    }

    const ask = (page: TabPage, name: string, path: string, mark?: string): Promise<Asked> => {
      const words = new URLSearchParams({ name, path, ...(mark !== undefined && { mark }) })
      return run(page, `return (await rdv.fetch("/peer?${words.toString()}")).json()`)
    }
    const wayTo = async (page: TabPage, name: string): Promise<PeerStatus | undefined> => {
      const status = await page.evaluate<{ peers: PeerStatus[] }>("rdv.status()")
      return status.peers.find((peer) => peer.name === name)
    }
    async function isDirect(page: TabPage, name: string): Promise<PeerStatus> {
      let way: PeerStatus | undefined
      const until = Date.now() + 15_000
      for (;;) {
        way = await wayTo(page, name)
        if (way?.path === "direct") return way
        if (Date.now() > until)
          throw new Error(`It did not become direct: ${JSON.stringify(way)} ${page.complaints.join()}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }

    test("100 MB go directly, whole, and the relay carries none of it", async (t) => {
      const { relay, alice, bob } = await two(t)
      const first = await ask(alice, "bob", "/small")
      assert.equal(first.status, 200)
      const way = await isDirect(alice, "bob")
      await isDirect(bob, "alice")
      const before = carried(relay)
      const { bytes, sha256, ms } = await ask(alice, "bob", `/noise?bytes=${largeBytes}`)
      assert.deepEqual([bytes, sha256], [largeBytes, noiseHash(largeBytes)])
      assert.ok(carried(relay) - before < 1_000_000, `${carried(relay) - before} bytes went through the relay`)
      t.diagnostic(`${(bytes / ms / 1000).toFixed(1)} MB/s, ${way.rttMs?.toFixed(2)} ms round trip`)
      const back = await ask(bob, "alice", "/noise?bytes=3000000")
      assert.equal(back.sha256, noiseHash(3_000_000))
    })

    test("without WebRTC the same goes through the relay", async (t) => {
      const { relay, alice } = await two(t, "void (window.RTCPeerConnection = undefined)")
      await ask(alice, "bob", "/small")
      const before = carried(relay)
      const { bytes, sha256, ms } = await ask(alice, "bob", `/noise?bytes=${largeBytes}`)
      assert.deepEqual([bytes, sha256], [largeBytes, noiseHash(largeBytes)])
      assert.ok(carried(relay) - before >= largeBytes)
      assert.equal((await wayTo(alice, "bob"))?.path, "relay")
      t.diagnostic(`${(bytes / ms / 1000).toFixed(1)} MB/s`)
    })

    test("connections that break under load lose and double nothing", async (t) => {
      // The page's connections are within reach of the test.
      const { alice, bob } = await two(
        t,
        `void (() => {
          window.connections = []
          const Plain = RTCPeerConnection
          window.RTCPeerConnection = function (...words) {
            const connection = new Plain(...words)
            connections.push(connection)
            return connection
          }
        })()`,
      )
      await ask(alice, "bob", "/small")
      await isDirect(alice, "bob")
      let isOver = false
      const marks: string[] = []
      let done = 0
      const writing = [0, 1, 2, 3].map(async (writer) => {
        for (let count = 0; !isOver; count++) {
          const mark = `${writer}-${count}`
          marks.push(mark)
          const { status } = await ask(alice, "bob", `/rows?mark=${mark}`, mark)
          assert.equal(status, 200)
          done++
        }
      })
      const reading = (async () => {
        while (!isOver) assert.equal((await ask(alice, "bob", "/noise?bytes=4000000")).sha256, noiseHash(4_000_000))
      })()
      for (const page of [alice, bob, alice]) {
        const before = done
        await eventually("something has gone through", () => done > before + 20, 20_000)
        await page.evaluate("connections.forEach((each) => each.close())")
        await isDirect(alice, "bob")
      }
      isOver = true
      await Promise.all([...writing, reading])
      const rows = await run<string[]>(bob, `return (await rdv.fetch("/rows")).json()`)
      assert.deepEqual(rows.toSorted(), marks.toSorted())
      t.diagnostic(`${rows.length} rows over four channels`)
    })

    test("a peer that is closed and opened again is talked to directly again", async (t) => {
      const { alice, bob } = await two(t)
      await ask(alice, "bob", "/small")
      await isDirect(alice, "bob")
      await run(bob, `setTimeout(() => location.reload()); return 0`)
      while ((await wayTo(alice, "bob"))?.path === "direct") await new Promise((resolve) => setTimeout(resolve, 20))
      assert.equal((await ask(alice, "bob", "/small")).status, 200)
      await isDirect(alice, "bob")
    })
  })
}

/** Bytes that the relay has taken from sessions. */
function carried({ running }: TabRelay): number {
  const sessions = running.relay.status()["sessions"] as { bytesIn: number }[]
  return sessions.reduce((sum, { bytesIn }) => sum + bytesIn, 0)
}

function noiseHash(bytes: number): string {
  const hash = createHash("sha256")
  for (let at = 0; at < bytes; at += noisePartBytes) {
    hash.update(noisePart(at / noisePartBytes).subarray(0, Math.min(noisePartBytes, bytes - at)))
  }
  return hash.digest("hex")
}
