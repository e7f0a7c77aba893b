/**
 * Makes a checkout ready to run: the locked npm packages and the pinned Node runtime under `node_modules`. It runs on
 * any Node from 20 on, because it is what fetches the newer one. When nothing is missing it costs a hash of the lock
 * file and says nothing; each thing that it does is one line on standard error, so that standard output stays the
 * program's.
 */

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, realpathSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { bundleTabRuntime } from "./tab-runtime.mjs"
import { bundlePages } from "./web.mjs"

/** The checkout's top folder. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")

const windows = process.platform === "win32"
const nodePackage = join(root, "node_modules", "node")
const pinnedNode = join(nodePackage, "bin", windows ? "node.exe" : "node")
const lockFile = join(root, "package-lock.json")
const stampFile = join(root, "node_modules", ".rdv-setup.json")
/** The oldest Node that runs the product, for machines on which the pinned one does not run. */
const oldestMajor = 24

/** Something the user has to mend; shown without a stack trace. */
export class SetUpError extends Error {}

/** Sets up what is missing. Returns the path of the Node that runs the product. Throws `SetUpError`. */
export function setUp() {
  const stamp = wantedStamp()
  if (readText(stampFile) === stamp) {
    // A checkout gives an unchanged lock file a new time; bin/rdv compares times to stay fast.
    if (statSync(stampFile).mtimeMs <= statSync(lockFile).mtimeMs) utimesSync(stampFile, new Date(), new Date())
    if (existsSync(pinnedNode)) {
      bundle()
      return pinnedNode
    }
  }
  if (!packagesMatchLock()) installPackages()
  const node = workingNode()
  bundle()
  writeFileSync(stampFile, stamp)
  return node
}

/** Without its pages the product still runs; the relay says so to who asks for one. */
function bundle() {
  const started = Date.now()
  try {
    const isNew = [bundlePages(), bundleTabRuntime()].includes(true)
    if (isNew) say(`pages bundled in ${((Date.now() - started) / 1000).toFixed(1)} s`)
  } catch (error) {
    say(`the pages could not be bundled: ${String(error.message).trim().split("\n").slice(0, 4).join(" ")}`)
  }
}

/** Shows a problem of the set-up as one line and ends; anything else is a bug and is thrown on. */
export function failPlainly(error) {
  if (!(error instanceof SetUpError)) throw error
  say(error.message)
  process.exit(1)
}

export function say(line) {
  process.stderr.write(`set-up: ${line}\n`)
}

function wantedStamp() {
  const lock = readText(lockFile)
  if (lock === undefined)
    throw new SetUpError(`${lockFile} is missing; restore it with: git checkout package-lock.json`)
  const hash = createHash("sha256").update(lock).digest("hex")
  return `${JSON.stringify({ lock: hash, platform: process.platform, arch: process.arch })}\n`
}

/** True when `node_modules` already holds what the lock file names, however it came there. */
function packagesMatchLock() {
  const installed = readText(join(root, "node_modules", ".package-lock.json"))
  if (installed === undefined) return false
  const have = JSON.parse(installed).packages
  const want = JSON.parse(readFileSync(lockFile, "utf8")).packages
  return Object.entries(want).every(
    ([path, { version, optional }]) =>
      path === "" || (have[path] === undefined ? optional === true : have[path].version === version),
  )
}

function installPackages() {
  say("installing the npm packages of package-lock.json …")
  const started = Date.now()
  // On Windows a running program cannot be deleted, and `npm ci` deletes the Node that may be running this.
  const runningInside = realpathSync(process.execPath).startsWith(join(root, "node_modules"))
  const verb = windows && runningInside ? ["install", "--no-save"] : ["ci"]
  // Level `error` leaves out EBADENGINE: the Node that boots this may be older than the one that runs the product.
  const result = npm([...verb, "--loglevel=error", "--no-audit", "--no-fund"], root)
  if (result.status !== 0) {
    const why = firstLine(result)
    throw new SetUpError(`npm could not install the packages: ${why}; check the network and run the command again`)
  }
  say(`packages installed in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

/** The pinned Node if it runs here, else the Node that runs this when it is new enough. */
function workingNode() {
  const version = JSON.parse(readFileSync(join(nodePackage, "package.json"), "utf8")).version
  if (runs(pinnedNode, version)) return pinnedNode
  say(`fetching Node ${version} …`)
  // The package's own install step; npm skips it where install scripts are not allowed.
  const step = spawnSync(process.execPath, ["installArchSpecificPackage.js"], {
    cwd: nodePackage,
    env: { ...process.env, npm_config_loglevel: "error" },
    encoding: "utf8",
  })
  if (runs(pinnedNode, version)) return pinnedNode
  // Left in place it would be taken for a working one the next time.
  rmSync(pinnedNode, { force: true })
  if (Number(process.versions.node.split(".")[0]) >= oldestMajor) {
    say(`Node ${version} does not run here; going on with ${process.version}`)
    return process.execPath
  }
  throw new SetUpError(
    `Node ${version} does not run here (${firstLine(step)}); install Node ${oldestMajor} or later and run the command again`,
  )
}

function runs(node, version) {
  return existsSync(node) && spawnSync(node, ["--version"], { encoding: "utf8" }).stdout?.trim() === `v${version}`
}

function npm(args, cwd) {
  const options = { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }
  // Under `npm run` this is npm's own script; it spares the shell that npm.cmd needs on Windows.
  const script = process.env["npm_execpath"]
  if (script !== undefined && script.endsWith("npm-cli.js")) {
    return spawnSync(process.execPath, [script, ...args], options)
  }
  return spawnSync(windows ? "npm.cmd" : "npm", args, { ...options, shell: windows })
}

function firstLine(result) {
  if (result.error !== undefined) return result.error.message
  const lines = `${result.stderr}`.split("\n").map((line) => line.replace(/^npm (error|ERR!) ?/, "").trim())
  return (
    lines.filter((line) => line !== "" && !/^(?:code|errno|syscall|path|npm) /.test(line))[0] ??
    `status ${result.status}`
  )
}

function readText(path) {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    if (error.code === "ENOENT") return undefined
    throw error
  }
}

// Called by itself it prepares the checkout and prints the Node to use; bin/rdv reads that line.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${setUp()}\n`)
  } catch (error) {
    failPlainly(error)
  }
}
