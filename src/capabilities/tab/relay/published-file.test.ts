import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import {
  checkPublishedPath,
  isHashedName,
  isPackable,
  pathOfTarget,
  readPublishedFile,
  typeOf,
} from "./published-file.ts"

test("a path that is taken is one that a browser can ask for by exactly this name", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 4 }), (segments) => {
      const path = segments.join("/")
      try {
        checkPublishedPath(path)
      } catch (error) {
        assert.equal((error as RdvError).code, "usage")
        return
      }
      const target = `/${path.split("/").map(encodeURIComponent).join("/")}`
      assert.equal(pathOfTarget(target), path)
      // What a browser makes of the address leads nowhere else.
      assert.equal(
        new URL(target, "http://app.chat.localhost").pathname,
        target.replaceAll("'", "%27").replaceAll("%27", "'"),
      )
    }),
  )
})

test("what a publisher says of a file is read strictly, whatever it is", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      if (!isJsonObject(value)) return
      try {
        readPublishedFile(value)
        assert.fail("it was taken")
      } catch (error) {
        assert.ok(error instanceof RdvError && (error.code === "protocol" || error.code === "usage"))
      }
    }),
  )
  const file = { path: "a.wasm", bytes: 3, sha256: "a".repeat(64) }
  assert.equal(readPublishedFile(file).type, "application/wasm")
  assert.equal(readPublishedFile({ ...file, type: "text/x; charset=utf-8" }).type, "text/x; charset=utf-8")
  for (const type of ["", "html", "text/html\nx: y", "text/html; a=b; c=d; e=f; g=h", "Text/HTML"]) {
    assert.throws(() => readPublishedFile({ ...file, type }), { code: "protocol" }, type)
  }
})

test("names with hashes are kept for good, others are asked for again", () => {
  for (const name of [
    "app-3f9a1c2b.js",
    "assets/index-D8skQ2x1.css",
    "a.0123456789abcdef.wasm",
    ".rdv/page-ABCDEFGH.js",
    "x-3f9a1c2b.js.map",
  ])
    assert.ok(isHashedName(name), name)
  for (const name of [
    "app.js",
    "index.html",
    "page-3f9a1c2b.html",
    "photo-20240101.jpg",
    "bootstrap-icons.css",
    "rdv-sw.js",
    ".rdv/tab.json",
    ".rdv/runtime.json",
    "a-release2.js",
  ])
    assert.ok(!isHashedName(name), name)
})

test("types follow from names, and only what gains by it is packed", () => {
  assert.deepEqual(
    [typeOf("a.MJS"), typeOf("x.wasm"), typeOf("README")],
    ["text/javascript; charset=utf-8", "application/wasm", "application/octet-stream"],
  )
  for (const type of ["text/html; charset=utf-8", "application/wasm", "image/svg+xml", "application/ld+json"])
    assert.ok(isPackable(type), type)
  for (const type of ["image/png", "font/woff2", "application/octet-stream", "video/mp4"])
    assert.ok(!isPackable(type), type)
})
