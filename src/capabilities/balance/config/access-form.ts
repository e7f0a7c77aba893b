/** Who may connect: rules in order, and what holds without a match. */

import type { JsonObject } from "../../../base/json.ts"
import type { ConfigValue } from "../../../config/value.ts"
import { network } from "./address-forms.ts"
import type { Form, Plain } from "./form.ts"
import type { AccessRule, AccessSettings } from "./settings.ts"
import { choice, listOf, path } from "./value-forms.ts"

const networks = listOf(network)
const otherwise = choice("allow", "deny")
const ruleKeys = ["allow", "deny", "allow-file", "deny-file"] as const

export const access: Form<AccessSettings> = {
  read(value, base) {
    if (value.kind === "list") return settingsOf(value.list(readRule) ?? [], undefined)
    const fields = value.fields(["rules", "otherwise"], { anyCase: true })
    const rules = fields?.get("rules")?.list(readRule)
    const said = fields?.get("otherwise")
    return settingsOf(rules ?? base.rules, said === undefined ? undefined : otherwise.read(said, "allow"))
  },
  write(value) {
    const rules = value.rules.map(writeRule)
    if (rules.length === 0) return { otherwise: value.otherwise }
    return settingsOf(value.rules, undefined).otherwise === value.otherwise
      ? rules
      : { rules, otherwise: value.otherwise }
  },
  schema: {
    anyOf: [
      { $ref: "#/$defs/access-rules" },
      {
        type: "object",
        additionalProperties: false,
        properties: {
          rules: { $ref: "#/$defs/access-rules" },
          otherwise: { description: "What holds without a match", ...otherwise.schema },
        },
      },
    ],
  },
  placeholder: "list of rules, or map",
}

/** For `$defs`. */
export const accessRulesSchema: JsonObject = {
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    additionalProperties: false,
    properties: {
      allow: { description: "Networks that may connect", ...networks.schema },
      deny: { description: "Networks that may not", ...networks.schema },
      "allow-file": { description: "A file with one network in each line", ...path.schema },
      "deny-file": { description: "A file with one network in each line", ...path.schema },
    },
  },
}

/** Whoever allows some means them alone. */
function settingsOf(rules: readonly AccessRule[], said: AccessSettings["otherwise"] | undefined): AccessSettings {
  return { rules, otherwise: said ?? (rules.some(({ action }) => action === "allow") ? "deny" : "allow") }
}

function readRule(value: ConfigValue): AccessRule | undefined {
  const fields = value.fields(ruleKeys, { anyCase: true })
  if (fields === undefined) return undefined
  const given = ruleKeys.filter((key) => fields.get(key) !== undefined)
  const actions = new Set(given.map((key) => key.slice(0, key.startsWith("allow") ? 5 : 4)))
  const [action] = actions
  if (action === undefined || actions.size > 1) {
    return value.wrong("a rule either allows or denies", "begin each rule with a dash of its own: - allow: 10.0.0.0/8")
  }
  const [list, file] = [fields.get(action as "allow"), fields.get(`${action as "allow"}-file`)]
  return {
    action: action as AccessRule["action"],
    networks: (list === undefined ? undefined : networks.read(list, [])) ?? [],
    file: file === undefined ? undefined : path.read(file, ""),
  }
}

function writeRule({ action, networks: list, file }: AccessRule): Plain {
  const written: { [key: string]: Plain } = {}
  if (list.length > 0) written[action] = list.length === 1 ? (list[0] as string) : list
  if (file !== undefined) written[`${action}-file`] = file
  return written
}
