package hits

import (
	"runtime"
	"time"
)

const (
	// breath is how long work beside the requests rests, after so many rules.
	breath      = time.Millisecond
	breathEvery = 1000
)

// pace leaves time to the requests while a goroutine works on many rules.
type pace struct {
	breath time.Duration // 0: there is no hurry elsewhere
	done   int           // since the last breath
}

// step is called after each rule.
func (p *pace) step() { p.steps(1) }

func (p *pace) steps(n int) {
	if p.done += n; p.done < breathEvery || p.breath == 0 {
		return
	}
	p.done = 0
	time.Sleep(p.breath)
	runtime.Gosched() // who has slept would go before those who came meanwhile
}
