import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import type { TierSettings } from "../config/settings.ts"
import { Tiers } from "./tiers.ts"

function tier(name: string, match: Partial<TierSettings["match"]>): TierSettings {
  const none = { up: undefined, down: undefined }
  const nothing = { addresses: [], serverNames: [], ports: [], certificates: [], tokens: [] }
  return { name, weight: 1, bandwidth: { connection: none, client: none }, match: { ...nothing, ...match } }
}

const signs = { address: "192.0.2.1", port: 443 }

test("the first tier counts of which every kind of sign is there", () => {
  const token = Buffer.from("secret")
  const tiers = new Tiers([
    tier("both", { addresses: ["10.0.0.0/8", "2001:db8::/32"], ports: [80, 81] }),
    tier("address", { addresses: ["10.0.0.0/8"] }),
    tier("name", { serverNames: ["shop.test", "*.gold.test"] }),
    tier("certificate", { certificates: ["alice"] }),
    tier("token", { tokens: [createHash("sha256").update(token).digest("hex").toUpperCase()] }),
    tier("port", { ports: [8443] }),
  ])
  const cases = [
    [{ address: "10.1.1.1", port: 81 }, "both"],
    [{ address: "2001:db8::1", port: 80 }, "both"],
    [{ address: "::ffff:10.1.1.1", port: 443 }, "address"],
    [{ serverName: "shop.test" }, "name"],
    [{ serverName: "a.b.gold.test" }, "name"],
    [{ serverName: "gold.test" }, undefined],
    [{ certificate: "alice" }, "certificate"],
    [{ certificate: "bob" }, undefined],
    [{ token }, "token"],
    [{ token: Buffer.from("Secret") }, undefined],
    [{ port: 8443 }, "port"],
    [{}, undefined],
  ] as const
  for (const [signsThere, name] of cases) assert.equal(tiers.find({ ...signs, ...signsThere })?.name, name)
})

test("a tier that names nothing takes whoever is left", () => {
  const tiers = new Tiers([tier("gold", { ports: [80] }), tier("all", {})])
  assert.equal(tiers.find(signs)?.name, "all")
  assert.equal(new Tiers([]).find(signs), undefined)
})
