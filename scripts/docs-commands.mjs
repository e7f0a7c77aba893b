/**
 * Runs the shell blocks of documents: `node scripts/docs-commands.mjs [FILE …]`, all documents without a name. A document
 * is one session: its blocks run in order, in one folder that looks like a checkout, with a home folder of its own and
 * `rdv` on the path; variables and the current folder live on from block to block. The word behind `sh` says what kind of
 * block it is:
 *
 *     ```sh                  must end with 0
 *     ```sh background       stays, as in a terminal of its own; the next block begins when it is ready
 *     ```sh fails            must end with another code than 0
 *     ```sh no-run: WHY      cannot run here; its syntax and its flags are checked all the same (scripts/docs.mjs)
 *
 * The ports below stand for free ones. A relay or tunnel that names no port gets the one that 8080 stands for, and so
 * do shares and their receivers; a channel server and its clients get the one of 5640.
 */

import { spawn, spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { connect, createServer } from "node:net"
import { homedir, tmpdir } from "node:os"
import { basename, delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { failPlainly, root, setUp } from "./setup.mjs"

const documentedPorts = [2222, 3000, 5432, 5640, 5641, 8080, 8081, 8082, 8083, 8443, 9000, 9001, 9002, 9003, 9090]
/** Programs that a reader has or can install; a document that needs a missing one is skipped, and says so. */
const programs = ["bash", "cc", "curl", "perl", "python3", "sha256sum", "nginx", "openssl"]
/** Who sends or receives waits for the other side, and nobody has to wait until it does. */
const waitsByItself = /\brdv chan (?!serve|proxy)/
/** For one block, ms. */
const patienceMs = 20_000

/** All documents, relative to the checkout. */
export function documents() {
  const below = ["docs", "interop", "examples"].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, file))
      : [],
  )
  const found = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...below.toSorted((a, b) => a.localeCompare(b))]
  return found.filter((file) => file.endsWith(".md") && existsSync(join(root, file)))
}

/** The shell blocks of a text. */
export function blocksOf(text) {
  return [...text.matchAll(/^```(?:sh|bash|console)(?:[ \t]+([^\n]*))?\n([\s\S]*?)^```/gm)].map((match) => {
    const [kind, ...why] = (match[1] ?? "run").trim().split(/:\s*|\s+/)
    const line = text.slice(0, match.index).split("\n").length + 1
    return { kind, why: why.join(" "), code: match[2], line }
  })
}

/** What is wrong with how a block is marked, or with its syntax; undefined when nothing is. */
export function markProblem({ kind, why, code }) {
  if (!["run", "background", "fails", "no-run"].includes(kind)) return `a block cannot be marked "${kind}"`
  if (kind === "no-run" && why === "") return "a block that is not run has to say why: ```sh no-run: REASON"
  const { status, stderr } = spawnSync("bash", ["-n"], { input: code, encoding: "utf8" })
  return status === 0 || status === null ? undefined : `the shell cannot read this block: ${stderr.trim()}`
}

/** Runs a document's blocks. Resolves with a line for each problem, and with what was run. */
export async function runDocument(file) {
  const blocks = blocksOf(readFileSync(file, "utf8")).filter(({ kind }) => kind !== "no-run")
  const missing = programs.filter(
    (program) => blocks.some(({ code }) => new RegExp(`\\b${program}\\b`).test(code)) && !isInstalled(program),
  )
  if (blocks.length === 0 || missing.length > 0) return { problems: [], ran: 0, missing }
  const session = await openSession()
  const problems = []
  let ran = 0
  try {
    for (const block of blocks) {
      ran++
      const problem = block.kind === "background" ? await session.start(block.code) : await session.run(block)
      if (problem === undefined) continue
      problems.push(`${file}:${block.line}: ${problem}`)
      break
    }
    problems.push(...session.endedEarly().map((problem) => `${file}: ${problem}`))
  } finally {
    await session.close()
  }
  return { problems, ran, missing }
}

async function openSession() {
  const folder = mkdtempSync(join(tmpdir(), "rdv-docs-"))
  const home = join(folder, "home")
  const checkout = join(folder, "checkout")
  mkdirSync(home)
  mkdirSync(join(checkout, "bin"), { recursive: true })
  for (const name of readdirSync(root)) {
    if (name !== "bin" && name !== ".git") symlinkSync(join(root, name), join(checkout, name))
  }
  const ports = await freePorts(documentedPorts.length)
  const portOf = new Map(documentedPorts.map((port, at) => [String(port), String(ports[at])]))
  writeFileSync(join(checkout, "bin", "rdv"), wrapper(portOf.get("8080"), portOf.get("5640")), { mode: 0o755 })
  const state = join(folder, "state.sh")
  writeFileSync(state, `cd ${quoted(checkout)}\n`)
  const env = environment(home, join(checkout, "bin"))
  const withPorts = (code) => code.replace(/(?<![\d.])\d{4}(?![\d.])/g, (port) => portOf.get(port) ?? port)
  const script = (code) => `. ${quoted(state)}\nset -euo pipefail\n${withPorts(code)}`
  const running = []
  return {
    async run({ code, kind }) {
      const save = `{ export -p; printf 'cd %q\\n' "$PWD"; } > ${quoted(state)}`
      const launched = launch(`${script(code)}\n${save}\n`, folder, env)
      const ended = await within(launched.ended, patienceMs)
      if (ended === undefined) {
        await stop(launched)
        return `it did not end within ${patienceMs / 1000} s\n${launched.output()}`
      }
      const wanted = kind === "fails" ? ended !== 0 : ended === 0
      return wanted ? undefined : `it ended with ${ended}\n${launched.output()}`
    },
    async start(code) {
      const text = withPorts(code)
      const named = [...portOf.values()].filter((port) => text.includes(port))
      const closed = []
      for (const port of named.length > 0 ? named : ports) if (!(await isOpen(port))) closed.push(port)
      const launched = launch(script(code), folder, env)
      running.push({ launched, code })
      const speaks = /\b(rdv|npm start)\b/.test(code)
      const ready = async () => {
        if (waitsByItself.test(code)) return true
        // A server of an application is first there, then public.
        if (/\brdv tab run\b.* --name /.test(code)) return /^public /m.test(launched.output())
        if (speaks)
          return /^\W*(public |private |server |built |listens |look +rdv top|\S+ waits |rdv get \d|rdv: done)/m.test(
            launched.output(),
          )
        for (const port of closed) if (await isOpen(port)) return true
        return false
      }
      const until = Date.now() + patienceMs
      while (!(await ready())) {
        if (launched.code() !== undefined) return `it ended with ${launched.code()}\n${launched.output()}`
        if (Date.now() > until) return `it was not ready within ${patienceMs / 1000} s\n${launched.output()}`
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      return undefined
    },
    /** What was started to stay and did not, unless a block ended it. */
    endedEarly() {
      return running
        .filter(({ launched }) => launched.code() !== undefined && launched.code() !== 0 && launched.code() !== 143)
        .map(({ launched, code }) => `"${code.trim()}" ended with ${launched.code()}\n${launched.output()}`)
    },
    async close() {
      await Promise.all(running.map(({ launched }) => stop(launched)))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A shell in a process group of its own, so that what it started ends with it. */
function launch(code, cwd, env) {
  const child = spawn("bash", ["-c", code], { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true })
  let output = ""
  let status
  const hear = (text) => (output = (output + text).slice(-8_000))
  child.stdout.setEncoding("utf8").on("data", hear)
  child.stderr.setEncoding("utf8").on("data", hear)
  const ended = new Promise((resolve) => {
    child.on("error", (error) => {
      hear(error.message)
      resolve((status = 127))
    })
    child.on("exit", (code, signal) => resolve((status = code ?? (signal === "SIGTERM" ? 143 : 137))))
  })
  return { pid: child.pid, ended, output: () => output, code: () => status }
}

async function stop(launched) {
  const group = -launched.pid
  const signal = (name) => {
    try {
      process.kill(group, name)
    } catch {
      // It has ended.
    }
  }
  signal("SIGTERM")
  if ((await within(launched.ended, 5_000)) === undefined) signal("SIGKILL")
  await launched.ended
}

/** Nothing of the caller's own set-up gets in; what Node compiled before is used. */
function environment(home, bin) {
  const own = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(RDV_|XDG_|NODE_TEST|NODE_OPTIONS|npm_)|_proxy$/i.test(name)),
  )
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache")
  const path = [bin, dirname(process.execPath), process.env.PATH].join(delimiter)
  return { ...own, HOME: home, PATH: path, XDG_CACHE_HOME: cache, NO_COLOR: "1", TERM: "dumb" }
}

function wrapper(port, channelPort) {
  return `#!/bin/sh
export RDV_CHANNELS="\${RDV_CHANNELS:-127.0.0.1:${channelPort}}" RDV_CHAN_LISTEN="\${RDV_CHAN_LISTEN:-127.0.0.1:${channelPort}}"
case " \${1-} $* \${RDV_RELAY:+--relay} \${RDV_LISTEN:+--listen} " in
  *" --relay "* | *" --listen "* | *" --help "* | " get get "*://* | " share share swarm "*) ;;
  " get get "* | " share share status "*) set -- "$@" --relay 127.0.0.1:${port} ;;
  " http http "* | " relay relay "* | " share share "*) set -- "$@" --listen 127.0.0.1:${port} ;;
esac
exec ${quoted(join(root, "bin", "rdv"))} "$@"
`
}

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map((server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)))),
  )
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: Number(port) })
    socket.on("connect", () => resolve(true))
    socket.on("error", () => resolve(false))
    socket.on("connect", () => socket.destroy())
  })
}

function within(promise, ms) {
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)))
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function isInstalled(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    setUp()
    process.exitCode = (await runAll(process.argv.slice(2))) ? 0 : 1
  } catch (error) {
    failPlainly(error)
  }
}

/** Runs documents, two at a time, and prints what happened. True when all is well. */
export async function runAll(files) {
  const waiting = files.length > 0 ? [...files] : documents().map((file) => join(root, file))
  let good = true
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const started = Date.now()
      const { problems, ran, missing } = await runDocument(file)
      if (missing.length > 0) console.log(`- ${basename(file)} skipped: ${missing.join(", ")} is not installed`)
      else if (ran > 0)
        console.log(`${problems.length > 0 ? "✖" : "✔"} ${file}: ${ran} blocks (${Date.now() - started} ms)`)
      for (const problem of problems) console.error(problem)
      good &&= problems.length === 0
    }
  }
  await Promise.all([work(), work()])
  return good
}
