package hits

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

const tenant = "default"

func table(t testing.TB, paths ...string) *rule.Table {
	t.Helper()
	b := rule.NewBuilder(rule.Options{})
	for _, path := range paths {
		if err := b.Add(&rule.Rule{Path: path, Intent: rule.Moved, Target: "/to"}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

func report(t testing.TB, r *Recorder) *Report {
	t.Helper()
	rep, err := r.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestHitsOutliveARestartAndAMove(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	first := New(st, tenant)
	c := first.Use(table(t, "/a", "/b"))
	for range 3 {
		c.Hit(0)
	}
	c.Hit(1)
	if err := first.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Hit(0)
	if got := report(t, first).Of(0).Hits; got != 4 {
		t.Errorf("/a has %d hits, want 4", got)
	}
	again := New(st, tenant)
	again.Use(table(t, "/new", "/b", "/a")) // other lines
	rep := report(t, again)
	for i, want := range []uint64{0, 1, 4} {
		u := rep.Of(i)
		if u.Hits != want || u.First.IsZero() || (want > 0) == u.Last.IsZero() {
			t.Errorf("rule %d: got %+v, want %d hits", i, u, want)
		}
	}
}

// Many rules share a record, in whatever order they stand in the table.
func TestManyRules(t *testing.T) {
	t.Parallel()
	const rules = 5 * Chunks
	paths := make([]string, rules)
	for i := range paths {
		paths[i] = fmt.Sprintf("/p%d", i)
	}
	st := &counting{Store: memstore.New()}
	r := New(st, tenant)
	c := r.Use(table(t, paths...))
	for range 2 {
		for i := range rules {
			for range i % 3 {
				c.Hit(i)
			}
		}
		report(t, r)
	}
	rep := report(t, r)
	for i := range rules {
		if got, want := rep.Of(i).Hits, uint64(2*(i%3)); got != want {
			t.Fatalf("rule %d has %d hits, want %d", i, got, want)
		}
	}
	before := st.reads
	report(t, r)
	if st.reads != before {
		t.Errorf("%d records were read, and nothing was hit", st.reads-before)
	}
}

// counting counts what is read by itself.
type counting struct {
	store.Store

	reads int
}

func (c *counting) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	c.reads++
	return c.Store.Get(ctx, partition, class, key)
}

func TestGatewaysShareAStore(t *testing.T) {
	t.Parallel()
	const gateways, rounds, rules = 4, 20, 50
	st := memstore.New()
	paths := make([]string, rules)
	for i := range paths {
		paths[i] = fmt.Sprintf("/p%d", i)
	}
	var all sync.WaitGroup
	for range gateways {
		r := New(st, tenant)
		c := r.Use(table(t, paths...))
		all.Go(func() {
			for range rounds {
				for i := range rules {
					c.Hit(i)
				}
				if err := r.Flush(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	r := New(st, tenant)
	r.Use(table(t, paths...))
	rep := report(t, r)
	for i := range rules {
		if got := rep.Of(i).Hits; got != gateways*rounds {
			t.Fatalf("rule %d has %d hits, want %d", i, got, gateways*rounds)
		}
	}
}

func TestHitsOfTheTableBeforeAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(memstore.New(), tenant)
		before := r.Use(table(t, "/a", "/b"))
		before.Hit(1)
		r.Use(table(t, "/b"))
		before.Hit(1) // by a request that began before
		time.Sleep(time.Second)
		if got := report(t, r).Of(0).Hits; got != 2 {
			t.Errorf("got %d hits, want 2", got)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.left) > 0 {
			t.Errorf("%v is still to be written", r.left)
		}
	})
}

// failing is a store whose Apply fails as long as it is told to.
type failing struct {
	store.Store

	fails bool
}

func (f *failing) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if f.fails {
		return store.Reply{}, errors.New("the disk is full")
	}
	return f.Store.Apply(ctx, partition, ops...)
}

func TestWhatCannotBeWrittenIsKept(t *testing.T) {
	t.Parallel()
	st := &failing{Store: memstore.New(), fails: true}
	r := New(st, tenant)
	c := r.Use(table(t, "/a", "/a", "/b")) // a rule may stand there twice
	c.Hit(0)
	c.Hit(1)
	c.Hit(2)
	for range 2 {
		if err := r.Flush(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	st.fails = false
	rep := report(t, r)
	if a, b := rep.Of(0).Hits, rep.Of(2).Hits; a != 2 || b != 1 {
		t.Errorf("got %d and %d hits, want 2 and 1", a, b)
	}
}

func TestADamagedRecordIsBegunAnew(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	r := New(st, tenant)
	tab := table(t, "/a")
	c := r.Use(tab)
	one := tab.Rule(0)
	if _, err := st.Apply(t.Context(), tenant, store.PutIfAbsent(Class, keyOf(chunkOf(ID(&one))), store.Put{Value: []byte("nonsense")})); err != nil {
		t.Fatal(err)
	}
	c.Hit(0)
	if got := report(t, r).Of(0).Hits; got != 1 {
		t.Errorf("got %d hits, want 1", got)
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		usage Usage
		want  Verdict
	}{
		"hit on that day":                        {Usage{First: day(1), Last: day(10)}, Used},
		"hit later":                              {Usage{First: day(12), Last: day(12)}, Used},
		"hit before":                             {Usage{First: day(1), Last: day(9)}, Unused},
		"never hit, counted since before":        {Usage{First: day(10)}, Unused},
		"never hit, counted since the day after": {Usage{First: day(11)}, Unknown},
		"not counted at all":                     {Usage{}, Unknown},
	} {
		if got := c.usage.Since(day(10).Add(5 * time.Hour)); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

// Every field of a rule must either tell it apart or be left out on purpose.
func TestIDTellsRulesApart(t *testing.T) {
	t.Parallel()
	notInIt := []string{"Name", "From", "Until", "Origins", "Deprecation", "Sunset", "MaxAge", "Stage", "Priority", "Note", "Pos"}
	plain := rule.Rule{}
	typ := reflect.TypeFor[rule.Rule]()
	for i := range typ.NumField() {
		changed := rule.Rule{}
		fill(t, reflect.ValueOf(&changed).Elem().Field(i))
		name := typ.Field(i).Name
		if differs, want := ID(&changed) != ID(&plain), !slices.Contains(notInIt, name); differs != want {
			t.Errorf("%s: the id differs: %v, want %v", name, differs, want)
		}
	}
	typ = reflect.TypeFor[rule.Condition]()
	for i := range typ.NumField() {
		changed := rule.Rule{When: []rule.Condition{{}}}
		fill(t, reflect.ValueOf(&changed.When[0]).Elem().Field(i))
		if ID(&changed) == ID(&rule.Rule{When: []rule.Condition{{}}}) {
			t.Errorf("condition %s: the id is the same", typ.Field(i).Name)
		}
	}
	if ID(&rule.Rule{Path: "/a", Regexp: "b"}) == ID(&rule.Rule{Path: "/ab"}) {
		t.Error("two texts run together")
	}
}

// The id is in stores: it must never change.
func TestIDIsStable(t *testing.T) {
	t.Parallel()
	got := ID(&rule.Rule{Path: "/old/*", Hosts: []string{"example.com"}, Intent: rule.Moved, Target: "/new/{*}", Query: map[string]string{"a": "1", "b": "2"}})
	if want := uint64(4453170687598755559); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *string:
		*x = "x"
	case *[]string:
		*x = []string{"x"}
	case *map[string]string:
		*x = map[string]string{"x": "y"}
	case *[]rule.Condition:
		*x = []rule.Condition{{}}
	case *bool:
		*x = true
	case *int:
		*x = 1
	case *time.Time:
		*x = time.Unix(1, 0)
	case *rule.Duration:
		*x = 1
	case *seeother.Stage:
		*x = seeother.Report
	case *rule.Position:
		x.Line = 1
	default:
		t.Fatalf("type %T is new: fill it", x)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	const today = 1000
	for name, c := range map[string]struct {
		entries []entry
		updates []update
		want    []entry
		changed bool
	}{
		"nothing": {nil, nil, []entry{}, false},
		"a new rule without a hit": {
			nil, []update{{5, 0}}, []entry{{5, today, today, 0, 0}}, true,
		},
		"a new rule between two others": {
			[]entry{{3, 990, 990, 0, 0}, {9, 990, 990, 995, 4}},
			[]update{{5, 2}},
			[]entry{{3, 990, 990, 0, 0}, {5, today, today, today, 2}, {9, 990, 990, 995, 4}},
			true,
		},
		"a hit": {[]entry{{3, 990, 990, 995, 4}}, []update{{3, 1}}, []entry{{3, 990, 990, today, 5}}, true},
		"a rule that is still there": {
			[]entry{{3, 990, 990, 995, 4}}, []update{{3, 0}}, []entry{{3, 990, 990, 995, 4}}, false,
		},
		"a rule that is still there after a month": {
			[]entry{{3, 900, 970, 0, 0}}, []update{{3, 0}}, []entry{{3, 900, today, 0, 0}}, true,
		},
		"a rule that nobody has any more": {
			[]entry{{3, 100, today - forget - 1, 0, 9}, {4, 100, today - forget, 0, 0}}, nil, []entry{{4, 100, today - forget, 0, 0}}, true,
		},
		"an old rule that comes back": {
			[]entry{{3, 100, 200, 0, 9}}, []update{{3, 0}}, []entry{{3, 100, today, 0, 9}}, true,
		},
		"a rule that stands there twice": {
			nil, []update{{3, 1}, {3, 2}}, []entry{{3, today, today, today, 3}}, true,
		},
	} {
		got, changed := merge(c.entries, c.updates, today)
		if !slices.Equal(got, c.want) || changed != c.changed {
			t.Errorf("%s: got %v, %v, want %v, %v", name, got, changed, c.want, c.changed)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(nil))
	f.Add(encode([]entry{{1, 2, 3, 4, 5}, {1 << 63, 1, 1, 0, 0}}))
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, value []byte) {
		entries, err := decode(nil, value)
		if err != nil {
			return
		}
		again, err := decode(nil, encode(entries))
		if err != nil || !slices.Equal(again, entries) {
			t.Errorf("%v became %v, %v", entries, again, err)
		}
	})
}

func TestDecodeRefusesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	good := encode([]entry{{1, 2, 3, 4, 5}, {9, 2, 3, 4, 5}})
	for i := range good {
		if _, err := decode(nil, good[:i]); err == nil {
			t.Errorf("%d of %d bytes are taken", i, len(good))
		}
	}
	for name, value := range map[string][]byte{
		"another version":   append([]byte{9}, good[1:]...),
		"more behind":       append(slices.Clone(good), 0),
		"the same id twice": append(encode([]entry{{1, 2, 3, 4, 5}})[:1], 2, 1, 2, 3, 4, 5, 0, 2, 3, 4, 5),
	} {
		if _, err := decode(nil, value); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	var updates []update
	for chunk := range uint64(Chunks) {
		updates = append(updates, update{id: chunk << 54}, update{id: chunk<<54 + 1})
	}
	n := 0
	for rest := updates; len(rest) > 0; n++ {
		size := batch(rest)
		if pages := pagesOf(rest[:size]); len(pages) != store.MaxOps || size != 2*store.MaxOps {
			t.Fatalf("a batch of %d updates has %d pages", size, len(pages))
		}
		rest = rest[size:]
	}
	if n != Chunks/store.MaxOps {
		t.Errorf("got %d batches", n)
	}
}

func BenchmarkHit(b *testing.B) {
	for name, index := range map[string]func(i int) int{
		"one rule":        func(int) int { return 0 },
		"a million rules": func(i int) int { return i * 7919 % 1_000_000 },
	} {
		b.Run(name, func(b *testing.B) {
			c := NewCounter(1_000_000)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					c.Hit(index(i))
				}
			})
		})
	}
}

func BenchmarkIdentify(b *testing.B) {
	builder := rule.NewBuilder(rule.Options{})
	for i := range 100_000 {
		if err := builder.Add(&rule.Rule{Path: fmt.Sprintf("/products/category-%d/item-%d", i%1000, i), Intent: rule.Moved, Target: fmt.Sprintf("/shop/%d", i)}); err != nil {
			b.Fatal(err)
		}
	}
	tab := builder.Build()
	for b.Loop() {
		(&counted{table: tab}).ids(&pace{})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/rule")
}
