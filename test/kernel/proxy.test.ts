/** Kernel mounts of `rdv chan proxy` and of joined servers: what a program sees while networks and servers go away. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync } from "node:fs"
import { connect } from "node:net"
import { userInfo } from "node:os"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { RunningCommand, temporaryFolder } from "../kit/command.ts"
import { diodMissing } from "../kit/diod.ts"
import { until } from "../kit/processes.ts"
import { Vm, whyNoVm } from "./vm.ts"

/** Emulation is slow. */
const patienceMs = 30_000

suite("kernel mounts through rdv chan proxy", { skip: whyNoVm("6.12") ?? false }, () => {
  let vm: Vm
  before(async () => (vm = await Vm.boot({ kernel: "6.12" })))
  after(async () => vm?.[Symbol.asyncDispose]())

  test("a blocked cat and a blocked echo go on after the network was away for five seconds", async () => {
    using data = temporaryFolder()
    await using server = await serve(data.path, 0, "--channel", "/in", "--channel", "/out")
    const chaos = await chaosProxy({ target: { port: await portOf(server) } })
    await using proxy = await startProxy(data.path, `127.0.0.1:${chaos.port}`)
    await vm.mount({ port: proxy.port, version: "9p2000.L", at: "/n/cut" })
    const reader = vm.start("exec cat /n/cut/in.d/next")
    const writer = vm.start("echo outward > /n/cut/out.d/send; echo written")
    await until(async () => (await waiting(vm, "/n/cut")) === "in 0 1 out 1 0", "both wait", patienceMs)
    chaos.refuse(true)
    chaos.cutAll("rst")
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    chaos.refuse(false)
    const ended = await vm.run("echo inward > /n/cut/in.d/send; head -n 1 /n/cut/out.d/recv", { timeoutMs: patienceMs })
    assert.equal(ended.stdout, "outward\n", ended.stderr)
    const [read, written] = await Promise.all([reader.within(patienceMs), writer.within(patienceMs)])
    assert.equal(read.stdout, "inward\n")
    assert.equal(written.stdout, "written\n")
    assert.doesNotMatch(proxy.command.stderr, /upstream\.lost/)
    assert.equal((await vm.run("umount /n/cut")).code, 0)
    await chaos.close()
  })

  test("a blocked cat goes on with the next server when the first one was killed", async () => {
    using data = temporaryFolder()
    let server = await serve(data.path, 0, "--channel", "/in")
    const port = await portOf(server)
    try {
      await using proxy = await startProxy(data.path, `127.0.0.1:${port}`)
      await vm.mount({ port: proxy.port, version: "9p2000.L", at: "/n/kill" })
      const reader = vm.start("exec cat /n/kill/in.d/next")
      await until(async () => /waiting-receivers 1\n/.test(await stat(vm, "/n/kill/in.d")), "it waits", patienceMs)
      server.kill("SIGKILL")
      await server.ended
      server = await serve(data.path, port, "--channel", "/in")
      const ended = await vm.run("echo again > /n/kill/in.d/send", { timeoutMs: patienceMs })
      assert.equal(ended.code, 0, ended.stderr)
      assert.equal((await reader.within(patienceMs)).stdout, "again\n")
      assert.equal((await vm.run("umount /n/kill")).code, 0)
    } finally {
      await server[Symbol.asyncDispose]()
    }
  })

  test("files of a foreign server are copied through its death", { skip: diodMissing }, async () => {
    using data = temporaryFolder()
    const folder = join(data.path, "served")
    mkdirSync(folder)
    await using other = await serve(data.path, 0)
    // Only its port is wanted: one that was free a moment ago.
    const port = await portOf(other)
    await other[Symbol.asyncDispose]()
    let diod = await startDiod(folder, port)
    try {
      await using proxy = await startProxy(data.path, `tcp://127.0.0.1:${port}`)
      const options = `aname=${folder}`
      await vm.mount({ port: proxy.port, version: "9p2000.L", at: "/n/diod", options })
      const copying = vm.start(
        "exec 3>&1; for i in 1 2 3 4 5 6 7 8; do head -c 20000 /dev/zero | tr '\\0' $i; echo part $i >&3; sleep 0.2; done > /n/diod/out; echo done",
      )
      await copying.says("part 3")
      await kill(diod)
      diod = await startDiod(folder, port)
      const copied = await copying.within(patienceMs)
      assert.match(copied.stdout, /done/, copied.stderr)
      const content = readFileSync(join(folder, "out"), "utf8")
      assert.equal(content, [1, 2, 3, 4, 5, 6, 7, 8].map((digit) => String(digit).repeat(20_000)).join(""))
      assert.equal((await vm.run("umount /n/diod")).code, 0)
    } finally {
      await kill(diod)
    }
  })

  test("another server's channels below a name work like one's own", async () => {
    using data = temporaryFolder()
    await using other = await serve(data.path, 0, "--channel", "/jobs")
    const union = `/team-b=127.0.0.1:${await portOf(other)}`
    await using server = await serve(data.path, 0, "--union", union)
    await vm.mount({ port: await portOf(server), version: "9p2000.L", at: "/n/union" })
    const reader = vm.start("exec cat /n/union/team-b/jobs.d/next")
    const ended = await vm.run("ls /n/union /n/union/team-b; echo across > /n/union/team-b/jobs.d/send", {
      timeoutMs: patienceMs,
    })
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stdout, /team-b/)
    assert.match(ended.stdout, /jobs\.d/)
    assert.equal((await reader.within(patienceMs)).stdout, "across\n")
    // Nothing of the killed reader is left upstream.
    const killed = await vm.run(
      "cat /n/union/team-b/jobs.d/recv & sleep 0.5; kill $!; wait; cat /n/union/team-b/jobs.d/stat",
      { timeoutMs: patienceMs },
    )
    assert.match(killed.stdout, /waiting-receivers 0\n/)
    assert.equal((await vm.run("umount /n/union")).code, 0)
  })
})

async function serve(data: string, port: number, ...flags: string[]): Promise<RunningCommand> {
  return new RunningCommand(["chan", "serve", "--json", "--listen", `127.0.0.1:${port}`, ...flags], { data })
}

async function portOf(command: RunningCommand): Promise<number> {
  const { addresses } = await command.event("listening")
  return Number((addresses as string[])[0]?.split(":").at(-1))
}

interface RunningProxy extends AsyncDisposable {
  readonly port: number
  readonly command: RunningCommand
}

async function startProxy(data: string, raddr: string): Promise<RunningProxy> {
  const words = ["chan", "proxy", "--json", "--laddr", "127.0.0.1:0", "--raddr", raddr, "--dead-after", "2s"]
  const command = new RunningCommand(words, { data })
  return { port: await portOf(command), command, [Symbol.asyncDispose]: () => command[Symbol.asyncDispose]() }
}

async function stat(vm: Vm, folder: string): Promise<string> {
  return (await vm.run(`cat ${folder}/stat`, { timeoutMs: patienceMs })).stdout
}

/** Waiting senders and receivers of both channels. */
async function waiting(vm: Vm, at: string): Promise<string> {
  const counts = []
  for (const channel of ["in", "out"]) {
    const told = await stat(vm, `${at}/${channel}.d`)
    const of = (what: string) => new RegExp(`waiting-${what} (\\d+)`).exec(told)?.[1]
    counts.push(`${channel} ${of("senders")} ${of("receivers")}`)
  }
  return counts.join(" ")
}

async function startDiod(folder: string, port: number): Promise<ChildProcess> {
  const words = ["-f", "-n", "-l", `127.0.0.1:${port}`, "-e", folder, "-S", "-U", userInfo().username]
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }
  const child = spawn("diod", words, { stdio: "ignore", env })
  await until(() => answers(port), "diod listens")
  return child
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, "exit")
  child.kill("SIGKILL")
  await gone
}
