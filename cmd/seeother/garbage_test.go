package main

import "testing"

func TestGarbageIsInProportionToWhatIsCollected(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tt := range []struct {
		name         string
		live, tables int64
		from, to     int64 // bytes of garbage until the next collection
	}{
		{"without tables it is gcPercent", 10 * mib, 0, 40 * mib, 40 * mib},
		{"a large table does not count", 120 * mib, 115 * mib, 15 * mib, 20 * mib},
		{"beside a large table there is some at least", 115 * mib, 115 * mib, 8 * mib, 12 * mib},
		{"what is not tables counts in full", 215 * mib, 115 * mib, 380 * mib, 400 * mib},
		{"a table of gigabytes", 4100 * mib, 4096 * mib, 1 * mib, 41 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.live * int64(gcPercentFor(tt.live, tt.tables)) / 100; got < tt.from || got > tt.to {
				t.Errorf("%d MiB until the next collection, want %d to %d", got/mib, tt.from/mib, tt.to/mib)
			}
		})
	}
}
