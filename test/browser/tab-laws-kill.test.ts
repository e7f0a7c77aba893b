/** A browser that dies while its tab serves writes, from the page and from outside: what was acknowledged is there. */

import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { OutsideClient } from "../kit/outside-client.ts"
import {
  browserKinds,
  buildSite,
  comesTrue,
  goPublic,
  opened,
  profileFolder,
  run,
  untilTrue,
} from "../kit/tab-browser.ts"
import type { TabPage } from "../kit/tab-browser.ts"
import { tabRelay } from "../kit/tab-relay.ts"

const rounds = process.env["RDV_CHAOS_FULL"] === "1" ? 10 : 2

interface Place {
  readonly epoch: number
  readonly key: string
  readonly url: string
}

for (const { name: kind, skip, start } of browserKinds) {
  const name = `${rounds} kills of ${kind} at random: no acknowledged row is lost, and it is public again by itself`
  describe(`a killed ${kind}`, { skip }, () => {
    test(name, { timeout: 30_000 * (rounds + 1) }, async (t) => {
      const relay = await tabRelay(t)
      const site = await buildSite(t, { relay: `ws://${relay.at}`, domain: "localhost" })
      const profile = profileFolder(t)
      const acknowledged = new Set<string>()
      let last: Place | undefined
      for (let round = 0; round <= rounds; round++) {
        const promised = [...acknowledged]
        const browser = await start({ profile })
        try {
          const page = await opened(browser, `${site.origin}/`)
          if (round === 0) await goPublic(page, "alice")
          last = await checkPlace(page, last)
          await checkRows(page, promised)
          if (round === rounds) break
          await writeUntilKilled(page, last.url, round, acknowledged, () => browser.close())
        } finally {
          await browser.close()
        }
      }
      t.diagnostic(`${acknowledged.size} acknowledged rows, ${rounds} kills`)
    })
  })
}

/** The same name and key, a higher epoch. */
async function checkPlace(page: TabPage, last: Place | undefined): Promise<Place> {
  await untilTrue(page, "it is public", "rdv.status().then(({ url }) => url !== null)")
  const { epoch, key, url } = await run<Place>(
    page,
    "const { epoch, key, url } = await rdv.status(); return { epoch, key, url }",
  )
  if (last !== undefined) {
    assert.deepEqual({ key, url }, { key: last.key, url: last.url })
    assert.ok(epoch > last.epoch, `epoch ${epoch} after ${last.epoch}`)
  }
  return { epoch, key, url }
}

async function checkRows(page: TabPage, promised: readonly string[]): Promise<void> {
  const rows = await run<string[]>(page, `return (await fetch("/rows")).json()`)
  const kept = new Set(rows)
  assert.deepEqual(
    promised.filter((mark) => !kept.has(mark)),
    [],
  )
  assert.equal(kept.size, rows.length)
  assert.deepEqual(await run(page, `return (await fetch("/integrity")).json()`), [{ integrity_check: "ok" }])
}

async function writeUntilKilled(
  page: TabPage,
  url: string,
  round: number,
  acknowledged: Set<string>,
  kill: () => Promise<void>,
): Promise<void> {
  const outside = new OutsideClient(url)
  const before = acknowledged.size
  let isOver = false
  const visitors = Array.from({ length: 4 }, async (_, visitor) => {
    for (let n = 0; !isOver; n++) {
      const mark = `o${round}-${visitor}-${n}`
      const status = await outside.ask(`/rows?mark=${mark}`, { method: "POST" }).then(
        (answer) => answer.status,
        () => 0,
      )
      if (status === 200) acknowledged.add(mark)
    }
  })
  // The console is the way out for what the page knows.
  const heard = () =>
    page.complaints.flatMap((text) => [...text.matchAll(/acknowledged (\S+?) /g)].map(([, mark]) => mark as string))
  await page.evaluate(`(() => {
    const write = async (letter, send) => {
      for (let n = 0; ; n++) {
        const mark = "p${round}-" + letter + n
        const answer = await send("/rows?mark=" + mark, { method: "POST" })
        if (answer.ok) console.log("acknowledged " + mark + " ")
      }
    }
    void Promise.allSettled([write("s", fetch), write("t", fetch), write("d", rdv.fetch)])
  })()`)
  try {
    await comesTrue("both write", async () => acknowledged.size > before + 50 && heard().length > 30)
    await wait(Math.random() * 500)
    isOver = true
    await kill()
    for (const mark of heard()) acknowledged.add(mark)
  } finally {
    isOver = true
    outside.close()
    await Promise.all(visitors)
  }
}
