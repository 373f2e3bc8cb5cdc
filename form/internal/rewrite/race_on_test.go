//go:build race

package rewrite

// race: the race detector runs.
const race = true
