/**
 * What this origin keeps beside its database: the key pair, which the browser stores without ever showing its private half,
 * and the wish to be public, which only a user's act makes.
 */

import { newIdentityKey } from "../../capabilities/tab/identity/key-pair.ts"
import type { JsonObject } from "../../base/json.ts"
import type { IdentityKey } from "../../capabilities/tab/identity/key-pair.ts"
import type { KeptKeys } from "../../capabilities/tab/peers/known-keys.ts"

/** The one that was kept, or a new one that is kept from now on. Of two who ask at once, both get the same. */
export async function storedIdentity(): Promise<IdentityKey> {
  const kept = await read<IdentityKey>("identity")
  if (kept !== undefined) return kept
  const made = await newIdentityKey()
  return change<IdentityKey>("identity", (before) => before ?? made)
}

/** The public name; undefined: the user has not asked for any, or has taken it back. */
export function publicWish(): Promise<string | undefined> {
  return read<string>("public name")
}

export async function keepPublicWish(name: string | undefined): Promise<void> {
  await change<string | undefined>("public name", () => name)
}

/** Which key each peer was met with. */
export const keptPeerKeys: KeptKeys = {
  load: async () => (await read<JsonObject>("peer keys")) ?? {},
  async save(keys) {
    await change<JsonObject>("peer keys", () => keys)
  },
}

function read<Value>(key: string): Promise<Value | undefined> {
  return within("readonly", (store) => store.get(key) as IDBRequest<Value | undefined>)
}

/** In one transaction. Returns what stands there now. */
function change<Value>(key: string, next: (before: Value | undefined) => Value): Promise<Value> {
  return withStore("readwrite", (store, resolve) => {
    const before = store.get(key) as IDBRequest<Value | undefined>
    before.onsuccess = () => {
      const value = next(before.result)
      store.put(value, key)
      resolve(value)
    }
  })
}

function within<Value>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Value>): Promise<Value> {
  return withStore(mode, (store, resolve) => {
    const request = ask(store)
    request.onsuccess = () => resolve(request.result)
  })
}

/** Resolves with what `work` gave when the transaction is over. */
async function withStore<Value>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore, resolve: (value: Value) => void) => void,
): Promise<Value> {
  const database = await open()
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(storeName, mode, { durability: "strict" })
      let value: Value
      work(transaction.objectStore(storeName), (given) => (value = given))
      transaction.oncomplete = () => resolve(value)
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser stored nothing"))
    })
  } finally {
    database.close()
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(databaseName, 1)
    request.onupgradeneeded = () => request.result.createObjectStore(storeName)
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error("The browser stores nothing"))
  })
}

const databaseName = "rdv tab"
const storeName = "facts"
