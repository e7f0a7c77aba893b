import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { pathToFileURL } from "node:url"
import { Browser, chromium } from "../../../../../test/kit/chromium.ts"
import type { Page, Screen } from "../../../../../test/kit/chromium.ts"
import { sampleResult } from "../../../../../test/kit/load-results.ts"
import { compare } from "../../judge/compare.ts"
import { comparisonPage, reportPage } from "./page.ts"

const attack = `</script><script>document.title="taken"</script><img src=x onerror=alert(1)>`
const errors = {
  timeout: { count: 40, example: "no answer within 5 s" },
  "wrong answer": { count: 12, example: attack },
}
const thresholds = [{ text: "p99<20ms", held: false, measured: "831 ms" }]
const open = reportPage(
  sampleResult({
    errors,
    thresholds,
    doubts: ["The generator was late."],
    labels: ["five-thousand:5001", "https://example.test/a/long/path?with=a&query"],
  }),
)
const closed = reportPage(sampleResult({ model: "closed" }))
const [a, b] = [sampleResult({ seconds: 30 }), sampleResult({ seconds: 30, seed: 9, medianMs: 1.2 })]
const compared = comparisonPage({
  a: [{ name: "before.json", result: a }],
  b: [{ name: "after.json", result: b }],
  comparison: compare([a], [b]),
})

test("half an hour of seconds, a thousand targets and long errors stay below 300 KiB", () => {
  const long = sampleResult({
    seconds: 1800,
    errors,
    labels: Array.from({ length: 1000 }, (_, at) => `shop-${at}:5001`),
  })
  assert.ok(Buffer.byteLength(reportPage(long)) < 300 * 1024)
  const longer = { ...long, series: Array.from({ length: 5 }, () => long.series).flat() }
  assert.ok(Buffer.byteLength(reportPage(longer)) < 300 * 1024)
})

test("six long runs compared stay below 300 KiB", () => {
  const runs = [1, 2, 3].map((seed) => ({ name: `run-${seed}.json`, result: sampleResult({ seconds: 1800, seed }) }))
  const results = runs.map(({ result }) => result)
  const page = comparisonPage({ a: runs, b: runs, comparison: compare(results, results) })
  assert.ok(Buffer.byteLength(page) < 300 * 1024)
})

test("what strangers wrote stays text", () => {
  const page = reportPage(sampleResult({ name: attack, labels: [attack], errors, doubts: [attack], seconds: 3 }))
  assert.ok(!page.includes("<img"))
  assert.equal(page.match(/<script/g)?.length, 3)
  assert.ok(/script-src (?:&#39;sha256-[\w+/=]+&#39; ?){2};/.test(page))
})

test("the page names no other place", () => {
  for (const page of [open, closed, compared]) {
    const places = [...page.matchAll(/\b(?:src|href|action)="([^"]*)"/g)].map((match) => match[1])
    assert.ok(places.every((place) => place?.startsWith("data:")))
    assert.ok(!/url\(|@import/.test(page))
  }
})

test("verdict, doubts and what the closed model hides stand in the page without any script", () => {
  assert.ok(wordsOf(open).includes("The threshold was not held"))
  assert.ok(wordsOf(open).includes("The generator was overloaded: these figures speak of it"))
  assert.ok(wordsOf(closed).includes("What the closed model hides"))
  const held = reportPage(sampleResult({ thresholds: thresholds.map((threshold) => ({ ...threshold, held: true })) }))
  assert.ok(wordsOf(held).includes("✓ The threshold held"))
})

test("a comparison tells the difference and how far to believe it", () => {
  const words = wordsOf(compared)
  for (const { name, verdict } of compare([a], [b]).metrics)
    assert.ok(words.includes(name) && words.includes(verdict), name)
  assert.ok(words.includes(compare([a], [b]).confidence))
})

test("a run that answered nothing is a page too", () => {
  const empty = sampleResult({ seconds: 0 })
  assert.ok(wordsOf(reportPage(empty)).includes("Completed 0"))
})

/** What a reader without a style sees. */
function wordsOf(page: string): string {
  return page.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ")
}

const skip = chromium === undefined ? "no Chromium here" : false
describe("in a browser", { skip, timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-report-"))
  let browser: Browser
  before(() => {
    browser = new Browser(chromium as string)
  })
  after(async () => {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function show(text: string, screen: Screen): Promise<Page> {
    const file = join(folder, "report.html")
    writeFileSync(file, text)
    const page = await browser.open(pathToFileURL(file).href, screen)
    assert.deepEqual(page.complaints, [])
    assert.deepEqual(page.requests, [pathToFileURL(file).href])
    return page
  }

  const drawn = `[...document.querySelectorAll("figure")].map((place) => [place.dataset.chart, place.querySelectorAll("svg path.line").length])`

  test("every graph is drawn, nothing is asked for, nothing complains", async () => {
    const page = await show(open, { width: 1280 })
    assert.deepEqual(Object.fromEntries(await page.evaluate<[string, number][]>(drawn)), {
      latency: 5,
      throughput: 2,
      busy: 2,
      queue: 1,
      trouble: 2,
      percentiles: 3,
      scatterRate: 1,
      scatterLatency: 3,
    })
    assert.equal(await page.evaluate("document.title"), "checkout under a rising load · load test")
  })

  test("a closed run has its graphs against connections, two runs lie over each other", async () => {
    const one = await show(closed, { width: 1280 })
    const titles = await one.evaluate<string[]>(
      `[...document.querySelectorAll("figure h3")].map((title) => title.textContent)`,
    )
    assert.ok(titles.includes("Throughput against connections"))
    const two = await show(compared, { width: 1280 })
    const lines = Object.fromEntries(await two.evaluate<[string, number][]>(drawn)) as Record<string, number>
    assert.equal(lines["percentiles"], 2)
    assert.equal(lines["latency"], 4)
  })

  test("the pointer and the arrow keys tell the values, the table has them all", async () => {
    const page = await show(open, { width: 1280, height: 1200 })
    const box = await page.evaluate<{ x: number; y: number; width: number }>(
      `JSON.parse(JSON.stringify(document.querySelector("[data-chart=latency] svg").getBoundingClientRect()))`,
    )
    await page.move(box.x + box.width / 2, box.y + 60)
    const tip = `document.querySelector("[data-chart=latency] .tip")`
    assert.match(await page.evaluate<string>(`${tip}.textContent`), /^at 0:\d\dp50[\d.]+ msp90[\d.]+ ms/)
    assert.equal(await page.evaluate(`document.querySelector("[data-chart=throughput] .cross line") !== null`), true)
    await page.move(5, 5)
    assert.equal(await page.evaluate(`${tip}.hidden`), true)
    await page.evaluate(`document.querySelector("[data-chart=latency] svg[role=img]").focus()`)
    await page.press("ArrowRight")
    const spoken = `document.querySelector("[data-chart=latency] .spoken").textContent`
    assert.match(await page.evaluate<string>(spoken), /^0:00: p50 [\d.]+ ms, p90/)
    await page.evaluate(
      `new Promise((done) => { const d = document.querySelector("[data-chart=latency] details"); d.addEventListener("toggle", () => setTimeout(done, 0)); d.open = true })`,
    )
    assert.equal(await page.evaluate(`document.querySelectorAll("[data-chart=latency] tbody tr").length`), 60)
  })

  test("light, dark, narrow and printed: no line runs out of the page, text differs from its background", async () => {
    const screens = [
      { width: 1280 },
      { width: 1280, dark: true },
      { width: 360 },
      { width: 700, print: true, dark: true },
    ]
    const seen: string[] = []
    for (const screen of screens) {
      const page = await show(open, screen)
      assert.equal(await page.evaluate("document.documentElement.scrollWidth"), screen.width)
      seen.push(
        await page.evaluate<string>(
          "getComputedStyle(document.body).color + getComputedStyle(document.body).backgroundColor",
        ),
      )
    }
    assert.equal(seen[1], "rgb(230, 235, 240)rgb(14, 19, 24)")
    assert.equal(seen[3], "rgb(0, 0, 0)rgb(255, 255, 255)")
  })

  test("it prints on a few pages", async () => {
    const pdf = (await (await show(open, { width: 1280 })).pdf()).toString("latin1")
    const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0
    assert.ok(pages >= 2 && pages <= 8, `${pages} pages`)
  })
})
