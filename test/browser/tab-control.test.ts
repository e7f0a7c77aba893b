/** The control page, `/.rdv/control`, of a published application in a real browser. */

import assert from "node:assert/strict"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"
import { Browser, chromium } from "../kit/chromium.ts"
import type { Page } from "../kit/chromium.ts"
import { runCommand, temporaryFolder } from "../kit/command.ts"
import { writeApp } from "../kit/tab-app-text.ts"
import { fetchAt, tabRelay } from "../kit/tab-relay.ts"
import type { TabRelay } from "../kit/tab-relay.ts"

const skip = chromium === undefined ? "no Chromium here" : false

describe("the control page", { skip, timeout: 120_000 }, () => {
  let browser: Browser
  before(() => {
    bundleTabRuntime()
    browser = new Browser(chromium as string)
  })
  after(() => browser.close())

  async function opened(t: TestContext): Promise<{ relay: TabRelay; page: Page; url: string }> {
    const relay = await tabRelay(t)
    using folder = temporaryFolder()
    writeApp(folder.path, "Notes")
    const publish = ["tab", "publish", "app.ts", "--name", "notes", "--relay", relay.at]
    const published = await runCommand(publish, { data: folder.path })
    assert.equal(published.code, 0, published.stderr)
    const url = `http://app.notes.localhost:${relay.port}`
    // Nobody has opened the application itself before.
    const page = await browser.open(`${url}/.rdv/control`, { width: 1000 })
    t.after(() => page.close())
    await page.until("its state", `!document.querySelector("#cards").hidden`)
    return { relay, page, url }
  }

  function shows(page: Page, id: string, words: string): Promise<void> {
    return page.until(words, `document.getElementById("${id}").innerText.includes(${JSON.stringify(words)})`)
  }

  async function text(page: Page, selector = "body"): Promise<string> {
    return page.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`)
  }

  test("it shows the server, makes it public and private, and says what is wrong with a name", async (t) => {
    const { relay, page } = await opened(t)
    await shows(page, "state", "Private.")
    await shows(page, "reach", "Nobody but this browser.")
    assert.match(await text(page, "#server"), /Epoch\s+\d+\s+Kept on disk\s+yes/)
    assert.match(await text(page, "#database"), /Size\s+\d+ KiB\s+Commits since its start\s+\d+/)
    await shows(page, "persisted", "are used.")
    await page.evaluate(`document.querySelector("#go-public [name=name]").value = "not a name"`)
    await page.click("#go-public button")
    await shows(page, "reach-trouble", `"not a name" is no host name: use letters`)
    await page.evaluate(`document.querySelector("#go-public [name=name]").value = "alice"`)
    await page.click("#go-public button")
    await shows(page, "reach", `http://alice.localhost:${relay.port}`)
    await shows(page, "state", "Public.")
    await shows(page, "relay", "stands")
    assert.equal((await fetchAt(relay.port, `alice.localhost:${relay.port}`)).status, 200)
    await page.click("#go-private")
    await shows(page, "state", "Private.")
    // The application's own line, and the name that was refused.
    assert.deepEqual(
      page.complaints.filter((line) => !/started|expose\.refused/.test(line)),
      [],
    )
  })

  test("the database is exported, and imported again after a warning; what is none is refused", async (t) => {
    const { page } = await opened(t)
    using folder = temporaryFolder()
    const note = (word: string) =>
      page.evaluate(`fetch("/notes", { method: "POST", body: ${JSON.stringify(word)} }).then(({ status }) => status)`)
    const notes = () => page.evaluate(`fetch("/notes").then((answer) => answer.json())`)
    await page.evaluate(`rdv.ready.then(() => 0)`)
    assert.equal(await note("kept"), 201)
    await browser.saveInto(folder.path)
    const saved = browser.saved()
    await page.click("#export")
    assert.match(await saved, /^app\.notes\.localhost-\d{4}-\d\d-\d\d\.sqlite$/)
    const [file = ""] = readdirSync(folder.path).map((name) => join(folder.path, name))
    assert.equal(await note("later"), 201)

    const wrong = join(folder.path, "wrong.sqlite")
    writeFileSync(wrong, "no database at all")
    await page.choose("#import", [wrong])
    await page.until("the warning", `document.querySelector("#replace").open`)
    assert.match(await text(page, "#replace"), /wrong\.sqlite[\s\S]*All that the server has now is gone then/)
    await page.click("#replace-yes")
    await page.until("a complaint", `!document.querySelector("#file-trouble").hidden`)
    assert.deepEqual(await notes(), ["kept", "later"])

    await page.choose("#import", [file])
    await page.until("the warning", `document.querySelector("#replace").open`)
    await page.click("#replace-no")
    assert.deepEqual(await notes(), ["kept", "later"])
    const epoch = Number(/Epoch\s+(\d+)/.exec(await text(page, "#server"))?.[1])
    await page.choose("#import", [file])
    await page.click("#replace-yes")
    await shows(page, "file-done", "The server starts again")
    await page.until(
      "the next server",
      `/Epoch\\s+(\\d+)/.exec(document.querySelector("#server").innerText)?.[1] > ${epoch}`,
    )
    assert.deepEqual(await notes(), ["kept"])
  })
})
