import assert from "node:assert/strict"
import { test } from "node:test"
import { readArgs } from "./args.ts"
import type { Command } from "./command.ts"
import { FlagReader } from "./flags.ts"
import type { Flags } from "./flags.ts"
import { commandHelp } from "./help.ts"

const flags: Flags = {
  config: { kind: "text", summary: "", env: "RDV_CONFIG_FILE", default: "rdv.yaml" },
  listen: { kind: "list", summary: "" },
  open: { kind: "switch", summary: "", env: "RDV_OPEN" },
  wait: { kind: "text", summary: "" },
}
const command: Command = {
  name: "try",
  summary: "",
  usage: "[TARGET …]",
  words: [0, 2],
  flags,
  examples: [],
  run: () => Promise.resolve(0),
}

function read(args: string, env: Readonly<Record<string, string>> = {}, as: Command = command): FlagReader {
  return new FlagReader(flags, readArgs(as, args === "" ? [] : args.split(" ")).given, env)
}

test("flags take their value behind a blank or an equals sign, words stand anywhere", () => {
  const { words, given } = readArgs(command, ["a", "--config=x=y", "--open", "b", "--listen", ":1", "--listen=:2,:3"])
  assert.deepEqual(words, ["a", "b"])
  const reader = new FlagReader(flags, given, {})
  assert.equal(reader.text("config"), "x=y")
  assert.equal(reader.on("open"), true)
  assert.deepEqual(reader.list("listen"), [":1", ":2", ":3"])
  assert.deepEqual(reader.values("listen"), [":1", ":2,:3"])
})

test("what stands behind -- is a word, whatever it looks like", () => {
  assert.deepEqual(readArgs(command, ["--", "--open"]).words, ["--open"])
})

test("the command line goes before the environment, and that before the default", () => {
  const env = { RDV_CONFIG_FILE: "from-env" }
  assert.equal(read("--config x", env).text("config"), "x")
  assert.equal(read("", env).text("config"), "from-env")
  assert.equal(read("", { RDV_CONFIG_FILE: "" }).text("config"), "rdv.yaml")
})

test("a switch can be turned off again", () => {
  assert.equal(read("--open=false", { RDV_OPEN: "1" }).on("open"), false)
  assert.equal(read("", { RDV_OPEN: "true" }).on("open"), true)
  assert.equal(read("", { RDV_OPEN: "0" }).on("open"), false)
  assert.throws(() => read("", { RDV_OPEN: "maybe" }).on("open"), /RDV_OPEN "maybe" is neither true nor false/)
})

test("a single dash means a long flag only where the command says so", () => {
  assert.throws(() => read("-config x"), /"rdv try" has no flag -c/)
  const seed = { ...command, singleDash: true }
  assert.equal(read("-config x", {}, seed).text("config"), "x")
  assert.equal(read("-config=x", {}, seed).text("config"), "x")
})

test("a flag of one letter has one dash, wherever it is written", () => {
  const table: Flags = {
    c: { kind: "text", value: "FILE", summary: "The file" },
    quiet: { kind: "switch", summary: "" },
  }
  const short = { ...command, flags: table }
  const given = (args: string) => new FlagReader(table, readArgs(short, args.split(" ")).given, {})
  assert.equal(given("-c x").text("c"), "x")
  assert.equal(given("-c=x").text("c"), "x")
  assert.throws(() => given("-c"), { message: "-c wants a value", mend: "write -c FILE" })
  assert.throws(() => given("-c x -c y"), /-c is given twice/)
  assert.throws(() => given("-c=").text("c"), /-c is empty/)
  const help = commandHelp(short)
  assert.match(help, /^flags:\n {2}-c FILE {17}The file\n {2}--quiet/m)
  assert.match(commandHelp({ ...short, singleDash: true }), /^flags \(one dash is enough\):$/m)
})

test("a number below zero is a word or a value, and no flag", () => {
  const { words, given } = readArgs(command, ["-1", "--config", "-.5", "-2.5"])
  assert.deepEqual(words, ["-1", "-2.5"])
  assert.deepEqual(given.get("config"), ["-.5"])
  assert.deepEqual(readArgs(command, ["--config=-1", "--", "-3"]).words, ["-3"])
})

test("a value is not taken from the next flag", () => {
  assert.throws(() => read("--config --open"), /--config wants a value/)
  assert.throws(() => read("--config"), /--config wants a value/)
  assert.equal(read("--config=--open").text("config"), "--open")
})

test("a command names the word that is missing", () => {
  const two: Command = { ...command, usage: "PATH KEY=VALUE… [flags]", words: [2, 9] }
  assert.throws(() => readArgs(two, []), { message: '"rdv try" wants PATH' })
  assert.throws(() => readArgs(two, ["/a"]), { message: '"rdv try" wants KEY=VALUE…' })
})

test("durations have a unit and a bound", () => {
  for (const [text, ms] of [
    ["250ms", 250],
    ["1.5s", 1_500],
    ["2m", 120_000],
    ["3h", 10_800_000],
    ["30d", 2_592_000_000],
    ["0s", 0],
  ] as const) {
    assert.equal(read(`--wait ${text}`).durationMs("wait"), ms)
  }
  for (const text of ["10", "s", "1e3s", "-1s", "99999d", "1 s", "10S"]) {
    assert.throws(() => read(`--wait=${text}`).durationMs("wait"), /--wait .* is not a duration/, text)
  }
  assert.throws(() => read("--wait 5ms").durationMs("wait", 10), /--wait "5ms" is too short/)
})
