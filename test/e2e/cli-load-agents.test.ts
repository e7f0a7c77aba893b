/** Holds `rdv load --agents` with `rdv load serve` in processes of their own, through a relay. */

import assert from "node:assert/strict"
import { mkdirSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import {
  assertOneLine,
  newToken,
  runCommand,
  RunningCommand,
  startRelayCommand,
  temporaryFolder,
} from "../kit/command.ts"
import { eventually } from "../kit/raw-http.ts"

const folder = temporaryFolder()
const data = join(folder.path, "relay")
const other = join(folder.path, "agents")
let relay: RunningCommand
let address = ""
let token = ""
let chaos: ChaosProxy
let echo: net.Server
let target = ""
let messages = 0

before(async () => {
  for (const each of [data, other]) mkdirSync(each)
  const started = await startRelayCommand([], { data })
  relay = started.relay
  address = started.address
  token = await newToken("lab", data)
  chaos = await chaosProxy({ target: { port: started.port } })
  echo = net.createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined)
    socket.on("data", () => void messages++)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve))
  target = `tcp://127.0.0.1:${(echo.address() as net.AddressInfo).port}`
})
after(async () => {
  echo.close()
  await chaos.close()
  await relay[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** A generator that waits for plans. */
async function serve(name: string, flags: readonly string[] = [], through = address): Promise<RunningCommand> {
  const options = { data: other, env: { RDV_TOKEN: token } }
  const command = new RunningCommand(["load", "serve", "--name", name, "--json", "--relay", through, ...flags], options)
  await command.event("exposed")
  return command
}

const options = () => ({ data: other, env: { RDV_TOKEN: token, RDV_RELAY: address } })
const load = (...args: readonly string[]) => runCommand(["load", ...args, "--quiet"], options())

interface Told {
  readonly total: { readonly planned: number; readonly completed: number; readonly failed: number }
  readonly generator: { readonly host: string; readonly workers: number }
  readonly doubts: readonly string[]
  readonly ended: string
}

test("two agents share a plan, and their counts add up exactly", async () => {
  await using one = await serve("one")
  await using two = await serve("two")
  const { code, stdout, stderr } = await load(
    target,
    "--agents",
    "one,two",
    "--count",
    "1001",
    "--connections",
    "5",
    "--json",
  )
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout) as Told
  assert.deepEqual([result.total.planned, result.total.completed, result.total.failed], [1001, 1001, 0])
  assert.deepEqual([result.generator.host, result.generator.workers], ["one, two", 2])
  for (const each of [one, two]) {
    const run = await each.event("run")
    assert.match(String(run["from"]), /^127\.0\.0\.1:\d+$/)
    assert.deepEqual(run["targets"], [target])
    assert.equal((await each.event("run.over"))["reason"], "count")
  }
  // They wait for the next one.
  const again = await load(target, "--agents", "two,one", "--count", "10")
  assert.equal(again.code, 0, again.stderr)
  assert.match(again.stdout, /two, one/)
})

test("a link that is cut during the run loses nothing", async () => {
  await using _near = await serve("near")
  await using far = await serve("far", [], `127.0.0.1:${chaos.port}`)
  messages = 0
  const running = load(target, "--agents", "near,far", "--rate", "500", "--count", "1200", "--json")
  await far.event("run")
  await eventually("it has begun", () => messages > 100)
  assert.equal(chaos.cutAll("rst"), 1)
  const { code, stdout, stderr } = await running
  // 4: a busy machine was late with some of them.
  assert.ok(code === 0 || code === 4, stderr)
  const result = JSON.parse(stdout) as Told
  assert.deepEqual([result.total.planned, result.total.completed], [1200, 1200])
  assert.equal(messages, 1200)
  await far.event("link.lost")
})

test("an agent that is gone ends the run with what the others measured, and says so", async () => {
  await using _stays = await serve("stays")
  await using goes = await serve("goes")
  messages = 0
  const running = load(target, "--agents", "stays,goes", "--rate", "100", "--duration", "60s", "--json")
  await goes.event("run")
  await eventually("it has begun", () => messages > 20)
  goes.kill("SIGKILL")
  // Its session would be waited for.
  await using _again = await serve("goes")
  const { code, stdout, stderr } = await running
  assert.ok(code !== 0, "what held was not the load that was asked for")
  assert.match(stderr, /Agent goes was lost after/)
  const result = JSON.parse(stdout) as Told
  assert.match(result.doubts.join(), /Agent goes was lost/)
  assert.equal(result.ended, "agent goes was lost")
  assert.ok(result.total.completed > 5)
})

test("an agent loads only what its owner allows, and says which in one line", async () => {
  await using agent = await serve("strict", ["--allow", "127.0.0.1:1", "--max-connections", "3"])
  assertOneLine(
    await load(target, "--agents", "strict", "--count", "1"),
    1,
    /strict: the target 127\.0\.0\.1:\d+ is not allowed there/,
  )
  assertOneLine(
    await load("tcp://127.0.0.1:1", "--agents", "strict", "--count", "1", "--connections", "4"),
    1,
    /strict: the plan wants 4 connections of it, and 3 is the most there/,
  )
  assert.match(String((await agent.event("run.over"))["reason"]), /not allowed/)
})

test("an agent that is not there, is busy, or cannot be reached is told by its name", async () => {
  await using agent = await serve("only")
  assertOneLine(
    await load(target, "--agents", "only,nobody", "--count", "1"),
    1,
    /nobody: no such agent: start it with rdv load serve --name nobody/,
  )
  messages = 0
  await using first = new RunningCommand(
    ["load", target, "--agents", "only", "--rate", "50", "--duration", "60s", "--quiet"],
    options(),
  )
  await eventually("it has begun", () => messages > 5)
  assertOneLine(
    await load(target, "--agents", "only", "--count", "1"),
    1,
    /only: it serves 127\.0\.0\.1:\d+ since \d+ s, and one plan at a time/,
  )
  first.kill("SIGINT")
  assert.match((await first.ended).stdout, /ended because/)
  assert.equal((await agent.event("run"))["plan"], target)
  const unreachable = await runCommand(["load", target, "--agents", "only", "--relay", "127.0.0.1:1"], options())
  assertOneLine(unreachable, 3, /127\.0\.0\.1:1/)
})

test("flags that do not fit together are told before anything is dialled", async () => {
  const env = { data: other }
  const rdv = (...args: readonly string[]) => runCommand(["load", ...args], env)
  assertOneLine(await rdv(target, "--agents", "a"), 2, /through a relay: add --relay/)
  assertOneLine(await rdv(target, "--relay", "x:1"), 2, /--relay is about agents/)
  assertOneLine(await rdv(target, "--agents", "a", "--relay", "x:1", "--workers", "2"), 2, /--workers is about threads/)
  assertOneLine(await rdv(target, "--agents", "a,a", "--relay", "x:1"), 2, /names a twice/)
  assertOneLine(await rdv("serve", "--relay", "x:1"), 2, /has no name/)
  assertOneLine(await rdv("serve", "--name", "Lab 1", "--relay", "x:1"), 2, /is no name of a generator/)
  assertOneLine(await rdv("serve", "--name", "a", "--relay", "x:1", "--allow", "a:b"), 2, /--allow "a:b" has a port/)
})
