/** What happens to a tab's server when its tab, its worker or the service worker ends, under requests that go on. */

import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { Browser, chromium } from "../kit/chromium.ts"
import type { Page } from "../kit/chromium.ts"
import { tabSite } from "../kit/tab-site.ts"
import type { TabSite } from "../kit/tab-site.ts"

const skip = chromium === undefined ? "no Chromium here" : false
const isServed = `document.querySelector("#born") && window.rdv`
/** The longest time without an answer; on a machine that does nothing else. */
const gapMs = 500 * Number(process.env["RDV_TEST_PATIENCE"] ?? 1)

describe("a tab's server is taken over", { skip, timeout: 120_000 }, () => {
  let browser: Browser
  before(() => {
    browser = new Browser(chromium as string)
  })
  after(() => browser.close())

  async function open(t: TestContext, site: TabSite, where = browser): Promise<Page> {
    const page = await where.open(`${site.origin}/`, { width: 900 })
    t.after(() => page.close().catch(() => undefined))
    await page.until("the application", isServed)
    return page
  }

  /** A leader, and a page that goes on asking while something happens to it. */
  async function places(t: TestContext, where = browser): Promise<{ site: TabSite; leader: Page; asking: Page }> {
    const site = await tabSite(t)
    const leader = await open(t, site, where)
    return { site, leader, asking: await open(t, site, where) }
  }

  function run<Value>(page: Page, script: string): Promise<Value> {
    return page.evaluate<Value>(`(async () => { ${script} })()`)
  }

  interface Asked {
    readonly longestMs: number
    readonly answered: number
    readonly failures: readonly string[]
    /** Server workers that answered. */
    readonly servers: number
  }

  /** Asks without a pause, by both ways, safe requests and keyed ones, while `event` happens. */
  async function askDuring(page: Page, event: () => Promise<void>): Promise<Asked> {
    await run(
      page,
      `window.asked = { longestMs: 0, answered: 0, failures: [], servers: new Set() }; window.isAsking = true
      const ask = async (send, options) => {
        let last = performance.now()
        while (isAsking) {
          try {
            const answer = await send("/facts", options())
            if (!answer.ok) throw new Error(answer.status + " " + await answer.text())
            asked.servers.add((await answer.json()).born)
            asked.answered++
          } catch (error) { asked.failures.push(String(error)) }
          asked.longestMs = Math.max(asked.longestMs, performance.now() - last)
          last = performance.now()
          await new Promise((done) => setTimeout(done, 5))
        }
      }
      const keyed = () => ({ method: "POST", body: "x".repeat(1000), headers: { "idempotency-key": crypto.randomUUID() } })
      window.asking = Promise.all([ask(fetch, () => undefined), ask(fetch, keyed), ask(rdv.fetch, () => undefined), ask(rdv.fetch, keyed)])`,
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    await event()
    await page.until("another one has answered, or the same again", "true")
    await new Promise((resolve) => setTimeout(resolve, 1000))
    return run<Asked>(page, `window.isAsking = false; await asking; return { ...asked, servers: asked.servers.size }`)
  }

  function check(asked: Asked, servers: number): void {
    assert.deepEqual(asked.failures, [])
    assert.ok(asked.answered > 20, `${asked.answered} answers`)
    assert.equal(asked.servers, servers)
    assert.ok(asked.longestMs < gapMs, `${Math.round(asked.longestMs)} ms without an answer`)
  }

  test("its tab is closed", { timeout: 40_000 }, async (t) => {
    const { leader, asking } = await places(t)
    check(await askDuring(asking, () => leader.close()), 2)
  })

  test("its tab is reloaded", { timeout: 40_000 }, async (t) => {
    const { leader, asking } = await places(t)
    check(
      await askDuring(asking, async () => {
        await leader.evaluate("setTimeout(() => location.reload(), 0)")
      }),
      2,
    )
  })

  test("its tab crashes", { timeout: 40_000 }, async (t) => {
    // Its own: later tabs may share a renderer.
    const fresh = new Browser(chromium as string)
    t.after(() => fresh.close())
    const { leader, asking } = await places(t, fresh)
    check(await askDuring(asking, () => leader.crash()), 2)
  })

  test("its worker is ended", { timeout: 40_000 }, async (t) => {
    const { leader, asking } = await places(t)
    check(await askDuring(asking, () => leader.evaluate(`document.dispatchEvent(new Event("freeze")), 0`)), 2)
    // The tab that froze is a candidate again when it wakes.
    await leader.evaluate(`document.dispatchEvent(new Event("resume")), 0`)
    await asking.close()
    await leader.until("it serves", `(fetch("/facts").then(({ ok }) => window.ok = ok), window.ok)`)
  })

  test("the service worker is killed three times: the server is the same", { timeout: 40_000 }, async (t) => {
    const { leader, asking } = await places(t)
    const asked = await askDuring(asking, async () => {
      for (let n = 0; n < 3; n++) {
        await leader.stopServiceWorkers()
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    })
    // A kill in the middle of an answer breaks that answer in the browser itself.
    assert.ok(asked.failures.length <= 6, asked.failures.join())
    assert.ok(
      asked.failures.every((text) => text.includes("Failed to fetch")),
      asked.failures.join(),
    )
    check({ ...asked, failures: [] }, 1)
  })

  test(
    "a worker that hangs is ended, and the next one answers what it had not accepted",
    { timeout: 40_000 },
    async (t) => {
      const { leader, asking } = await places(t)
      await leader.evaluate(`void fetch("/hang?ms=60000").catch(() => 0), 0`)
      const started = Date.now()
      await asking.until("another server", `(fetch("/facts").then(({ ok }) => window.ok = ok), window.ok)`, 40_000)
      assert.ok(Date.now() - started < 25_000)
    },
  )

  test(
    "requests that are under way: safe ones are answered by the next one, effects happen once or are told of",
    { timeout: 40_000 },
    async (t) => {
      const { site, leader, asking } = await places(t)
      await run(
        asking,
        `const answer = (promise) => promise.then(async (response) => response.status + " " + (await response.text()).trim()).catch(String)
      window.answers = Promise.all([
        answer(fetch("/effect?id=plain&ms=500", { method: "POST" })),
        answer(fetch("/effect?id=keyed&ms=500", { method: "POST", headers: { "idempotency-key": "k" } })),
        answer(fetch("/effect?id=safe&ms=500")),
        answer(rdv.fetch("/effect?id=direct&ms=500", { method: "POST", body: "x" })),
        answer(fetch("/bytes?bytes=1e12")),
      ])`,
      )
      await new Promise((resolve) => setTimeout(resolve, 200))
      await leader.close()
      const answers = await run<string[]>(asking, "return answers")
      const lost = "503 The server ended while it worked on this: it may have run"
      assert.deepEqual(answers.slice(0, 4), [lost, "200 done", "200 done", lost])
      assert.match(answers[4] as string, /Error/)
      assert.deepEqual(Object.fromEntries(site.effects), { keyed: 1, safe: 1 })
    },
  )

  test("one tab alone that is reloaded again and again is served each time", { timeout: 40_000 }, async (t) => {
    const site = await tabSite(t)
    const page = await open(t, site)
    for (let n = 0; n < 5; n++) {
      const origin = await page.evaluate<number>("performance.timeOrigin")
      await page.evaluate("setTimeout(() => location.reload(), 0)")
      await page.until("the next page", `performance.timeOrigin !== ${origin} && ${isServed}`)
      assert.equal(await run(page, `return (await fetch("/facts")).status`), 200)
    }
  })

  test(
    "a hard reload, which goes around the service worker, ends at the application",
    { timeout: 40_000 },
    async (t) => {
      const site = await tabSite(t)
      const page = await open(t, site)
      await page.hardReload()
      await page.until("the application", `${isServed} && navigator.serviceWorker.controller`)
    },
  )

  test(
    "a new version of the application takes over, and a new service worker too, while events flow",
    { timeout: 40_000 },
    async (t) => {
      const { site, leader, asking } = await places(t)
      const before = await run<number>(asking, `return (await (await fetch("/facts")).json()).born`)
      await run(
        asking,
        `window.events = 0; window.source = new EventSource("/events"); source.onmessage = () => events++; window.told = []; source.onerror = () => told.push(source.readyState)`,
      )
      site.change("/app.js", "export default { fetch: () => new Response('new') }")
      site.change("/rdv-sw.js", "// another one")
      const controller = `navigator.serviceWorker.getRegistration().then((it) => { window.sw = it.active.scriptURL + !!it.waiting + !!it.installing })`
      await leader.evaluate("setTimeout(() => location.reload(), 0)")
      await asking.until(
        "another server",
        `(fetch("/facts").then((answer) => answer.json()).then(({ born }) => window.born = born), window.born > ${before})`,
      )
      await asking.until("the other service worker", `(${controller}, window.sw?.endsWith("falsefalse"))`)
      const events = await asking.evaluate<number>("events")
      await asking.until("events again; " + (await asking.evaluate("told.join()")), `events > ${events} + 10`)
      const kept = await run<string>(asking, `return (await (await fetch("/app.js")).text())`)
      assert.match(kept, /new Response\('new'\)/)
    },
  )
})
