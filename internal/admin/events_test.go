package admin

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seeother/seeother"
)

// Whatever is done with Events, they keep the last decisions, number them one
// by one, and give each stream what it has not seen, in order.
func TestEventsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		e := NewEvents(size)
		_, before := e.snapshot(0)
		var all []Event // that there ever were
		streams := map[*subscriber][]Event{}
		t.Repeat(map[string]func(*rapid.T){
			"observe": func(t *rapid.T) {
				d := decision(fmt.Sprintf("/%d", len(all)))
				e.Observe(t.Context(), d)
				event := Event{ID: before + uint64(len(all)) + 1, Decision: d}
				all = append(all, event)
				for s := range streams {
					streams[s] = append(streams[s], event)
				}
			},
			"subscribe": func(t *rapid.T) {
				after := rapid.OneOf(
					rapid.Uint64Range(0, 1), rapid.Uint64Range(before-2, before+uint64(len(all))+2), rapid.Just(uint64(math.MaxUint64)),
				).Draw(t, "after")
				missed, s, err := e.subscribe(after)
				if err != nil {
					if len(streams) < maxSubscribers {
						t.Fatal(err)
					}
					return
				}
				var want []Event
				for _, event := range all[max(0, len(all)-size):] {
					if after != 0 && event.ID > after {
						want = append(want, event)
					}
				}
				if !slices.Equal(missed, want) {
					t.Fatalf("after %d: missed %v, want %v", after, missed, want)
				}
				streams[s] = nil
			},
			"unsubscribe": func(t *rapid.T) {
				for s := range streams {
					e.unsubscribe(s)
					delete(streams, s)
					return
				}
			},
			"": func(t *rapid.T) {
				checkKept(t, e, all, size, before)
				checkStreams(t, e, streams)
			},
		})
	})
}

func checkKept(t *rapid.T, e *Events, all []Event, size int, before uint64) {
	limit := rapid.IntRange(-1, size+2).Draw(t, "limit")
	want := slices.Clone(all[max(0, len(all)-min(size, max(0, limit))):])
	slices.Reverse(want)
	got, last := e.snapshot(limit)
	if !slices.Equal(got, want) || last != before+uint64(len(all)) || e.Total() != uint64(len(all)) {
		t.Fatalf("limit %d: %v up to %d of %d, want %v of %d", limit, got, last, e.Total(), want, len(all))
	}
}

func checkStreams(t *rapid.T, e *Events, streams map[*subscriber][]Event) {
	for s, want := range streams {
		if _, ok := e.subscribers[s]; !ok && len(want) <= subscriberLag {
			t.Fatalf("a stream that is %d behind was dropped", len(want))
		}
		for _, event := range want[:min(len(want), subscriberLag)] {
			if got := <-s.events; got != event {
				t.Fatalf("got %v, want %v", got, event)
			}
		}
		streams[s] = nil
	}
}

func TestEventsHaveASize(t *testing.T) {
	for _, tt := range []struct{ asked, want int }{{-1, DefaultEvents}, {0, DefaultEvents}, {7, 7}, {MaxEvents + 1, MaxEvents}} {
		if got := len(NewEvents(tt.asked).ring); got != tt.want {
			t.Errorf("NewEvents(%d) keeps %d, want %d", tt.asked, got, tt.want)
		}
	}
}

// Ids must not begin anew with the process, or a page that stayed open would
// take new decisions for ones that it has seen.
func TestIDsGrowOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEvents(0)
		for range 100 {
			e.Observe(t.Context(), decision("/a"))
		}
		last := e.Last(1)[0].ID
		time.Sleep(time.Millisecond)
		if again := NewEvents(0); again.next <= last {
			t.Errorf("ids go on at %d after %d", again.next, last)
		}
	})
}

func TestIDsFitIntoANumberOfJavaScript(t *testing.T) {
	if id := NewEvents(0).next; id == 0 || id > 1<<53 {
		t.Errorf("the first id is %d", id)
	}
}

func TestAStreamThatIsTooFarBehindIsDropped(t *testing.T) {
	e := NewEvents(0)
	_, slow, err := e.subscribe(0)
	if err != nil {
		t.Fatal(err)
	}
	_, quick, err := e.subscribe(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range subscriberLag + 10 {
		e.Observe(t.Context(), decision(fmt.Sprint("/", i)))
		<-quick.events
	}
	got := 0
	for event := range slow.events { // ends: the channel is closed
		if event.Path != fmt.Sprint("/", got) {
			t.Fatalf("event %d is %s", got, event.Path)
		}
		got++
	}
	if got != subscriberLag {
		t.Errorf("the slow stream got %d decisions before it was dropped, want %d", got, subscriberLag)
	}
	if len(e.subscribers) != 1 {
		t.Errorf("%d streams are left, want the quick one", len(e.subscribers))
	}
	e.unsubscribe(slow) // as its handler does; must not close twice
}

func TestStopEndsStreamsAndKeepsDecisions(t *testing.T) {
	e := NewEvents(0)
	_, s, err := e.subscribe(0)
	if err != nil {
		t.Fatal(err)
	}
	e.Stop()
	e.Stop()
	if _, ok := <-s.events; ok {
		t.Error("the stream goes on")
	}
	if _, _, err := e.subscribe(0); !errors.Is(err, errStopped) {
		t.Errorf("a new stream: %v, want errStopped", err)
	}
	e.Observe(t.Context(), decision("/late"))
	if got := e.Last(1); len(got) != 1 || got[0].Path != "/late" {
		t.Errorf("kept %v, want the late decision", got)
	}
}

// For the race detector; and no decision may be lost or doubled on the way.
func TestEventsFromManySides(t *testing.T) {
	const writers, each = 8, 200
	e := NewEvents(writers * each)
	var all sync.WaitGroup
	var reading sync.WaitGroup
	for range 4 {
		missed, s, err := e.subscribe(1)
		if err != nil {
			t.Fatal(err)
		}
		reading.Go(func() {
			var last uint64
			for _, event := range missed {
				last = event.ID
			}
			for event := range s.events {
				if last != 0 && event.ID != last+1 {
					t.Errorf("event %d follows %d", event.ID, last)
				}
				last = event.ID
			}
		})
	}
	for i := range writers {
		all.Go(func() {
			for range each {
				e.Observe(t.Context(), seeother.Decision{Path: fmt.Sprint("/", i)})
				e.Last(3)
				e.Total()
			}
		})
		all.Go(func() {
			if _, s, err := e.subscribe(0); err == nil {
				e.unsubscribe(s)
			}
		})
	}
	all.Wait()
	e.Stop()
	reading.Wait()
	counts := map[string]int{}
	for _, event := range e.Last(writers * each) {
		counts[event.Path]++
	}
	for i := range writers {
		if n := counts[fmt.Sprint("/", i)]; n != each {
			t.Errorf("writer %d: %d decisions kept, want %d", i, n, each)
		}
	}
}
