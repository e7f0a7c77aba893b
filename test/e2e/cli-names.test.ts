/** Holds `rdv name` while the relay runs: what belongs to whom is told, released and handed over at once. */

import assert from "node:assert/strict"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { openSqliteStore } from "../../src/store/sqlite-store.ts"
import { storeLimits } from "../../src/store/store.ts"
import {
  assertOneLine,
  newToken,
  runCommand,
  RunningCommand,
  startRelayCommand,
  temporaryFolder,
  visit,
} from "../kit/command.ts"
import type { Ended } from "../kit/command.ts"

const folder = temporaryFolder()
const data = join(folder.path, "relay")
const other = join(folder.path, "agent")
const site = join(folder.path, "site")
let relay: RunningCommand
let address = ""

before(async () => {
  for (const each of [data, other, site]) mkdirSync(each)
  writeFileSync(join(site, "index.html"), "hello")
  ;({ relay, address } = await startRelayCommand([], { data }))
})
after(async () => {
  await relay[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

/** A tunnel to the site under a name. */
function agent(token: string, name: string): RunningCommand {
  const args = ["http", site, "--relay", address, "--name", name, "--json"]
  return new RunningCommand(args, { data: other, env: { RDV_TOKEN: token } })
}

const rdv = (...args: readonly string[]): Promise<Ended> => runCommand(args, { data })

test("a name is listed with its token and whether it is served; a revoked token's too, and its end says how to free it", async () => {
  const token = await newToken("first", data)
  {
    await using tunnel = agent(token, "listed")
    await tunnel.event("exposed")
    assert.match((await rdv("name", "ls")).stdout, /^listed +first +[0-9a-f]{8} +\d{4}-\d\d-\d\d +yes$/m)
  }
  const revoked = await rdv("token", "rm", "first")
  const [, id = ""] = /revoked first \(([0-9a-f]{8})\)/.exec(revoked.stdout) ?? []
  assert.match(revoked.stdout, /^still reserved for it: listed$/m)
  assert.ok(revoked.stdout.includes(`rdv name move --of ${id} --to TOKEN\n`))
  assert.ok(revoked.stdout.includes(`rdv name release --of ${id}\n`))
  assert.match((await rdv("name", "ls")).stdout, /^listed +first \(revoked\) .* no$/m)
  const json = JSON.parse((await rdv("name", "ls", "--of", "first", "--json")).stdout) as { [key: string]: unknown }
  assert.deepEqual(
    { ...json, claimedAt: "any" },
    {
      kind: "http",
      name: "listed",
      tokenId: id,
      token: "first",
      tokenState: "revoked",
      claimedAt: "any",
      served: false,
    },
  )
  assert.equal(
    (await rdv("name", "release", "--of", id)).stdout,
    "released listed, which belonged to first (revoked)\n",
  )
  assert.equal((await rdv("name", "ls", "--of", id)).stdout, "")
})

test("a name that is handed over goes to its new agent at once, and the old agent ends with one line", async () => {
  const from = agent(await newToken("from", data), "moved")
  await from.event("exposed")
  const token = await newToken("to", data)
  assertOneLine(await agent(token, "moved").ended, 1, /"moved" is served by somebody else|belongs to another token/)
  const moved = await rdv("name", "move", "moved", "--to", "to", "--json")
  assert.equal((JSON.parse(moved.stdout) as { token: string }).token, "to")
  await using next = agent(token, "moved")
  const { url } = await next.event("exposed")
  assertOneLine(await from.ended, 1, /"moved" belongs to another token now/)
  assert.equal((await visit(String(url))).body, "hello")
})

test("a name that is released is taken from its agent within 2 s, and is anybody's", async () => {
  const old = agent(await newToken("old", data), "freed")
  await old.event("exposed")
  assert.equal((await rdv("name", "release", "freed")).stdout, "released freed, which belonged to old\n")
  const started = performance.now()
  assertOneLine(await old.ended, 1, /"freed" was released at the relay/)
  assert.ok(performance.now() - started < 2_000)
  await using next = agent(await newToken("next", data), "freed")
  await next.event("exposed")
})

test("what cannot be done is one line with the mend, and changes nothing", async () => {
  const token = await newToken("owner", data)
  {
    await using tunnel = agent(token, "kept")
    await tunnel.event("exposed")
  }
  await newToken("narrow", data, "--names", "other")
  await newToken("tcp-only", data, "--services", "tcp")
  const wrong = [
    [["name", "release"], 2, /No name is given: write NAME\.\.\. or --of TOKEN/],
    [["name", "release", "kept", "--of", "owner"], 2, /exclude each other/],
    [["name", "release", "kept", "nobody"], 1, /Nobody has claimed "nobody": see rdv name ls/],
    [["name", "release", "--of", "nobody"], 1, /There is no token "nobody": see rdv token ls/],
    [["name", "release", "--of", "narrow"], 1, /The token "narrow" has claimed nothing/],
    [["name", "move", "kept"], 2, /wants --to/],
    [["name", "move", "kept", "--to", "nobody"], 1, /There is no living token "nobody"/],
    [["name", "move", "kept", "--to", "first"], 1, /There is no living token "first", only one that is revoked/],
    [["name", "move", "kept", "--to", "narrow"], 1, /The token "narrow" does not allow kept: .*nothing was moved/],
    [["name", "move", "kept", "--to", "tcp-only"], 1, /The token "tcp-only" does not allow kept/],
    [["name"], 2, /"rdv name" is not complete: use rdv name ls\|release\|move/],
  ] as const
  await Promise.all(wrong.map(async ([args, code, pattern]) => assertOneLine(await rdv(...args), code, pattern)))
  assert.match((await rdv("name", "ls", "--of", "owner")).stdout, /^kept +owner /m)
})

test("a token that has no room for all of the names gets none of them", async () => {
  await newToken("full", data)
  await newToken("giver", data)
  const store = openSqliteStore({ path: join(data, "relay.db"), clock: systemClock, log: silentLog })
  try {
    const idOf = (name: string) => store.listTokens().find((each) => each.name === name)?.id as string
    for (let count = 1; count < storeLimits.claimsPerOwner; count++) {
      store.claimName("http", `full-${count}`, idOf("full"))
    }
    for (const name of ["one", "two"]) store.claimName("http", name, idOf("giver"))
    const refused = await rdv("name", "move", "--of", "giver", "--to", "full")
    assertOneLine(refused, 1, /"full" would have 1001 names and ports, and 1000 are the most: .*nothing was moved/)
    assert.equal(store.claimsOf(idOf("giver")).length, 2)
    assert.equal((await rdv("name", "move", "one", "full-1", "--to", "full")).code, 0)
  } finally {
    store.close()
  }
})
