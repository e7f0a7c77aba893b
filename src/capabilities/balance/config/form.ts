/**
 * How one setting is spelled in a file: read, written and described in one place, so that these three cannot part. A
 * table of such forms is a map of keys.
 */

import { isDeepStrictEqual } from "node:util"
import type { JsonObject } from "../../../base/json.ts"
import type { ConfigFields, ConfigValue } from "../../../config/value.ts"

/** What a file may hold. */
export type Plain = string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain }

export interface Form<Value> {
  /** `base` holds where the file says nothing. Undefined stands for a problem that was noted, unless `optional`. */
  read(value: ConfigValue, base: Value): Value | undefined
  /** Undefined when a file has no words for it. With `all`, what is as in `base` is told too. */
  write(value: Value, base: Value, all: boolean): Plain | undefined
  /** JSON Schema. */
  readonly schema: JsonObject
  /** For the manual: `TIME`. */
  readonly placeholder: string
  /** Of a map, for the manual. */
  readonly keys?: readonly KeyRow[]
  /** Undefined is a value of it. */
  readonly optional?: boolean
}

/** A line of the manual. */
export interface KeyRow {
  readonly key: string
  readonly placeholder: string
  /** As a file would say it; undefined where that is none or a map. */
  readonly fallback: Plain | undefined
  readonly summary: string
  readonly keys: readonly KeyRow[]
}

export interface Field<Value> {
  /** In the file. */
  readonly key: string
  readonly form: Form<Value>
  /** One line for the manual and for editors. */
  readonly summary: string
  readonly required?: boolean
}

/** Name of the setting → how it stands in the file. */
export type Table<Values extends object> = { readonly [Name in keyof Values]-?: Field<Values[Name]> }

export function keysOf<Values extends object>(table: Table<Values>): readonly string[] {
  return fieldsOf(table).map(([, { key }]) => key)
}

/** Those that the file says, over `base`; required ones that are missing are noted. */
export function readFields<Values extends object>(
  table: Table<Values>,
  fields: ConfigFields<string>,
  base: Values,
): Values {
  const values = { ...base } as Record<string, unknown>
  for (const [name, { key, form, required }] of fieldsOf(table)) {
    const value = required === true ? fields.require(key) : fields.get(key)
    if (value === undefined) continue
    const read = form.read(value, values[name])
    if (read !== undefined || form.optional === true) values[name] = read
  }
  return values as Values
}

/** Those that differ from `base`, which has nothing for items of lists. */
export function writeFields<Values extends object>(
  table: Table<Values>,
  values: Values,
  base: Values | undefined,
  all: boolean,
): { [key: string]: Plain } {
  const written: { [key: string]: Plain } = {}
  for (const [name, { key, form }] of fieldsOf(table)) {
    const [value, usual] = [values[name as keyof Values], base?.[name as keyof Values] as unknown]
    if (!all && isDeepStrictEqual(value, usual)) continue
    const plain = form.write(value, usual, all)
    if (plain !== undefined) written[key] = plain
  }
  return written
}

/** The schema of a map, and its lines in the manual. */
export interface Description {
  readonly schema: JsonObject
  readonly keys: readonly KeyRow[]
}

/** `base` has the defaults. */
export function described<Values extends object>(table: Table<Values>, base?: Partial<Values>): Description {
  const keys = rowsOf(table, base)
  const properties = fieldsOf(table).map(([, { key, form, summary }], at) => {
    const fallback = keys[at]?.fallback
    const schema: JsonObject = {
      description: summary,
      ...(fallback !== undefined && { default: fallback }),
      ...form.schema,
    }
    return [key, schema] as const
  })
  const required = fieldsOf(table).filter(([, field]) => field.required === true)
  return {
    schema: {
      type: "object",
      additionalProperties: false,
      ...(required.length > 0 && { required: required.map(([, { key }]) => key) }),
      properties: Object.fromEntries(properties),
    },
    keys,
  }
}

/** Where something else may stand instead of the map. */
export function either(
  others: readonly JsonObject[],
  { schema, keys }: Pick<Form<never>, "schema" | "keys">,
): Description {
  return { schema: { anyOf: [...others, schema] }, keys: keys ?? [] }
}

function rowsOf<Values extends object>(table: Table<Values>, base: Partial<Values> = {}): readonly KeyRow[] {
  return fieldsOf(table).map(([name, { key, form, summary }]) => {
    const usual = base[name as keyof Values] as unknown
    const isSaid = name in base && (usual !== undefined || form.optional === true)
    const fallback = isSaid ? form.write(usual, usual, false) : undefined
    const isSingle = typeof fallback !== "object" || Array.isArray(fallback)
    return {
      key,
      placeholder: form.placeholder,
      fallback: isSingle ? fallback : undefined,
      summary,
      keys: form.keys ?? [],
    }
  })
}

/** A map with the keys of a table. `base` has the defaults that are told. */
export function mapForm<Values extends object>(table: Table<Values>, usual?: Partial<Values>): Form<Values> {
  return {
    read(value, base) {
      const fields = value.fields(keysOf(table), { anyCase: true })
      return fields === undefined ? undefined : readFields(table, fields, base)
    },
    write: (values, base, all) => writeFields(table, values, base, all),
    ...described(table, usual),
    placeholder: "map",
  }
}

type AnyField = Field<unknown>

function fieldsOf<Values extends object>(table: Table<Values>): readonly (readonly [name: string, field: AnyField])[] {
  return Object.entries(table) as (readonly [string, AnyField])[]
}
