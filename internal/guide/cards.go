package guide

import (
	"slices"
	"sync"
)

// All are the cards, in the order in which they are listed.
func All() []Card {
	return slices.Concat(methodCards, ruleCards, repeatCards, targetCards, cacheCards, appCards)
}

// For is the card that explains a finding of "seeother check" or "seeother audit".
func For(findingID string) (cardID string, ok bool) {
	cardID, ok = byFinding()[findingID]
	return cardID, ok
}

// byFinding is the first card of each finding.
var byFinding = sync.OnceValue(func() map[string]string {
	out := make(map[string]string)
	for _, c := range All() {
		for _, id := range c.Findings {
			if _, known := out[id]; !known {
				out[id] = c.ID
			}
		}
	}
	return out
})
