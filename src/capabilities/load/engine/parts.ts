/** What a generator needs for each target: who connects, and what is sent. */

import { SeededRandom } from "../../../base/random.ts"
import type { ClientFactory } from "../client/client.ts"
import { createFactory } from "../client/factory.ts"
import { buildHttpRequest, parseWrittenRequest } from "../client/http-request.ts"
import type { Message, MessageSource } from "../message/message.ts"
import { createSource, same } from "../message/source.ts"
import type { Scenario, Target } from "../scenario/scenario.ts"

export interface Part {
  readonly factory: ClientFactory
  readonly source: MessageSource
}

/** For each target in order; `index` is the generator's, `version` what requests call us. Throws `usage` for what cannot be sent or connected to. */
export function partsOf(scenario: Scenario, index: number, version: string): Part[] {
  return scenario.targets.map((target, at) => ({
    factory: createFactory(target, scenario),
    source: sourceOf(scenario, target, version, new SeededRandom(scenario.seed, 1_000_000 + index * 10_000 + at)),
  }))
}

function sourceOf(scenario: Scenario, target: Target, version: string, random: SeededRandom): MessageSource {
  const { messages: plan, framing, expect, pace } = scenario
  if (plan.kind !== "http") {
    const http = target.protocol === "http" || target.protocol === "https"
    const compose = (text: string): Pick<Message, "bytes" | "content"> => {
      const { path, plan: one } = parseWrittenRequest(text)
      const to = path === "" ? target : { ...target, path }
      return {
        bytes: buildHttpRequest(to, one, { close: !pace.keepAlive, version }),
        content: Buffer.from(one.bodyBase64 ?? "", "base64"),
      }
    }
    return createSource({ plan, framing, expect, random, ...(http ? { compose } : {}) })
  }
  const bytes = buildHttpRequest(target, plan, { close: !pace.keepAlive, version })
  const content = plan.bodyBase64 === undefined ? new Uint8Array(0) : Buffer.from(plan.bodyBase64, "base64")
  return same({ bytes, content, expect })
}
