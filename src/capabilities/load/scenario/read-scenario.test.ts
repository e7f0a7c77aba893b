import assert from "node:assert/strict"
import { after, test } from "node:test"
import { sampleApps, ScenarioDesk } from "../../../../test/kit/scenario-desk.ts"
import type { Scenario } from "./scenario.ts"

const desk = new ScenarioDesk()
after(() => desk[Symbol.dispose]())
const config = desk.write(sampleApps, "config.json")
const tcp = "tcp://localhost:7000"
const http = "http://localhost:8080/"

test("a target alone gets every default", () => {
  assert.deepEqual(desk.read(tcp), {
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
  const scenario = desk.read(config)
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
  assert.deepEqual(desk.read(config, "50").model, { kind: "closed", each: 50 })
  assert.deepEqual(desk.read(config, "--each", "50").model, { kind: "closed", each: 50 })
  assert.deepEqual(desk.read(config, "--host", "::1").targets[0]?.host, "::1")
  // What else ends it ends it.
  const timed = desk.read(config, "--duration", "5s", "--connections", "4")
  assert.deepEqual(timed.model, { kind: "closed" })
  assert.deepEqual(timed.phases[0]?.shape, { kind: "constant", value: 12 })
})

test("a rate makes the model open", () => {
  const scenario = desk.read(tcp, "--rate", "500", "--max-rate", "900/s")
  assert.deepEqual(scenario.model, {
    kind: "open",
    connections: 1000,
    arrivals: "even",
    whenBusy: "queue",
    queueLimit: 100_000,
    maxRate: 900,
  })
  assert.equal(scenario.ending.durationMs, 10_000)
  const poisson = desk.read(
    config,
    "--rate",
    "60/m",
    "--arrivals",
    "poisson",
    "--when-busy",
    "drop",
    "--connections",
    "2",
  )
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
  const scenario = desk.read(tcp, "--phase", "ramp 0..100 for 5s", "--phase", "constant 100 for 10s")
  assert.equal(scenario.model.kind, "open")
  assert.deepEqual(scenario.phases, [
    { shape: { kind: "ramp", from: 0, to: 100 }, durationMs: 5000 },
    { shape: { kind: "constant", value: 100 }, durationMs: 10_000 },
  ])
  assert.equal(scenario.ending.durationMs, undefined)
  const closed = desk.read(config, "--phase", "step 1 by 1 every 1s until 5 for 9s", "--model", "closed")
  assert.deepEqual(closed.phases, [
    { shape: { kind: "step", from: 3, by: 3, everyMs: 1000, until: 15 }, durationMs: 9000 },
  ])
  assert.deepEqual(closed.model, { kind: "closed" })
  // A ramp goes on until the end.
  assert.deepEqual(desk.read(tcp, "--rate", "ramp 0..9", "--duration", "7s").phases[0]?.durationMs, 7000)
  const times = desk.write("time\n0.5\n0\n1.25\n", "times.csv")
  const replay = desk.read(tcp, "--rate", "replay times.csv")
  assert.deepEqual(replay.phases, [{ shape: { kind: "replay", atMs: [0, 500, 1250] }, durationMs: 1251 }])
  assert.deepEqual(desk.read(tcp, "--rate", `replay ${times}`).phases, replay.phases)
})

test("every flag reaches the scenario", () => {
  const ca = desk.write("-----BEGIN CERTIFICATE-----\n", "ca.pem")
  const flags = `--name n --count 9 --hex 00ff --framing length:2 --expect /^ok$/i --read-rate 64KiB/s --write-rate 1MB/s
    --pause-before 1s --think 2ms --pause-after 3s --lifetime 1m --drain 0 --timeout 2s --connect-timeout 3s --warm-up 4s
    --stop-when errors>5% --fail p99<20ms --fail rate>=5000 --seed 7 --ca ${ca} --server-name two.example
    --resolve one.example=127.0.0.1 --resolve one.example:9=::1`
  const scenario = desk.read("tls://one.example:9", ...flags.split(/\s+/), "--burst", "10 every 1s")
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
  const web = desk.read(
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
  assert.deepEqual(desk.read(http, "--method", "put", "--expect", "status:200,204").expect, {
    kind: "status",
    codes: [200, 204],
  })
})

test("messages come from texts, files, sizes and sequences", () => {
  desk.write("abc", "body.bin")
  desk.write('{"text": "a {{counter}}", "weight": 3, "expect": "size:4"}\n\n"b"\n', "all.jsonl")
  assert.deepEqual(desk.read(tcp, "--message", "x {{uuid}}").messages, { kind: "text", text: "x {{uuid}}" })
  assert.deepEqual(desk.read(tcp, "--file", "body.bin").messages, { kind: "bytes", base64: "YWJj" })
  assert.deepEqual(desk.read(tcp, "--size", "1KiB").messages, { kind: "random", bytes: 1024 })
  assert.deepEqual(desk.read(tcp, "--sequence", "all.jsonl").messages, {
    kind: "sequence",
    entries: [
      { weight: 3, text: "a {{counter}}", expect: { kind: "size", bytes: 4 } },
      { weight: 1, text: "b" },
    ],
  })
  assert.deepEqual((desk.read(http, "--body", "@body.bin").messages as { bodyBase64: string }).bodyBase64, "YWJj")
})

test("a file says the same as flags, with paths beside itself", () => {
  desk.write("abc", "sub/body.bin")
  const file = desk.write(
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
  const flags = `--connections 3 --when-busy drop --file sub/body.bin --framing newline --expect any --fail p99<20ms
    --no-keep-alive --resolve one.example=127.0.0.1 --resolve two.example:2=::1 --warm-up 1s --seed 3`
  const phases = ["--phase", "ramp 0..10 for 5s", "--phase", "constant 10 for 5s"]
  const same = desk.read("tcp://one.example:1", "tcp://two.example:2", ...phases, ...flags.split(/\s+/))
  const [one, two] = same.targets
  assert.deepEqual(desk.read(file), { ...same, targets: [one, { ...two, label: "two" }] })
  assert.deepEqual(desk.read("sub/load.yaml"), desk.read(file))
})

test("flags go before the file, with all that stands for the same", () => {
  const file = desk.write(`target: ${tcp}\nphase: [ramp 0..10 for 5s]\nmessage: a\nseed: 3\nfail: [p99<1s]\n`)
  const scenario = desk.read(file, "--rate", "5", "--size", "9", "--fail", "p50<1s")
  assert.deepEqual(scenario.phases, [{ shape: { kind: "constant", value: 5 }, durationMs: undefined }])
  assert.deepEqual(scenario.messages, { kind: "random", bytes: 9 })
  assert.deepEqual(scenario.thresholds, ["p50<1s"])
  assert.equal(scenario.seed, 3)
  const closed = desk.write(`target: ${tcp}\nmodel: closed\n`)
  assert.equal(desk.read(closed, "--rate", "5").model.kind, "open")
})

test("a file can name a file of Apps, messages in place, and headers as a map", () => {
  const byConfig = desk.read(desk.write("config: config.json\neach: 5\nhost: localhost\n"))
  assert.deepEqual(byConfig.targets, desk.read(config, "--host", "localhost").targets)
  const inline = desk.read(
    desk.write(`target: ${tcp}\nsequence:\n  - one\n  - {text: two, weight: 2, expect: size:3}\n`),
  )
  assert.deepEqual(inline.messages, {
    kind: "sequence",
    entries: [
      { weight: 1, text: "one" },
      { weight: 2, text: "two", expect: { kind: "size", bytes: 3 } },
    ],
  })
  const web = desk.read(desk.write(`target: ${http}\nheader:\n  Accept: "*/*"\n  X-Count: 5\n`))
  assert.deepEqual((web.messages as { headers: unknown }).headers, [
    ["Accept", "*/*"],
    ["X-Count", "5"],
  ])
})

test("a sequence of HTTP requests is read from a file and from a list alike, and told from texts", () => {
  const lines = [
    { path: "/a?n={{counter}}", weight: 9 },
    { method: "put", headers: { "X-Id": "{{uuid}}" }, body: "at {{time}}", expect: "status:201" },
  ]
  desk.write(lines.map((line) => JSON.stringify(line)).join("\n"), "requests.jsonl")
  const entries = [
    { weight: 9, text: "GET /a?n={{counter}}" },
    { weight: 1, text: "PUT \nX-Id: {{uuid}}\n\nat {{time}}", expect: { kind: "status", codes: [201] } },
  ]
  const file = desk.write(`target: http://a/\nsequence: ${JSON.stringify(lines)}`)
  for (const { messages } of [desk.read("http://a/", "--sequence", "requests.jsonl"), desk.read(file)]) {
    assert.deepEqual(messages, { kind: "sequence", entries })
  }
  assert.deepEqual(desk.complaints("tcp://a:1", "--sequence", "requests.jsonl"), [
    '--sequence has an HTTP request as its message 1: only HTTP has requests: write {"text": "hello"}',
  ])
  desk.write('"hello"', "texts.jsonl")
  assert.deepEqual(desk.complaints("http://a/", "--sequence", "texts.jsonl"), [
    '--sequence has a text as its message 1: HTTP wants requests: {"method": "GET", "path": "/"}',
  ])
  for (const wrong of [
    '{"path": "/a b"}',
    '{"path": "/", "text": "x"}',
    '{"method": "G T"}',
    '{"headers": {"A": 5}}',
  ]) {
    desk.write(wrong, "wrong.jsonl")
    assert.equal(desk.complaints("http://a/", "--sequence", "wrong.jsonl").length, 1, wrong)
  }
})
