/**
 * Fetches the Linux kernels that `test/kernel/` boots in an emulated machine: Debian's packages, unpacked beside the
 * system and never installed. The machine's own package sources stay as they are; apt works with a list of its own that
 * names the same mirror. What the guest needs (the kernel, and the modules for a 9P mount over TCP) is kept in the
 * user's cache folder; a second call finds it there and costs two small reads.
 */

import { spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { say } from "./setup.mjs"

/** Counts up when what is kept changes, so that folders of an older kind are made anew. */
const recipe = 1

/** The kernels under test: the stable one of Debian 12, and a newer one that was ported back to it. */
const kernels = [
  { version: "6.1", suite: "bookworm", name: /^linux-image-6\.1\.\d+-\d+-amd64$/ },
  { version: "6.12", suite: "bookworm-backports", name: /^linux-image-6\.12\.\d+\+deb12(?:\.\d+)?-amd64$/ },
]

/** With what they depend on. What is built into a kernel is not missed. */
const modules = ["virtio_pci", "virtio_net", "virtio_rng", "9p", "9pnet_fd", "overlay"]

/** Of the package debian-archive-keyring; without it apt uses the keys that it trusts for everything. */
const archiveKeys = "/usr/share/keyrings/debian-archive-keyring.gpg"

/** Where the kernel of that version lies, or would lie: `vmlinuz`, `about.json`, and `modules/` in the order to load. */
export function kernelFolder(version) {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache")
  return join(cache, "rdv", "kernels", version)
}

export function kernelReady(version) {
  try {
    return JSON.parse(readFileSync(join(kernelFolder(version), "about.json"), "utf8")).recipe === recipe
  } catch {
    return false
  }
}

/** Fetches the kernels that are missing, or says which tests are skipped without them and why. Never fails. */
export function setUpKernels() {
  const missing = kernels.filter(({ version }) => !kernelReady(version))
  if (missing.length === 0) return
  const versions = missing.map(({ version }) => version).join(" and ")
  try {
    refuseStrangeMachines()
    say(`fetching the Linux kernels ${versions} for the tests with a real 9P mount …`)
    const started = Date.now()
    fetchKernels(missing)
    say(`kernels ready in ${((Date.now() - started) / 1000).toFixed(1)} s: ${kernelFolder("*")}`)
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    say(`no Linux kernel ${versions}: ${error.message}; skipped: the tests in test/kernel/ that boot it`)
  }
}

/** Why a kernel cannot be had; shown as a part of a line. */
class KernelError extends Error {}

function refuseStrangeMachines() {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new KernelError(`the recipe is for Linux on x86_64, this is ${process.platform} on ${process.arch}`)
  }
  for (const [command, from] of [
    ["apt-get", "a system with apt"],
    ["dpkg-deb", "a system with dpkg"],
    ["xz", "the package xz-utils"],
  ]) {
    if (spawnSync(command, ["--version"]).error !== undefined) throw new KernelError(`${command} is missing (${from})`)
  }
}

function fetchKernels(wanted) {
  const home = kernelFolder("")
  mkdirSync(home, { recursive: true })
  const work = mkdtempSync(join(home, "fetch-"))
  try {
    const options = privateApt(
      work,
      wanted.map(({ suite }) => suite),
    )
    run("apt-get", [...options, "--quiet", "update"])
    for (const kernel of wanted) unpack(kernel, options, mkdtempSync(join(work, "kernel-")))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Options that give apt sources, lists and a cache of its own. */
function privateApt(work, suites) {
  const uri = debianMirror()
  for (const folder of ["parts", "lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(work, folder), { recursive: true })
  }
  const trust = existsSync(archiveKeys) ? `[signed-by=${archiveKeys}] ` : ""
  const lines = [...new Set(suites)].map((suite) => `deb ${trust}${uri} ${suite} main\n`)
  writeFileSync(join(work, "sources.list"), lines.join(""))
  const settings = {
    "Dir::Etc::sourcelist": join(work, "sources.list"),
    "Dir::Etc::sourceparts": join(work, "parts"),
    "Dir::State::lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    "Acquire::Languages": "none",
    "Acquire::http::Timeout": "20",
    // Without it an update that got nothing ends well.
    "APT::Update::Error-Mode": "any",
    // Root's cache folder is closed to the user that apt would download as.
    ...(process.getuid() === 0 ? { "APT::Sandbox::User": "root" } : {}),
  }
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])
}

/** The mirror of Debian's archive that this machine's sources name. */
function debianMirror() {
  // What an update would fetch: known from the sources alone, also where there never was an update.
  const uris = run("apt-get", ["--print-uris", "update"]).split("\n")
  const [, found] =
    uris.map((line) => /^'(\S+\/debian)\/dists\/[a-z]+\/main\/binary-amd64\//.exec(line)).find(Boolean) ?? []
  if (found === undefined) throw new KernelError("apt's sources name no mirror of Debian's archive")
  return found
}

function unpack({ version, suite, name }, options, work) {
  const search = run("apt-cache", [...options, "search", "--names-only", `^linux-image-${version}`])
  const names = search.split("\n").map((line) => line.split(" ")[0])
  const natural = new Intl.Collator("en", { numeric: true })
  const newest = names
    .filter((each) => name.test(each))
    .sort(natural.compare)
    .at(-1)
  if (newest === undefined) throw new KernelError(`the suite ${suite} has no package like ${name.source}`)
  run("apt-get", [...options, "--quiet", "download", newest], work)
  const [file] = readdirSync(work)
  const tree = join(work, "tree")
  run("dpkg-deb", ["--extract", join(work, file), tree])
  const [release] = readdirSync(join(tree, "lib", "modules"))
  const ready = join(work, "ready")
  mkdirSync(join(ready, "modules"), { recursive: true })
  cpSync(join(tree, "boot", `vmlinuz-${release}`), join(ready, "vmlinuz"))
  keepModules(join(tree, "lib", "modules", release), join(ready, "modules"))
  writeFileSync(join(ready, "about.json"), `${JSON.stringify({ recipe, release, package: file })}\n`)
  rmSync(kernelFolder(version), { recursive: true, force: true })
  renameSync(ready, kernelFolder(version))
}

/** Copies the modules, unpacked, each behind those that it needs: the numbers of the names are the order. */
function keepModules(from, to) {
  const files = new Map()
  for (const path of readdirSync(join(from, "kernel"), { recursive: true })) {
    const [, name] = /([^/]+)\.ko(?:\.xz)?$/.exec(path) ?? []
    if (name !== undefined) files.set(name.replaceAll("-", "_"), join(from, "kernel", path))
  }
  const kept = new Set()
  const keep = (name) => {
    const file = files.get(name)
    if (kept.has(name) || file === undefined) return
    kept.add(name)
    const bytes = file.endsWith(".xz") ? runForBytes("xz", ["-dc", file]) : readFileSync(file)
    // The section .modinfo holds `depends=a,b` between zero bytes.
    const [, needs] = /\0depends=([^\0]*)\0/.exec(bytes.toString("latin1")) ?? []
    for (const needed of (needs ?? "").split(",")) keep(needed.replaceAll("-", "_"))
    const number = String(readdirSync(to).length).padStart(2, "0")
    writeFileSync(join(to, `${number}-${name}.ko`), bytes)
  }
  for (const name of modules) keep(name)
  if (!kept.has("9p") || !kept.has("9pnet_fd")) throw new KernelError("the package has no modules for 9P")
}

function run(command, args, cwd) {
  return runForBytes(command, args, cwd).toString("utf8")
}

function runForBytes(command, args, cwd) {
  const env = { ...process.env, LC_ALL: "C" }
  const result = spawnSync(command, args, { cwd, env, maxBuffer: 1 << 28 })
  if (result.status === 0) return result.stdout
  const lines = `${result.error?.message ?? result.stderr}`.trim().split("\n")
  throw new KernelError(`${command} failed: ${lines.find((line) => line.startsWith("E:")) ?? lines.at(-1)}`)
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  setUpKernels()
  process.exitCode = kernels.every(({ version }) => existsSync(join(kernelFolder(version), "vmlinuz"))) ? 0 : 1
}
