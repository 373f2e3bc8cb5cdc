package repeats

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func text(name, log string) File {
	return File{name, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(log))), nil }}
}

func mustRead(t testing.TB, o Options, files ...File) *Report {
	t.Helper()
	r, err := Read(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// counted are the findings of at least medium sureness, or of any, by class.
func counted(r *Report, all bool) map[Class]int {
	out := make(map[Class]int)
	for _, g := range append(append([]Group{}, r.Repeats...), r.Lost...) {
		n := g.Sure.High + g.Sure.Medium
		if all {
			n = g.Count
		}
		if n > 0 {
			out[g.Class] += n
		}
	}
	return out
}

// All that was planted is found, and nothing else, at any sureness.
func TestPlantedFindingsAreFoundAndNothingElse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		for _, format := range []Format{Combined, JSON} {
			t.Run(fmt.Sprintf("%s, seed %d", format, seed), func(t *testing.T) {
				t.Parallel()
				checkPlanted(t, format, seed)
			})
		}
	}
}

func checkPlanted(t *testing.T, format Format, seed uint64) {
	var log bytes.Buffer
	p := generate(&log, format, 12<<20, seed)
	r := mustRead(t, Options{}, text("access.log", log.String()))
	want := map[Class]int{
		DoubleClick: p.DoubleClicks, Retry: p.Retries, Resubmit: p.Resubmits, Rerun: p.Reruns,
		LostMethod: p.Lost, MethodKept: p.Kept, Loop: p.Loops, Chain: p.Chains,
	}
	if sure := counted(r, false); !maps.Equal(sure, want) {
		t.Errorf("seed %d: %v of medium or high sureness, want %v", seed, sure, want)
	}
	got := counted(r, true)
	for class, n := range want {
		if n < 10 {
			t.Fatalf("seed %d: only %d of %s were planted", seed, n, class)
		}
		if got[class] != n {
			t.Errorf("seed %d: %d of %s, want %d", seed, got[class], class, n)
		}
	}
	if len(got) != len(want) || r.Summary.Malformed != 0 || r.Summary.Dropped != 0 || r.Summary.Late != 0 {
		t.Errorf("seed %d: %v, %+v", seed, got, r.Summary)
	}
	if r.Summary.Steady == 0 {
		t.Errorf("seed %d: the program that sends the same for ever is not told of", seed)
	}
}

var (
	logFile   = flag.String("log", "", "write the log of BenchmarkRead into this file, and leave it")
	logFormat = flag.String("format", string(Combined), "format of the log of BenchmarkRead: combined or json")
	logSize   = flag.Int64("size", 16<<20, "bytes of the log of BenchmarkRead")
)

// BenchmarkRead reads a generated log from a file.
func BenchmarkRead(b *testing.B) {
	name := *logFile
	if name == "" {
		name = filepath.Join(b.TempDir(), "access.log")
	}
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	generate(f, Format(*logFormat), *logSize, 1)
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(*logSize)
	b.ReportAllocs()
	before, _ := used()
	for b.Loop() {
		if _, err := Read(context.Background(), []File{OSFile(name)}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	reportUse(b, before)
}

// reportUse tells the time on cores of each round, and the most memory of the process.
func reportUse(b *testing.B, before time.Duration) {
	cpu, rss := used()
	b.ReportMetric((cpu-before).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(rss, "MiB-rss")
}

// BenchmarkJSON parses a line as docs/repeats.md recommends it.
func BenchmarkJSON(b *testing.B) {
	line := []byte(`{"time":"2026-09-21T14:13:20+00:00","msec":1790000000.123,"remote_addr":"203.0.113.7","remote_user":"","scheme":"https","host":"shop.example",` +
		`"request":"GET /products/17 HTTP/1.1","status":200,"request_time":0.012,"request_length":512,` +
		`"http_user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","sent_http_location":"","http_idempotency_key":""}`)
	p, e := newParser(JSON), Entry{}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.parse(line, &e); err != nil {
			b.Fatal(err)
		}
	}
}
