/** Tokens of senders from outside: what their limits refuse and slow down, which one is shown, and what a revoked one ends. */

import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import {
  assertOneLine,
  newToken,
  RunningCommand,
  runCommand,
  startRelayCommand,
  temporaryFolder,
} from "../kit/command.ts"
import { until } from "../kit/processes.ts"

const home = temporaryFolder()
let folders = 0
/** What a failed test leaves running too. */
const senders: RunningCommand[] = []
let relay: Awaited<ReturnType<typeof startRelayCommand>> | undefined
const relayData = folder("relay")

before(async () => {
  relay = await startRelayCommand([], { data: relayData })
})

after(async () => {
  for (const sender of senders) await sender[Symbol.asyncDispose]()
  await relay?.relay[Symbol.asyncDispose]()
  home[Symbol.dispose]()
})

function folder(name: string): string {
  const path = join(home.path, `${name}-${++folders}`)
  mkdirSync(path)
  return path
}

function file(bytes: number): string {
  const path = join(folder("source"), "big.bin")
  writeFileSync(path, randomBytes(bytes))
  return path
}

const words = (path: string, ...args: readonly string[]) => ["share", path, "--relay", relay?.address ?? "", ...args]

async function sharing(token: string, path: string): Promise<{ sender: RunningCommand; code: string }> {
  const sender = new RunningCommand(words(path, "--json"), { data: folder("sender"), env: { RDV_TOKEN: token } })
  senders.push(sender)
  const { code } = (await sender.event("share.published")) as { code?: string }
  return { sender, code: code ?? "" }
}

test("a token for two shares has two, from whatever machine, and another one when one of them is over", async () => {
  const token = await newToken("two", relayData, "--limit", "shares=2")
  const first = await sharing(token, file(1_000))
  await sharing(token, file(1_000))
  const options = { data: folder("third"), env: { RDV_TOKEN: token } }
  const refused = await runCommand(words(file(1_000)), options)
  assertOneLine(refused, 5, /^rdv: This token has 2 shares at this relay, and may have 2: end one of them$/)
  first.sender.kill("SIGINT")
  assert.equal((await first.sender.ended).code, 0)
  await sharing(token, file(1_000))
})

test("a share is as large as its token allows, and a new version no larger either", async () => {
  const token = await newToken("small", relayData, "--limit", "share-size=300kB")
  const options = { data: folder("sender"), env: { RDV_TOKEN: token } }
  const refused = await runCommand(words(file(300_001)), options)
  assertOneLine(refused, 5, /^rdv: It has 300001 B, and a share of this token may have 300000 B: share it in parts, or/)
  const path = file(300_000)
  const sender = new RunningCommand(words(path, "--watch", "--json"), options)
  senders.push(sender)
  await sender.event("share.published")
  writeFileSync(path, randomBytes(900_000), { flag: "a" })
  const ended = await sender.ended
  assertOneLine(ended, 5, /^rdv: It has 1\.1 MiB, and a share of this token may have 293 KiB/)
})

test("a token that is revoked ends its shares, and says so beforehand", async () => {
  const token = await newToken("gone", relayData)
  const { sender, code } = await sharing(token, file(1_000))
  const { stdout } = await runCommand(["token", "rm", "gone"], { data: relayData })
  assert.match(stdout, /^revoked gone \([0-9a-f]{8}\); its sessions end within a second, its shares within three$/m)
  const ended = await sender.ended
  assert.notEqual(ended.code, 0)
  assert.match(ended.stderr, /^rdv: .*token/m)
  const args = ["get", code, "-o", `${folder("late")}/`, "--relay", relay?.address ?? ""]
  const over = /The token of its sender was revoked or has expired/
  await until(
    async () => over.test((await runCommand(args, { data: folder("receiver") })).stderr),
    "the end of the share",
    10_000,
  )
})

test("of several tokens the documented one is shown, and to a code's relay none of the environment", async () => {
  const good = await newToken("shown", relayData)
  const bad = await newToken("not-shown", relayData)
  await runCommand(["token", "rm", "not-shown"], { data: relayData })
  const fileOf = (token: string) => {
    const path = join(folder("tokens"), "token")
    writeFileSync(path, `${token}\n`)
    return path
  }
  const [goodFile, badFile] = [fileOf(good), fileOf(bad)]
  const path = file(1_000)
  const first = await sharing(good, path)
  type Case = [args: readonly string[], env: Readonly<Record<string, string>>, isGood: boolean]
  const ofSenders: Case[] = [
    [["--token", good], { RDV_TOKEN: bad, RDV_TOKEN_FILE: badFile }, true],
    [["--token-file", goodFile], { RDV_TOKEN: bad, RDV_TOKEN_FILE: badFile }, true],
    [["--token", bad], { RDV_TOKEN: good }, false],
    [[], { RDV_TOKEN: good, RDV_TOKEN_FILE: badFile }, true],
    [[], { RDV_TOKEN_FILE: goodFile }, true],
  ]
  const data = folder("sender")
  await Promise.all(
    ofSenders.map(async ([args, env, isGood]) => {
      const sender = new RunningCommand(words(path, "--json", ...args), { data, env })
      senders.push(sender)
      const what = `share ${args.join(" ")} with ${Object.keys(env).join(" and ")}`
      if (isGood) await sender.event("share.published")
      else assert.match((await sender.ended).stderr, /^rdv: .*token/m, what)
      sender.kill("SIGINT")
      await sender.ended
    }),
  )
  const withCode: Case[] = [
    [[], { RDV_TOKEN: bad, RDV_TOKEN_FILE: badFile }, true],
    [["--token", good], { RDV_TOKEN: bad }, true],
    [["--token", bad], { RDV_TOKEN: good }, false],
  ]
  await Promise.all(
    withCode.flatMap(([args, env, isGood]) =>
      [
        ["share", "status"],
        ["get", "--no-serve", "-o", `${folder("into")}/`],
      ].map(async (command) => {
        const all = [...command, first.code, "--relay", relay?.address ?? "", ...args]
        const { code, stderr } = await runCommand(all, { data: folder("user"), env })
        assert.equal(code === 0, isGood, `${command[0]} ${args.join(" ")}: ${stderr}`)
        if (!isGood) assert.match(stderr, /^rdv: .*token/m)
      }),
    ),
  )
})

test("all shares of a token leave the relay at its rate together, and others as fast as they can", async () => {
  const slow = await newToken("slow", relayData, "--limit", "share-rate=400kB/s")
  const free = await newToken("free", relayData)
  const get = async (code: string) => {
    const into = folder("into")
    const args = ["get", code, "-o", `${into}/`, "--relay", relay?.address ?? "", "--no-serve", "--direct", "off"]
    const { code: status, stdout, stderr } = await runCommand([...args, "--json"], { data: folder("receiver") })
    assert.equal(status, 0, `${stdout}\n${stderr}`)
    const done = stdout.split("\n").find((line) => line.includes('"share.done"')) as string
    return { ms: (JSON.parse(done) as { ms: number }).ms, bytes: readFileSync(join(into, "big.bin")) }
  }
  // A burst of a second's worth is not waited for.
  const paths = [file(600_000), file(600_000)]
  const shares = await Promise.all(paths.map((path) => sharing(slow, path)))
  const other = await sharing(free, file(1_200_000))
  const [one, two, fast] = await Promise.all([...shares, other].map(({ code }) => get(code)))
  assert.deepEqual(one?.bytes, readFileSync(paths[0] as string))
  const last = Math.max(one?.ms ?? 0, two?.ms ?? 0)
  assert.ok(last > 1_700, `1.2 MB at 400 kB/s took ${last} ms`)
  assert.ok((fast?.ms ?? Infinity) < last, `without a bound ${fast?.ms} ms, with one ${last} ms`)
})
