/**
 * What an application's statements may not do, since the server does it for all of them on the same connection: begin and
 * end transactions, attach other files, change how the connection works. SQLite itself asks, while it prepares a
 * statement (https://sqlite.org/c3ref/set_authorizer.html), so that no way of writing it gets past.
 */

import { RdvError } from "../../../base/error.ts"

/** SQLite's numbers of actions. */
const action = { pragma: 19, transaction: 22, attach: 24, detach: 25, savepoint: 32 } as const

/** Why an action is refused; undefined: it is allowed. `first` and `second` are SQLite's words on it. */
export function refusalOf(code: number, first: string | null, second: string | null): RdvError | undefined {
  switch (code) {
    case action.transaction:
    case action.savepoint:
      return new RdvError("usage", `${first ?? "BEGIN"} is not for statements`, { mend: "use sql.transaction" })
    case action.attach:
    case action.detach:
      return new RdvError("usage", "The application has one database: ATTACH and VACUUM are refused")
    case action.pragma: {
      const name = (first ?? "").toLowerCase()
      if (askedOnly.has(name) ? second === null || takesName.has(name) : settable.has(name)) return undefined
      return new RdvError("usage", `PRAGMA ${name} is the server's${askedOnly.has(name) ? " to set" : ""}`)
    }
    default:
      return undefined
  }
}

const takesName: ReadonlySet<string> = new Set([
  "foreign_key_check",
  "foreign_key_list",
  "index_info",
  "index_list",
  "index_xinfo",
  "integrity_check",
  "quick_check",
  "table_info",
  "table_list",
  "table_xinfo",
])

const askedOnly: ReadonlySet<string> = new Set([
  ...takesName,
  "collation_list",
  "compile_options",
  "encoding",
  "foreign_keys",
  "freelist_count",
  "function_list",
  "journal_mode",
  "page_count",
  "page_size",
  "pragma_list",
  "synchronous",
])

const settable: ReadonlySet<string> = new Set(["application_id", "defer_foreign_keys", "optimize", "user_version"])
