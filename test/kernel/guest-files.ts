/**
 * What the guest's root file system holds: a static busybox, bash and the GNU tools of this machine with the libraries
 * that they need, the kernel's modules, the first process and the agent.
 */

import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { basename, delimiter, join } from "node:path"
import { Archive } from "./archive.ts"

/** Real ones, because what is tested is how these very programs read and write. Everything else is busybox's. */
const gnuPrograms = `bash basename cat chmod chown cp cut date dd df echo env false find grep head id ln ls mkdir mkfifo
  mktemp mv nl od printf pwd rm rmdir sed seq sleep sort stat stdbuf sync tac tail tee test timeout touch tr true
  truncate uniq wc xargs yes`.split(/\s+/)

/** Preloaded by stdbuf; no library that ldd tells. */
const stdbufLibraries = [
  "/usr/libexec/coreutils/libstdbuf.so",
  "/usr/lib/x86_64-linux-gnu/coreutils/libstdbuf.so",
  "/usr/lib/coreutils/libstdbuf.so",
]

const busyboxes = ["/bin/busybox", "/usr/bin/busybox"]

/** The packages of which something is missing here; empty when a guest can be made. */
export function missingPackages(): readonly string[] {
  const missing = []
  if (placeOf("qemu-system-x86_64") === undefined) missing.push("qemu-system-x86")
  if (staticBusybox() === undefined) missing.push("busybox-static")
  if (placeOf("bash") === undefined) missing.push("bash")
  return missing
}

/** The archive that the kernel unpacks. `programs` are names or paths of further programs of this machine. */
export function guestFiles(modules: readonly string[], programs: readonly string[] = []): Buffer {
  const archive = new Archive()
  for (const folder of ["/proc", "/sys", "/dev", "/tmp", "/home", "/n", "/run"]) archive.folder(folder)
  archive.characterDevice("/dev/console", 5, 1)
  addPrograms(archive, [...gnuPrograms, ...programs])
  addBusybox(archive)
  for (const module of modules) archive.file(`/modules/${basename(module)}`, readFileSync(module))
  const accounts = [
    ["root", 0],
    ["user", 1000],
    ["other", 1001],
  ] as const
  archive.file("/etc/passwd", accounts.map(([name, id]) => `${name}:x:${id}:${id}:${name}:/tmp:/bin/sh\n`).join(""))
  archive.file("/etc/group", accounts.map(([name, id]) => `${name}:x:${id}:\n`).join(""))
  archive.file("/init", readFileSync(join(import.meta.dirname, "guest", "init")), 0o755)
  archive.file("/agent", readFileSync(join(import.meta.dirname, "guest", "agent")))
  return archive.finish()
}

/** The path of a program of this machine. */
export function placeOf(program: string): string | undefined {
  if (program.includes("/")) return existsSync(program) ? program : undefined
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path))
}

function addPrograms(archive: Archive, programs: readonly string[]): void {
  const files = new Map<string, string>()
  for (const program of programs) {
    const place = placeOf(program)
    if (place === undefined) throw new Error(`this machine has no program ${program} for the guest`)
    files.set(`/usr/bin/${basename(program)}`, realpathSync(place))
  }
  for (const [path, file] of files) archive.file(path, readFileSync(file), 0o755)
  const preloaded = stdbufLibraries.find((path) => existsSync(path))
  for (const library of [...librariesOf([...files.values()]), ...(preloaded === undefined ? [] : [preloaded])]) {
    if (!archive.has(library)) archive.file(library, readFileSync(library), 0o755)
  }
  archive.link("/bin/bash", "/usr/bin/bash")
}

/** Shared libraries and the loader, as absolute paths. */
function librariesOf(files: readonly string[]): ReadonlySet<string> {
  // Its status is 1 when one of them is a script or static; those have no lines with an arrow or a loader.
  const { stdout } = spawnSync("ldd", files, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } })
  const found = [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map((match) => match[1] as string)
  return new Set(found)
}

function addBusybox(archive: Archive): void {
  const file = staticBusybox()
  if (file === undefined) throw new Error("this machine has no static busybox: apt-get install busybox-static")
  archive.file("/bin/busybox", readFileSync(file), 0o755)
  const { stdout } = spawnSync(file, ["--list"], { encoding: "utf8" })
  for (const applet of stdout.split("\n")) {
    if (applet !== "" && !archive.has(`/bin/${applet}`)) archive.link(`/bin/${applet}`, "busybox")
  }
}

/** The one that needs no libraries: the first process runs in it. */
function staticBusybox(): string | undefined {
  return busyboxes.find((path) => {
    if (!existsSync(path)) return false
    const result = spawnSync("ldd", [path], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } })
    return `${result.stdout}${result.stderr}`.includes("not a dynamic executable")
  })
}
