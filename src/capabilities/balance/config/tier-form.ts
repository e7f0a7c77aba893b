/** Classes of clients with a bandwidth of their own. */

import { network, serverName, tokenHash } from "./address-forms.ts"
import { bandwidth } from "./bandwidth-form.ts"
import { defaultTier } from "./defaults.ts"
import { mapForm } from "./form.ts"
import type { Form } from "./form.ts"
import type { TierSettings } from "./settings.ts"
import { listOf, number, text, whole } from "./value-forms.ts"

const table = mapForm<TierSettings>(
  {
    name: { key: "name", form: text, summary: "For logs and metrics", required: true },
    bandwidth: {
      key: "bandwidth",
      form: mapForm<TierSettings["bandwidth"]>(
        {
          connection: { key: "connection", form: bandwidth, summary: "Of each connection, instead of the app's" },
          client: { key: "client", form: bandwidth, summary: "Of each client, instead of the app's" },
        },
        defaultTier.bandwidth,
      ),
      summary: "What these clients get",
    },
    weight: { key: "weight", form: number(0.001, 1_000_000), summary: "Their part when clients share a cap" },
    match: {
      key: "match",
      form: mapForm<TierSettings["match"]>(
        {
          addresses: { key: "addresses", form: listOf(network), summary: "Networks of clients" },
          serverNames: { key: "server-names", form: listOf(serverName), summary: "Names that clients ask for (SNI)" },
          ports: { key: "ports", form: listOf(whole(1, 65_535)), summary: "Ports that clients come to" },
          certificates: { key: "certificates", form: listOf(text), summary: "Common names of clients' certificates" },
          tokens: {
            key: "tokens",
            form: listOf(tokenHash),
            summary: "SHA-256 of tokens in PROXY v2 headers (type 0xE0)",
          },
        },
        defaultTier.match,
      ),
      summary: "Who belongs to it; each key that is there has to fit",
    },
  },
  defaultTier,
)

export const tiers: Form<readonly TierSettings[]> = {
  ...listOf(table, { ...defaultTier, name: undefined as unknown as string }),
  read(value, base) {
    const names = new Set<string>()
    if (value.kind !== "list") return listOf(table, { ...defaultTier, name: "" }).read(value, base)
    return value.list((one) => {
      const tier = table.read(one, { ...defaultTier, name: "" })
      if (tier !== undefined && names.has(tier.name))
        one.wrong(`a tier ${JSON.stringify(tier.name)} is already there`, "name it otherwise")
      if (tier !== undefined) names.add(tier.name)
      return tier
    })
  },
}
