/**
 * A guest with a real Linux kernel, for tests of the 9P server with a client that nobody here wrote. It boots once and
 * then runs any number of shell scripts, several at a time, each with its own output, exit status and signals; servers on
 * this machine's loopback can be mounted in it.
 *
 *     await using vm = await Vm.boot({ kernel: "6.12" })
 *     await vm.mount({ port, version: "9p2000.L", at: "/n/a" })
 *     const reader = vm.start("cat /n/a/data/input")
 *     await vm.run("echo hello > /n/a/data/input")
 *     await reader.says("hello")
 *
 * Orders and output travel over TCP connections that the guest makes to a listener on this machine's loopback; what
 * connects must know a random token. When this process dies the guest loses them and switches itself off.
 */

import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import { availableParallelism } from "node:os"
import { guestFiles, missingPackages } from "./guest-files.ts"
import { kernelImage } from "./kernel-image.ts"
import type { KernelVersion } from "./kernel-image.ts"
import { Machine, bestAccelerator } from "./qemu.ts"
import type { Accelerator } from "./qemu.ts"
import { VmProcess } from "./vm-process.ts"
import type { VmEnded } from "./vm-process.ts"

export interface VmOptions {
  readonly kernel: KernelVersion
  /** Further programs of this machine for the guest, names or paths. */
  readonly programs?: readonly string[]
  readonly processors?: number
  readonly memoryMiB?: number
  /** Time to boot. */
  readonly timeoutMs?: number
}

export interface Mount {
  /** Of a server that listens on this machine's 127.0.0.1. */
  readonly port: number
  readonly version: Dialect
  /** The folder; made when it is missing. */
  readonly at: string
  /** Further mount options, such as `msize=8192,aname=TOKEN`. */
  readonly options?: string
}

export type Dialect = "9p2000" | "9p2000.u" | "9p2000.L"

/** A KVM guest that is not up by then will not come. */
const kvmPatienceMs = 10_000

/** Why no guest with this kernel can run here, for the `skip` of a test; undefined when one can. */
export function whyNoVm(kernel: KernelVersion): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "the guest needs Linux on x86_64"
  const missing = missingPackages()
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`
  try {
    kernelImage(kernel)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

export class Vm implements AsyncDisposable {
  readonly #machine: Machine
  readonly #token: string
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set()
  readonly #scripts: Map<number, VmProcess> = new Map()
  readonly #ready: Promise<void>
  #nextId = 1
  #orders: Socket | undefined
  #over: Error | undefined
  #agentIsThere!: () => void

  /** Rejects with the reason and the console's last lines when the guest does not come up. */
  static async boot(options: VmOptions): Promise<Vm> {
    const missing = missingPackages()
    if (missing.length > 0) throw new Error(`no guest without packages: apt-get install ${missing.join(" ")}`)
    const best = bestAccelerator()
    const timeoutMs = options.timeoutMs ?? 60_000
    if (best === "tcg") return Vm.#bootWith(options, best, timeoutMs)
    return Vm.#bootWith(options, best, kvmPatienceMs).catch(() => Vm.#bootWith(options, "tcg", timeoutMs))
  }

  static async #bootWith(options: VmOptions, accelerator: Accelerator, timeoutMs: number): Promise<Vm> {
    const image = kernelImage(options.kernel)
    const files = guestFiles(image.modules, options.programs)
    const token = randomBytes(16).toString("hex")
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const machine = new Machine({
      kernel: image.path,
      files,
      words: [`rdv.port=${(server.address() as AddressInfo).port}`, `rdv.token=${token}`],
      processors: options.processors ?? Math.min(2, availableParallelism()),
      memoryMiB: options.memoryMiB ?? 384,
      accelerator,
    })
    const vm = new Vm(machine, server, token)
    const timer = setTimeout(() => void vm.#end(`it was not up within ${timeoutMs} ms`), timeoutMs)
    try {
      await vm.#ready
      return vm
    } finally {
      clearTimeout(timer)
    }
  }

  private constructor(machine: Machine, server: Server, token: string) {
    this.#machine = machine
    this.#server = server
    this.#token = token
    this.#ready = new Promise((done, fail) => {
      this.#agentIsThere = done
      void machine.ended.then((how) => {
        this.#fail(`it ended with ${how}`)
        fail(this.#over as Error)
      })
    })
    this.#ready.catch(() => undefined)
    server.on("connection", (socket) => this.#accept(socket))
  }

  /** The process id of the emulator. */
  get pid(): number | undefined {
    return this.#machine.pid
  }

  /** Starts a bash script (`bash -c`); its standard input is empty. */
  start(script: string): VmProcess {
    const id = this.#nextId++
    const started = new VmProcess(script, { signal: (name, group) => this.#order(`kill ${name} ${group}\n`) })
    if (this.#over !== undefined) {
      started.failed(this.#over)
      return started
    }
    this.#scripts.set(id, started)
    this.#order(`run ${id} ${Buffer.byteLength(script)}\n${script}`)
    return started
  }

  /** Runs a script to its end; past `timeoutMs` it is killed and the promise rejects. */
  run(script: string, { timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {}): Promise<VmEnded> {
    return this.start(script).within(timeoutMs)
  }

  /** Mounts a 9P server without a cache; rejects with mount's words. */
  async mount({ port, version, at, options }: Mount): Promise<void> {
    const words = [`trans=tcp,port=${port},version=${version},cache=none`, ...(options === undefined ? [] : [options])]
    const { code, stderr } = await this.run(`mkdir -p ${at} && mount -t 9p -o '${words.join(",")}' 10.0.2.2 ${at}`)
    if (code !== 0) throw new Error(`cannot mount port ${port} with ${words.join(",")}: ${stderr.trim()}`)
  }

  /** Ends the guest and everything in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("the test ended it")
  }

  async #end(why: string): Promise<void> {
    this.#fail(why)
    await this.#machine.kill()
  }

  /** From here on nothing works; the first reason stays. */
  #fail(why: string): void {
    if (this.#over !== undefined) return
    const lines = this.#machine.console.trim().split(/\r?\n/)
    const panic = lines.find((line) => line.includes("Kernel panic"))
    const shown = [...(panic === undefined ? [] : [panic]), ...lines.slice(-30)].join("\n  ")
    this.#over = new Error(`the guest is gone: ${why}; its console:\n  ${shown}`)
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    for (const script of this.#scripts.values()) script.failed(this.#over)
    this.#scripts.clear()
  }

  #order(text: string): void {
    this.#orders?.write(text)
  }

  /** The first line of a connection says what it is for; see guest/agent. */
  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => this.#sockets.delete(socket))
    let head = ""
    const hear = (text: string) => {
      head += text
      const end = head.indexOf("\n")
      if (end < 0) return
      socket.off("data", hear)
      const [purpose, token, id] = head.slice(0, end).split(" ")
      const rest = head.slice(end + 1)
      if (token !== this.#token) socket.destroy()
      else if (purpose === "agent") this.#hearAgent(socket, rest)
      else if (purpose === "out" || purpose === "err") this.#hearScript(socket, purpose, Number(id), rest)
    }
    socket.setEncoding("utf8").on("data", hear)
  }

  #hearAgent(socket: Socket, begun: string): void {
    this.#orders = socket
    let text = begun
    socket.on("data", (more: string) => {
      const lines = (text + more).split("\n")
      text = lines.pop() as string
      for (const line of lines) this.#answer(line)
    })
    this.#agentIsThere()
  }

  #answer(line: string): void {
    const [verb, id, number] = line.split(" ")
    const script = this.#scripts.get(Number(id))
    if (verb === "pid") script?.started(Number(number))
    if (verb === "exit") script?.exited(Number(number))
  }

  #hearScript(socket: Socket, stream: "out" | "err", id: number, begun: string): void {
    const script = this.#scripts.get(id)
    if (begun !== "") script?.wrote(stream, begun)
    socket.on("data", (text: string) => script?.wrote(stream, text))
    // Before the event `close`, which comes with the guest's death, too.
    socket.on("end", () => script?.wrote(stream, undefined))
  }
}

export interface RunInVm extends VmOptions {
  readonly mounts?: readonly Mount[]
  readonly script: string
}

/** Boots, mounts, runs one script, and ends. `timeoutMs` is for each of the three. */
export async function runInVm(options: RunInVm): Promise<VmEnded> {
  await using vm = await Vm.boot(options)
  for (const mount of options.mounts ?? []) await vm.mount(mount)
  return await vm.run(options.script, options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs })
}
