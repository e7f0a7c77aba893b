/** `rdv share swarm`: whole swarms of this machine, small ones, and what it says of them. */

import assert from "node:assert/strict"
import { mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { after, test } from "node:test"
import { assertOneLine, RunningCommand, runCommand, temporaryFolder } from "../kit/command.ts"
import { NetworkLab } from "../kit/network-lab.ts"

const home = temporaryFolder()
const patienceMs = 60_000

after(() => home[Symbol.dispose]())

interface Swarm {
  readonly [figure: string]: unknown
  readonly seconds: number
  readonly startSeconds: number
  readonly bound?: number
  readonly relay: { readonly inCopies: number; readonly outCopies: number; readonly peakBytes: number }
  readonly via: { readonly relay: number; readonly direct: number; readonly cast: number }
  readonly failed: readonly unknown[]
}

/** A place of its own for temporary files: what is left there was forgotten. */
function options(name: string): { data: string; env: { TMPDIR: string }; patienceMs: number } {
  const data = join(home.path, name)
  mkdirSync(data)
  const temporary = join(home.path, `${name}-temporary`)
  mkdirSync(temporary)
  return { data, env: { TMPDIR: temporary }, patienceMs }
}

async function swarm(name: string, ...flags: readonly string[]): Promise<Swarm> {
  const own = options(name)
  const { code, stdout, stderr } = await runCommand(["share", "swarm", "--json", ...flags], own)
  assert.equal(code, 0, stderr)
  assert.deepEqual(readdirSync(own.env.TMPDIR), [], "temporary files were left behind")
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Swarm
}

test("all receivers of a swarm get the file by way of the relay, which took it in once", async () => {
  const graph = join(home.path, "swarm.svg")
  const flags = ["--clients", "4", "--size", "3MB", "--per-process", "2", "--direct", "off", "--graph", graph]
  const said = await swarm("relay", ...flags)
  assert.equal(said["clients"], 4)
  assert.equal(said["processes"], 2)
  assert.equal(said["bytes"], 3_000_000)
  assert.deepEqual(said.failed, [])
  assert.ok(said.seconds > 0 && said.startSeconds > 0)
  assert.ok(said.relay.inCopies >= 1 && said.relay.inCopies < 1.5, `${said.relay.inCopies} copies came in`)
  assert.ok(said.relay.outCopies >= 4 && said.relay.outCopies < 4.5, `${said.relay.outCopies} copies went out`)
  assert.ok(said.via.relay >= 12_000_000)
  if (process.platform === "linux") assert.ok(said.relay.peakBytes > 1e7)
  assert.match(readFileSync(graph, "utf8"), /^<svg /)
})

test("with uplinks that are held to a rate receivers help each other, and it tells what would be possible", async () => {
  const flags = ["--clients", "3", "--size", "4MB", "--uplink", "4MB/s", "--carrier", "direct", "--per-process", "3"]
  const said = await swarm("uplink", ...flags)
  assert.equal(said.bound, 1)
  // Each may send a tenth of a second's bytes at once.
  assert.ok(said.seconds > 0.7, `${said.seconds} s`)
  assert.ok(said.via.direct > said.via.relay, JSON.stringify(said.via))
})

test("when receivers are killed half way, the others finish", async () => {
  const flags = ["--clients", "4", "--size", "8MB", "--per-process", "1", "--relay-rate", "8MB/s", "--direct", "off"]
  const said = await swarm("kill", ...flags, "--kill", "50%")
  assert.equal(said["clients"], 4)
  assert.deepEqual(said.failed, [])
})

test("hosts of a network of their own are linked as asked, and gone afterwards", async (t) => {
  const refusal = await NetworkLab.refusal()
  if (refusal !== undefined) {
    t.skip(refusal)
    return
  }
  const said = await swarm("hosts", "--clients", "2", "--size", "2MB", "--namespaces", "--per-process", "1")
  assert.equal(said["processes"], 2)
  assert.ok((said["senderLinkCopies"] as number) >= 1)
})

test("a trial that is interrupted ends everything that it started", async () => {
  const own = options("stop")
  const flags = ["--clients", "2", "--size", "50MB", "--per-process", "2", "--relay-rate", "1MB/s", "--direct", "off"]
  await using command = new RunningCommand(["share", "swarm", ...flags], own)
  await command.says(/ready/)
  command.kill("SIGINT")
  const { code, stderr } = await command.ended
  assert.notEqual(code, 0)
  assert.match(stderr, /stopped/)
  assert.deepEqual(readdirSync(own.env.TMPDIR), [])
})

test("flags that cannot be meant are refused in one line", async () => {
  const own = options("usage")
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--delay", "5ms"], /--delay needs --namespaces/],
    [["--clients", "0"], /--clients/],
    [["--kill", "200%"], /200%/],
  ]
  for (const [flags, pattern] of wrong) assertOneLine(await runCommand(["share", "swarm", ...flags], own), 2, pattern)
})
