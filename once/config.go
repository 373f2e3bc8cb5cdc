package once

import (
	"errors"
	"fmt"
	"time"

	"github.com/seeother/seeother"
)

// Config is what a Guard needs to know. The zero value works; each zero field
// gets the default that stands beside it. Sizes are in bytes.
type Config struct {
	Tenant string // "default": the store's partition

	Lease     time.Duration // 30 s: how long a start counts as running after its gateway was last heard of
	Wait      time.Duration // 30 s: how long a duplicate waits for the first answer
	MaxWait   time.Duration // 2 min: the most that Prefer: wait may ask for
	Retention time.Duration // 24 h: how long an answer is kept
	Tombstone time.Duration // 30 d: how long it is known, counted from the answer, that a key was used
	Cookies   time.Duration // 30 s: how long a duplicate of the same principal gets the answer's Set-Cookie
	Linger    time.Duration // 5 min: how long an answer that is not kept is read on after its client went away
	StoreTime time.Duration // 5 s: how long one call of the store may take
	AuditKept time.Duration // 0, which is for ever: how long a line of the audit log is kept
	Sweep     time.Duration // 30 s: how often records that are due are looked for

	Buffer      int64 // 1 MiB: a body up to this is read whole before anything starts
	ResultLimit int64 // 1 MiB: a larger answer is not kept
	Spool       int64 // 1 GiB: a form with a larger body than Buffer is put on disk up to this, before anything starts
	SpoolTotal  int64 // 4 GiB: and all of them together. What does not fit streams
	Memory      int64 // 256 MiB: for all bodies and answers held at one time; over it, bodies stream and answers are not kept

	MaxUncertain             int // 10,000: at so many no new key starts (503)
	MaxUncertainForms        int // 100,000: and of forms, which do not count to the ones before
	MaxUncertainPerPrincipal int // 1,000: and for one principal (429)
	MaxActive                int // 20,000: requests that run or wait at one time (503)
	MaxActivePerPrincipal    int // 2,000: and of one principal, or of one address where there is none (429)

	Keys *Keys // encrypt what is stored; nil: it stands in clear

	Observe seeother.Observer // told of every Decision; may be nil
}

func (c Config) withDefaults() Config {
	setDefault(&c.Tenant, "default")
	setDefault(&c.Lease, 30*time.Second)
	setDefault(&c.Wait, 30*time.Second)
	setDefault(&c.MaxWait, 2*time.Minute)
	setDefault(&c.Retention, 24*time.Hour)
	setDefault(&c.Tombstone, 30*24*time.Hour)
	setDefault(&c.Cookies, 30*time.Second)
	setDefault(&c.Linger, 5*time.Minute)
	setDefault(&c.StoreTime, 5*time.Second)
	setDefault(&c.Sweep, 30*time.Second)
	setDefault(&c.Buffer, 1<<20)
	setDefault(&c.ResultLimit, 1<<20)
	setDefault(&c.Spool, 1<<30)
	setDefault(&c.SpoolTotal, 4<<30)
	setDefault(&c.Memory, 256<<20)
	setDefault(&c.MaxUncertain, 10_000)
	setDefault(&c.MaxUncertainForms, 100_000)
	setDefault(&c.MaxUncertainPerPrincipal, 1_000)
	setDefault(&c.MaxActive, 20_000)
	setDefault(&c.MaxActivePerPrincipal, 2_000)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports everything that is wrong with the configuration, joined
// into one error.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"lease", c.Lease, time.Second},
		{"wait", c.Wait, time.Millisecond},
		{"max wait", c.MaxWait, c.Wait},
		{"retention", c.Retention, time.Second},
		{"tombstone", c.Tombstone, c.Retention},
		{"cookies", c.Cookies, 0},
		{"linger", c.Linger, 0},
		{"store time", c.StoreTime, time.Millisecond},
		{"sweep", c.Sweep, time.Second},
		{"audit kept", c.AuditKept, 0},
	} {
		if d.value < d.least {
			errs = append(errs, fmt.Errorf("%s %s: want at least %s", d.name, d.value, d.least))
		}
	}
	for _, n := range []struct {
		name  string
		value int64
		most  int64
	}{
		{"buffer", c.Buffer, 32 << 20},
		{"result limit", c.ResultLimit, 32 << 20},
		{"spool", c.Spool, 1 << 40},
		{"spool total", c.SpoolTotal, 1 << 50},
		{"memory", c.Memory, 1 << 40},
		{"uncertain", int64(c.MaxUncertain), 1 << 30},
		{"uncertain forms", int64(c.MaxUncertainForms), 1 << 30},
		{"uncertain per principal", int64(c.MaxUncertainPerPrincipal), 1 << 30},
		{"active", int64(c.MaxActive), 1 << 30},
		{"active per principal", int64(c.MaxActivePerPrincipal), 1 << 30},
	} {
		if n.value < 1 || n.value > n.most {
			errs = append(errs, fmt.Errorf("%s %d: want 1 to %d", n.name, n.value, n.most))
		}
	}
	return errors.Join(errs...)
}
