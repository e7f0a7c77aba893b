/** Holds the command line's form: mistakes, help, exit codes. What the commands do stands in the files beside this one. */

import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { after, test } from "node:test"
import { commands } from "../../src/cli/commands.ts"
import { version } from "../../src/node.ts"
import { assertOneLine, runCommand, RunningCommand, temporaryFolder } from "../kit/command.ts"

const folder = temporaryFolder()
const data = folder.path
after(() => folder[Symbol.dispose]())

const mistakes: readonly (readonly [args: string, line: RegExp])[] = [
  ["htp 3000", /There is no command "htp": did you mean rdv http\?/],
  ["frobnicate", /There is no command "frobnicate": see rdv --help/],
  ["token", /"rdv token" is not complete: use rdv token new\|ls\|rm/],
  ["token nwe x", /There is no command "token nwe": did you mean rdv token new\?/],
  ["--json status", /--json stands before the command/],
  ["http", /"rdv http" wants TARGET: usage: rdv http TARGET/],
  ["http 3000 4000", /does not know what "4000" is for/],
  ["http 3000 --nam x", /has no flag --nam: did you mean --name\?/],
  ["http 3000 -name x", /has no flag -n: /],
  ["http 3000 --name --quiet", /--name wants a value: write --name NAME/],
  ["http 3000 --name a --name b", /--name is given twice/],
  ["http 3000 --name Not_A_Name", /The name "Not_A_Name" is no host name: use letters a-z, digits and hyphens/],
  ["http 70000", /Port 70000 of "70000" is not between 1 and 65535/],
  ["http http://localhost:3000/path", /has more than a host and a port/],
  ["http ./missing", /There is no folder \.\/missing: check the path/],
  ["http 3000 --drain 10", /--drain "10" is not a duration: write 500ms, 10s, 5m, 2h or 30d/],
  ["http 3000 --relay host:99999", /has the port "99999"/],
  ["http 3000 --token-file x", /--token-file needs a relay to use it with: add --relay ADDRESS/],
  ["http 3000 --relay 127.0.0.1:1 --listen :1", /--listen is for the relay in this process/],
  ["http 3000 --relay 127.0.0.1:1 --token-file nowhere", /The file nowhere of --token-file does not exist/],
  ["http 3000 --relay 127.0.0.1:1 --token rdv_short", /What --token holds is no complete token/],
  ["http 3000 --relay 127.0.0.1:1 --pin abc", /--pin is not the SHA-256 of a certificate/],
  ["tcp ./folder", /"\.\/folder" is not a target/],
  ["tcp 22 --port 0", /--port "0" is not a whole number from 1 to 65535/],
  ["relay extra", /does not know what "extra" is for/],
  ["relay --listen nonsense", /The address "nonsense" has no port/],
  ["relay --domain ../up", /--domain "\.\.\/up" is not a domain/],
  ["relay --dead-after 10ms", /--dead-after "10ms" is too short: give at least 1000ms/],
  ["relay --tls-cert x", /--tls-cert and --tls-key belong together/],
  ["relay --log-level loud", /--log-level "loud" is not known: use debug, info, warn, error, silent/],
  ["token new no/slash", /The name of a token must be/],
  ["token new x --ports 9-1", /--ports "9-1" is not a range of ports/],
  ["token new x --services HTTP!", /is not a name or pattern/],
]

test("each mistake is one line that says what is wrong, and exit code 2", { concurrency: 3 }, async (t) => {
  await Promise.all(
    mistakes.map(([args, line]) =>
      t.test(args, async () => {
        const ended = await runCommand(args.split(" "), { data })
        assertOneLine(ended, 2, line)
        assert.equal(ended.stdout, "")
      }),
    ),
  )
})

test("a wrong value in the environment is told with the variable's name, and a flag goes before it", async () => {
  const env = { RDV_DRAIN: "soon" }
  assertOneLine(
    await runCommand(["relay", "--listen", "127.0.0.1:0"], { data, env }),
    2,
    /RDV_DRAIN "soon" is not a duration/,
  )
  await using relay = new RunningCommand(["relay", "--listen", "127.0.0.1:0", "--drain", "1s", "--json"], { data, env })
  await relay.event("listening")
})

test("every command has help with its flags and at least one example", async () => {
  const ended = await runCommand(["--help"], { data })
  assert.equal(ended.code, 0)
  for (const { name, examples } of commands) {
    assert.ok(ended.stdout.includes(`rdv ${name}`), name)
    assert.ok(examples.length > 0, name)
  }
  const help = await runCommand(["help", "token", "new"], { data })
  assert.match(help.stdout, /usage: rdv token new NAME[^]*--expires TIME[^]*examples:\n {2}rdv token new/)
  assert.ok(help.stdout.split("\n").every((line) => line.length <= 100))
  assert.equal((await runCommand(["http", "3000", "--help"], { data })).code, 0)
  const family = await runCommand(["token", "--help"], { data })
  assert.equal(family.code, 0)
  assert.match(family.stdout, /usage: rdv token COMMAND[^]*rdv token new +Makes[^]*rdv token ls[^]*rdv token rm/)
  const headed = await runCommand(["load", "--help"], { data })
  assert.match(headed.stdout, /usage: rdv load [^]*more commands:\n {2}rdv load compare/)
})

test("the version is the package's, and no command at all is a mistake", async () => {
  assert.equal((await runCommand(["--version"], { data })).stdout.trim(), version)
  const nothing = await runCommand([], { data })
  assert.equal(nothing.code, 2)
  assert.match(nothing.stdout, /usage: rdv COMMAND/)
})

test("a port in use is one line with the mend, for a relay and for the one in the agent's process", async () => {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as net.AddressInfo
  try {
    const listen = ["--listen", `127.0.0.1:${port}`]
    const pattern = new RegExp(`127\\.0\\.0\\.1:${port} .*in use.*: .`, "i")
    assertOneLine(await runCommand(["relay", ...listen], { data }), 1, pattern)
    assertOneLine(await runCommand(["http", ".", ...listen], { data }), 1, pattern)
  } finally {
    server.close()
  }
})

test("a data folder that cannot be used is one line", async () => {
  const file = join(data, "a-file")
  writeFileSync(file, "")
  assertOneLine(await runCommand(["token", "ls", "--data", join(file, "below")], { data }), 2, /a-file/)
})

test("a relay that is not there is told once and tried on; --once ends with code 3", async () => {
  const args = ["http", "3000", "--relay", "127.0.0.1:1"]
  const once = await runCommand([...args, "--once"], { data })
  assert.equal(once.code, 3)
  assert.match(once.stderr, /rdv: Cannot reach 127\.0\.0\.1:1: the connection is refused\n$/)
  await using patient = new RunningCommand(args, { data })
  await patient.says(/Cannot reach 127\.0\.0\.1:1: the connection is refused; trying again/)
  patient.kill()
  const { code, stderr } = await patient.ended
  assert.equal(code, 0)
  assert.equal(stderr.match(/Cannot reach/g)?.length, 1, "the same reason is told once")
})
