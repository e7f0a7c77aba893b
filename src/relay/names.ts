/**
 * Public names: how the relay picks readable ones, and which ones it takes. A name becomes the first label of a host
 * name and the key of a claim, so it has exactly one spelling.
 */

import { domainToASCII, domainToUnicode } from "node:url"
import { RdvError } from "../base/error.ts"

/**
 * Picks `adjective-noun`, from the second attempt on with a number behind it: `calm-otter`, `calm-otter-42`. The caller
 * tries again when the name is taken. A name is easy to say, not hard to guess: it protects nothing.
 * `random` gives a number in [0, 1).
 */
export function pickName(random: () => number = Math.random, attempt = 0): string {
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)] as string
  const name = `${pick(adjectives)}-${pick(nouns)}`
  if (attempt === 0) return name
  // Two digits at first, four when even those are taken.
  const [from, to] = attempt < 4 ? [10, 100] : [1_000, 10_000]
  return `${name}-${from + Math.floor(random() * (to - from))}`
}

/**
 * Returns the one spelling of a name that a user asked for: lower case. Throws `usage` for what is no DNS label
 * (RFC 1035 section 2.3.1 with the digits of RFC 1123, RFC 5891 section 4.2.3.1 for the hyphens) and for reserved names.
 */
export function checkName(wanted: string): string {
  const name = wanted.toLowerCase()
  if (name === "") throw refuse("A name is empty", "give a word such as blog, or leave the name out for a random one")
  // Bounded before it is shown or handed to anything that parses.
  if (name.length > 63) throw refuse(`A name of ${name.length} characters is too long`, "63 are allowed")
  const shown = JSON.stringify(wanted)
  if (!/^[a-z0-9-]+$/.test(name)) throw refuse(`The name ${shown} is no host name`, mendCharacters(name))
  if (name.startsWith("-") || name.endsWith("-")) {
    throw refuse(`The name ${shown} begins or ends with a hyphen`, "leave that hyphen out")
  }
  if (name.startsWith("xn--")) {
    const readable = domainToUnicode(name)
    if (readable === "" || readable === name || domainToASCII(readable) !== name) {
      throw refuse(`The name ${shown} is not valid Punycode`, "write the name in its own letters to see its ASCII form")
    }
  } else if (name.slice(2, 4) === "--") {
    throw refuse(`The name ${shown} has hyphens at places 3 and 4, which DNS reserves`, "leave one of them out")
  }
  if (reserved.has(name)) throw refuse(`The name "${name}" is reserved`, `choose another one, for example my-${name}`)
  return name
}

/** The relay's own names, and names that software looks up by itself and then trusts. */
const reserved: ReadonlySet<string> = new Set(
  (
    "admin api dashboard health localhost login metrics rdv relay status www " +
    "autoconfig autodiscover isatap mta-sts wpad"
  ).split(" "),
)

function refuse(message: string, mend: string): RdvError {
  return new RdvError("usage", message, { mend })
}

function mendCharacters(name: string): string {
  if (name.includes(".")) return "give the first label only: the relay adds its domain"
  const ascii = /^[\p{L}\p{N}-]+$/u.test(name) ? domainToASCII(name) : ""
  if (ascii !== "" && ascii.length <= 63) return `write it as ${ascii}`
  const cleaned = name.replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, "")
  return `use letters a-z, digits and hyphens${cleaned === "" ? "" : `, for example ${cleaned}`}`
}

const adjectives: readonly string[] = `
able agile airy alert amber ample apt azure balmy basic bold bonny bouncy brave breezy bright brisk bubbly busy calm candid
careful cheery chief civil classic clean clear clever coastal comfy copper coral cosmic cozy crafty creamy crisp crystal
curious dainty dapper daring deft dewy direct dreamy driven dusky eager early earthy elegant epic even exact
fair famous fancy fast festive fine firm fleet floral fluent fluffy flying frank free fresh friendly frosty funny
gallant gentle gifted giving glad gleaming glossy golden good grand grateful great green handy happy hardy hazel hearty
helpful heroic hidden honest hopeful humble icy ideal indigo inner ivory jade jaunty jolly jovial joyful keen kind lasting
leafy learned level light lilac lively lofty loyal lucid lucky lunar magic major mellow merry mighty mild mindful minty
misty modern modest mossy musical narrow natural neat new nifty nimble noble noted novel olive orange
orderly outer patient peaceful pearly placid plain playful plucky polar polite prime proper proud quaint quick quiet
rapid rare ready real regal restful rising robust roomy rosy round royal ruby rustic sage sandy scarlet scenic serene
shady sharp shiny silent silver simple sincere sleek smart smiling smooth snowy snug social solar solid sonic spry
stable starry steady stellar sturdy sunlit sunny super sure swift tame teal thankful thrifty tidy tiny topaz tranquil
true trusty upbeat urban useful valiant velvet verdant vivid vocal warm wavy welcome wise witty wooden zesty
`
  .trim()
  .split(/\s+/)

const nouns: readonly string[] = `
acorn alder almond anchor apple apricot arch aspen aster atlas aurora avocado badger bagel bamboo banjo barley basil bay
beacon bear beech bell berry birch bison blossom bluebell boat bonsai book branch bread breeze bridge brook
butterfly cabin cactus camel canoe canyon caravan cardinal carrot castle cedar cello cherry chestnut citrus clarinet cliff
cloud clover coast cobalt comet compass condor cookie cove crane creek cricket crocus daisy dawn delta desert dolphin dove
dragonfly dune eagle echo elm ember falcon feather fern ferry fiddle field fig finch fir firefly fjord flamingo flute forest
fountain fox galaxy garden garnet gazelle gecko geyser ginger glacier glade grape grove gull hamlet harbor harp hawk
hazelnut heather hedgehog heron hill honey horizon ibis iris island ivy jasmine juniper kayak kelp kestrel kite kiwi koala
lagoon lake lantern larch lark laurel lavender leaf lemon lighthouse lily lime linden lion llama lotus lynx magnolia
mango maple marble marigold meadow melody melon meteor mint mountain muffin myrtle nebula nectar newt nutmeg oak oasis oat
ocean orchard orchid oriole osprey otter owl palm panda panther papaya parrot peach pearl pebble pelican penguin peony
pepper petal piano pigeon pine planet plum pond poplar poppy prairie puffin pumpkin quail quartz quince rabbit raccoon
rain rainbow raven reef ridge river robin rocket rose saffron salmon sapphire seal shell shore sky sparrow spring spruce
squirrel star stream summit sunrise swan tangerine tulip tundra turtle valley vanilla violet violin walnut
warbler waterfall wave willow windmill wombat wren yarrow zebra zephyr
`
  .trim()
  .split(/\s+/)

/** For tests of the lists themselves. */
export const nameWords: { readonly adjectives: readonly string[]; readonly nouns: readonly string[] } = {
  adjectives,
  nouns,
}
