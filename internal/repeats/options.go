package repeats

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Format is how the lines of a log are written.
type Format string

// The formats. Auto looks at the first lines of each file.
const (
	Auto          Format = "auto"
	Common        Format = "common"
	Combined      Format = "combined"
	VhostCombined Format = "vhost-combined"
	JSON          Format = "json"
)

// Formats are all of them.
func Formats() []Format { return []Format{Auto, Common, Combined, VhostCombined, JSON} }

// Options say what to look for. The zero value has the defaults.
type Options struct {
	Format Format
	Within time.Duration // how far apart two submissions may be; 30 s
	Limits Limits

	ShowQuery   bool // examples have the values of queries, and long tokens in paths
	ShowClients bool // examples have whole addresses

	// Progress is told now and then how many bytes were read. It may be nil.
	Progress func(done int64)
}

// Limits bound memory and what is believed. The zero value has the defaults.
type Limits struct {
	Line     int // the longest line that is read, in bytes; 1 MiB
	Clients  int // clients that are watched at one time; 50,000
	Requests int // requests of theirs that are held at one time; 200,000
	Text     int // bytes of targets in these; 48 MiB
	Each     int // requests held of one client; 512
	Routes   int // routes that are counted; 10,000
	Target   int // bytes of a target that are kept; 512
	Files    int // files that are open at one time; 32
}

// Times that are not settings.
const (
	doubleClick = 2 * time.Second        // sooner than this, nobody has thought in between
	following   = 5 * time.Second        // a client follows a redirect within this
	slack       = 5 * time.Second        // how far out of order lines may be
	atOnce      = 100 * time.Millisecond // sooner than this, a gateway has not reached the app
	maxWithin   = time.Hour

	runLimit      = 5       // as many of the same in a row are made by a program
	lookback      = 1024    // lines that may stand before the submission that they follow
	manyBrowsers  = 3       // clients that submit from one address at one time, from which on it is shared
	firstBytes    = 1 << 16 // how much of a file is looked at to know its format and time
	namedBadLines = 5       // malformed lines that are named
)

func (o Options) withDefaults() (Options, error) {
	if o.Format == "" {
		o.Format = Auto
	}
	if !slices.Contains(Formats(), o.Format) {
		return o, fmt.Errorf("format %q: want one of %v", o.Format, Formats())
	}
	if o.Within == 0 {
		o.Within = 30 * time.Second
	}
	if o.Within < time.Second || o.Within > maxWithin {
		return o, fmt.Errorf("within %v: want from 1s to %v", o.Within, maxWithin)
	}
	l := &o.Limits
	for _, x := range []struct {
		at     *int
		preset int
	}{{&l.Line, 1 << 20}, {&l.Clients, 50_000}, {&l.Requests, 200_000}, {&l.Text, 48 << 20}, {&l.Each, 512}, {&l.Routes, 10_000}, {&l.Target, 512}, {&l.Files, 32}} {
		if *x.at < 0 {
			return o, errors.New("a limit is below 0")
		}
		if *x.at == 0 {
			*x.at = x.preset
		}
	}
	l.Each = max(l.Each, 16)
	return o, nil
}
