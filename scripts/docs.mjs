/**
 * `npm run docs`: holds the documents against the repository. Every relative link leads to a file (and to a heading,
 * where it names one), every `npm` script that a shell block calls exists, every `rdv` command too, with the flags that
 * it is given, and the reference holds the text of every `--help` (`--write` brings it up to date). Then it runs the shell
 * blocks (docs-commands.mjs); `--no-run` leaves that out.
 */

import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { blocksOf, documents, markProblem, runAll } from "./docs-commands.mjs"
import { failPlainly, root, setUp } from "./setup.mjs"

const npmOwn = new Set(["ci", "install", "pack", "publish", "link", "exec", "version", "i"])

try {
  const node = setUp()
  const problems = []
  const flagsOf = helpReader(node)
  let links = 0
  let calls = 0
  const files = documents()
  for (const document of files) {
    const text = readFileSync(join(root, document), "utf8")
    for (const { target, line } of linksOf(text)) {
      links++
      const problem = linkProblem(document, target)
      if (problem !== undefined) problems.push(`${document}:${line}: ${problem}`)
    }
    for (const block of blocksOf(text)) {
      const problem = markProblem(block)
      if (problem !== undefined) problems.push(`${document}:${block.line}: ${problem}`)
    }
    for (const { words, line } of shellCalls(text)) {
      calls++
      const problem = words[0] === "npm" ? npmProblem(words) : rdvProblem(words.slice(1), flagsOf)
      if (problem !== undefined) problems.push(`${document}:${line}: ${problem}`)
    }
  }
  problems.push(...referenceProblems(node, process.argv.includes("--write")))
  for (const problem of problems) console.error(problem)
  console.log(`${files.length} documents, ${links} links, ${calls} commands, ${problems.length} problems`)
  const runs = problems.length > 0 || process.argv.includes("--no-run") || (await runAll([]))
  process.exitCode = problems.length > 0 || !runs ? 1 : 0
} catch (error) {
  failPlainly(error)
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
  return blocksOf(text).flatMap(({ code, line }) => {
    const rows = code.replace(/\\\n/g, "  ").split("\n")
    return rows.flatMap((row, at) =>
      row
        .replace(/^\$ /, "")
        .replace(/(^|\s)#.*$/, "")
        .replace(/\bsudo( -u \S+)?\s/, "")
        .split(/&&|\|\||[;|()&]/)
        .map((part) => part.trim().split(/\s+/))
        .map((words) => words.slice(words.findIndex((word) => !/^([A-Z_]+=.*|exec)$/.test(word))))
        .map((words) => (words[0] === "npx" ? words.slice(1) : words))
        .filter(([first]) => /^(npm|(\S*\/)?rdv)$/.test(first ?? ""))
        .map((words) => ({ words, line: line + at })),
    )
  })
}

function npmProblem([, verb, name]) {
  if (verb === undefined || npmOwn.has(verb)) return undefined
  const script = verb === "run" ? name : verb
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  return script in scripts ? undefined : `package.json has no script "${script}"`
}

/** The page that holds every `--help` differs from what the command line says now. */
function referenceProblems(node, write) {
  const page = join(root, "docs", "reference", "cli.md")
  const text = readFileSync(page, "utf8")
  const overview = helpOf(node, [])
  const names = overview.match(/^ {2}rdv [a-z]+(?: [a-z]+)?(?= {2})/gm).map((row) => row.trim().slice("rdv ".length))
  const sections = [["", overview], ...names.map((name) => [`## rdv ${name}\n\n`, helpOf(node, name.split(" "))])]
  const fresh = sections.map(([heading, help]) => `${heading}\`\`\`text\n${help.trimEnd()}\n\`\`\`\n`).join("\n")
  const wanted = text.replace(
    /(<!-- help:begin[^\n]*-->\n)[\s\S]*(<!-- help:end -->)/,
    (_all, begin, end) => `${begin}${fresh}${end}`,
  )
  if (wanted === text) return []
  if (!write) return ["docs/reference/cli.md is behind the command line; run npm run docs -- --write"]
  writeFileSync(page, wanted)
  return []
}

function helpOf(node, words) {
  const main = join(root, "src", "cli", "main.ts")
  return spawnSync(node, [main, ...words, "--help"], { cwd: root, encoding: "utf8", timeout: 20_000 }).stdout
}

/** A command exists when its help does, a flag when that help has it; what follows `--` in `npm start --` is checked too. */
function rdvProblem(words, flagsOf) {
  const [first, second] = words
  if (first === undefined || first.startsWith("-")) return undefined
  const isPair =
    /^(token|chan|name|tab)$/.test(first) ||
    /^(balance (check|convert|reload|target)|load (compare|serve)|share (status|swarm))$/.test(
      words.slice(0, 2).join(" "),
    )
  const name = isPair && second !== undefined && !second.startsWith("-") ? `${first} ${second}` : first
  const known = flagsOf(name)
  if (known === undefined) return `there is no command "rdv ${name}"`
  const unknown = words.find((word) => /^--[a-z]/.test(word) && !known.has(word.split("=")[0]))
  return unknown === undefined ? undefined : `"rdv ${name}" has no flag ${unknown}`
}

/** Reads each command's help once. */
function helpReader(node) {
  const main = join(root, "src", "cli", "main.ts")
  const known = new Map()
  return (name) => {
    if (!known.has(name)) {
      const options = { cwd: root, encoding: "utf8", timeout: 20_000 }
      const { status, stdout } = spawnSync(node, [main, ...name.split(" "), "--help"], options)
      known.set(name, status === 0 ? new Set(stdout.match(/--[a-z][a-z-]*/g)) : undefined)
    }
    return known.get(name)
  }
}

function lineAt(text, index) {
  return text.slice(0, index).split("\n").length
}

/** Keeps lines and offsets, so that line numbers stay true. */
function blank(code) {
  return code.replace(/[^\n]/g, " ")
}
