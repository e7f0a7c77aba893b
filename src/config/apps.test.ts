import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../base/error.ts"
import { isAppsDocument, readApps } from "./apps.ts"
import { readDocument } from "./document.ts"
import { problemsOf } from "./problems.ts"

const read = (text: string) => readApps(readDocument(text, { file: "config.json" }))

function complaints(text: string): string[] {
  try {
    read(text)
  } catch (error) {
    assert.ok(error instanceof RdvError && error.code === "usage", String(error))
    return problemsOf(error).map(({ message, mend }) => `${message}: ${mend}`)
  }
  return []
}

const app = (rest: string) => `{"Apps": [\n  {"Name": "a", "Ports": [1], "Targets": ["b:2"]},\n  ${rest}\n]}`

test("the public form of three apps is read as it is", () => {
  const apps = ["five", "six", "seven"].map((name, at) => {
    const base = (5 + at) * 1000
    return {
      Name: `${name}-thousand`,
      Ports: [base + 1, base + 200, base + 300, base + 400],
      Targets: [`echo.example.test:${base + 1}`, ...(at === 1 ? ["bad.example.test:6003"] : []), `[::1]:${base + 2}`],
    }
  })
  const found = read(JSON.stringify({ Apps: apps }, undefined, 2))
  assert.deepEqual(
    found.map(({ name }) => name),
    ["five-thousand", "six-thousand", "seven-thousand"],
  )
  assert.deepEqual(found[1], {
    name: "six-thousand",
    ports: [6001, 6200, 6300, 6400],
    targets: [
      { host: "echo.example.test", port: 6001 },
      { host: "bad.example.test", port: 6003 },
      { host: "::1", port: 6002 },
    ],
  })
})

test("keys count whether capital or small, and the form is known by its first key", () => {
  const text = '{"apps": [{"NAME": "a", "ports": [9000], "tArGeTs": ["127.0.0.1:1"]}]}'
  assert.deepEqual(read(text), [{ name: "a", ports: [9000], targets: [{ host: "127.0.0.1", port: 1 }] }])
  assert.ok(isAppsDocument(readDocument(text, { file: "x" })))
  assert.ok(!isAppsDocument(readDocument("targets: []", { file: "x" })))
  assert.ok(!isAppsDocument(readDocument("[apps]", { file: "x" })))
})

test("a port that stands twice is told with both places", () => {
  assert.deepEqual(complaints(app('{"Name": "c", "Ports": [3, 1], "Targets": ["b:2"]}')), [
    'config.json:3:30: port 1 of "c" is already one of "a", at config.json:2:27: each port can stand in the file once',
  ])
})

test("each mistake is told with its line and its mend", () => {
  const cases: readonly (readonly [text: string, ...lines: readonly string[]])[] = [
    ["{}", 'config.json:1:1: there is no "Apps": add it'],
    ['{"Apps": []}', "config.json:1:10: the list is empty: put something in"],
    [
      '{"Aps": []}',
      'config.json:1:2: "Aps" is not a key that is known here: did you mean "Apps"?',
      'config.json:1:1: there is no "Apps": add it',
    ],
    [
      app('{"Name": "c"}'),
      'config.json:3:3: there is no "Ports": add it',
      'config.json:3:3: there is no "Targets": add it',
    ],
    [
      app('{"Name": "c", "Ports": [], "Targets": []}'),
      "config.json:3:26: the list is empty: put something in",
      "config.json:3:41: the list is empty: put something in",
    ],
    [
      app('{"Name": "c", "Ports": [2], "Targets": ["b:2"], "Weight": 1}'),
      'config.json:3:51: "Weight" is not a key that is known here: use Name, Ports, Targets',
    ],
    [
      app('{"Name": "c", "Ports": [2], "Targets": ["b:2"], "port": [3]}'),
      'config.json:3:51: "port" is not a key that is known here: did you mean "Ports"?',
    ],
    [
      app('{"Name": "c", "name": "d", "Ports": [2], "Targets": ["b:2"]}'),
      'config.json:3:17: "name" is already in line 3: leave one out',
    ],
    [
      app('{"Name": "c", "Ports": [0, 65536, 1.5, "2"], "Targets": ["b:2"]}'),
      "config.json:3:27: 0 is not a whole number from 1 to 65535: change it",
      "config.json:3:30: 65536 is not a whole number from 1 to 65535: change it",
      "config.json:3:37: 1.5 is not a whole number from 1 to 65535: change it",
      'config.json:3:42: a number is wanted, and this is the text "2": leave the quotes out',
    ],
    [
      app('{"Name": "c", "Ports": [2], "Targets": ["b", "b:x", "b:70000", "::1:80", 5]}'),
      'config.json:3:43: "b" is not host:port: write host:port, 127.0.0.1:9100 or [::1]:9101',
      'config.json:3:48: "b:x" has a port that is no number: write host:port, 127.0.0.1:9100 or [::1]:9101',
      'config.json:3:55: "b:70000" has the port 70000, which is not from 1 to 65535: change it',
      'config.json:3:66: "::1:80" has no port, or no brackets: write host:port, 127.0.0.1:9100 or [::1]:9101',
      "config.json:3:76: a text is wanted, and this is the number 5: put it in quotes",
    ],
  ]
  for (const [text, ...lines] of cases) assert.deepEqual(complaints(text).toSorted(), lines.toSorted(), text)
})
