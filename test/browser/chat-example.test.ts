/** The chat example as people have it: published at a relay, its servers in their browsers, one of them in Node. */

import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { fileURLToPath } from "node:url"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"
import { chatServer } from "../kit/chat-server.ts"
import { Browser, chromium } from "../kit/chromium.ts"
import type { Page } from "../kit/chromium.ts"
import { runCommand, temporaryFolder } from "../kit/command.ts"
import { fetchAt, tabRelay } from "../kit/tab-relay.ts"
import type { TabRelay } from "../kit/tab-relay.ts"

const skip = chromium === undefined ? "no Chromium here" : false
const chat = fileURLToPath(new URL("../../examples/chat/app.ts", import.meta.url))

describe("the chat in browsers", { skip, timeout: 180_000 }, () => {
  let build: ReturnType<typeof temporaryFolder>
  before(async () => {
    bundleTabRuntime()
    build = temporaryFolder()
    const built = await runCommand(["tab", "build", chat, "-o", "site"], { data: build.path })
    assert.equal(built.code, 0, built.stderr)
  })
  after(() => build[Symbol.dispose]())

  async function publishedChat(t: TestContext): Promise<{ relay: TabRelay; url: string }> {
    const relay = await tabRelay(t)
    const publish = ["tab", "publish", "site", "--name", "chat", "--relay", relay.at]
    const published = await runCommand(publish, { data: build.path })
    assert.equal(published.code, 0, published.stderr)
    return { relay, url: `http://app.chat.localhost:${relay.port}/` }
  }

  /** A browser of its own, with a server in it that is public as `name`. */
  async function person(
    t: TestContext,
    url: string,
    name: string,
    profile?: string,
  ): Promise<{ browser: Browser; page: Page }> {
    const browser = new Browser(chromium as string, profile === undefined ? {} : { profile })
    t.after(() => browser.close())
    const page = await browser.open(url, { width: 1000 })
    await page.until("the welcome", `document.querySelector("[name=nick]") && window.rdv`)
    await submit(page, `form[action="/settings"]`, { nick: name.toUpperCase() })
    await page.until("the start page", `document.querySelector(".start")`)
    assert.equal(await page.evaluate(`document.querySelector("#status .status").dataset.state`), "private")
    await page.until("the tab is known", `!document.querySelector("#status [data-do]")?.parentElement.hidden`)
    await page.click("#status [data-do=go-public]")
    await page.evaluate(`document.querySelector("#public [name=name]").value = "${name}"`)
    await page.click("#public [value=go]")
    await page.until("it is public", `document.querySelector("#status .status")?.dataset.state === "public"`)
    return { browser, page }
  }

  async function submit(page: Page, form: string, fields: { readonly [name: string]: string }): Promise<void> {
    await page.evaluate(`(() => {
      const form = document.querySelector(${JSON.stringify(form)})
      for (const [name, value] of Object.entries(${JSON.stringify(fields)})) form.elements[name].value = value
      setTimeout(() => form.requestSubmit(), 0)
    })()`)
  }

  async function say(page: Page, text: string): Promise<void> {
    await submit(page, "#composer", { text })
    await hears(page, text)
    await page.until("the field is free", `!document.querySelector("#composer").classList.contains("busy")`)
  }

  function hears(page: Page, text: string): Promise<void> {
    const shown = `[...document.querySelectorAll("#messages .text")].some((each) => each.textContent === ${JSON.stringify(text)})`
    return page.until(text, shown)
  }

  test("two browsers talk in both directions; a picture goes along; a reload keeps everything", async (t) => {
    const { relay, url } = await publishedChat(t)
    const [alice, bob] = await Promise.all([person(t, url, "alice"), person(t, url, "bob")])
    await submit(alice.page, `form[action="/rooms"]`, { title: "Garden", topic: "What grows" })
    await alice.page.until("her room", `document.querySelector("#composer") && window.rdv`)
    await say(alice.page, "Is anybody here?")
    await submit(bob.page, `form[action="/join"]`, { address: "garden@alice" })
    await bob.page.until("his copy", `document.querySelector("#composer") && window.rdv`)
    await hears(bob.page, "Is anybody here?")
    await say(bob.page, "I am.")
    await hears(alice.page, "I am.")
    await say(alice.page, "Good.")
    await hears(bob.page, "Good.")
    await bob.page.evaluate(`(async () => {
      const canvas = new OffscreenCanvas(40, 30)
      canvas.getContext("2d").fillRect(0, 0, 40, 30)
      const transfer = new DataTransfer()
      transfer.items.add(new File([await canvas.convertToBlob()], "rose.png", { type: "image/png" }))
      const field = document.querySelector("#composer input[type=file]")
      field.files = transfer.files
      field.dispatchEvent(new Event("change", { bubbles: true }))
    })()`)
    await alice.page.until("the picture", `document.querySelector(".picture img")?.naturalWidth === 40`)
    await alice.page.evaluate(`setTimeout(() => location.reload(), 0)`)
    await alice.page.until(
      "the room again",
      `document.querySelectorAll("#messages .message").length === 4 && window.rdv`,
    )
    await alice.page.until("public again", `document.querySelector("#status .status")?.dataset.state === "public"`)
    // What everybody sees, without JavaScript and from outside.
    const { text } = await fetchAt(relay.port, `alice.localhost:${relay.port}`, "/r/garden")
    assert.match(text, /Is anybody here\?[\s\S]*I am\.[\s\S]*Good\./)
    // Attempts at a direct way may fail while a server starts; nobody is the worse for it.
    const others = [alice, bob].flatMap(({ page }) => page.complaints).filter((line) => !/service\.failed/.test(line))
    assert.deepEqual(others, [])
  })

  test("a browser and a server in Node; the browser dies, and both come together again", async (t) => {
    const { relay, url } = await publishedChat(t)
    using profile = temporaryFolder()
    const bob = await chatServer(t, { name: "bob", relay: relay.at })
    await bob.post("/settings", { nick: "BOB" })
    await bob.goPublic()
    await bob.post("/rooms", { title: "Workshop", open: "on" })
    const { page, browser } = await person(t, url, "alice", profile.path)
    await submit(page, `form[action="/join"]`, { address: "workshop@bob" })
    await page.until("her copy", `document.querySelector("#composer") && window.rdv`)
    await say(page, "from a tab")
    const said = async () =>
      (await bob.running.sql.all<{ text: string }>("SELECT text FROM messages ORDER BY number")).map(({ text }) => text)
    await until(async () => (await said()).join() === "from a tab")
    await bob.post("/rooms/1/messages", { text: "from Node" })
    await hears(page, "from Node")
    const room = await page.evaluate<string>("location.href")
    await browser.close()
    await bob.post("/rooms/1/messages", { text: "said while she was away" })
    const again = new Browser(chromium as string, { profile: profile.path })
    t.after(() => again.close())
    const next = await again.open(room, { width: 1000 })
    await hears(next, "from a tab")
    // Public again by itself: she has asked for it once.
    await next.until("public again", `document.querySelector("#status .status")?.dataset.state === "public"`)
    await hears(next, "said while she was away")
    await say(next, "I am back")
    await until(async () => (await said()).at(-1) === "I am back")
    const order = ["from a tab", "from Node", "said while she was away", "I am back"]
    assert.deepEqual(await said(), order)
  })

  async function until(check: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 15_000; !(await check());) {
      assert.ok(Date.now() < end, "not within 15 s")
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
})
