package configfile

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "300ms": 300 * time.Millisecond, "30s": 30 * time.Second, "1h30m": 90 * time.Minute,
		"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if got, err := ParseDuration(text); err != nil || got != Duration(want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "5", "-1s", "+1s", "1d-1s", "1 d", "1.5d", "d5s", "30 s", "1y", "200000d", "106751d24h", "99999999999h", "1d1d", "é"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestDurationString(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 24 * time.Hour: "24h", 30 * 24 * time.Hour: "30d", 90 * time.Second: "1m30s", 2 * time.Minute: "2m", 10 * time.Second: "10s", time.Hour + time.Second: "1h0m1s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "64KiB": 64 << 10, "1MiB": 1 << 20, "10MB": 10_000_000, "1 GiB": 1 << 30, "5b": 5, "7kb": 7000, "2TiB": 2 << 40,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "+1", "1.5MiB", "1  MiB", "1 ", "5K", "9223372036854775808", "9000000TiB", "1e3", "0x10", "1_000"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseUpstream(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5000": "http://127.0.0.1:5000", ":5000": "http://127.0.0.1:5000", "localhost:5000": "http://localhost:5000", "localhost:5000/": "http://localhost:5000",
		"http://app.internal": "http://app.internal", "https://app.internal:8443/": "https://app.internal:8443", "[::1]:80": "http://[::1]:80",
	} {
		if got, err := ParseUpstream(text); err != nil || got.String() != want {
			t.Errorf("%q: got %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "app", "0", ":0", "99999", "localhost:", "localhost:http", "ftp://a", "http://", "http://u:p@h", "http://h/x", "http://h?x", "http://h#x", "http://h:0", "a b:1", "::1:80:"} {
		if got, err := ParseUpstream(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{"30d", "1h30m", "64KiB", "10.0.0.0/8", "localhost:5000", "1d12h", "::1", "http://[::1%25a]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil {
			if again, err := ParseDuration(d.String()); d < 0 || err != nil || again != d {
				t.Fatalf("duration %q: %s reads as %v, %v", text, d, again, err)
			}
		}
		if s, err := ParseSize(text); err == nil {
			if again, err := ParseSize(s.String()); s < 0 || err != nil || again != s {
				t.Fatalf("size %q: %s reads as %v, %v", text, s, again, err)
			}
		}
		var n Network
		if n.UnmarshalText([]byte(text)) == nil {
			var again Network
			if err := again.UnmarshalText([]byte(n.String())); err != nil || again != n {
				t.Fatalf("network %q: %s reads as %v, %v", text, n, again, err)
			}
		}
		if u, err := ParseUpstream(text); err == nil {
			if again, err := ParseUpstream(u.String()); err != nil || again.String() != u.String() {
				t.Fatalf("upstream %q: %s reads as %v, %v", text, u, again, err)
			}
		}
	})
}
