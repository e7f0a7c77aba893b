import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../base/error.ts"
import { readDocument, readDocumentFile } from "./document.ts"
import type { ConfigDocument } from "./document.ts"
import { problemsOf } from "./problems.ts"
import { readBytes, readDuration, wholeFrom } from "./quantity.ts"

const document = (text: string) => readDocument(text, { file: "f.yaml" })

/** Each problem as a terminal shows it. */
function complaints(work: () => unknown): string[] {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof RdvError, String(error))
    assert.equal(error.code, "usage")
    return problemsOf(error).map(({ message, mend }) => (mend === undefined ? message : `${message}: ${mend}`))
  }
  return []
}

/** Reads every kind of value. */
function readAll(read: ConfigDocument): unknown {
  const fields = read.root.fields(["name", "rate", "size", "wait", "on", "colour", "ports", "header"])
  const result = {
    name: fields?.get("name")?.text(),
    rate: fields?.get("rate")?.number({ least: 0, most: 10, whole: true }),
    size: fields?.get("size")?.read(readBytes),
    wait: fields?.get("wait")?.read(readDuration),
    on: fields?.get("on")?.boolean(),
    colour: fields?.get("colour")?.choice(["red", "green"]),
    ports: fields?.get("ports")?.oneOrMore((port) => port.read(wholeFrom(1, 65_535))),
    header: fields?.get("header")?.entries((key, value) => [key, value.text()] as const),
  }
  read.check()
  return result
}

test("YAML and JSON give the same values", () => {
  const yaml = `# a comment
name: one
rate: 5
size: 64KiB
wait: 1m30s
on: true
colour: green
ports: [&p 80, 443, *p]
header:
  Accept: "*/*"
`
  const wanted = {
    name: "one",
    rate: 5,
    size: 65_536,
    wait: 90_000,
    on: true,
    colour: "green",
    ports: [80, 443, 80],
    header: [["Accept", "*/*"]],
  }
  assert.deepEqual(readAll(document(yaml)), wanted)
  const json = JSON.stringify({ ...wanted, size: "64KiB", wait: "90s", header: { Accept: "*/*" } }, undefined, "\t")
  assert.deepEqual(readAll(document(json)), wanted)
  assert.deepEqual(readAll(document(`\uFEFF${json}`)), wanted)
})

test("each mistake is told with its line, its column and its mend", () => {
  const cases: readonly (readonly [text: string, ...lines: readonly string[]])[] = [
    ["nme: one", 'f.yaml:1:1: "nme" is not a key that is known here: did you mean "name"?'],
    ["Name: one", 'f.yaml:1:1: "Name" is not a key that is known here: did you mean "name"?'],
    [
      "zebra: one",
      'f.yaml:1:1: "zebra" is not a key that is known here: use name, rate, size, wait, on, colour, ports, header',
    ],
    ["name: one\nrate: 1\nname: two", 'f.yaml:3:1: "name" is already in line 1: leave one out'],
    ["header: {a: x, a: y}", 'f.yaml:1:16: "a" is already in line 1: leave one out'],
    ["name: 5", "f.yaml:1:7: a text is wanted, and this is the number 5: put it in quotes"],
    ["name: ''", "f.yaml:1:7: the text is empty: write something, or leave the key out"],
    ["name:", "f.yaml:1:1: there is no value: write one, or leave the key out"],
    ["name: [a]", "f.yaml:1:7: a text is wanted, and this is a list: write one value"],
    ['rate: "5"', 'f.yaml:1:7: a number is wanted, and this is the text "5": leave the quotes out'],
    ["rate: many", 'f.yaml:1:7: a number is wanted, and this is the text "many": write digits'],
    ["rate: .nan", "f.yaml:1:7: a number is wanted, and this is the number .nan: write digits"],
    ["rate: 11", "f.yaml:1:7: 11 is not a whole number from 0 to 10: change it"],
    ["rate: 1.5", "f.yaml:1:7: 1.5 is not a whole number from 0 to 10: change it"],
    ["on: yes", 'f.yaml:1:5: true or false is wanted, and this is the text "yes": write true or false'],
    ["colour: gren", 'f.yaml:1:9: "gren" is not known here: did you mean "green"?'],
    ["wait: 10", 'f.yaml:1:7: "10" has no unit: write 10s or 10ms'],
    ["wait: true", "f.yaml:1:7: a text or a number is wanted, and this is the word true: put it in quotes"],
    ["ports: []", "f.yaml:1:8: the list is empty: put something in"],
    ["ports:\n  - 80\n  - 0", 'f.yaml:3:5: "0" is not a whole number from 1 to 65535: change it'],
    ["header: x", 'f.yaml:1:9: keys with values are wanted, and this is the text "x": write "key: value"'],
    ["- a", 'f.yaml:1:1: keys with values are wanted, and this is a list: write "key: value"'],
    [
      "rate: x\nnme: a\nwait: 5x",
      'f.yaml:1:7: a number is wanted, and this is the text "x": write digits',
      'f.yaml:2:1: "nme" is not a key that is known here: did you mean "name"?',
      'f.yaml:3:7: "5x" is not a duration: write 500ms, 10s, 5m, 2h or 30d',
    ],
  ]
  for (const [text, ...lines] of cases)
    assert.deepEqual(
      complaints(() => readAll(document(text))),
      lines,
      text,
    )
})

test("what is neither YAML nor JSON is told in plain words", () => {
  const cases: readonly (readonly [text: string, line: RegExp])[] = [
    ["", /^f\.yaml:1:1: it is empty/],
    ["# nothing", /^f\.yaml:1:1: it is empty/],
    ["a: [1, 2", /^f\.yaml:1:9: a "\[" or "\{" is not closed/],
    ['{\n  "a": 1', /^f\.yaml:2:9: a "\[" or "\{" is not closed|^f\.yaml:2:9: /],
    ["\ta: 1", /^f\.yaml:1:1: a tab stands in the indentation: use spaces/],
    ["a: b: c", /^f\.yaml:1:4: there is a second ": " in one line/],
    ["a: 'x", /^f\.yaml:1:6: missing closing 'quote/],
    ["a: 1\n---\nb: 2", /^f\.yaml:2:1: a second document begins here/],
    ["a: !thing 1", /^f\.yaml:1:4: tags are not read/],
    ["a: !!binary aGk=", /^f\.yaml:1:4: tags are not read/],
    ["? [a]\n: 1", /^f\.yaml:1:3: a list or a map stands where a key should/],
    ["a: *b", /^f\.yaml:1:4: \*b names nothing before it/],
    ["a: &a [*a]", /^f\.yaml:1:8: \*a stands in what it names/],
    ["%YAML 1.1\n---\na: yes", /^f\.yaml:1:1: YAML 1\.1 is not read/],
    ["[".repeat(100_000), /^f\.yaml:1:\d+: lists and maps are nested too deep/],
    [`${"[".repeat(40)}${"]".repeat(40)}`, /^f\.yaml:1:34: lists and maps are nested too deep/],
    [" ".repeat(1024 * 1024 + 1), /^f\.yaml:1:1: it is larger than 1048576 bytes/],
  ]
  for (const [text, line] of cases) assert.match(complaints(() => document(text))[0] ?? "", line, text.slice(0, 40))
})

test("what is wrong with a file of JSON is told in the words of JSON", () => {
  const json = (text: string) => complaints(() => readDocument(text, { file: "f.json" }))
  assert.deepEqual(json('{\n  "a": 1\n  "b": 2\n}'), ['f.json:2:9: a comma is missing here: put one before "b"'])
  assert.deepEqual(json('{"a": [1, 2}'), [
    'f.json:1:12: the "}" stands where the "[" of line 1 is to be closed: put a "]" before it, or instead of it',
  ])
  assert.match(json("[".repeat(100_000))[0] ?? "", /nested too deep/)
  // What YAML takes is taken, whatever the file is called.
  assert.deepEqual(json('{"a": [1, 2,], # both\n b: c}'), [])
})

test("aliases cannot make a small file large", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
  for (let at = 1; at <= 9; at++) lines.push(`a${at}: &a${at} [${`*a${at - 1}, `.repeat(10)}]`)
  const [line] = complaints(() => document(lines.join("\n")))
  assert.match(line ?? "", /^f\.yaml:5:9: there are more than 100000 values in it/)
})

test("the first problem is thrown as one line that says how many there are", () => {
  assert.throws(() => readAll(document("nme: x\nrate: y")), {
    message: 'f.yaml:1:1: "nme" is not a key that is known here',
    mend: 'did you mean "name"? (the first of 2 problems)',
  })
})

test("files are read within a bound, and said by name", () => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-config-"))
  try {
    const at = (name: string) => join(folder, name)
    writeFileSync(at("good.yaml"), "name: x\n")
    writeFileSync(at("latin.yaml"), Buffer.from([0x61, 0x3a, 0x20, 0xe4]))
    assert.deepEqual((readAll(readDocumentFile(at("good.yaml"))) as { name: string }).name, "x")
    assert.deepEqual(
      complaints(() => readDocumentFile(at("no.yaml"))),
      [`${at("no.yaml")} does not exist: check the path`],
    )
    assert.deepEqual(
      complaints(() => readDocumentFile(folder)),
      [`${folder} is a folder: name a file`],
    )
    assert.match(complaints(() => readDocumentFile(at("latin.yaml")))[0] ?? "", /is not text in UTF-8/)
    assert.match(complaints(() => readDocumentFile("/dev/zero"))[0] ?? "", /is larger than 1048576 bytes/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test("no text makes it throw anything but a usage error", () => {
  const piece = fc.constantFrom(
    ..."abc 0159.-:,[]{}#&*!|>'\"%@?<\t\n~\\é".split(""),
    "\n  ",
    ": ",
    "- ",
    "&a ",
    "*a",
    "name",
    "ports",
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 40 }).map((parts) => parts.join("")),
    fc.string({ unit: "binary" }),
  )
  fc.assert(
    fc.property(text, (text) => {
      complaints(() => readAll(document(text)))
    }),
    { numRuns: 1500 },
  )
})

test("every JSON value is read as JSON reads it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { minLength: 1, maxLength: 5 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      (texts, number) => {
        const read = document(JSON.stringify({ texts, number }, undefined, 2)).root.fields(["texts", "number"])
        assert.equal(read?.get("number")?.number(), JSON.parse(JSON.stringify(number)))
        assert.deepEqual(
          read?.get("texts")?.list((text) => text.read((source) => source)),
          texts,
        )
      },
    ),
  )
})
