/** The page of shares in a real browser, against a real relay and members in this process. */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { newCode, parseCode, printLink } from "../../src/capabilities/share/code/code.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { Browser, chromium } from "../kit/chromium.ts"
import type { Page, Screen } from "../kit/chromium.ts"
import { receive, send, sharePlace } from "../kit/share-page.ts"

const skip = chromium === undefined ? "no Chromium here" : false
const isWhole = `document.querySelector("#notice")?.textContent.startsWith("Everything is here")`

describe("the page of shares", { skip, timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-share-page-"))
  const saves = join(folder, "saved")
  let browser: Browser
  before(async () => {
    mkdirSync(saves)
    browser = new Browser(chromium as string)
    await browser.saveInto(saves)
  })
  after(async () => {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** What the page says to its console, and what its policy forbids, fails the test. */
  async function visit(
    url: string,
    use: (page: Page) => Promise<void>,
    screen: Screen = { width: 1000 },
  ): Promise<void> {
    const page = await browser.open(url, screen)
    try {
      await use(page)
    } finally {
      await page.close()
    }
    assert.deepEqual(page.complaints, [])
  }

  async function download(page: Page): Promise<void> {
    await page.until("the offer", `document.querySelector("#download")`)
    await page.click("#download")
  }

  test("a link is opened, received, checked and saved as it was", async (t) => {
    const place = await sharePlace(t)
    const bytes = randomBytes(5_000_000)
    const { link } = await send(t, place, "Urlaub 2026.bin", [file("", bytes)])
    await visit(link, async (page) => {
      await page.until("the offer", `document.querySelector("#download")`)
      assert.equal(await page.evaluate("document.querySelector('h1').textContent"), "Urlaub 2026.bin")
      const saved = browser.saved()
      await page.click("#download")
      await page.until("everything is there", isWhole)
      assert.equal(await saved, "Urlaub 2026.bin")
      assert.equal(hash(readFileSync(join(saves, "Urlaub 2026.bin"))), hash(bytes))
      // The secret stays in the browser.
      const secret = link.split("#")[1] as string
      assert.ok(page.requests.slice(1).every((url) => !url.includes(secret)))
      await page.until("the picture", `document.querySelector("#swarm tbody tr")`)
      const kept = `(async () => {
        const names = []
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("rdv-share")
        for await (const name of folder.keys()) names.push(name)
        return names.length
      })()`
      assert.equal(await page.evaluate(kept), 2)
      await page.click("#forget")
      await page.until("it is forgotten", `document.querySelector("#notice").textContent.startsWith("It was removed")`)
      assert.equal(await page.evaluate(kept), 0)
    })
  })

  test("light, dark and on a phone: nothing runs out of the page, text differs from its background", async (t) => {
    const place = await sharePlace(t)
    const { link } = await send(t, place, `${"long-name-".repeat(12)}.bin`, [file("", randomBytes(100_000))])
    const seen: string[] = []
    for (const screen of [{ width: 1000 }, { width: 1000, dark: true }, { width: 360 }]) {
      await visit(
        link,
        async (page) => {
          await page.until("the offer", `document.querySelector("#download")`)
          await page.until("the picture", `document.querySelector("#swarm tbody tr")`)
          assert.equal(await page.evaluate("document.documentElement.scrollWidth"), screen.width)
          seen.push(
            await page.evaluate<string>(
              "getComputedStyle(document.body).color + getComputedStyle(document.body).backgroundColor",
            ),
          )
        },
        screen,
      )
    }
    assert.deepEqual(seen.slice(0, 2), ["rgb(26, 34, 48)rgb(244, 246, 249)", "rgb(232, 236, 242)rgb(16, 20, 27)"])
  })

  test("a folder is saved as one archive, or file by file", async (t) => {
    const place = await sharePlace(t)
    const files = [file("a/one.txt", "eins"), file("b/two.bin", randomBytes(200_000)), file("empty", "")]
    const { link } = await send(t, place, "tree", files)
    await visit(link, async (page) => {
      await download(page)
      await page.until("everything is there", isWhole)
      const saved = browser.saved()
      await page.click("#pack")
      assert.equal(await saved, "tree.zip")
      const one = browser.saved()
      await page.click("#save li a")
      assert.equal(await one, "one.txt")
      assert.equal(readFileSync(join(saves, "one.txt"), "utf8"), "eins")
    })
  })

  test("who has opened the page and not pressed Download is waited for by nobody, and may still press it", async (t) => {
    const place = await sharePlace(t)
    const bytes = randomBytes(100_000)
    const { link, code, sender } = await send(t, place, "a.bin", [file("", bytes)], { seedUntil: "complete" })
    await visit(link, async (page) => {
      await page.until("the offer", `document.querySelector("#download")`)
      await page.until("what it is", `document.querySelector("#swarm")?.textContent.includes("browser, looking")`)
      await receive(t, place, code)
      assert.equal(await sender.ended, undefined)
      await page.click("#download")
      await page.until("everything is there", isWhole)
    })
  })

  test("who receives by the page gives to others when the sender has left", async (t) => {
    const place = await sharePlace(t, {}, { limits: { cacheBytes: 1024 * 1024 } })
    const bytes = randomBytes(6_000_000)
    const { link, code, leave } = await send(t, place, "a.bin", [file("", bytes)])
    await visit(link, async (page) => {
      await download(page)
      await page.until("everything is there", isWhole)
      await leave()
      const received = await receive(t, place, code)
      assert.equal(hash((await received.files())["a.bin"] as Uint8Array), hash(bytes))
      await page.until("what it passed on", `/Passed on[1-9]/.test(document.querySelector("dl").textContent)`)
    })
  })

  test("a page sends: the link works on a terminal, and the page tells when it is not needed any more", async (t) => {
    const place = await sharePlace(t)
    const bytes = randomBytes(3_000_000)
    writeFileSync(join(folder, "from page.bin"), bytes)
    await visit(`${place.url}/share`, async (page) => {
      await page.choose("#files", [join(folder, "from page.bin")])
      await page.until("the link", `document.querySelector("#link")`)
      const link = await page.evaluate<string>(`document.querySelector("#link").href`)
      assert.ok(link.startsWith(`${place.url}/share/`))
      assert.equal(await page.evaluate(`document.querySelector("#qr path") !== null`), true)
      const notice = `document.querySelector("#notice").textContent`
      assert.match(await page.evaluate<string>(notice), /^Keep this page open/)
      const received = await receive(t, place, parseCode(link))
      assert.equal(hash((await received.files())["from page.bin"] as Uint8Array), hash(bytes))
      await page.until("it may leave", `${notice}.includes("you may close this page")`)
      await page.until("one is done", `document.querySelector("#line").textContent.includes("1 receiver done")`)
    })
  })

  test("a link that opens nothing says so, and a typo is found before anybody is asked", async (t) => {
    const place = await sharePlace(t)
    await visit(printLink(place.url, newCode()), async (page) => {
      await page.until("the trouble", `document.querySelector("#trouble h1")`)
      assert.match(
        await page.evaluate<string>(`document.querySelector("#trouble").innerText`),
        /no such share|knows no share/,
      )
    })
    const link = printLink(place.url, newCode())
    await visit(`${link.slice(0, -1)}${link.endsWith("b") ? "d" : "b"}`, async (page) => {
      await page.until("the trouble", `document.querySelector("#trouble h1")`)
      assert.match(await page.evaluate<string>(`document.querySelector("#trouble").innerText`), /typo in the code/)
      assert.ok(!page.requests.some((url) => url.includes(".rdv/session")))
    })
    await visit(`${place.url}/share/123456`, async (page) => {
      await page.until("the trouble", `document.querySelector("#trouble h1")`)
      assert.match(await page.evaluate<string>(`document.querySelector("#trouble").innerText`), /lost its second half/)
      assert.equal(await page.evaluate(`document.querySelector("#code").offsetParent !== null`), true)
    })
  })

  test("a password is asked for, and a wrong one is told", async (t) => {
    const place = await sharePlace(t)
    const { link } = await send(t, place, "a.txt", [file("", "secret")], { password: "Zuckerhut" })
    await visit(link, async (page) => {
      const give = async (password: string) => {
        await page.until("the field", `document.querySelector("#given")`)
        await page.evaluate(`document.querySelector("#given").value = ${JSON.stringify(password)}; 0`)
        await page.click("#trouble button")
      }
      await give("Zuckerhat")
      await page.until(
        "the trouble",
        `document.querySelector("#trouble h1")?.textContent.startsWith("The password is wrong")`,
      )
      await give("Zuckerhut")
      await download(page)
      await page.until("everything is there", isWhole)
    })
  })

  test("a visit that ended in the middle goes on in the next one", async (t) => {
    const place = await sharePlace(t)
    const proxy = await chaosProxy({ target: { port: place.port }, bytesPerSecond: 2_000_000 })
    t.after(() => proxy.close())
    const bytes = randomBytes(6_000_000)
    const { link } = await send(t, place, "again.bin", [file("", bytes)])
    const slow = link.replace(String(place.port), String(proxy.port))
    await visit(slow, async (page) => {
      await download(page)
      await page.until("half of it", hasPercent(50))
    })
    await visit(slow, async (page) => {
      const saved = browser.saved()
      await download(page)
      await page.until("everything is there", isWhole)
      const line = await page.evaluate<string>(`document.querySelector("#line").textContent`)
      assert.match(line, /^5\.7 MiB received, [\d.]+ MiB were here already$/)
      assert.equal(hash(readFileSync(join(saves, await saved))), hash(bytes))
    })
  })

  test("a file that the user chooses is written straight away, and given to others when it is whole", async (t) => {
    const place = await sharePlace(t, {}, { limits: { cacheBytes: 1024 * 1024 } })
    const bytes = randomBytes(3_000_000)
    const { link, code, leave } = await send(t, place, "direct.bin", [file("", bytes)])
    await visit(link, async (page) => {
      // The dialogue belongs to the system; what it gives is a file handle, as this one is.
      await page.evaluate(`window.showSaveFilePicker = async () =>
        (await navigator.storage.getDirectory()).getFileHandle("direct.bin", { create: true })`)
      await page.until("the offer", `document.querySelector("#save-to")`)
      await page.click("#save-to")
      await page.until("it is saved", `document.querySelector("#notice").textContent.startsWith("Saved as direct.bin")`)
      const sum = await page.evaluate<string>(`(async () => {
        const file = await (await (await navigator.storage.getDirectory()).getFileHandle("direct.bin")).getFile()
        const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()))
        return Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("")
      })()`)
      assert.equal(sum, hash(bytes))
      await leave()
      const received = await receive(t, place, code)
      assert.equal(hash((await received.files())["direct.bin"] as Uint8Array), hash(bytes))
    })
  })

  test("a folder is saved into one that the user chooses, beside what is there", async (t) => {
    const place = await sharePlace(t)
    const { link } = await send(t, place, "tree", [file("a/one.txt", "eins"), file("two.txt", "zwei")])
    await visit(link, async (page) => {
      await page.evaluate(`window.showDirectoryPicker = async () => {
        const top = await (await navigator.storage.getDirectory()).getDirectoryHandle("chosen", { create: true })
        await top.getDirectoryHandle("tree", { create: true })
        return top
      }`)
      await download(page)
      await page.until("everything is there", isWhole)
      await page.click("#save-into")
      await page.until("it is saved", `document.querySelector("#notice").textContent.includes("the folder tree (2)")`)
      const text = `(async () => {
        const chosen = await (await navigator.storage.getDirectory()).getDirectoryHandle("chosen")
        const a = await (await chosen.getDirectoryHandle("tree (2)")).getDirectoryHandle("a")
        return (await (await a.getFileHandle("one.txt")).getFile()).text()
      })()`
      assert.equal(await page.evaluate(text), "eins")
    })
  })

  test("a relay that wants tokens of senders asks for one", async (t) => {
    const place = await sharePlace(t, { open: false })
    const { token } = place.relay.store.createToken({ name: "me" })
    writeFileSync(join(folder, "small.txt"), "small")
    await visit(`${place.url}/share`, async (page) => {
      await page.choose("#files", [join(folder, "small.txt")])
      await page.until("the field", `document.querySelector("#given")`)
      await page.evaluate(`document.querySelector("#given").value = ${JSON.stringify(token)}; 0`)
      await page.click("#trouble button")
      await page.until("the link", `document.querySelector("#link")`)
      const received = await receive(t, place, parseCode(await page.evaluate(`document.querySelector("#link").href`)))
      assert.equal(Buffer.from((await received.files())["small.txt"] as Uint8Array).toString(), "small")
    })
  })

  test("a folder that is chosen keeps its paths", async (t) => {
    const place = await sharePlace(t)
    mkdirSync(join(folder, "tree", "deep"), { recursive: true })
    writeFileSync(join(folder, "tree", "deep", "x.txt"), "x")
    writeFileSync(join(folder, "tree", "y.txt"), "y")
    await visit(`${place.url}/share`, async (page) => {
      await page.choose("#folder", [join(folder, "tree")])
      await page.until("the link", `document.querySelector("#link")`)
      const received = await receive(t, place, parseCode(await page.evaluate(`document.querySelector("#link").href`)))
      const files = await received.files()
      assert.deepEqual(
        Object.entries(files).map(([path, bytes]) => [path, Buffer.from(bytes).toString()]),
        [
          ["deep/x.txt", "x"],
          ["y.txt", "y"],
        ],
      )
      await page.click("#end")
      await page.until("the end", `document.querySelector("#notice").textContent.startsWith("The share has ended")`)
    })
  })

  test("a relay that starts anew in the middle is found again", async (t) => {
    const place = await sharePlace(t)
    const bytes = randomBytes(4_000_000)
    const { link } = await send(t, place, "anew.bin", [file("", bytes)], { bytesPerSecond: 2_000_000 })
    const page = await browser.open(link, { width: 1000 })
    const saved = browser.saved()
    await download(page)
    await page.until("20 %", hasPercent(20))
    await place.relay.stop()
    await page.until("it looks for the relay", `document.querySelector("#state").textContent.startsWith("connecting")`)
    await sharePlace(t, { listen: [`127.0.0.1:${place.port}`] })
    await page.until("everything is there", isWhole)
    assert.equal(hash(readFileSync(join(saves, await saved))), hash(bytes))
    await page.close()
    assert.deepEqual(
      page.complaints.filter((text) => !text.includes("WebSocket connection to")),
      [],
    )
  })

  test("cuts of the WebSocket on the way cost nothing but time", async (t) => {
    const place = await sharePlace(t)
    const proxy = await chaosProxy({ target: { port: place.port }, bytesPerSecond: 2_000_000 })
    t.after(() => proxy.close())
    const bytes = randomBytes(4_000_000)
    const { link } = await send(t, place, "cut.bin", [file("", bytes)])
    const page = await browser.open(link.replace(String(place.port), String(proxy.port)), { width: 1000 })
    const saved = browser.saved()
    await download(page)
    await page.until("15 %", hasPercent(15))
    assert.ok(proxy.cutAll("rst") >= 1)
    await page.until("50 %", hasPercent(50))
    assert.ok(proxy.cutAll("fin") >= 1)
    await page.until("everything is there", isWhole)
    assert.equal(hash(readFileSync(join(saves, await saved))), hash(bytes))
    await page.close()
    // The browser itself tells of the resets, and of nothing else.
    assert.deepEqual(
      page.complaints.filter((text) => !text.includes("WebSocket connection to")),
      [],
    )
  })
})

function hasPercent(percent: number): string {
  return `Number(/^\\d+/.exec(document.querySelector("#line").textContent)) >= ${percent}`
}

function file(path: string, bytes: Uint8Array<ArrayBuffer> | string) {
  return { path, content: new Blob([bytes]), mtimeMs: 1_700_000_000_000 }
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}
