import assert from "node:assert/strict"
import { test } from "node:test"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { defaultChannelSettings } from "../core/settings.ts"
import { readSetting, settingKeys, showSettings } from "./channel-ctl.ts"

test("a line of a megabyte of blanks is read at once", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c", { uid: 1000 })
  const blanks = `b${" ".repeat(2 ** 20 - 100)}c`
  const began = performance.now()
  await assert.rejects(files.write("/ctl", `/c ${blanks}`), /EINVAL/)
  await assert.rejects(files.write("/ctl", `/c\t${blanks}`), /EINVAL/)
  await assert.rejects(files.write("/c.d/ctl", blanks), /EINVAL/)
  await assert.rejects(files.write("/c.d/ack", `x fail ${blanks}`), /ENOENT/)
  await assert.rejects(files.write("/select/x", `/c ${blanks}\n`), /EINVAL/)
  assert.ok(performance.now() - began < 2_000)
})

test("a dead-letter path is one", async () => {
  const files = await ChannelFiles.make()
  const channel = files.space.create("/c")
  assert.throws(() => channel.configure({ deadLetter: "none" }), { code: "usage" })
  assert.throws(() => channel.configure({ deadLetter: `/${"x".repeat(4_096)}` }), { code: "usage" })
})

test("the root's ctl has a line for each channel, with the rates of the last second and their means", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 5 } })
  files.space.create("/a")
  files.space.makeFolder("/data")
  files.space.create("/data/input")
  for (let count = 0; count < 3; count++) await files.write("/a", "x")
  await files.text("/a.d/next")
  files.space.tick()
  const [first, second] = (await files.text("/ctl")).split("\n")
  assert.match(first ?? "", /^\/a\t5\t3\t1\t0\.0[1-9]\t0\.0[1-9]$/)
  assert.equal(second, "/data/input\t5\t0\t0\t0.00\t0.00")
})

test("PATH SIZE sets the buffer's size, PATH KEY VALUE anything else, also of paths with spaces", async () => {
  const files = await ChannelFiles.make()
  const a = files.space.create("/a")
  const b = files.space.create("/b c")
  const writer = await files.open("/a", "w")
  const waiting = writer.twrite("x")
  await files.write("/ctl", "/a 256\n/a lines on\n/b c\tsize 3\n")
  assert.deepEqual([a.settings.size, a.settings.lines, b.settings.size], [256, true, 3])
  assert.equal(waiting.state, "ok")
  await files.write("/ctl", "/a close")
  assert.equal(a.closed, true)
})

test("of several commands in one write all are obeyed or none", async () => {
  const files = await ChannelFiles.make()
  const a = files.space.create("/a")
  const b = files.space.create("/b")
  const wrong: [string, RegExp][] = [
    ["/a 5\n/missing 5", /ENOENT/],
    ["/a 5\n/b five", /EINVAL/],
    ["/a 5\n/b sizes 5", /EINVAL/],
    ["/a 5\n/b max-message 0", /EINVAL/],
    ["/a 5\n/b", /EINVAL/],
    ["/a 5\nb 5", /EINVAL/],
    ["/a close\n/b -1", /EINVAL/],
    ["\n", /EINVAL/],
  ]
  for (const [text, errno] of wrong) await assert.rejects(files.write("/ctl", text), errno, text)
  await files.open("/b")
  await assert.rejects(files.write("/ctl", "/a 5\n/b mode multicast"), /EBUSY/)
  assert.deepEqual([a.settings, b.settings, a.closed], [defaultChannelSettings, defaultChannelSettings, false])
})

test("a channel's ctl shows all settings and takes back what it shows", async () => {
  const files = await ChannelFiles.make()
  const channel = files.space.create("/c")
  const before = channel.settings
  const text = await files.text("/c.d/ctl")
  assert.equal(
    text,
    [
      "size 0",
      "size-bytes 64MiB",
      "mode unicast",
      "deliver seen",
      "max-message 1MiB",
      "lines off",
      "timeout 0",
      "lease 60s",
      "attempts 0",
      "dead-letter -",
      "on-disconnect requeue",
      "retain 0",
      "slow-reader wait",
      "max-waiting 10000",
      "",
    ].join("\n"),
  )
  await files.write("/c.d/ctl", text)
  assert.deepEqual(channel.settings, before)
})

test("each key of ctl takes its values with units", async () => {
  const files = await ChannelFiles.make()
  const channel = files.space.create("/c")
  await files.write(
    "/c.d/ctl",
    `size 256\nsize-bytes 64MB\nmode multicast\ndeliver done\nmax-message 1MB\nlines on\ntimeout 5s\nlease 90s
attempts 5\ndead-letter /failed\non-disconnect fail\nretain 10\nslow-reader cut\nmax-waiting 7\n`,
  )
  assert.deepEqual(channel.settings, {
    size: 256,
    sizeBytes: 64e6,
    mode: "multicast",
    deliver: "done",
    maxMessage: 1e6,
    lines: true,
    timeoutMs: 5_000,
    leaseMs: 90_000,
    attempts: 5,
    deadLetter: "/failed",
    onDisconnect: "fail",
    retain: 10,
    slowReader: "cut",
    maxWaiting: 7,
  })
  await files.write("/c.d/ctl", "dead-letter -\nclose\n")
  assert.equal(channel.settings.deadLetter, "")
  assert.equal(channel.closed, true)
})

test("a wrong setting is refused with the mend", () => {
  const cases: [string, string, RegExp][] = [
    ["sise", "5", /did you mean size/],
    ["lines", "yes", /lines: "yes" is none of its values/],
    ["timeout", "5", /timeout: "5" has no unit/],
    ["size", "many", /size: "many" is not a whole number/],
    ["dead-letter", "failed", /begin it with \//],
  ]
  for (const [key, value, wanted] of cases) {
    assert.throws(
      () => readSetting(key, value),
      (error: { message: string; mend: string; code: string }) => {
        assert.equal(error.code, "usage")
        assert.match(`${error.message}; ${error.mend}`, wanted)
        return true
      },
    )
  }
})

test("every setting has a key, and what is shown reads back as the same", () => {
  assert.equal(settingKeys.length, Object.keys(defaultChannelSettings).length)
  const odd = {
    ...defaultChannelSettings,
    timeoutMs: 1_500,
    maxMessage: 1_001,
    sizeBytes: 3 * 2 ** 30,
    deadLetter: "/x",
  }
  const read = showSettings(odd)
    .trim()
    .split("\n")
    .map((line) => readSetting(line.split(" ")[0] as string, line.split(" ")[1] as string))
  assert.deepEqual(Object.assign({}, ...read), odd)
})

test("paths in settings are those that the client sees", () => {
  const paths = {
    inSpace: (path: string) => `/team${path}`,
    asSeen: (path: string) => (path.startsWith("/team/") ? path.slice(5) : undefined),
  }
  assert.deepEqual(readSetting("dead-letter", "/failed", paths), { deadLetter: "/team/failed" })
  const shown = (deadLetter: string) => showSettings({ ...defaultChannelSettings, deadLetter }, paths)
  assert.match(shown("/team/failed"), /^dead-letter \/failed$/m)
  assert.match(shown("/elsewhere"), /^dead-letter -$/m)
})

test("stat tells the counters as they are now", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 5 } })
  files.space.create("/c")
  await files.write("/c", "hello")
  files.clock.advance(1_500)
  const stat = await files.text("/c.d/stat")
  for (const line of ["state open", "received 1", "bytes-in 5", "buffered 1", "buffered-bytes 5", "oldest-ms 1500"]) {
    assert.ok(stat.split("\n").includes(line), `${line} is not in\n${stat}`)
  }
})

test("ctl shows what is now whenever it is read from its start", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const ctl = await files.open("/ctl", "rw")
  assert.match(await ctl.read(), /^\/c\t0\t/)
  await ctl.write("/c 9\n")
  ctl.position = 0
  assert.match(await ctl.read(), /^\/c\t9\t/)
})

test("why a command was refused is read in stat, because Linux passes on a number at best", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const refused = async () =>
    / (.*)$/.exec((await (await files.open("/c.d/stat")).read()).match(/^refused .*$/m)?.[0] ?? "")?.[1]
  assert.equal(await refused(), "-")
  await assert.rejects(files.write("/c.d/ctl", "colour red\n"), /EINVAL/)
  assert.match((await refused()) ?? "", /There is no setting "colour"; the keys are size,/)
  await assert.rejects(files.write("/c.d/ack", "nonsense ok\n"))
  assert.match((await refused()) ?? "", /nonsense/)
})
