/**
 * A tab's whole server, with its database and its public name, is taken over by another tab while a third one and visitors
 * from outside go on writing: nobody notices but by the clock.
 */

import assert from "node:assert/strict"
import { availableParallelism, loadavg } from "node:os"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { OutsideClient } from "../kit/outside-client.ts"
import { asChromium, browserKinds, buildSite, goPublic, opened, run, untilTrue } from "../kit/tab-browser.ts"
import type { TabBrowser, TabPage } from "../kit/tab-browser.ts"
import { tabRelay } from "../kit/tab-relay.ts"

/** The longest time without an answer at a page, ms, for who has the machine; others wait for their turns besides. */
const gapMs = 500 * Math.max(1, (loadavg()[0] as number) / availableParallelism())

interface Places {
  readonly leader: TabPage
  readonly writer: TabPage
}

interface Event {
  readonly name: string
  readonly only?: "Chromium"
  /** Another server serves afterwards. Default: yes. */
  readonly staysWith?: true
  happen(places: Places): Promise<unknown>
}

const events: readonly Event[] = [
  { name: "its tab is closed", happen: ({ leader }) => leader.close() },
  { name: "its tab is reloaded", happen: ({ leader }) => leader.evaluate("setTimeout(() => location.reload(), 0), 0") },
  {
    name: "its renderer crashes",
    only: "Chromium",
    happen: ({ leader }) => asChromium(leader).crash(),
  },
  {
    name: "its tab is frozen",
    only: "Chromium",
    async happen({ leader, writer }) {
      // Who is hidden has slow timers.
      await asChromium(writer).bringToFront()
      await untilTrue(leader, "it is hidden", "document.visibilityState === 'hidden'")
      await asChromium(leader).setLifecycle("frozen")
    },
  },
  {
    name: "its worker is ended",
    happen: ({ leader }) => leader.evaluate(`document.dispatchEvent(new Event("freeze")), 0`),
  },
  {
    name: "the service worker is stopped three times",
    only: "Chromium",
    staysWith: true,
    async happen({ leader }) {
      for (let n = 0; n < 3; n++) {
        await asChromium(leader).stopServiceWorkers()
        await new Promise((resolve) => setTimeout(resolve, 150))
      }
    },
  },
]

for (const { name: kind, skip, start } of browserKinds) {
  describe(`a tab's server with its database is taken over in ${kind}`, { skip, timeout: 120_000 }, () => {
    // Browsers drop what loads for a page that has begun to go elsewhere; its server is the only one.
    test("a form that is sent while the server still starts is answered", { timeout: 60_000 }, async (t) => {
      const site = await buildSite(t)
      const browser = await start()
      t.after(() => browser.close())
      const page = await opened(browser, `${site.origin}/`)
      for (const mark of ["first", "second", "third", "fourth"]) {
        if (mark !== "first") await page.evaluate("setTimeout(() => location.assign('/'), 0), 0")
        await untilTrue(page, "the page", "location.pathname === '/' && document.querySelector('#born') !== null")
        await run(
          page,
          `const form = document.body.appendChild(document.createElement("form"))
          Object.assign(form, { method: "post", action: "/rows?mark=${mark}" })
          setTimeout(() => form.submit())`,
        )
        await untilTrue(page, `the answer to the ${mark} one`, "document.body.innerText.includes('changes')")
      }
    })

    for (const event of events) {
      if (event.only !== undefined && event.only !== kind) continue
      test(`${event.name}: no write is lost or doubled, and nobody waits long`, { timeout: 60_000 }, async (t) => {
        // Its own: tabs of one site may share a renderer.
        const browser = await start()
        t.after(() => browser.close())
        await takenOver(t, browser, event)
      })
    }
  })
}

async function takenOver(t: TestContext, browser: TabBrowser, event: Event): Promise<void> {
  const relay = await tabRelay(t)
  const site = await buildSite(t, { relay: `ws://${relay.at}`, domain: "localhost" })
  const leader = await opened(browser, `${site.origin}/`)
  const url = await goPublic(leader, "alice")
  // Two that wait; one of them writes.
  await opened(browser, `${site.origin}/`)
  const writer = await opened(browser, `${site.origin}/`)
  const epochBefore = await writer.evaluate<number>("rdv.status().then(({ epoch }) => epoch)")

  const outside = new OutsideClient(url)
  t.after(() => outside.close())
  let isOver = false
  const written: string[] = []
  const failures: string[] = []
  let longestOutsideMs = 0
  const visitors = Array.from({ length: 4 }, async (_, visitor) => {
    for (let n = 0; !isOver; n++) {
      const mark = `o${visitor}-${n}`
      const headers = { "idempotency-key": mark }
      const started = performance.now()
      try {
        const { status, body } = await outside.ask(`/rows?mark=${mark}`, { method: "POST", headers })
        if (status === 200) written.push(mark)
        else failures.push(`${status} ${body.toString()}`)
      } catch (error) {
        failures.push(String(error))
      }
      longestOutsideMs = Math.max(longestOutsideMs, performance.now() - started)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
  await run(
    writer,
    `window.told = { longestMs: 0, written: [], failures: [] }; window.isWriting = true
    const write = async (letter, send) => {
      let last = performance.now()
      for (let n = 0; isWriting; n++) {
        const mark = letter + n
        try {
          const answer = await send("/rows?mark=" + mark, { method: "POST", headers: { "idempotency-key": mark } })
          if (answer.ok) told.written.push(mark)
          else told.failures.push(answer.status + " " + await answer.text())
        } catch (error) { told.failures.push(String(error)) }
        told.longestMs = Math.max(told.longestMs, performance.now() - last)
        last = performance.now()
        await new Promise((done) => setTimeout(done, 5))
      }
    }
    window.writing = Promise.all([write("s", fetch), write("t", fetch), write("d", rdv.fetch)])`,
  )
  await untilTrue(writer, "it writes", "told.written.length > 30")
  await event.happen({ leader, writer })
  const epoch = event.staysWith === true ? "=== " : "> "
  await untilTrue(
    writer,
    "a server",
    `rdv.status().then((status) => status.epoch ${epoch}${epochBefore} && status.url !== null)`,
  )
  const before = await writer.evaluate<number>("told.written.length")
  const outsideBefore = written.length
  await untilTrue(writer, "it goes on", `told.written.length > ${before} + 30`)
  while (written.length < outsideBefore + 30 && failures.length === 0) await new Promise((r) => setTimeout(r, 20))
  isOver = true
  await Promise.all(visitors)
  const inside = await run<{ longestMs: number; written: string[]; failures: string[] }>(
    writer,
    "window.isWriting = false; await writing; return told",
  )
  t.diagnostic(
    `longest gap at the page ${Math.round(inside.longestMs)} ms, longest wait from outside ${Math.round(longestOutsideMs)} ms, ${inside.written.length} and ${written.length} writes`,
  )
  const rows = JSON.parse((await outside.ask("/rows")).body.toString()) as string[]
  assert.equal(new Set(rows).size, rows.length, "a write happened twice")
  const kept = new Set(rows)
  assert.deepEqual(
    [...inside.written, ...written].filter((mark) => !kept.has(mark)),
    [],
    "writes were lost",
  )
  // A service worker that is stopped in the middle of an answer breaks that answer in the browser itself.
  const allowed = event.staysWith === true ? 6 : 0
  assert.ok(inside.failures.length <= allowed, inside.failures.join("\n"))
  assert.ok(
    inside.failures.every((text) => text.includes("Failed to fetch")),
    inside.failures.join("\n"),
  )
  assert.deepEqual(failures, [])
  assert.ok(inside.longestMs < gapMs, `${Math.round(inside.longestMs)} ms without an answer`)
}
