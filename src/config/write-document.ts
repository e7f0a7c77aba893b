/** YAML for people: lists of short values stay in one line, everything else stands below each other. */

import { Document, isScalar, isSeq, visit } from "yaml"
import type { Json } from "../base/json.ts"

/** Reads back as the same value. */
export function documentText(value: Json): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  visit(document, {
    Collection(_key, node) {
      if (node.items.length === 0) node.flow = true
      else if (isSeq(node) && node.items.every((item) => isScalar(item)) && lengthOf(node.items) < mostInLine)
        node.flow = true
    },
  })
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}

/** Characters. */
const mostInLine = 90

function lengthOf(items: readonly unknown[]): number {
  return items.reduce<number>((sum, item) => sum + String((item as { value: unknown }).value).length + 2, 0)
}
