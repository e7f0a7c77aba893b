/** SQLite in browsers: the promises of engines, a second worker, full storage, and killed browsers. */

import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { Browser, chromium } from "../kit/chromium.ts"
import { serveEnginePage } from "../kit/engine-page.ts"
import type { EnginePage } from "../kit/engine-page.ts"
import { Firefox, firefox } from "../kit/firefox.ts"
import { foreignDatabase } from "../kit/foreign-database.ts"
import { engineTests } from "../suites/sqlite-engine-suite.ts"

interface AnyPage {
  evaluate<Value>(script: string): Promise<Value>
}

interface AnyBrowser {
  open(url: string): Promise<AnyPage>
  /** Kills it. */
  close(): Promise<void>
}

interface Kind {
  readonly name: string
  readonly command: string | undefined
  /** Its storage holds this much, where that is told at the start. */
  start(profile: string, quotaBytes?: number): Promise<AnyBrowser>
}

const kinds: readonly Kind[] = [
  {
    name: "Chromium",
    command: chromium,
    async start(profile, quotaBytes) {
      const browser = new Browser(chromium as string, { profile })
      return {
        async open(url) {
          const page = await browser.open(url, { width: 600 })
          if (quotaBytes !== undefined) await page.limitStorage(url, quotaBytes)
          return page
        },
        close: () => browser.close(),
      }
    },
  },
  {
    name: "Firefox",
    command: firefox,
    async start(profile, quotaBytes) {
      const kilobytes = Math.floor((quotaBytes ?? 0) / 1024)
      // One site has a fifth of what all have together, and no less than 10 MiB.
      const prefs = quotaBytes === undefined ? {} : { "dom.quotaManager.temporaryStorage.fixedLimit": kilobytes }
      const browser = await Firefox.start(firefox as string, { profile, prefs })
      return { open: (url) => browser.open(url, { width: 600 }), close: () => browser.close() }
    },
  },
]

for (const { name, command, start } of kinds) {
  describe(`SQLite in ${name}`, { skip: command === undefined ? `no ${name} here` : false, timeout: 180_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "rdv-engine-"))
    let site: EnginePage
    before(async () => {
      site = await serveEnginePage(foreignDatabase(folder))
    })
    after(() => {
      site.close()
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    })

    test("it keeps what every engine promises, and one worker has it at a time", async () => {
      const browser = await start(mkdtempSync(join(folder, "suite-")))
      try {
        const page = await browser.open(site.url)
        const results = await page.evaluate<{ name: string; error?: string }[]>(`task("suite")`)
        assert.deepEqual(
          results.filter(({ error }) => error !== undefined),
          [],
        )
        assert.equal(results.length, engineTests.length)
        // In another worker, of another page too.
        const other = await browser.open(site.url)
        assert.equal(await page.evaluate(`task("hold")`), "held")
        for (const each of [page, other, other]) assert.equal(await each.evaluate(`task("open")`), "claimed")
      } finally {
        await browser.close()
      }
    })

    test("a site whose storage is full says so, and loses nothing", async () => {
      const browser = await start(mkdtempSync(join(folder, "full-")), 20 * 1024 * 1024)
      try {
        const page = await browser.open(site.url)
        const result = await page.evaluate<{ code: string; rows: number; count: number; integrity: string }>(
          `task("full")`,
        )
        assert.match(result.code, /^limit: The storage is full/)
        assert.equal(result.integrity, "ok")
        assert.equal(result.count, result.rows)
        assert.ok(result.rows > 0)
      } finally {
        await browser.close()
      }
    })

    test("a browser that is killed while it writes loses no row that was acknowledged", async (t) => {
      const profile = mkdtempSync(join(folder, "kill-"))
      const acknowledged = new Set<number>()
      const rounds = Number(process.env["RDV_KILLS"] ?? 2)
      for (let round = 0; round <= rounds; round++) {
        const promised = [...acknowledged]
        const browser = await start(profile)
        try {
          const wrote = Promise.withResolvers<void>()
          const writer = site.writer((id) => {
            acknowledged.add(id)
            if (acknowledged.size >= promised.length + 50) wrote.resolve()
          })
          const page = await browser.open(site.url)
          await page.evaluate(`task("write")`)
          const { integrity, ids } = await writer
          assert.equal(integrity, "ok")
          const there = new Set(ids)
          assert.deepEqual(
            promised.filter((id) => !there.has(id)),
            [],
          )
          await wrote.promise
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 500))
        } finally {
          await browser.close()
        }
      }
      t.diagnostic(`${acknowledged.size} rows acknowledged, ${rounds} kills, none lost`)
    })
  })
}
