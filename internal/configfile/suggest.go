package configfile

import "strings"

// nearest returns the word that is written most like text, or "" when none is
// near enough to be what was meant.
func nearest(text string, words []string) string {
	text = strings.ToLower(text)
	best, bestDistance := "", min(len(text)/3+2, len(text)) // not a single character of it right is no likeness
	for _, word := range words {
		if d := distance(text, word); d < bestDistance {
			best, bestDistance = word, d
		}
	}
	return best
}

// maxDistanceWord bounds the work for a word that is no word.
const maxDistanceWord = 64

// distance is the number of single-character insertions, deletions,
// replacements and swaps of neighbours that make b of a.
func distance(a, b string) int {
	if len(a) > maxDistanceWord || len(b) > maxDistanceWord {
		return maxDistanceWord
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
