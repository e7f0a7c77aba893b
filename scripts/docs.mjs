/**
 * `npm run docs`: holds the documents against the repository. Every relative link leads to a file (and to a heading,
 * where it names one), every `npm` script that a shell block calls exists, every `rdv` command too.
 */

import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { failPlainly, root, setUp } from "./setup.mjs"

const npmOwn = new Set(["ci", "install", "pack", "publish", "link", "exec", "version", "i"])

try {
  const node = setUp()
  const problems = []
  const commands = new Map()
  let links = 0
  const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...below("docs")].filter((file) =>
    existsSync(join(root, file)),
  )
  for (const document of documents) {
    const text = readFileSync(join(root, document), "utf8")
    for (const { target, line } of linksOf(text)) {
      links++
      const problem = linkProblem(document, target)
      if (problem !== undefined) problems.push(`${document}:${line}: ${problem}`)
    }
    for (const { words, line } of shellCalls(text)) {
      const place = `${document}:${line}`
      if (words[0] === "npm") {
        const problem = npmProblem(words)
        if (problem !== undefined) problems.push(`${place}: ${problem}`)
      } else if (/^[a-z][a-z-]*$/.test(words[1] ?? "") && !commands.has(words[1])) commands.set(words[1], place)
    }
  }
  problems.push(...commandProblems(node, commands))
  for (const problem of problems) console.error(problem)
  console.log(`${documents.length} documents, ${links} links, ${commands.size} commands, ${problems.length} problems`)
  process.exitCode = problems.length > 0 ? 1 : 0
} catch (error) {
  failPlainly(error)
}

function below(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join(folder, file))
    .sort((a, b) => a.localeCompare(b))
}

/** Links and pictures of a document, outside its code. */
function linksOf(text) {
  const found = []
  const plain = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, blank).replace(/`[^`\n]*`/g, blank)
  for (const match of plain.matchAll(
    /\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)="([^"]+)"/gm,
  )) {
    const target = match[1] ?? match[2] ?? match[3]
    if (!/^[a-z][a-z+.-]*:/i.test(target)) found.push({ target, line: lineAt(text, match.index) })
  }
  return found
}

function linkProblem(document, link) {
  const [path, anchor] = decodeURIComponent(link).split("#")
  const file = path === "" ? join(root, document) : resolve(root, dirname(document), path)
  const shown = relative(root, file)
  if (!existsSync(file)) return `the link to ${link} leads nowhere; there is no ${shown}`
  if (anchor === undefined || !file.endsWith(".md")) return undefined
  return anchorsOf(readFileSync(file, "utf8")).has(anchor) ? undefined : `${shown} has no heading #${anchor}`
}

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(text) {
  const anchors = new Set()
  const plain = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, blank)
  for (const [, heading] of plain.matchAll(/^#{1,6}\s+(.+)$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase()
    const anchor = words
      .trim()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-")
    let unique = anchor
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  return anchors
}

/** The calls of `rdv` and `npm` in shell blocks, as words. */
function shellCalls(text) {
  const calls = []
  for (const block of text.matchAll(/^```(?:sh|bash|console)\n([\s\S]*?)^```/gm)) {
    const first = lineAt(text, block.index) + 1
    block[1].split("\n").forEach((row, at) => {
      const code = row.replace(/^\$ /, "").replace(/(^|\s)#.*$/, "")
      for (const part of code.split(/&&|\|\||[;|]/)) {
        const words = part
          .trim()
          .split(/\s+/)
          .filter((word) => !/^[A-Z_]+=/.test(word))
        if (words[0] === "npx") words.shift()
        if (words[0] === "./bin/rdv") words[0] = "rdv"
        if (words[0] === "rdv" || words[0] === "npm") calls.push({ words, line: first + at })
      }
    })
  }
  return calls
}

function npmProblem([, verb, name]) {
  if (verb === undefined || npmOwn.has(verb)) return undefined
  const script = verb === "run" ? name : verb
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  return script in scripts ? undefined : `package.json has no script "${script}"`
}

/** A command exists when its help does. */
function commandProblems(node, commands) {
  const main = join(root, "src", "cli", "main.ts")
  return [...commands].flatMap(([command, place]) => {
    const { status } = spawnSync(node, [main, command, "--help"], { cwd: root, encoding: "utf8", timeout: 20_000 })
    return status === 0 ? [] : [`${place}: there is no command "rdv ${command}" (its --help ends with ${status})`]
  })
}

function lineAt(text, index) {
  return text.slice(0, index).split("\n").length
}

/** Keeps lines and offsets, so that line numbers stay true. */
function blank(code) {
  return code.replace(/[^\n]/g, " ")
}
