/** A browser whose storage is full, one without a network, and a new version of the application. */

import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { asChromium, browserKinds, buildSite, opened, profileFolder, run, untilTrue } from "../kit/tab-browser.ts"
import type { TabPage } from "../kit/tab-browser.ts"

const quotaBytes = 20 * 1024 * 1024

for (const { name: kind, skip, start } of browserKinds) {
  describe(`what ${kind} keeps for a tab's server`, { skip }, () => {
    test(
      "full storage is a clear error, loses nothing, and is over when there is room again",
      { timeout: 40_000 },
      async (t) => {
        const site = await buildSite(t)
        const profile = profileFolder(t)
        let browser = await start({ profile, quotaBytes })
        t.after(() => browser.close())
        let page = await opened(browser, `${site.origin}/`)
        if (kind === "Chromium") await asChromium(page).limitStorage(site.origin, quotaBytes)
        const full = await run<{ rows: number; status: number; text: string }>(
          page,
          `for (let rows = 0; rows < 100; rows++) {
          const answer = await fetch("/ballast?bytes=1000000", { method: "POST" })
          if (!answer.ok) return { rows, status: answer.status, text: await answer.text() }
        }
        return { rows: 100, status: 200, text: "" }`,
        )
        assert.match(`${full.status} ${full.text}`, /^507 .*The storage is full/)
        assert.equal((await ballast(page)).rows, full.rows)
        if (kind === "Chromium") await asChromium(page).limitStorage(site.origin, 10 * quotaBytes)
        else {
          await browser.close()
          browser = await start({ profile, quotaBytes })
          page = await opened(browser, `${site.origin}/`)
          // Who has no room left can still start, read, and take the data along.
          assert.equal((await ballast(page)).rows, full.rows)
          assert.ok((await run<number>(page, "return (await rdv.exportDatabase()).size")) > full.rows * 1_000_000)
          await browser.close()
          browser = await start({ profile })
          page = await opened(browser, `${site.origin}/`)
        }
        await untilTrue(
          page,
          "it takes more",
          `fetch("/ballast?bytes=1000000", { method: "POST" }).then(({ ok }) => ok)`,
        )
        const { rows, integrity } = await ballast(page)
        assert.ok(rows > full.rows, `${rows} rows after ${full.rows}`)
        assert.equal(integrity, "ok")
      },
    )

    test(
      "without its host the application opens, also in a browser that starts anew",
      { timeout: 40_000 },
      async (t) => {
        const site = await buildSite(t)
        const profile = profileFolder(t)
        let browser = await start({ profile })
        t.after(() => browser.close())
        const page = await opened(browser, `${site.origin}/`)
        await run(page, `await fetch("/rows?mark=before", { method: "POST" })`)
        await site.stop()
        for (const how of ["another tab", "another browser"]) {
          if (how === "another browser") {
            await browser.close()
            browser = await start({ profile })
          }
          const again = await opened(browser, `${site.origin}/`)
          assert.deepEqual(await run(again, `return (await fetch("/rows")).json()`), ["before"], how)
        }
      },
    )

    test("a new version of the application takes over, with the same data", { timeout: 40_000 }, async (t) => {
      const site = await buildSite(t)
      const browser = await start()
      t.after(() => browser.close())
      const page = await opened(browser, `${site.origin}/`)
      await run(page, `await fetch("/rows?mark=old", { method: "POST" })`)
      site.change("\nglobalThis.lawVersion = 2")
      await opened(browser, `${site.origin}/`)
      await untilTrue(
        page,
        "the new version",
        `fetch("/facts").then((answer) => answer.json()).then(({ version }) => version === 2)`,
      )
      assert.deepEqual(await run(page, `return (await fetch("/rows")).json()`), ["old"])
    })
  })
}

async function ballast(page: TabPage): Promise<{ rows: number; integrity: string }> {
  return run(
    page,
    `const { rows } = await (await fetch("/ballast")).json()
    const [{ integrity_check: integrity }] = await (await fetch("/integrity")).json()
    return { rows, integrity }`,
  )
}
