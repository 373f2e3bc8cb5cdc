package rule

import (
	"runtime"
	"time"
)

// How long a gentle goroutine works before it lets others run, and how long it
// sleeps then: longer than the scheduler takes to get from it to the network.
const (
	breathEvery = 200 * time.Microsecond
	breath      = 50 * time.Microsecond
)

// breather lets others run now and then while a goroutine works for long. Where
// Go has one CPU, requests would otherwise wait until the scheduler interrupts
// it, 10 ms and more. The zero value does nothing. It is for one goroutine.
type breather struct {
	gentle bool
	calls  uint
	last   time.Time
}

// breathe may be called for every rule. It sleeps for a moment, since only a
// scheduler that has nothing to run asks the network who waits, and then lets
// those go first: who has slept would go before them.
func (b *breather) breathe() {
	if !b.gentle {
		return
	}
	if b.calls++; b.calls%32 != 0 {
		return
	}
	if now := time.Now(); now.Sub(b.last) >= breathEvery {
		time.Sleep(breath)
		runtime.Gosched()
		b.last = time.Now()
	}
}
