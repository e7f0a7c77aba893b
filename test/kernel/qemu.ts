/**
 * One emulated machine: starts QEMU with a kernel and a root file system in memory, keeps the end of what its console
 * says, and tells when it is over. It has no disk; its network ends in this process's machine, whose loopback it reaches
 * as 10.0.2.2.
 */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Characters of the console that are kept. */
const keptConsole = 16_384

export interface MachineOptions {
  readonly kernel: string
  readonly files: Uint8Array
  /** Words for the kernel's command line. */
  readonly words: readonly string[]
  readonly processors: number
  readonly memoryMiB: number
  readonly accelerator: Accelerator
}

export type Accelerator = "kvm" | "tcg"

/** A /dev/kvm without the processor's own support exists on nested machines and cannot run an ordinary kernel. */
export function bestAccelerator(): Accelerator {
  try {
    if (!/^flags\s*:.*\b(?:vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"))) return "tcg"
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK)
    return "kvm"
  } catch {
    return "tcg"
  }
}

export class Machine {
  /** Resolves when QEMU is gone, with how it ended. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess
  #console = ""

  constructor(options: MachineOptions) {
    const folder = mkdtempSync(join(tmpdir(), "rdv-vm-"))
    const archive = join(folder, "files")
    writeFileSync(archive, options.files)
    this.#child = spawn("qemu-system-x86_64", machineArguments(options, archive), {
      stdio: ["ignore", "pipe", "pipe"],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#console = (this.#console + text).slice(-keptConsole)
      })
    }
    this.ended = new Promise((done) => {
      const end = (how: string) => {
        rmSync(folder, { recursive: true, force: true })
        done(how)
      }
      this.#child.once("error", (error) => end(error.message))
      this.#child.once("close", (code, signal) => end(signal === null ? `exit code ${code}` : signal))
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The end of what the guest's kernel and first process said, and QEMU itself. */
  get console(): string {
    return this.#console
  }

  /** Ends it without asking the guest. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL")
    await this.ended
  }
}

function machineArguments(options: MachineOptions, archive: string): readonly string[] {
  const kernelWords = [
    "console=ttyS0",
    "quiet",
    // A panic ends the machine, and with it everything that waits for it.
    "panic=-1",
    "oops=panic",
    // Each of these spares seconds or unsteadiness under emulation.
    // Programs at the same addresses each time: QEMU uses its translation of their code again, a quarter of the time.
    "norandmaps",
    "mitigations=off",
    "nokaslr",
    "no_timer_check",
    "tsc=reliable",
    "rcupdate.rcu_expedited=1",
    "random.trust_cpu=on",
    "rdinit=/init",
    ...options.words,
  ]
  const kvm = options.accelerator === "kvm"
  const pairs: readonly (readonly [string, string])[] = [
    ["-display", "none"],
    ["-monitor", "none"],
    ["-serial", "stdio"],
    ["-machine", "pc"],
    ["-accel", kvm ? "kvm" : "tcg,thread=multi"],
    ["-cpu", kvm ? "host" : "max"],
    ["-smp", String(options.processors)],
    ["-m", String(options.memoryMiB)],
    ["-kernel", options.kernel],
    ["-initrd", archive],
    ["-append", kernelWords.join(" ")],
    ["-netdev", "user,id=net,ipv6=off"],
    ["-device", "virtio-net-pci,netdev=net,romfile="],
    ["-device", "virtio-rng-pci"],
  ]
  return ["-nodefaults", "-no-user-config", "-no-reboot", ...pairs.flat()]
}
