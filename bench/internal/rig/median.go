package rig

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// Middle is the median of values. Of an even number it is the mean of the two
// in the middle, of none it is 0.
func Middle(values []float64) float64 {
	vs := slices.Sorted(slices.Values(values))
	n := len(vs)
	if n == 0 {
		return 0
	}
	return (vs[(n-1)/2] + vs[n/2]) / 2
}

// Ratio is the median of a over b, round by round: what slowed one of them down
// in a round most likely slowed the other down, too. A round in which b did
// nothing does not count.
func Ratio(a, b []float64) float64 {
	var vs []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			vs = append(vs, a[i]/b[i])
		}
	}
	return Middle(vs)
}

// WriteJSON writes value to a file, and makes its folder.
func WriteJSON(name string, value any) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}
