import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { problemsOf } from "../../../config/problems.ts"
import { scenarioFlags } from "./flags.ts"
import type { FlagValues } from "./flags.ts"
import { readScenario } from "./read-scenario.ts"
import type { Scenario } from "./scenario.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-scenario-"))
after(() => rmSync(folder, { recursive: true }))
let files = 0

function write(content: string, name = `f${files++}.yaml`): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** As a command line: words, then `--flag value` pairs. */
function read(...args: readonly string[]): Scenario {
  const words: string[] = []
  const given = new Map<string, string[]>()
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string
    if (!arg.startsWith("--")) {
      words.push(arg)
      continue
    }
    const name = arg.slice(2)
    const flag = scenarioFlags[name]
    assert.ok(flag, arg)
    const values = given.get(name) ?? []
    values.push(flag.kind === "switch" ? "true" : (args[++at] as string))
    given.set(name, values)
  }
  const flags: FlagValues = {
    has: (name) => given.has(name),
    on: (name) => given.get(name)?.at(-1) === "true",
    text: (name) => given.get(name)?.at(-1) ?? scenarioFlags[name]?.default,
    values: (name) => given.get(name) ?? [],
  }
  return readScenario(words, flags, folder)
}

/** Each problem as a terminal shows it, without the folder. */
function complaints(...args: readonly string[]): string[] {
  try {
    read(...args)
  } catch (error) {
    assert.ok(error instanceof RdvError && error.code === "usage", String(error))
    return problemsOf(error).map(({ message, mend }) =>
      (mend === undefined ? message : `${message}: ${mend}`).replaceAll(`${folder}/`, ""),
    )
  }
  return []
}

const apps = JSON.stringify({
  Apps: [
    { Name: "five-thousand", Ports: [5001, 5200], Targets: ["echo.example.test:5001"] },
    { Name: "six-thousand", Ports: [6001], Targets: ["echo.example.test:6001", "bad.example.test:6003"] },
  ],
})
const config = write(apps, "config.json")
const tcp = "tcp://localhost:7000"
const http = "http://localhost:8080/"

test("a target alone gets every default", () => {
  assert.deepEqual(read(tcp), {
    name: tcp,
    targets: [{ label: tcp, protocol: "tcp", host: "localhost", port: 7000, path: "" }],
    model: { kind: "closed" },
    phases: [{ shape: { kind: "constant", value: 1 }, durationMs: undefined }],
    warmUpMs: 0,
    messages: { kind: "text", text: "hello world" },
    framing: { kind: "none" },
    expect: { kind: "echo" },
    pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
    ending: { durationMs: 10_000, stopWhen: [], drainMs: 5000, timeoutMs: 30_000, connectTimeoutMs: 10_000 },
    thresholds: [],
    seed: 1,
  })
})

test("a file of Apps gives one connection to each port, and hello world ten times", () => {
  const scenario = read(config)
  assert.deepEqual(
    scenario.targets.map(({ label, host, port }) => [label, host, port]),
    [
      ["five-thousand:5001", "127.0.0.1", 5001],
      ["five-thousand:5200", "127.0.0.1", 5200],
      ["six-thousand:6001", "127.0.0.1", 6001],
    ],
  )
  assert.deepEqual(scenario.model, { kind: "closed", each: 10 })
  assert.deepEqual(scenario.phases, [{ shape: { kind: "constant", value: 3 }, durationMs: undefined }])
  assert.deepEqual(scenario.messages, { kind: "text", text: "hello world" })
  assert.deepEqual(scenario.expect, { kind: "echo" })
  assert.equal(scenario.ending.durationMs, undefined)
  assert.deepEqual(read(config, "50").model, { kind: "closed", each: 50 })
  assert.deepEqual(read(config, "--each", "50").model, { kind: "closed", each: 50 })
  assert.deepEqual(read(config, "--host", "::1").targets[0]?.host, "::1")
  // What else ends it ends it.
  const timed = read(config, "--duration", "5s", "--connections", "4")
  assert.deepEqual(timed.model, { kind: "closed" })
  assert.deepEqual(timed.phases[0]?.shape, { kind: "constant", value: 12 })
})

test("a rate makes the model open", () => {
  const scenario = read(tcp, "--rate", "500", "--max-rate", "900/s")
  assert.deepEqual(scenario.model, {
    kind: "open",
    connections: 1000,
    arrivals: "even",
    whenBusy: "queue",
    queueLimit: 100_000,
    maxRate: 900,
  })
  assert.equal(scenario.ending.durationMs, 10_000)
  const poisson = read(config, "--rate", "60/m", "--arrivals", "poisson", "--when-busy", "drop", "--connections", "2")
  assert.deepEqual(poisson.model, {
    kind: "open",
    connections: 6,
    arrivals: "poisson",
    whenBusy: "drop",
    queueLimit: 100_000,
  })
  assert.deepEqual(poisson.phases, [{ shape: { kind: "constant", value: 1 }, durationMs: undefined }])
})

test("phases follow each other, and their end is the run's", () => {
  const scenario = read(tcp, "--phase", "ramp 0..100 for 5s", "--phase", "constant 100 for 10s")
  assert.equal(scenario.model.kind, "open")
  assert.deepEqual(scenario.phases, [
    { shape: { kind: "ramp", from: 0, to: 100 }, durationMs: 5000 },
    { shape: { kind: "constant", value: 100 }, durationMs: 10_000 },
  ])
  assert.equal(scenario.ending.durationMs, undefined)
  const closed = read(config, "--phase", "step 1 by 1 every 1s until 5 for 9s", "--model", "closed")
  assert.deepEqual(closed.phases, [
    { shape: { kind: "step", from: 3, by: 3, everyMs: 1000, until: 15 }, durationMs: 9000 },
  ])
  assert.deepEqual(closed.model, { kind: "closed" })
  // A ramp goes on until the end.
  assert.deepEqual(read(tcp, "--rate", "ramp 0..9", "--duration", "7s").phases[0]?.durationMs, 7000)
  const times = write("time\n0.5\n0\n1.25\n", "times.csv")
  const replay = read(tcp, "--rate", "replay times.csv")
  assert.deepEqual(replay.phases, [{ shape: { kind: "replay", atMs: [0, 500, 1250] }, durationMs: 1251 }])
  assert.deepEqual(read(tcp, "--rate", `replay ${times}`).phases, replay.phases)
})

test("every flag reaches the scenario", () => {
  const ca = write("-----BEGIN CERTIFICATE-----\n", "ca.pem")
  const scenario = read(
    ...["tls://one.example:9", "--name", "n", "--count", "9", "--hex", "00 ff", "--framing", "length:2"],
    ...[
      "--expect",
      "/^ok$/i",
      "--read-rate",
      "64KiB/s",
      "--write-rate",
      "1MB/s",
      "--pause-before",
      "1s",
      "--think",
      "2ms",
    ],
    ...["--pause-after", "3s", "--burst", "10 every 1s", "--lifetime", "1m", "--drain", "0", "--timeout", "2s"],
    ...[
      "--connect-timeout",
      "3s",
      "--warm-up",
      "4s",
      "--stop-when",
      "errors>5%",
      "--fail",
      "p99<20ms",
      "--fail",
      "rate>=5000",
    ],
    ...["--seed", "7", "--ca", ca, "--server-name", "two.example", "--resolve", "one.example=127.0.0.1"],
    ...["--resolve", "one.example:9=::1"],
  )
  assert.deepEqual(scenario, {
    name: "n",
    targets: [
      {
        label: "tls://one.example:9",
        protocol: "tls",
        host: "one.example",
        port: 9,
        path: "",
        tls: { insecure: false, ca: "-----BEGIN CERTIFICATE-----\n", serverName: "two.example" },
        address: "::1",
      },
    ],
    model: { kind: "closed" },
    phases: [{ shape: { kind: "constant", value: 1 }, durationMs: undefined }],
    warmUpMs: 4000,
    messages: { kind: "bytes", base64: "AP8=" },
    framing: { kind: "length", bytes: 2 },
    expect: { kind: "match", pattern: "^ok$", flags: "i" },
    pace: {
      readBytesPerSecond: 65_536,
      writeBytesPerSecond: 1_000_000,
      pauseBeforeMs: 1000,
      thinkMs: 2,
      pauseAfterMs: 3000,
      burst: { messages: 10, everyMs: 1000 },
      lifetimeMs: 60_000,
      keepAlive: true,
    },
    ending: { count: 9, stopWhen: ["errors>5%"], drainMs: 0, timeoutMs: 2000, connectTimeoutMs: 3000 },
    thresholds: ["p99<20ms", "rate>=5000"],
    seed: 7,
  } satisfies Scenario)
  const web = read(
    "https://a.example/",
    http,
    "--header",
    "Accept: a, b",
    "--body",
    "x",
    "--no-keep-alive",
    "--insecure",
  )
  assert.deepEqual(web.messages, { kind: "http", method: "POST", headers: [["Accept", "a, b"]], bodyBase64: "eA==" })
  assert.deepEqual(web.expect, { kind: "status", codes: [] })
  assert.equal(web.pace.keepAlive, false)
  assert.deepEqual(
    web.targets.map(({ tls }) => tls),
    [{ insecure: true }, undefined],
  )
  assert.deepEqual(read(http, "--method", "put", "--expect", "status:200,204").expect, {
    kind: "status",
    codes: [200, 204],
  })
})

test("messages come from texts, files, sizes and sequences", () => {
  write("abc", "body.bin")
  write('{"text": "a {{counter}}", "weight": 3, "expect": "size:4"}\n\n"b"\n', "all.jsonl")
  assert.deepEqual(read(tcp, "--message", "x {{uuid}}").messages, { kind: "text", text: "x {{uuid}}" })
  assert.deepEqual(read(tcp, "--file", "body.bin").messages, { kind: "bytes", base64: "YWJj" })
  assert.deepEqual(read(tcp, "--size", "1KiB").messages, { kind: "random", bytes: 1024 })
  assert.deepEqual(read(tcp, "--sequence", "all.jsonl").messages, {
    kind: "sequence",
    entries: [
      { weight: 3, text: "a {{counter}}", expect: { kind: "size", bytes: 4 } },
      { weight: 1, text: "b" },
    ],
  })
  assert.deepEqual((read(http, "--body", "@body.bin").messages as { bodyBase64: string }).bodyBase64, "YWJj")
})

test("a file says the same as flags, with paths beside itself", () => {
  mkdirSync(join(folder, "sub"))
  write("abc", "sub/body.bin")
  const file = write(
    `
targets:
  - tcp://one.example:1
  - url: tcp://two.example:2
    label: two
phase: [ramp 0..10 for 5s, constant 10 for 5s]
connections: 3
when-busy: drop
file: body.bin
framing: newline
expect: any
fail: p99<20ms
no-keep-alive: true
resolve: {one.example: 127.0.0.1, "two.example:2": "::1"}
warm-up: 1s
seed: 3
`,
    "sub/load.yaml",
  )
  const flags = [
    "--phase",
    "ramp 0..10 for 5s",
    "--phase",
    "constant 10 for 5s",
    "--connections",
    "3",
    "--when-busy",
    "drop",
  ]
  const same = read(
    ...["tcp://one.example:1", "tcp://two.example:2", ...flags, "--file", "sub/body.bin", "--framing", "newline"],
    ...["--expect", "any", "--fail", "p99<20ms", "--no-keep-alive", "--resolve", "one.example=127.0.0.1"],
    ...["--resolve", "two.example:2=::1", "--warm-up", "1s", "--seed", "3"],
  )
  const [one, two] = same.targets
  assert.deepEqual(read(file), { ...same, targets: [one, { ...two, label: "two" }] })
  assert.deepEqual(read("sub/load.yaml"), read(file))
})

test("flags go before the file, with all that stands for the same", () => {
  const file = write(`target: ${tcp}\nphase: [ramp 0..10 for 5s]\nmessage: a\nseed: 3\nfail: [p99<1s]\n`)
  const scenario = read(file, "--rate", "5", "--size", "9", "--fail", "p50<1s")
  assert.deepEqual(scenario.phases, [{ shape: { kind: "constant", value: 5 }, durationMs: undefined }])
  assert.deepEqual(scenario.messages, { kind: "random", bytes: 9 })
  assert.deepEqual(scenario.thresholds, ["p50<1s"])
  assert.equal(scenario.seed, 3)
  const closed = write(`target: ${tcp}\nmodel: closed\n`)
  assert.equal(read(closed, "--rate", "5").model.kind, "open")
})

test("a file can name a file of Apps, messages in place, and headers as a map", () => {
  const byConfig = read(write("config: config.json\neach: 5\nhost: localhost\n"))
  assert.deepEqual(byConfig.targets, read(config, "--host", "localhost").targets)
  const inline = read(write(`target: ${tcp}\nsequence:\n  - one\n  - {text: two, weight: 2, expect: size:3}\n`))
  assert.deepEqual(inline.messages, {
    kind: "sequence",
    entries: [
      { weight: 1, text: "one" },
      { weight: 2, text: "two", expect: { kind: "size", bytes: 3 } },
    ],
  })
  const web = read(write(`target: ${http}\nheader:\n  Accept: "*/*"\n  X-Count: 5\n`))
  assert.deepEqual((web.messages as { headers: unknown }).headers, [
    ["Accept", "*/*"],
    ["X-Count", "5"],
  ])
})

test("flags that are wrong are told by their name", () => {
  const cases: readonly (readonly [args: readonly string[], line: string])[] = [
    [[], "There is no target: name tcp://host:port, https://host/path, a scenario.yaml or a config.json"],
    [["no.yaml"], "no.yaml does not exist: check the path"],
    [["localhost:7000"], '"localhost:7000" is no target: write tcp://localhost:7000 or http://localhost:7000'],
    [
      [config, "other"],
      `"other" stands behind ${config.replace(`${folder}/`, "")}, which is a file: name one file, or only targets`,
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
  for (const [args, line] of cases) assert.deepEqual(complaints(...args), [line])
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
  for (const [args, line] of cases) assert.deepEqual(complaints(...args), [line])
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
      'bad.yaml:2:5: "lable" is not a key that is known here: did you mean "label"?'.replace(
        'did you mean "label"?',
        "use url, label",
      ),
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
  for (const [text, ...lines] of cases) assert.deepEqual(complaints(write(text, "bad.yaml")), lines, text)
})

test("lines of sequences and instants that are wrong are told by line", () => {
  write('{"text": 5}\n{"txt": "a"}\nhello\n{"text": "a", "weight": -1}\n[]\n{"text": "a", "expect": "b"}', "bad.jsonl")
  assert.deepEqual(complaints(tcp, "--sequence", "bad.jsonl"), [
    '--sequence bad.jsonl:1:1: there is no "text": add "text": "hello" (the first of 6 problems)',
  ])
  write("\n", "empty.jsonl")
  assert.deepEqual(complaints(tcp, "--sequence", "empty.jsonl"), [
    "--sequence empty.jsonl has no message in it: add one",
  ])
  const instants = (content: string) => {
    write(content, "t.csv")
    return read(tcp, "--rate", "replay t.csv").phases[0]?.shape
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
    write(content, "t.csv")
    return complaints(tcp, "--rate", "replay t.csv")
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
      complaints(target, ...args)
      const file = write(
        `target: ${target}\n${flags.map(([name, value]) => `${name}: ${value}`).join("\n")}`,
        "fuzz.yaml",
      )
      complaints(file)
    }),
    { numRuns: 800 },
  )
})
