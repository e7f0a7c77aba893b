import assert from "node:assert/strict"
import { after, test } from "node:test"
import fc from "fast-check"
import { sampleApps, ScenarioDesk } from "../../../../test/kit/scenario-desk.ts"
import { scenarioFlags } from "./flags.ts"

const desk = new ScenarioDesk()
after(() => desk[Symbol.dispose]())
const config = desk.write(sampleApps, "config.json")
const tcp = "tcp://localhost:7000"
const http = "http://localhost:8080/"

test("flags that are wrong are told by their name", () => {
  const cases: readonly (readonly [args: readonly string[], line: string])[] = [
    [[], "There is no target: name tcp://host:port, https://host/path, a scenario.yaml or a config.json"],
    [["no.yaml"], "no.yaml does not exist: check the path"],
    [["localhost:7000"], '"localhost:7000" is no target: write tcp://localhost:7000 or http://localhost:7000'],
    [
      [config, "other"],
      `"other" stands behind ${config.replace(`${desk.folder}/`, "")}, which is a file: name one file, or only targets`,
    ],
    [
      [tcp, "--rate", "fast"],
      '--rate "fast" is no shape: write constant, ramp, step, sine, sawtooth, spike, replay or a number',
    ],
    [[tcp, "--duration", "10"], '--duration "10" has no unit: write 10s or 10ms'],
    [[tcp, "--duration", "0s"], '--duration "0s" has to be more than 0: change it'],
    [[tcp, "--count", "0"], '--count "0" is not a whole number from 1 to 1000000000000: change it'],
    [[tcp, "--hex", "0"], '--hex "0" is not hexadecimal: write two digits for each byte: 00 ff 0a'],
    [[tcp, "--size", "1GiB"], '--size "1GiB" is too large for a message: give at most 16777216 bytes'],
    [
      [tcp, "--message", "{{cuonter}}"],
      "--message {{cuonter}} is nothing that can be filled in: use {{counter}}, {{uuid}} or {{time}}",
    ],
    [
      [tcp, "--expect", "/(/"],
      '--expect "/(/" is no regular expression: Invalid regular expression: /(/: Unterminated group: mend the pattern',
    ],
    [
      [tcp, "--expect", "ok"],
      '--expect "ok" is nothing that can be expected: write echo, any, size:512, /pattern/i or status:200,204',
    ],
    [
      [tcp, "--framing", "length:3"],
      '--framing "length:3" is no framing: write none, newline, length:1, length:2, length:4 or fixed:512',
    ],
    [[http, "--header", "x"], "--header \"x\" is no header: write 'Name: value'"],
    [[http, "--header", "a: b\r\nc: d"], "--header \"a: b\\r\\nc: d\" is no header: write 'Name: value'"],
    [[tcp, "--burst", "10"], "--burst \"10\" is no burst: write '10 every 1s'"],
    [
      [tcp, "--ca", "config.json"],
      '--ca "config.json" has no certificate in PEM: name a file with -----BEGIN CERTIFICATE-----',
    ],
    [[tcp, "--arrivals", "odd"], '--arrivals "odd" is not known here: use even or poisson'],
  ]
  for (const [args, line] of cases) assert.deepEqual(desk.complaints(...args), [line])
})

test("what contradicts itself is told with both sides and the mend", () => {
  const cases: readonly (readonly [args: readonly string[], line: string])[] = [
    [
      [tcp, "--rate", "5", "--each", "3"],
      "--each is for connections that wait for their answers, and there is a rate: give a count of messages in all",
    ],
    [
      [tcp, "5", "--rate", "5"],
      "The number 5 behind the target is for connections that wait for their answers, and there is a rate: give a count of messages in all",
    ],
    [[config, "5", "--each", "6"], "The number 5 behind the target says what --each says too: leave one out"],
    [
      [tcp, "--rate", "5", "--burst", "5 every 1s"],
      "--burst is for connections that wait for their answers, and there is a rate: use a spike as the rate's shape",
    ],
    [
      [tcp, "--rate", "5", "--model", "closed"],
      "--rate is for the open model, and --model wants the closed one: leave one out",
    ],
    [[tcp, "--model", "open"], "--model wants the open model, and no rate is given: give a rate, such as 100"],
    [
      [tcp, "--arrivals", "poisson"],
      "--arrivals is for a run with a rate, and there is none: give a rate, or leave it out",
    ],
    [[tcp, "--rate", "5", "--phase", "6"], "--phase says what --rate says too: leave one out"],
    [
      [tcp, "--rate", "5", "--connections", "ramp 1..5 for 5s"],
      "--connections has a shape, and with a rate it is the most there may be: write a number, and give the shape to the rate",
    ],
    [
      [tcp, "--rate", "5", "--when-busy", "drop", "--queue-limit", "5"],
      "--queue-limit is for a queue, and what finds no connection is dropped: leave it out",
    ],
    [
      [tcp, "--connections", "5/s"],
      "--connections is a number of connections, and has one per time: write a number alone, or give it as the rate",
    ],
    [
      [tcp, "--connections", "0"],
      "--connections is a number of connections, and 0 is not a whole one from 1 to 1000000: change it",
    ],
    [
      [tcp, "--phase", "5", "--phase", "6"],
      '--phase has phase 1 without an end, and another one behind it: add "for 10s"',
    ],
    [[tcp, "--rate", "ramp 0..5"], '--rate has a ramp without an end: add "for 30s", or give a duration'],
    [[tcp, "--message", "a", "--size", "5"], "--size says what to send, and so does --message: leave one out"],
    [[tcp, "--body", "a"], "--body is for HTTP: leave it out, or name an http:// target"],
    [[http, "--message", "a"], "--message is not for HTTP: say what to send with a body"],
    [[http, "--expect", "echo"], "--expect wants the body back, and there is none: give a body"],
    [
      ["ws://a/", "--framing", "newline"],
      "--framing is not for WebSocket, which says itself where a message ends: leave it out",
    ],
    [
      [tcp, "--expect", "status:200"],
      "--expect wants a status, which only HTTP has: use echo, any, size:BYTES or /pattern/",
    ],
    [
      [tcp, "--framing", "fixed:5", "--expect", "size:6"],
      "--expect wants 6 bytes, and the framing says 5: make them equal",
    ],
    [
      [tcp, http],
      `${tcp} and ${http} want different messages: HTTP, WebSocket and plain streams each need a run of their own`,
    ],
    [
      [tcp, "--insecure"],
      "--insecure is for TLS, and no target has it: leave it out, or name a tls://, https:// or wss:// target",
    ],
    [
      [tcp, "--no-keep-alive", "--lifetime", "1s"],
      "--lifetime is about connections that are kept, and each message has its own: leave it or no-keep-alive out",
    ],
    [
      [tcp, "--resolve", "locahost=::1"],
      "--resolve has an address for locahost, which no target names: check the name",
    ],
    [[tcp, "--host", "a"], "--host is for a file of Apps: leave it out: a target has its own host"],
  ]
  for (const [args, line] of cases) assert.deepEqual(desk.complaints(...args), [line])
})

test("files that are wrong are told with line and column, all at once", () => {
  const cases: readonly (readonly [text: string, ...lines: readonly string[]])[] = [
    ["seed: 1", 'bad.yaml:1:1: no target is named: add "target: tcp://host:port"'],
    ["target: localhost:1", 'bad.yaml:1:9: "localhost:1" is no target: write tcp://localhost:1 or http://localhost:1'],
    ["targets: []", "bad.yaml:1:10: the list is empty: put something in"],
    [
      `target: ${tcp}\ntargets: [${tcp}]`,
      'bad.yaml:2:10: targets are named twice: keep one of "target", "targets" and "config"',
    ],
    [
      "targets:\n  - lable: x",
      'bad.yaml:2:5: "lable" is not a key that is known here: use url, label',
      'bad.yaml:2:5: there is no "url": add it',
    ],
    [
      `target: ${tcp}\nrat: 5\nthink: 5\nno-keep-alive: 1\nfail:\n  - p99<<1\n`,
      'bad.yaml:2:1: "rat" is not a key that is known here: did you mean "rate"?',
      'bad.yaml:3:8: "5" has no unit: write 5s or 5ms',
      "bad.yaml:4:16: true or false is wanted, and this is the number 1: write true or false",
      'bad.yaml:6:5: "p99<<1" is not a condition: write for example p99<20ms, errors<0.1% or rate>=5000',
    ],
    [
      `target: ${tcp}\nwhen_busy: drop`,
      'bad.yaml:2:1: "when_busy" is not a key that is known here: did you mean "when-busy"?',
    ],
    [`target: ${tcp}\nduration: 5s\nduration: 6s`, 'bad.yaml:3:1: "duration" is already in line 2: leave one out'],
    [
      `target: ${tcp}\narrivals: even`,
      'bad.yaml:2:11: "arrivals" is for a run with a rate, and there is none: give a rate, or leave it out',
    ],
    [
      `target: ${tcp}\nsequence: [{txt: a}]`,
      'bad.yaml:2:12: there is no "text": add it',
      'bad.yaml:2:13: "txt" is not a key that is known here: did you mean "text"?',
    ],
    [`target: ${tcp}\nsequence: [{text: a, weight: 0}]`, "bad.yaml:2:11: no message has a weight above 0: raise one"],
    [`target: ${tcp}\nsequence: no.jsonl`, "bad.yaml:2:11: no.jsonl does not exist: check the path"],
  ]
  for (const [text, ...lines] of cases) assert.deepEqual(desk.complaints(desk.write(text, "bad.yaml")), lines, text)
})

test("lines of sequences and instants that are wrong are told by line", () => {
  desk.write(
    '{"text": 5}\n{"txt": "a"}\nhello\n{"text": "a", "weight": -1}\n[]\n{"text": "a", "expect": "b"}',
    "bad.jsonl",
  )
  assert.deepEqual(desk.complaints(tcp, "--sequence", "bad.jsonl"), [
    '--sequence bad.jsonl:1:1: there is no "text": add "text": "hello" (the first of 6 problems)',
  ])
  desk.write("\n", "empty.jsonl")
  assert.deepEqual(desk.complaints(tcp, "--sequence", "empty.jsonl"), [
    "--sequence empty.jsonl has no message in it: add one",
  ])
  const instants = (content: string) => {
    desk.write(content, "t.csv")
    return desk.read(tcp, "--rate", "replay t.csv").phases[0]?.shape
  }
  const atMs = [0, 250, 1000]
  for (const content of [
    "0\n0.25\n1\n",
    "at,path\r\n0,/a\r\n1,/c\r\n0.25,/b\r\n",
    "# recorded\n1735689600.000\n1735689600.250\n1735689601\n",
    "1735689600000\n1735689600250\n1735689601000\n",
    '"2025-01-01T00:00:00Z";x\n2025-01-01T00:00:00.250Z\n2025-01-01T01:00:01+01:00\n',
  ]) {
    assert.deepEqual(instants(content), { kind: "replay", atMs }, content)
  }
  const line = (content: string) => {
    desk.write(content, "t.csv")
    return desk.complaints(tcp, "--rate", "replay t.csv")
  }
  const mend = "write seconds (0.25) or a time such as 2025-01-31T12:00:00.250Z at the start of each line"
  assert.deepEqual(line("0\nsoon\n"), [`--rate "replay t.csv": t.csv:2:1: "soon" is no instant: ${mend}`])
  assert.deepEqual(line("at\n"), [`--rate "replay t.csv": t.csv has no instant in it: ${mend}`])
  assert.deepEqual(line("0\n1735689600\n"), [
    '--rate "replay t.csv": t.csv:2:1: a clock time among seconds from the start: use one form for all',
  ])
})

test("no flags and no file make it throw anything but a usage error", () => {
  const names = Object.keys(scenarioFlags)
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "5",
      "5s",
      "5/s",
      "echo",
      "ramp 0..5 for 5s",
      "status",
      "open",
      "closed",
      "10 every 1s",
      "a: b",
      "a=b",
    ),
  )
  const flag = fc.tuple(fc.constantFrom(...names), value)
  const target = fc.constantFrom(tcp, http, "wss://a/", "unix:/x", config)
  fc.assert(
    fc.property(target, fc.uniqueArray(flag, { maxLength: 5, selector: ([name]) => name }), (target, flags) => {
      const args = flags.flatMap(([name, value]) =>
        scenarioFlags[name]?.kind === "switch" ? [`--${name}`] : [`--${name}`, value],
      )
      desk.complaints(target, ...args)
      const file = desk.write(
        `target: ${target}\n${flags.map(([name, value]) => `${name}: ${value}`).join("\n")}`,
        "fuzz.yaml",
      )
      desk.complaints(file)
    }),
    { numRuns: 800 },
  )
})
