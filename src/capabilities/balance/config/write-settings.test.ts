import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { misfits } from "../../../../test/kit/json-schema.ts"
import { RdvError } from "../../../base/error.ts"
import type { Json } from "../../../base/json.ts"
import { readDocument } from "../../../config/document.ts"
import { documentText } from "../../../config/write-document.ts"
import { readSettings } from "./read-settings.ts"
import { settingsSchema } from "./schema.ts"
import type { Settings } from "./settings.ts"
import { settingsDocument, simpleForm, writeSettings } from "./write-settings.ts"

const read = (text: string): Settings => readSettings(readDocument(text, { file: "/etc/rdv/balance.yaml" }))

const schema = settingsSchema()
const time = fc.constantFrom("1s", "250ms", "1m30s", "2h", "10d", "2.5s", "90s")
const timeOrOff = fc.oneof(time, fc.constantFrom("off", false))
const byteRate = fc.constantFrom("10MB/s", "64KiB/s", "8Mbit/s", 1000, "1.5 GiB/s", "777", "1bit/s", "off")
const bandwidth = fc.oneof(byteRate, keys({ up: byteRate, down: byteRate }))
const share = fc.integer({ min: 0, max: 1000 }).map((part) => `${part / 10}%`)
const rate = fc.constantFrom("5/s", "300/m", "10/h", "7/m", 0.25, 12, "off")
const count = fc.integer({ min: 1, max: 60_000 })
const countOrOff = fc.oneof(count, fc.constant("off"))
const truth = fc.boolean()
const network = fc.constantFrom("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1")
const networks = fc.oneof(network, fc.array(network, { minLength: 1, maxLength: 3 }))
const word = fc.constantFrom(
  "a",
  "shop",
  "true",
  "5",
  "x: y",
  "#",
  "ü",
  "- a",
  "no",
  "~",
  " lead",
  "a\nb",
  "0x10",
  "'",
  '"',
)
const name = fc.constantFrom("shop.test", "*.shop.test", "Bücher.test", "a_b.test")
const file = fc.constantFrom("a.pem", "/run/b.pem", "../c d.pem")
const command = fc.oneof(
  fc.constantFrom("node server.js", "true"),
  fc.array(fc.constantFrom("sh", "-c", "exec a 'b c'", "5", ""), { minLength: 1, maxLength: 3 }),
)
const hostPort = fc.oneof(count, fc.constantFrom("127.0.0.1:9", "[::1]:9", "localhost:9"))

/** Some of these keys. */
function keys(shape: Record<string, fc.Arbitrary<unknown>>, always: readonly string[] = []): fc.Arbitrary<Json> {
  return fc.record(shape, { requiredKeys: [...always] }) as fc.Arbitrary<Json>
}

const wake = fc.oneof(
  fc.constant("off"),
  ...[
    keys({ command, cwd: file }, ["command"]),
    keys({ start: command, stop: command }, ["start"]),
    keys({ "start-url": fc.constant("http://a/b?c"), "stop-url": fc.constant("https://d") }, ["start-url"]),
  ].map((how) =>
    fc
      .tuple(
        how,
        keys({
          env: fc.dictionary(fc.constantFrom("A", "B"), word),
          ready: fc.constantFrom("tcp", "/healthz"),
          idle: time,
          timeout: time,
          "stop-timeout": time,
          queue: count,
        }),
      )
      .map(([a, b]) => ({ ...(a as object), ...(b as object) })),
  ),
)
const targetKeys = {
  weight: fc.constantFrom(0, 1, 2, 0.5),
  priority: fc.integer({ min: 0, max: 3 }),
  zone: fc.oneof(word, fc.constant("off")),
  "max-connections": countOrOff,
  disabled: truth,
  tls: fc.oneof(
    truth,
    keys({
      "server-name": fc.constant("a.test"),
      ca: file,
      verify: truth,
      alpn: fc.constantFrom("h2", ["h2", "x"], "none"),
    }),
  ),
  "proxy-protocol": fc.constantFrom("off", "v1", "v2"),
  warm: fc.integer({ min: 0, max: 9 }),
  wake,
}
const address = fc.constantFrom("a:1", "[::1]:2", "unix:/run/a b.sock", "rdv:web", "10.0.0.1:80")
const target = fc.oneof(
  address,
  fc.tuple(address, keys(targetKeys)).map(([to, more]) => ({ address: to, ...(more as object) })),
)
const listenerKeys = {
  "server-names": fc.oneof(name, fc.uniqueArray(name, { minLength: 1 }), fc.constant("none")),
  tls: fc.oneof(
    fc.constant("off"),
    keys(
      {
        cert: file,
        key: file,
        alpn: fc.constantFrom("h2", ["h2", "http/1.1"]),
        "min-version": fc.constantFrom("TLSv1.2", "TLSv1.3"),
      },
      ["cert", "key"],
    ),
    keys(
      {
        certificates: fc.constantFrom(
          [{ cert: "a", key: "b" }],
          [
            { cert: "a", key: "b" },
            { cert: "c", key: "d" },
          ],
        ),
        "client-ca": file,
        "client-certificate": fc.constantFrom("none", "optional", "require"),
      },
      ["certificates", "client-ca"],
    ),
  ),
  "proxy-protocol": fc.constantFrom("optional", "require"),
  backlog: count,
}
const appKeys = {
  ...listenerKeys,
  "each-target": keys(targetKeys),
  policy: fc.oneof(
    fc.constantFrom("hash", "random", "peak-ewma", "round-robin"),
    keys({
      kind: fc.constantFrom("hash", "least-connections"),
      bound: fc.constantFrom(1, 1.5, "off"),
      "spill-below": share,
      locality: fc.constantFrom("off", "rtt"),
    }),
  ),
  "slow-start": time,
  health: fc.oneof(
    fc.constantFrom("tcp", "tls", "http", "off", false),
    keys(
      {
        path: fc.constant("/x"),
        method: fc.constant("HEAD"),
        host: fc.constantFrom("a", "off"),
        status: fc.constantFrom(200, "200-299", [204, "300-399"]),
        interval: time,
        port: countOrOff,
      },
      ["path"],
    ),
    keys(
      {
        send: fc.constantFrom("PING\\r\\n", "\\x00\\xff\\\\", "é"),
        expect: fc.constantFrom("+PONG", 5),
        "down-interval": time,
      },
      ["send"],
    ),
    keys({
      check: fc.constantFrom("tcp", "http", "expect"),
      interval: time,
      "down-interval": time,
      jitter: share,
      timeout: time,
      rise: count.map((n) => (n % 9) + 1),
      fall: fc.constant(2),
    }),
  ),
  outlier: fc.oneof(
    fc.constant("off"),
    keys({
      "connect-failures": fc.constantFrom(0, 5),
      "early-resets": fc.constant(2),
      eject: fc.constant("2s"),
      "max-eject": time.filter((t) => t !== "1s" && t !== "250ms"),
      "max-ejected": share,
      "panic-below": share,
    }),
  ),
  breaker: keys({
    "max-pending": countOrOff,
    "failure-rate": fc.oneof(share, fc.constant("off")),
    "min-dials": count,
    window: time,
    open: time,
  }),
  retries: fc.oneof(fc.integer({ min: 0, max: 5 }), keys({ attempts: fc.integer({ min: 0, max: 5 }), budget: share })),
  limits: keys({
    connections: countOrOff,
    "per-client": countOrOff,
    new: rate,
    "new-per-client": rate,
    queue: count,
    "queue-timeout": time,
    "client-prefix": keys({ ipv4: fc.constant(24), ipv6: fc.constant(48) }),
  }),
  bandwidth: keys({ connection: bandwidth, client: bandwidth, app: bandwidth }),
  timeouts: keys({
    connect: time,
    dial: time,
    idle: timeOrOff,
    "half-closed": time,
    lifetime: timeOrOff,
    "first-byte": timeOrOff,
    answer: timeOrOff,
    preface: time,
    "slow-reader": timeOrOff,
  }),
  "keep-alive": fc.constantFrom("30s", "off", "1m"),
  "no-delay": truth,
  "when-down": fc.constantFrom("accept", "hold", "refuse"),
  access: fc.oneof(
    fc.array(
      fc.oneof(
        networks.map((deny) => ({ deny })),
        networks.map((allow) => ({ allow })),
        fc.constant({ "deny-file": "bad.txt" }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    keys({
      rules: fc.constant([{ allow: "10.0.0.0/8", "allow-file": "x" }]),
      otherwise: fc.constantFrom("allow", "deny"),
    }),
  ),
  removed: fc.constantFrom("keep", "drain", "cut"),
  drain: time,
  down: fc.constantFrom("keep", "cut"),
}
const app = fc
  .tuple(
    fc.constantFrom("a", "b", "b#2", "true", "5"),
    fc.uniqueArray(target, {
      minLength: 1,
      maxLength: 3,
      selector: (one) => JSON.stringify(typeof one === "string" ? one : one.address),
    }),
    keys(appKeys),
    truth,
    fc.uniqueArray(hostPort, { minLength: 1, maxLength: 2, selector: (one) => String(one).replace(/.*:/, "") }),
    keys(listenerKeys),
  )
  .map(([id, targets, more, plain, ports, own]) => ({
    name: id,
    ...(plain
      ? { ports: ports.map((one) => (typeof one === "number" ? one : 9)) }
      : { listen: ports.map((one) => ({ address: one, ...(own as object) })) }),
    targets,
    ...(more as object),
  }))
const document = fc
  .tuple(
    fc.array(app, { minLength: 1, maxLength: 3 }),
    keys({
      defaults: keys(appKeys),
      "max-connections": count,
      bandwidth,
      tiers: fc.constantFrom("none", [
        {
          name: "gold",
          weight: 2,
          bandwidth: { client: "1MB/s" },
          match: { addresses: "10.0.0.0/8", ports: 5, tokens: ["a".repeat(64)] },
        },
      ]),
      zone: word,
      workers: fc.integer({ min: 1, max: 9 }),
      drain: time,
      "resolve-every": time,
      resolve: fc.constantFrom({ "a.test": "127.0.0.1", "B.test:5": ["::1", "127.0.0.1"] }),
      admin: keys({ socket: truth, listen: hostPort, "token-file": file, metrics: hostPort }, ["token-file"]),
      log: keys({ connections: fc.constantFrom("all", "failed", "none") }),
      tracing: fc.oneof(
        fc.constant("off"),
        keys(
          {
            endpoint: fc.constant("http://a:4318/v1/traces"),
            headers: fc.dictionary(fc.constantFrom("x", "y"), fc.constant("z")),
            sample: share,
          },
          ["endpoint"],
        ),
      ),
    }),
  )
  .map(([apps, root]) => ({ ...(root as object), apps }))

test("what is written reads back as the same settings, and fits the schema as what was read does", () => {
  let good = 0
  fc.assert(
    fc.property(document, (value) => {
      let settings: Settings
      try {
        settings = read(documentText(value as Json))
      } catch (error) {
        // Ports that clash, and the like.
        assert.ok(error instanceof RdvError && error.code === "usage", String(error))
        return
      }
      good++
      assert.deepEqual(misfits(value as Json, schema), [])
      for (const all of [false, true]) {
        assert.deepEqual(read(writeSettings(settings, { all })), settings)
        assert.deepEqual(misfits(settingsDocument(settings, { all }), schema), [])
        assert.deepEqual(read(JSON.stringify(settingsDocument(settings, { all }))), settings)
      }
    }),
    { numRuns: 150 },
  )
  assert.ok(good > 50, `${good} of 150 were good`)
})

test("what is written is as short as a person would write it", () => {
  const text = `
apps:
  - {name: a, ports: [80, 81], targets: ["b:1", {address: "c:2", weight: 2}], timeouts: {idle: 90s, connect: 4s}, policy: hash}
  - {name: b, listen: ["127.0.0.1:82", {address: 83}], targets: [unix:/run/x], policy: {kind: hash}, health: {check: tcp}}
`
  assert.equal(
    writeSettings(read(text)),
    `defaults:
  policy: hash
apps:
  - name: a
    ports: [80, 81]
    targets:
      - b:1
      - address: c:2
        weight: 2
    timeouts:
      idle: 90s
  - name: b
    listen: [127.0.0.1:82, 83]
    targets: [unix:/run/x]
    health: tcp
`,
  )
})

test("the public form comes out as it went in, and otherwise says what it loses", () => {
  const json = `${JSON.stringify({ Apps: [{ Name: "a", Ports: [1, 2], Targets: ["b:1", "[::1]:2"] }] }, undefined, 2)}\n`
  assert.deepEqual(simpleForm(read(json)), { json, losses: [] })
  const { json: left, losses } = simpleForm(
    read(`
zone: x
apps:
  - {name: a, listen: ["127.0.0.1:80", {address: 443, tls: {cert: a, key: b}}], targets: [rdv:a, "b:1", {address: "c:1", warm: 2}], no-delay: false}
  - {name: b, ports: 444, targets: rdv:b}
`),
  )
  assert.deepEqual(JSON.parse(left), { Apps: [{ Name: "a", Ports: [80, 443], Targets: ["b:1", "c:1"] }] })
  assert.deepEqual(losses, [
    "zone of the whole file",
    '"a": no-delay',
    '"a": the address of 127.0.0.1:80: the port is on all addresses',
    '"a": tls of a listener',
    '"a": the target rdv:a',
    '"a": warm of c:1',
    '"b": the target rdv:b',
    '"b": the app, which has no target left',
  ])
})
