/** Runs what the documents tell readers to run. */

import assert from "node:assert/strict"
import { execFile, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { promisify } from "node:util"
import { temporaryFolder } from "../kit/command.ts"
import { readSource, repositoryFiles, root } from "./source-files.ts"

const run = promisify(execFile)
const script = join(root, "scripts", "docs-commands.mjs")
const documents = repositoryFiles().filter(
  (file) => file.endsWith(".md") && /^```sh(?! no-run)/m.test(readSource(file)),
)

test(
  "every shell block of the documents does what its document says",
  { skip: process.platform === "win32", concurrency: 2, timeout: 300_000 },
  async (t) => {
    await Promise.all(
      documents.map((file) =>
        t.test(file, async (t) => {
          const { stdout } = await run(process.execPath, [script, join(root, file)], { cwd: root })
          if (stdout.includes("skipped")) t.skip(stdout.trim())
        }),
      ),
    )
  },
)

test(
  "a block that fails, or does not fail although it should, is a failure",
  { skip: process.platform === "win32" },
  () => {
    using folder = temporaryFolder()
    const verdict = (...lines: readonly string[]) => {
      const file = join(folder.path, "document.md")
      writeFileSync(file, `${lines.join("\n")}\n`)
      return spawnSync(process.execPath, [script, file], { cwd: root, encoding: "utf8" })
    }
    const wrong = verdict("```sh", "true", "```", "```sh", "echo seen; false", "```")
    assert.equal(wrong.status, 1)
    assert.match(wrong.stderr, /document\.md:5: it ended with 1\nseen/)
    assert.equal(verdict("```sh fails", "true", "```").status, 1)
    assert.equal(verdict("```sh fails", "false", "```").status, 0)
    assert.equal(verdict("```sh no-run: elsewhere", "false", "```").status, 0)
    assert.equal(verdict("```sh background", "false", "```").status, 1)
    assert.equal(
      verdict(
        "```sh",
        "word=kept; mkdir -p sub; cd sub; export word",
        "```",
        "```sh",
        'test "$word" = kept; test "$(basename "$PWD")" = sub',
        "```",
      ).status,
      0,
    )
  },
)
