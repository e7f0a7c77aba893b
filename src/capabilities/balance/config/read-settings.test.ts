import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { readDocument } from "../../../config/document.ts"
import { problemsOf } from "../../../config/problems.ts"
import { defaultApp, defaultListener, defaultSettings, defaultTarget } from "./defaults.ts"
import { readSettings } from "./read-settings.ts"
import type { AppSettings, Settings } from "./settings.ts"

const read = (text: string): Settings => readSettings(readDocument(text, { file: "/etc/rdv/b.yaml" }))

function complaints(text: string): string[] {
  try {
    readSettings(readDocument(text, { file: "b" }))
  } catch (error) {
    assert.ok(error instanceof RdvError && error.code === "usage", String(error))
    return problemsOf(error).map(({ message, mend }) => `${message}: ${mend}`)
  }
  return []
}

/** The only app of a file with these lines. */
function app(lines: string): AppSettings {
  const { apps } = read(`apps:\n  - name: a\n    ports: 80\n    targets: b:1\n${lines.replace(/^/gm, "    ")}`)
  return apps[0] as AppSettings
}

test("the public form of three apps is read as it is, with every default", () => {
  const apps = [5, 6, 7].map((thousand) => {
    const base = thousand * 1000
    const bad = thousand === 6 ? ["bad.target.for.testing:6003"] : []
    return {
      Name: `${["five", "six", "seven"][thousand - 5]}-thousand`,
      Ports: [1, 200, 300, 400].map((port) => base + port),
      Targets: [`echo.example.test:${base + 1}`, `echo.example.test:${base + 2}`, ...bad],
    }
  })
  const settings = read(JSON.stringify({ Apps: apps }, undefined, 2))
  assert.deepEqual({ ...settings, apps: [] }, defaultSettings)
  assert.deepEqual(
    settings.apps.map(({ name }) => name),
    ["five-thousand", "six-thousand", "seven-thousand"],
  )
  assert.deepEqual(settings.apps[1], {
    name: "six-thousand",
    listeners: [6001, 6200, 6300, 6400].map((port) => ({ ...defaultListener, port })),
    targets: [
      { ...defaultTarget, address: { kind: "tcp", host: "echo.example.test", port: 6001 } },
      { ...defaultTarget, address: { kind: "tcp", host: "echo.example.test", port: 6002 } },
      { ...defaultTarget, address: { kind: "tcp", host: "bad.target.for.testing", port: 6003 } },
    ],
    ...defaultApp,
  })
})

test("a URL that is refused is quoted without its secrets", () => {
  const written = 'apps: [{name: a, ports: 80, targets: [{address: b:1, wake: {start-url: "URL"}}]}]'
  for (const [url, shown] of [
    ["me:secret@hook.test/on?key=secret", "me:…@hook.test/on?…"],
    ["ftp://me:secret@hook.test/on", "ftp://me:…@hook.test/on"],
    ["hook.test/on?key=secret", "hook.test/on?…"],
  ] as const) {
    const [hook = ""] = complaints(written.replace("URL", url))
    assert.match(hook, /web hook/)
    assert.ok(hook.includes(JSON.stringify(shown)), hook)
    const [collector = ""] = complaints(`${written.replace(/, wake.*/, "}]}]")}\ntracing: {endpoint: "${url}"}`)
    assert.match(collector, /collector/)
    assert.ok(!collector.includes("secret"), collector)
  }
})

test("keys count whether capital or small", () => {
  const { apps } = read('{"APPS": [{"name": "a", "PORTS": [1], "Targets": ["b:2"], "Slow-Start": "5s"}]}')
  assert.deepEqual(
    apps.map(({ name, slowStartMs }) => [name, slowStartMs]),
    [["a", 5000]],
  )
})

test("apps of one name become different, and targets that stand twice get twice as much", () => {
  const one = (name: string, port: number) => ({ Name: name, Ports: [port], Targets: ["b:1", "b:1", "c:1"] })
  const { apps } = read(JSON.stringify({ Apps: [one("a", 1), one("a", 2), one("a#2", 3), one("a", 4)] }))
  assert.deepEqual(
    apps.map(({ name }) => name),
    ["a", "a#3", "a#2", "a#4"],
  )
  assert.deepEqual(
    apps[0]?.targets.map(({ weight }) => weight),
    [2, 1],
  )
})

test("defaults hold for apps that say nothing else, key by key", () => {
  const { apps } = read(`
defaults:
  timeouts: {idle: 1m, connect: 1s}
  health: {path: /up, interval: 1s, down-interval: 9s}
  each-target: {warm: 2, tls: {verify: false}}
  proxy-protocol: require
apps:
  - {name: a, ports: 1, targets: b:1}
  - name: b
    listen: {address: 2, proxy-protocol: off}
    targets: [{address: b:1, warm: 0, tls: off}]
    timeouts: {idle: off}
    health: {interval: 2s}
  - {name: c, ports: 3, targets: b:1, health: off}
`)
  const [a, b, c] = apps as [AppSettings, AppSettings, AppSettings]
  assert.deepEqual([a.timeouts.idleMs, a.timeouts.connectMs, a.timeouts.dialMs], [60_000, 1_000, 15_000])
  assert.deepEqual([b.timeouts.idleMs, b.timeouts.connectMs], [undefined, 1_000])
  assert.deepEqual([a.targets[0]?.warm, a.targets[0]?.tls?.verify], [2, false])
  assert.deepEqual([b.targets[0]?.warm, b.targets[0]?.tls], [0, undefined])
  assert.deepEqual([a.listeners[0]?.proxyProtocol, b.listeners[0]?.proxyProtocol], ["require", "off"])
  assert.deepEqual([a.health?.intervalMs, a.health?.downIntervalMs], [1_000, 9_000])
  // Who says one of the two alone means both.
  assert.deepEqual([b.health?.intervalMs, b.health?.downIntervalMs, b.health?.check.kind], [2_000, 2_000, "http"])
  assert.equal(c.health, undefined)
})

test("what is short means what is long", () => {
  const pairs: readonly (readonly [short: string, long: string])[] = [
    ["policy: hash", "policy: {kind: hash}"],
    ["retries: 5", "retries: {attempts: 5}"],
    ["outlier: off", "outlier: {connect-failures: 0, early-resets: 0}"],
    ["health: tls", "health: {check: tls}"],
    ["health: {path: /a}", "health: {check: http, path: /a}"],
    ["health: {send: a}", "health: {check: expect, send: a}"],
    ["bandwidth: {app: 1MB/s}", "bandwidth: {app: {up: 1MB/s, down: 1000kB}}"],
    ["access: [{allow: 10.0.0.0/8}]", "access: {rules: [{allow: [10.0.0.0/8]}], otherwise: deny}"],
    ["access: [{deny: 10.0.0.0/8}]", "access: {rules: [{deny: [10.0.0.0/8]}], otherwise: allow}"],
    ["tls: {cert: a, key: b}", "tls: {certificates: [{cert: a, key: /etc/rdv/b}]}"],
    ["tls: {cert: a, key: b, client-ca: c}", "tls: {cert: a, key: b, client-ca: c, client-certificate: require}"],
    ["each-target: {tls: true}", "each-target: {tls: {}}"],
    ["each-target: {wake: {command: a  b}}", "each-target: {wake: {command: [a, b], cwd: off, ready: tcp}}"],
    ["keep-alive: false", "keep-alive: off"],
    ["server-names: SHOP.test", "server-names: [shop.test]"],
  ]
  for (const [short, long] of pairs) assert.deepEqual(app(short), app(long), short)
})

test("checks speak bytes, statuses and ranges", () => {
  const text = String.raw`health: {send: "PING\\r\\n\\x00\\\\", expect: "é"}`
  assert.deepEqual(app(text).health?.check, { kind: "expect", send: "PING\r\n\0\\", expect: "\xe9" })
  assert.deepEqual(app("health: {path: /, status: [200, 300-399], method: HEAD}").health?.check, {
    kind: "http",
    path: "/",
    method: "HEAD",
    host: undefined,
    statuses: [
      [200, 200],
      [300, 399],
    ],
  })
})

const first = "apps:\n- {name: a, ports: 80, targets: b:1}\n"
const lines = (text: string) => `apps:\n- name: a\n  ports: 80\n  targets: b:1\n  ${text}\n`

test("each mistake is told with its line and its mend", () => {
  const cases: readonly (readonly [text: string, ...lines: readonly string[]])[] = [
    ["{}", 'b:1:1: there is no "apps": add it'],
    ["apps: []", "b:1:7: the list is empty: put something in"],
    ["apps: [{name: a}]", 'b:1:8: there is no "ports": add it', 'b:1:8: there is no "targets": add it'],
    [`${first}tiers_: []`, 'b:3:1: "tiers_" is not a key that is known here: did you mean "tiers"?'],
    [lines("timeouts: {idl: 5s}"), 'b:5:14: "idl" is not a key that is known here: did you mean "idle"?'],
    [lines("timeouts: {connect: 5}"), 'b:5:23: "5" has no unit: write 5s or 5ms'],
    [lines("timeouts: {idle: 30d}"), 'b:5:20: "30d" is too long: give at most 24d'],
    [lines("timeouts: {connect: 0}"), 'b:5:23: "0" is too short: give at least 1ms'],
    [
      lines("policy: maglev"),
      'b:5:11: "maglev" is not known here: use round-robin, random, least-connections, peak-ewma, hash',
    ],
    [lines("outlier: {eject: 1m, max-eject: 1s}"), 'b:5:12: "max-eject" is shorter than "eject": make it longer'],
    [
      lines("health: {path: /a, send: b}"),
      'b:5:28: "send" is for the check "expect", and this one is "http": leave one out',
    ],
    [
      lines("health: {send: '\\q'}"),
      String.raw`b:5:18: "\\q" has a \ that stands for nothing: write \r, \n, \t, \0, \xHH, or \\ for itself`,
    ],
    [lines("tls: {cert: a}"), 'b:5:8: "cert" and "key" go together: name both files'],
    [lines("tls: {alpn: h2}"), 'b:5:8: there is no certificate: add "cert" and "key"'],
    [
      lines("tls: {cert: a, key: b, client-certificate: optional}"),
      'b:5:46: clients\' certificates need an authority: add "client-ca"',
    ],
    [
      lines("access: [{allow: ::1, deny: ::1}]"),
      "b:5:12: a rule either allows or denies: begin each rule with a dash of its own: - allow: 10.0.0.0/8",
    ],
    [
      lines("access: [{allow: 10.0.0.0/33}]"),
      'b:5:20: "10.0.0.0/33" is not a network: the prefix of an IPv4 network is a number from 0 to 32: write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32',
    ],
    [
      lines("each-target: {wake: {command: sh -c 'a'}}"),
      `b:5:33: "sh -c 'a'" has signs that only a shell reads: write a list: [program, "an argument"], or [sh, -c, "…"]`,
    ],
    [
      lines("each-target: {wake: {start: a, command: b}}"),
      'b:5:31: it is started in two ways, "command" and "start": leave one out',
    ],
    [
      lines("each-target: {wake: {command: b, stop: c}}"),
      'b:5:42: "stop" goes with "start", which is not there: leave it out',
    ],
    [
      "apps: [{name: a, ports: 1, targets: [http://b, b, {address: c:1}, {address: c:1, warm: 2}]}]",
      'b:1:38: "http://b" is a URL: write host:port, unix:/path or rdv:NAME; TLS is a key of its own',
      'b:1:48: "b" is not host:port: write host:port, 127.0.0.1:9100 or [::1]:9101',
      "b:1:67: the target c:1 is already there, and otherwise: leave one out",
    ],
    [`${first}admin: {listen: 9000}`, 'b:3:8: what listens on TCP wants a token: add "token-file"'],
    [`${first}resolve: {a: b}`, 'b:3:14: "b" is not an address: write 127.0.0.1 or ::1'],
    [`${first}tiers: [{name: x}, {name: x}]`, 'b:3:20: a tier "x" is already there: name it otherwise'],
  ]
  for (const [text, ...told] of cases) assert.deepEqual(complaints(text), told, text)
})

test("a port stands in the file once, unless apps share it by server names", () => {
  const two = (a: string, b: string) =>
    complaints(`apps:\n- {name: a, targets: x:1, ${a}}\n- {name: b, targets: x:1, ${b}}`)
  const once = "each port can stand in the file once"
  const share = `${once}, or share it by "server-names"`
  const cases: readonly (readonly [a: string, b: string, line?: string])[] = [
    ["ports: 80", "ports: 80", `b:3:34: port 80 of "b" is already one of "a", at b:2:34: ${share}`],
    ["ports: [80, 80]", "ports: 81", `b:2:39: port 80 of "a" is already one of "a", at b:2:35: ${once}`],
    ["ports: 80", "listen: 127.0.0.1:80", `b:3:35: port 80 of "b" is already one of "a", at b:2:34: ${once}`],
    ["listen: 0.0.0.0:80", "listen: 127.0.0.1:80", `b:3:35: port 80 of "b" is already one of "a", at b:2:35: ${once}`],
    ["listen: 127.0.0.1:80", "listen: 127.0.0.2:80"],
    ["listen: 0.0.0.0:80", "listen: '[::1]:80'"],
    ["ports: 80, server-names: x.test", "ports: 80"],
    ["ports: 80, server-names: x.test", "ports: 80, server-names: '*.test'"],
    [
      "ports: 80, server-names: x.test",
      "ports: 80, server-names: [y.test, X.test]",
      'b:3:34: port 80 of "b" takes x.test, as does one of "a", at b:2:34: leave one out',
    ],
    [
      "ports: 80, server-names: x.test",
      "ports: 80, proxy-protocol: require",
      'b:3:34: port 80 of "b" has another "proxy-protocol" than one of "a", at b:2:34: one listener has one: make them alike',
    ],
    [
      "ports: 80, server-names: x.test",
      "listen: 127.0.0.1:80",
      'b:3:35: port 80 of "b" is already one of "a", at b:2:34, where it listens on 80: listen on the same address to share the port',
    ],
  ]
  for (const [a, b, line] of cases) assert.deepEqual(two(a, b), line === undefined ? [] : [line], `${a} | ${b}`)
})

test("a thousand apps on one port are compared in a moment", () => {
  const apps = Array.from({ length: 5_000 }, (_none, at) => ({
    name: `a${at}`,
    ports: [443],
    targets: ["b:1"],
    "server-names": [`a${at}.test`],
  }))
  const before = performance.now()
  assert.equal(read(JSON.stringify({ apps })).apps.length, 5_000)
  assert.ok(performance.now() - before < 2_000)
})
