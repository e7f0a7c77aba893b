import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { servedApp } from "../../../../test/kit/served-app.ts"
import { insertIntoPage } from "./page-insert.ts"

const tag = "<script src=x></script>"

test("the line stands at the start of the head, behind what must stay first", async () => {
  const cases = [
    ["<!doctype html><html><head><title>", "</title>"],
    ["<!DOCTYPE html>\n<html lang='a>b' data-x=\"</html>\">\n<HEAD a=b>", "<meta>"],
    ["<!-- one --><!doctype html>", "<!-- two --><p>"],
    ["\u{feff}<!doctype html>", "\n<body>"],
    ["", "<p>no head"],
    ["", "text"],
    ["", ""],
    ["<!doctype html><html>", "\n<header>not a head"],
    ["<html>", "<headline>"],
    ["<!doctype html>", "<ht"],
  ] as const
  for (const [before, after] of cases) {
    const head = before.endsWith("<title>") ? before.slice(0, -7) : before
    const rest = before.slice(head.length) + after
    assert.equal(await inserted(before + after, []), head + tag + rest, before + after)
  }
})

test("how the page comes in pieces makes no difference", async () => {
  const part = fc.constantFrom(
    "<!doctype html>",
    "<html>",
    "<head>",
    "<head x='>'>",
    "<!-- c -->",
    " \n",
    "<body>",
    "<he",
    "x",
    "é",
    "<!-",
    "'",
  )
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 5 }), async (parts, cuts) => {
      const page = parts.join("")
      assert.equal(await inserted(page, cuts), await inserted(page, []))
      assert.equal((await inserted(page, cuts)).replace(tag, ""), page)
    }),
  )
})

test("a page streams on: what comes behind the head is not waited for, and a giant comment not for ever", async () => {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const page = (headers = {}) =>
    insertIntoPage(
      new Response(new ReadableStream({ start: (given) => void (controller = given) }), {
        headers: { "content-type": "text/html", ...headers },
      }),
      tag,
    )
  const reader = (page().body as ReadableStream<Uint8Array>).getReader()
  const first = reader.read()
  controller?.enqueue(new TextEncoder().encode("<head>first"))
  assert.equal(text((await first).value), `<head>${tag}first`)
  const giant = (page().body as ReadableStream<Uint8Array>).getReader()
  const got = giant.read()
  controller?.enqueue(new TextEncoder().encode(`<!--${"x".repeat(70_000)}`))
  assert.ok(text((await got).value).startsWith(`${tag}<!--`))
})

test("the length is mended; what is no page, or cannot be changed, stays as it is", async () => {
  const fields = (headers: Record<string, string>, status = 200) => new Response("<p>", { status, headers })
  const mended = insertIntoPage(fields({ "content-type": "text/html", "content-length": "3" }), tag)
  assert.equal(mended.headers.get("content-length"), String(3 + tag.length))
  for (const same of [
    fields({ "content-type": "text/plain" }),
    fields({ "content-type": "text/html", "content-encoding": "gzip" }),
    fields({ "content-type": "text/html; charset=UTF-16LE" }),
    fields({ "content-type": "text/html" }, 206),
    new Response(null, { headers: { "content-type": "text/html" } }),
  ]) {
    assert.equal(insertIntoPage(same, tag), same)
  }
})

test("only navigations of the own browser get it, with all of the response's fields", async () => {
  const app = {
    fetch: () => {
      const headers = new Headers({ "content-type": "text/html" })
      headers.append("set-cookie", "a=1")
      headers.append("set-cookie", "b=2")
      return new Response("<head>x", { status: 404, headers })
    },
  }
  const navigation = { headers: { "sec-fetch-mode": "navigate" } }
  using own = servedApp(app, { visitor: { kind: "own" }, insertIntoPages: tag })
  const page = await own.fetch("/", navigation)
  assert.equal(await page.text(), `<head>${tag}x`)
  assert.deepEqual([page.status, page.headers.getSetCookie().length], [404, 2])
  assert.equal(await (await own.fetch("/")).text(), "<head>x")
  using stranger = servedApp(app, { insertIntoPages: tag })
  assert.equal(await (await stranger.fetch("/", navigation)).text(), "<head>x")
})

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
}

async function inserted(page: string, cuts: readonly number[]): Promise<string> {
  const bytes = new TextEncoder().encode(page)
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (let at = 1; at < places.length; at++) controller.enqueue(bytes.slice(places[at - 1], places[at]))
      controller.close()
    },
  })
  const response = insertIntoPage(new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } }), tag)
  return text(await response.bytes())
}
