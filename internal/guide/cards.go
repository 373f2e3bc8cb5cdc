package guide

import "slices"

// All are the cards, in the order in which they are listed.
func All() []Card {
	return slices.Concat(methodCards, ruleCards, repeatCards, targetCards, cacheCards, appCards)
}

// For is the card that explains a finding of "seeother check" or "seeother audit".
func For(findingID string) (cardID string, ok bool) {
	for _, c := range All() {
		if slices.Contains(c.Findings, findingID) {
			return c.ID, true
		}
	}
	return "", false
}
