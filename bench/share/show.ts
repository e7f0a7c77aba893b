/** The tables. */

import type { Rounds } from "../channels/rounds.ts"
import { printTable, shown, verdict } from "../table.ts"
import type { ShareSystem } from "./system.ts"
import { reference } from "./systems.ts"
import type { ShareWork } from "./works.ts"

export function showShare(rounds: Rounds, systems: readonly ShareSystem[], works: readonly ShareWork[]): void {
  const ran = (work: ShareWork): readonly ShareSystem[] =>
    systems.filter((system) => rounds.median(system.name, `${work.name} seconds`) !== undefined)
  const copies = works.filter(({ part }) => part === "copies")
  showTimes(rounds, systems, copies)
  for (const work of copies) if (ran(work).length > 0) showCosts(rounds, ran(work), work)
  showBounds(
    rounds,
    systems,
    works.filter(({ bound }) => bound !== undefined),
  )
  for (const work of works) if (work.part === "multicast" && ran(work).length > 0) showCast(rounds, ran(work), work)
  showTargets(rounds, systems, works)
}

function showTimes(rounds: Rounds, systems: readonly ShareSystem[], works: readonly ShareWork[]): void {
  const [first] = works
  if (first === undefined) return
  const heads = [""]
  for (const { clients } of works) heads.push(`${clients}: s`, `of ${reference}`)
  const rows = systems
    .filter(({ isCast }) => isCast !== true)
    .map(({ name }) => {
      const row = [name]
      for (const work of works) {
        const figure = `${work.name} seconds`
        row.push(
          `${shown(rounds.median(name, figure), 2)}${rounds.spread(name, figure)}`,
          shown(rounds.ratio(name, reference, figure), 2),
        )
      }
      return row
    })
  printTable(`${first.bytes / 1e6} MB to N clients on loopback, verified and in a file: seconds`, heads, rows)
}

function showCosts(rounds: Rounds, systems: readonly ShareSystem[], work: ShareWork): void {
  const heads = ["", "s", "with start", "server CPU s", "client CPU s", "CPU s/GB", "server MiB", "clients MiB"]
  const rows = systems.map(({ name }) => {
    const median = (figure: string): number | undefined => rounds.median(name, `${work.name} ${figure}`)
    return [
      name,
      shown(median("seconds"), 2),
      shown(median("seconds with start") ?? median("seconds"), 2),
      shown(median("server cpu"), 2),
      shown(median("client cpu"), 2),
      shown(median("cpu per GB"), 2),
      shown(mebi(median("server memory"))),
      shown(mebi(median("client memory"))),
    ]
  })
  printTable(`${work.clients} clients: what it costs`, heads, rows)
}

function showBounds(rounds: Rounds, systems: readonly ShareSystem[], works: readonly ShareWork[]): void {
  if (works.length === 0) return
  const heads = [""]
  for (const { clients, by, bound } of works) {
    const where = by === "namespaces" ? ` hosts` : ""
    heads.push(`${clients}${where}: s (at best ${shown(bound, 1)})`, "of the bound", "relay out, copies")
  }
  const rows = systems
    .filter(({ isSwarm, isCast }) => isSwarm === true && isCast !== true)
    .map(({ name }) => {
      const row = [name]
      for (const work of works) {
        const figure = `${work.name} seconds`
        row.push(
          `${shown(rounds.median(name, figure), 2)}${rounds.spread(name, figure)}`,
          shown(rounds.median(name, `${work.name} of the bound`), 2),
          shown(rounds.median(name, `${work.name} relay out`), 2),
        )
      }
      return row
    })
  printTable("Uplinks of 20 MB/s, sender and receivers: they help each other", heads, rows)
}

function showCast(rounds: Rounds, systems: readonly ShareSystem[], work: ShareWork): void {
  const heads = ["", "s", "sender's card sent, copies", "relay out, copies"]
  const rows = systems.map(({ name }) => {
    const median = (figure: string): number | undefined => rounds.median(name, `${work.name} ${figure}`)
    return [name, shown(median("seconds"), 2), shown(median("sender link"), 2), shown(median("relay out"), 2)]
  })
  printTable(`${work.clients} receivers on a bridge, by multicast`, heads, rows)
}

interface Target {
  readonly text: string
  readonly value: number | undefined
  readonly target: number
  readonly digits?: number
}

function showTargets(rounds: Rounds, systems: readonly ShareSystem[], works: readonly ShareWork[]): void {
  const ours = "rdv"
  if (systems.every(({ name }) => name !== ours)) return
  const targets: Target[] = []
  for (const { part, name, clients } of works) {
    const value = (figure: string): number | undefined => rounds.median(ours, `${name} ${figure}`)
    if (part === "copies") {
      const figure = `${name} seconds`
      if (clients >= 10) {
        const ratio = rounds.ratio(ours, reference, figure)
        targets.push({ text: `${clients} clients: time of ${reference}`, value: ratio, target: 1 })
        if (clients === 100) targets.push({ text: "the same, stretch", value: ratio, target: 0.75 })
        for (const peer of systems) {
          if (peer.isSwarm !== true && peer.isFetched !== true) continue
          if (peer.name === ours || rounds.median(peer.name, figure) === undefined) continue
          const part = rounds.ratio(ours, peer.name, figure)
          targets.push({ text: `${clients} clients: time of ${peer.name}`, value: part, target: 0.33 })
        }
        targets.push({ text: `${clients} clients: relay CPU s/GB`, value: value("relay cpu per GB"), target: 0.15 })
      }
      targets.push({ text: `${clients} clients: relay in, copies`, value: value("relay in"), target: 1.05 })
      targets.push({
        text: `${clients} clients: relay MiB`,
        value: mebi(value("relay memory")),
        target: 200,
        digits: 0,
      })
    } else if (part === "multicast") {
      const sent = rounds.median("rdv multicast", `${name} sender link`)
      targets.push({ text: `multicast, ${clients} receivers: sender sent, copies`, value: sent, target: 1.2 })
    } else {
      const where = part === "hosts" ? "namespaces" : "token buckets"
      const text = `${clients} clients, uplinks by ${where}: of the bound`
      targets.push({ text, value: value("of the bound"), target: 1.25 })
    }
  }
  const measured = targets.filter(({ value }) => value !== undefined)
  if (measured.length === 0) return
  const rows = measured.map(({ text, value, target, digits = 2 }) => [
    text,
    `≤ ${shown(target, digits)}`,
    shown(value, digits),
    verdict(value, target, "low"),
  ])
  printTable("Against our targets", ["", "target", "value", ""], rows)
}

function mebi(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : bytes / 2 ** 20
}
