import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { openFrame } from "../../test/kit/frames.ts"
import { RdvError } from "../base/error.ts"
import { checkServiceName, resetPayload } from "./encode.ts"
import { fitsOpen, openPayloadBound, readOpenPayload, writeOpenPayload } from "./open.ts"

test("what OPEN carries comes back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 131_072, max: 2 ** 30 }),
      fc.stringMatching(/^[a-z0-9][a-z0-9._/-]{0,99}$/),
      fc.dictionary(fc.string(), fc.string({ unit: "binary" })),
      fc.uint8Array({ maxLength: 20 }),
      (window, service, header, first) => {
        const json = JSON.stringify(header)
        const bytes = openFrame(1, service, json, first, window)
        const open = readOpenPayload(bytes, 8, bytes.length)
        assert.deepEqual(
          { ...open, firstAt: 0, header: JSON.stringify(open.header) },
          { window, service, header: JSON.stringify(JSON.parse(json)), firstAt: 0 },
        )
        assert.deepEqual(bytes.subarray(open.firstAt), first)
        assert.equal(fitsOpen(service, json), true)
      },
    ),
  )
})

test("a header fits exactly when it can be written", () => {
  for (const letter of ["x", "é", "€"]) {
    for (let bytes = 65_515; bytes <= 65_545; bytes++) {
      const width = Buffer.byteLength(letter)
      const filling = letter.repeat(Math.floor((bytes - 8) / width))
      const json = JSON.stringify({ a: `${"-".repeat(bytes - 8 - width * filling.length)}${filling}` })
      assert.equal(Buffer.byteLength(json), bytes)
      let written = true
      try {
        writeOpenPayload(131_072, "echo", json, new Uint8Array(openPayloadBound("echo", json)), 0)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "limit")
        written = false
      }
      assert.equal(fitsOpen("echo", json), written, `${bytes} bytes of ${letter}`)
    }
  }
})

function payload(window: number, n: number, service: string, m: number, header: string): Uint8Array {
  const bytes = Buffer.alloc(4 + 1 + service.length + 2 + header.length)
  bytes.writeUInt32BE(window, 0)
  bytes[4] = n
  bytes.write(service, 5, "latin1")
  bytes.writeUInt16BE(m, 5 + service.length)
  bytes.write(header, 7 + service.length, "latin1")
  return bytes
}

const wrong: [string, Uint8Array][] = [
  ["a service name that ends outside", payload(131_072, 200, "echo", 0, "")],
  ["a header that ends outside", payload(131_072, 4, "echo", 3, "{}")],
  ["a header that is no JSON", payload(131_072, 4, "echo", 2, "{a")],
  ["a header that is a list", payload(131_072, 4, "echo", 2, "[]")],
  ["a header that is null", payload(131_072, 4, "echo", 4, "null")],
  ["an empty service name", payload(131_072, 0, "", 0, "")],
  ["a service name in capitals", payload(131_072, 4, "Echo", 0, "")],
  ["a service name with a line's end", payload(131_072, 5, "echo\n", 0, "")],
  ["a service name of 101 characters", payload(131_072, 101, "a".repeat(101), 0, "")],
  ["a window below two frames", payload(131_071, 4, "echo", 0, "")],
  ["a window above 2^30", payload(2 ** 30 + 1, 4, "echo", 0, "")],
]

for (const [what, bytes] of wrong) {
  test(`an OPEN with ${what} is refused`, () => {
    assert.throws(() => readOpenPayload(bytes, 0, bytes.length), { code: "protocol" })
  })
}

test("random bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 7, maxLength: 60 }), (bytes) => {
      try {
        readOpenPayload(bytes, 0, bytes.length)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "protocol")
      }
    }),
    { numRuns: 2000 },
  )
})

test("names that OPEN cannot carry are a mistake of the caller", () => {
  for (const name of ["", "-a", "a b", "A", "ä", "a".repeat(101)])
    assert.throws(() => checkServiceName(name), { code: "usage" })
  for (const name of ["a", "http/blog", "tcp/2222", "0.x_y-z", "a".repeat(100)]) checkServiceName(name)
})

test("a reason is cut at 512 bytes, between characters", () => {
  for (const letter of ["x", "é", "€", "😀"]) {
    const bytes = resetPayload(5, letter.repeat(600))
    assert.ok(bytes.length <= 514 && bytes.length > 510)
    assert.equal(Buffer.from(bytes.subarray(2)).toString().replaceAll(letter, ""), "")
  }
})
