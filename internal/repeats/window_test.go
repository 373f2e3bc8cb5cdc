package repeats

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// FuzzWindow: whatever clients do, in whatever order, within whatever limits, the
// watcher holds what it says that it holds, and forgets everybody in the end.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0, 1, 2, 200, 3, 4}, uint8(2), uint8(5))
	f.Add([]byte(strings.Repeat("abcdefg", 40)), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, moves []byte, clients, requests uint8) {
		o := mustDefaults(t)
		o.Limits.Clients, o.Limits.Requests, o.Limits.Each, o.Limits.Routes = int(clients)+1, int(requests)+1, 16, 3
		o.Limits.Text = 100
		w := newWatcher(o, newTally(o.Limits))
		s := &source{file: File{Name: "x"}}
		now := int64(began) * 1000
		moves = moves[:min(len(moves), 3*300)] // more takes long, and finds no more
		for ; len(moves) >= 3; moves = moves[3:] {
			now += int64(moves[0]) * 100
			s.entry, s.line = move(moves, now), s.line+1
			w.see(s)
			held := 0
			for c := w.oldest; c != nil; c = c.newer {
				held += len(c.events)
				if c.judged > len(c.events) || !slices.IsSortedFunc(c.events, func(a, b event) int { return int(a.start - b.start) }) {
					t.Fatalf("%d of %d are judged", c.judged, len(c.events))
				}
			}
			if w.text > o.Limits.Text {
				t.Fatalf("%d bytes of targets", w.text)
			}
			if held != w.requests || held > o.Limits.Requests || len(w.clients) > o.Limits.Clients {
				t.Fatalf("%d of %d requests, %d clients", held, w.requests, len(w.clients))
			}
		}
		w.end()
		if w.requests != 0 || w.text != 0 || len(w.clients) != 0 || len(w.addresses) != 0 || w.newest != nil {
			t.Errorf("%d requests, %d clients, %d addresses are left", w.requests, len(w.clients), len(w.addresses))
		}
	})
}

// move is a request by three bytes: some began long before they were logged.
func move(b []byte, now int64) Entry {
	pick := func(from string, n byte) []byte {
		words := strings.Fields(from)
		return []byte(words[int(n)%len(words)])
	}
	statuses := []int{200, 303, 302, 301, 307, 308, 499, 504, 422}
	e := Entry{
		Time: now, Took: int64(b[0]&7) * 9000, Sent: -1, Status: statuses[int(b[1]>>4)%len(statuses)],
		Client: fmt.Appendf(nil, "1.1.1.%d", b[1]&3), Agent: pick(chrome+" curl/8", b[1]>>2),
		Method: pick("POST GET DELETE PUT POST", b[2]), Target: pick("/a /a/ /b /b/1 /b/2 /c?x=1 /c", b[2]>>4),
	}
	return e
}

// A client that comes back for ever leaves nothing behind but what is in the window:
// findings hold two requests each, and there may be many clients.
func TestRunsEndWithTheWindow(t *testing.T) {
	t.Parallel()
	o := mustDefaults(t)
	w := newWatcher(o, newTally(o.Limits))
	s := &source{file: File{Name: "x"}}
	for i := range 60 {
		s.entry = Entry{
			Time: int64(began+i*20) * 1000, Took: -1, Sent: -1, Status: 200, Client: []byte("1.1.1.1"), Agent: []byte(chrome),
			Method: []byte("POST"), Target: fmt.Appendf(nil, "/%c", 'a'+i/2),
		}
		w.see(s)
		if n := len(w.oldest.runs); n > 4 {
			t.Fatalf("%d runs are held after %d requests", n, i+1)
		}
	}
	w.end()
	found := 0
	for _, g := range w.tally.groups {
		found += g.n
	}
	if found != 30 {
		t.Errorf("%d found, want 30", found)
	}
}

// However many gaps a log has, few are held, and what they tell stays near.
func TestGapsAreBounded(t *testing.T) {
	t.Parallel()
	tally := newTally(Limits{Routes: 10})
	route := tally.route("/a")
	n := 0
	for ms := int64(3_000_000); ms > 0; ms -= 100 {
		tally.add(route, &finding{class: Retry, client: &client{}, second: event{start: ms}})
		n++
	}
	for _, g := range tally.groups {
		if len(g.gaps) > 200 {
			t.Errorf("%d gaps are held", len(g.gaps))
		}
		if p := percentile(g.gaps, n, 50).Milliseconds(); p < 1_200_000 || p > 1_500_000 {
			t.Errorf("the middle of 3,000 s is %d ms", p)
		}
	}
}
