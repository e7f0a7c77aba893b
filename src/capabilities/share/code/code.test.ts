import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { newCode, parseCode, printCode, printLink } from "./code.ts"
import type { Code } from "./code.ts"

const someCode = fc.record({
  swarm: fc.nat({ max: 999_999 }).map((number) => String(number).padStart(6, "0")),
  secret: fc.uint8Array({ minLength: 9, maxLength: 9 }),
})
const example: Code = { swarm: "482713", secret: Uint8Array.from([127, 0, 0, 1, 63, 84, 220, 193, 7]) }

test("a code that was printed is read, whatever happened to it on the way", () => {
  fc.assert(
    fc.property(someCode, fc.nat({ max: 9 }), (code, way) => {
      const text = printCode(code)
      const ways = [
        text,
        text.toUpperCase(),
        text.replaceAll("-", " "),
        text.replaceAll("-", ""),
        text.replaceAll("-", "\u2013"),
        ` ${text}\n`,
        `${text.slice(0, 3)} ${text.slice(3)}`,
        printLink("https://relay.example", code),
        `${printLink("http://[::1]:8080/below/", code)}/`,
        printLink("HTTPS://RELAY.EXAMPLE//", code).toUpperCase(),
      ]
      assert.deepEqual(parseCode(ways[way] as string), { ...code })
    }),
  )
})

test("new codes are as they are written down, and differ", () => {
  const texts = Array.from({ length: 200 }, () => printCode(newCode()))
  for (const text of texts) {
    assert.match(text, /^\d{6}(-[bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]){5}$/)
  }
  assert.equal(new Set(texts.map((text) => text.slice(7))).size, texts.length)
})

test("words are proquints: those of the paper", () => {
  // 127.0.0.1 and 63.84.220.193 of arXiv 0901.4016.
  assert.match(printCode(example), /^482713-lusab-babad-gutih-tugad-b/)
})

test("a link is the relay's, and the words stand behind #", () => {
  assert.match(
    printLink("https://relay.example/", example),
    /^https:\/\/relay\.example\/share\/482713#lusab-babad-gutih-tugad-/,
  )
})

test("every single wrong digit or letter is told, and two neighbours that changed places", () => {
  const text = printCode(example).replaceAll("-", "")
  for (let at = 0; at < text.length; at++) {
    for (const other of "0123456789abcdefghijklmnopqrstuvwxyz") {
      // The pairs o and 0, l and 1 are the same where the other one cannot be.
      const alike = { "0": "o", "1": "l", o: "0", l: "1", i: "1" }[other]
      if (other === text[at] || alike === text[at]) continue
      assert.throws(
        () => parseCode(text.slice(0, at) + other + text.slice(at + 1)),
        { code: "usage" },
        `${other} at ${at}`,
      )
    }
    const [one, next] = [text[at], text[at + 1]]
    if (next === undefined || one === next) continue
    assert.throws(() => parseCode(`${text.slice(0, at)}${next}${one}${text.slice(at + 2)}`), { code: "usage" })
  }
})

test("o and 0, l and 1 are read as what stands there", () => {
  const code: Code = { swarm: "100000", secret: example.secret }
  const text = printCode(code)
  assert.deepEqual(parseCode(text.replaceAll("0", "O").replaceAll("1", "l")), code)
  assert.deepEqual(parseCode(`${text.slice(0, 7)}${text.slice(7).replaceAll("o", "0").replaceAll("l", "1")}`), code)
})

test("other texts almost never pass", () => {
  let passed = 0
  const letters = printCode(example).slice(7)
  for (let number = 0; number < 2560; number++) {
    try {
      parseCode(`${String(number * 390).padStart(6, "0")}-${letters}`)
      passed++
    } catch (error) {
      assert.ok(error instanceof RdvError && error.code === "usage")
    }
  }
  assert.ok(passed < 40, `${passed}, not about 10`)
})

test("what is wrong is said, and where", () => {
  const good = printCode(example)
  const words = good.slice(7).split("-")
  const withWord = (at: number, word: string): string => ["482713", ...words.with(at, word)].join("-")
  const cases: [string, RegExp][] = [
    ["", /begins with six digits/],
    ["hello", /begins with six digits, and "hello" does not/],
    ["48271-lusab", /begins with six digits/],
    ["482713", /five words, and this one has 0/],
    ["482713-lusab-babad", /five words, and this one has 2/],
    [`${good}-lusab`, /five words, and this one has 6/],
    [withWord(1, "babqd"), /second word of the code, "babqd": the letters/],
    [withWord(2, "gutihh"), /third word of the code, "gutihh": a word has five letters/],
    [withWord(4, "bab"), /fifth word of the code, "bab"/],
    [good.replaceAll("-", "").slice(0, -1), /25 letters, and this one has 24/],
    [withWord(0, "lusad"), /There is a typo in the code$/],
    [`582713${good.slice(6)}`, /There is a typo in the code$/],
    ["https://relay.example/share/482713", /lost its second half/],
    ["https://relay.example/other/#lusab", /not the link of a share/],
    [`https://relay.example/share/48271#${words.join("-")}`, /not the link of a share/],
    ["https://relay.example/share/482713#", /this one has 0 words/],
  ]
  for (const [text, message] of cases) assert.throws(() => parseCode(text), { code: "usage", message }, text)
})

test("any text is read or refused in a line", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc
          .array(fc.constantFrom("482713", "lusab", "-", " ", "#", "https://x/share/", "\n", "0", "1", "q"), {
            maxLength: 12,
          })
          .map((parts) => parts.join("")),
      ),
      (text) => {
        try {
          assert.equal(parseCode(text).secret.length, 9)
        } catch (error) {
          assert.ok(error instanceof RdvError && error.code === "usage", String(error))
          assert.ok(error.message.length < 200 && !/[\u0000-\u001f\u007f-\u009f]/.test(error.message), error.message)
        }
      },
    ),
    { numRuns: 1000 },
  )
})
