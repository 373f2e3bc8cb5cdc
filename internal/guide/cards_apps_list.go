package guide

import "slices"

// appCards are the cards of frameworks and products.
var appCards = slices.Concat(frameworkCards, scriptCards, clientCards, onceCards, proxyCards)

// verifiedOn is the day on which the claims of appCards were last checked.
const verifiedOn = "2026-11-26"
