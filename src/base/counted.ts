/** `1 connection`, `2 connections`. What stands behind the noun comes with `one`: `counted(2, "more line")`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
