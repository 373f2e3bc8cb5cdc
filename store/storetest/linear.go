package storetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seeother/seeother/store"
)

// Target is the part of a store that histories are made of.
type Target interface {
	Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error)
	Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error)
}

// Linear says how large the histories are, how many clients each has, and how many
// are made together, which is faster where a store writes for many at once. Zero
// fields are small numbers, or SEEOTHER_HISTORIES, SEEOTHER_OPERATIONS and
// SEEOTHER_TOGETHER where these are set.
type Linear struct {
	Histories, Operations, Clients, Together int

	// Seed picks what clients ask, not how they meet. 0 is a new one each time;
	// it is shown when a history fails.
	Seed uint64

	// Disturb, which may be nil, runs beside the histories that are made together,
	// until ctx is done: it kills and restarts things.
	Disturb func(ctx context.Context, rng *rand.Rand)
}

func (l Linear) withDefaults(t *testing.T) Linear {
	l.Histories = cmp.Or(l.Histories, envNumber(t, "SEEOTHER_HISTORIES", 4))
	l.Operations = cmp.Or(l.Operations, envNumber(t, "SEEOTHER_OPERATIONS", 500))
	l.Clients = cmp.Or(l.Clients, 12)
	l.Together = cmp.Or(l.Together, envNumber(t, "SEEOTHER_TOGETHER", 1))
	return l
}

func envNumber(t *testing.T, name string, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(usual)))
	if err != nil || n < 1 {
		t.Fatalf("%s: want a number from 1", name)
	}
	return n
}

// RunLinear makes histories of concurrent clients on a store and checks that each
// is linearizable: that there is one order of all operations which explains every
// answer, and in which none comes before one that had ended when it began. An
// operation whose outcome nobody knows may have happened at any time later, or
// not at all. target gives the store to use now.
func RunLinear(t *testing.T, l Linear, target func() Target) {
	l = l.withDefaults(t)
	seed := cmp.Or(l.Seed, rand.Uint64())
	operations, doubts := 0, 0
	for n := 0; n < l.Histories; n += l.Together {
		var some []*history
		for i := range min(l.Together, l.Histories-n) {
			some = append(some, &history{target: target, rng: rand.New(rand.NewPCG(seed, uint64(n+i))), name: fmt.Sprintf("%x-%d-", seed, n+i)})
		}
		l.make(t.Context(), some)
		for i, h := range some {
			if len(h.broken) > 0 {
				t.Fatalf("seed %d, history %d: %v", seed, n+i, h.broken[0])
			}
			if err := h.check(t); err != nil {
				t.Fatalf("seed %d, history %d: %v", seed, n+i, err)
			}
			operations, doubts = operations+len(h.operations), doubts+h.doubts
		}
		if t.Failed() { // Disturb gave up
			t.FailNow()
		}
	}
	t.Logf("%d histories, %d operations, %d of them with an unknown outcome: linearizable", l.Histories, operations, doubts)
}

// Pause is how long to wait before something is disturbed again: chance decides,
// up to most for histories of 500 operations, and longer for longer ones.
func Pause(rng *rand.Rand, most time.Duration) time.Duration {
	n, err := strconv.Atoi(os.Getenv("SEEOTHER_OPERATIONS"))
	if err == nil && n > 500 {
		most *= time.Duration(n / 500)
	}
	return 1 + time.Duration(rng.Int64N(int64(most)))
}

// make makes some histories at one time.
func (l Linear) make(ctx context.Context, some []*history) {
	disturbed, stop := context.WithCancel(ctx)
	var others, all sync.WaitGroup
	if l.Disturb != nil {
		rng := rand.New(rand.NewPCG(some[0].rng.Uint64(), 1))
		others.Go(func() { l.Disturb(disturbed, rng) })
	}
	for _, h := range some {
		all.Go(func() { h.run(ctx, l) })
	}
	all.Wait()
	stop()
	others.Wait()
}

// A history is about pairs of keys, which are written alone or together, and
// about counters.
const (
	pairs    = 6
	counters = 2
	linClass = "linear"
)

// history is what some clients did, and what they were told.
type history struct {
	target func() Target
	rng    *rand.Rand // of who makes clients
	name   string     // the beginning of its keys
	clock  atomic.Int64

	mu         sync.Mutex
	operations []porcupine.Operation
	doubts     int
	broken     []error // answers that are none
}

// input is what a client asked for.
type input struct {
	part  int // pair, or pairs + counter
	get   bool
	key   int // of the pair: which is read
	ops   []store.Op
	which []int  // the key of the pair that each operation is about
	token string // the value that is written, unique in the history
}

// output is what it was told.
type output struct {
	unknown  bool
	applied  bool
	conflict int       // the operation that conflicted
	found    [2]seenAt // what a get or a conflict showed, at the key that it was about
	versions [2]uint64 // that were given, by key
	sum      string
}

// seenAt is a record as it was shown: version 0 is none.
type seenAt struct {
	version uint64
	value   string
}

func (h *history) run(ctx context.Context, l Linear) {
	var clients sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(l.Operations))
	for c := range l.Clients {
		rng := rand.New(rand.NewPCG(h.rng.Uint64(), 2))
		clients.Go(func() {
			known := map[string]seenAt{} // what this client saw last, by key
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				h.one(ctx, c, rng, known)
			}
		})
	}
	clients.Wait()
}

func (h *history) keyOf(part, key int) string { return fmt.Sprintf("%s%d-%d", h.name, part, key) }

// choose is the next thing that a client does.
func (h *history) choose(rng *rand.Rand, known map[string]seenAt) input {
	in := input{part: rng.IntN(pairs + counters), token: strconv.FormatUint(rng.Uint64(), 36)}
	if in.part >= pairs {
		in.ops, in.which = []store.Op{store.AddWithin(linClass, h.keyOf(in.part, 0), int64(rng.IntN(7)-3), 12, 0)}, []int{0}
		return in
	}
	in.key = rng.IntN(2)
	if rng.IntN(4) == 0 {
		in.get = true
		return in
	}
	in.which = []int{in.key}
	if rng.IntN(4) == 0 {
		in.which = []int{in.key, 1 - in.key}
	}
	for _, k := range in.which {
		key := h.keyOf(in.part, k)
		before := known[key]
		put := store.Put{State: "s", Value: []byte(in.token)}
		switch {
		case before.version == 0 || rng.IntN(10) == 0:
			in.ops = append(in.ops, store.PutIfAbsent(linClass, key, put))
		case rng.IntN(6) == 0:
			in.ops = append(in.ops, store.DeleteIfVersion(linClass, key, before.version))
		default:
			in.ops = append(in.ops, store.PutIfVersion(linClass, key, before.version, put))
		}
	}
	return in
}

// one does one operation and notes it.
func (h *history) one(ctx context.Context, client int, rng *rand.Rand, known map[string]seenAt) {
	in := h.choose(rng, known)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	target := h.target()
	call := h.clock.Add(1)
	out, err := h.do(ctx, target, in)
	back := h.clock.Add(1)
	for k := range out.found {
		key := h.keyOf(in.part, k)
		switch {
		case out.unknown || in.part >= pairs:
		case out.applied && out.versions[k] != 0:
			known[key] = seenAt{out.versions[k], in.token}
		case in.get && k == in.key, !out.applied && !in.get && in.which[out.conflict] == k:
			known[key] = out.found[k]
		case out.applied:
			delete(known, key)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.broken = append(h.broken, err)
	}
	if out.unknown {
		h.doubts++
		back = math.MaxInt64
	}
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back})
}

// do asks the store. The error is of an answer that makes no sense.
func (h *history) do(ctx context.Context, target Target, in input) (out output, err error) {
	if in.get {
		r, _, err := target.Get(ctx, part, linClass, h.keyOf(in.part, in.key))
		switch {
		case err == nil:
			out.found[in.key] = seenAt{r.Version, string(r.Value)}
		case !errors.Is(err, store.ErrNotFound):
			out.unknown = true
		}
		return out, nil
	}
	reply, err := target.Apply(ctx, part, in.ops...)
	var conflict *store.ConflictError
	switch {
	case errors.As(err, &conflict):
		out.conflict = conflict.Op
		if conflict.Op < 0 || conflict.Op >= len(in.ops) {
			return out, fmt.Errorf("conflict of operation %d of %d", conflict.Op, len(in.ops))
		}
		if conflict.Current != nil {
			out.found[in.which[conflict.Op]] = seenAt{conflict.Current.Version, string(conflict.Current.Value)}
		}
		return out, nil
	case errors.Is(err, store.ErrInvalid):
		return out, err
	case err != nil:
		out.unknown = true
		return out, nil
	}
	out.applied = true
	if len(reply.Records) != len(in.ops) {
		return out, fmt.Errorf("%d records for %d operations", len(reply.Records), len(in.ops))
	}
	for i := range reply.Records {
		r, op := &reply.Records[i], &in.ops[i]
		out.sum = string(r.Value)
		if op.Kind != store.OpDeleteIfVersion {
			out.versions[in.which[i]] = r.Version
		}
		if err := answers(r, op); err != nil {
			return out, err
		}
	}
	return out, nil
}

// answers says what is wrong with the record that op is said to have written, or
// to have deleted, whatever else was there.
func answers(r *store.Record, op *store.Op) error {
	switch {
	case r.Class != op.Class || r.Key != op.Key:
		return fmt.Errorf("record %q of class %q for an operation on %q", r.Key, r.Class, op.Key)
	case r.Version == 0:
		return fmt.Errorf("record %q: no version", r.Key)
	case op.Kind == store.OpDeleteIfVersion && r.Version != op.Version:
		return fmt.Errorf("record %q: deleted version %d, want %d", r.Key, r.Version, op.Version)
	case op.Put.Value != nil && !bytes.Equal(r.Value, op.Put.Value):
		return fmt.Errorf("record %q: wrote %q, want %q", r.Key, r.Value, op.Put.Value)
	}
	return nil
}

// check looks for an order that explains the history.
func (h *history) check(t *testing.T) error {
	model := linearModel.ToModel()
	ops := h.settled()
	result, info := porcupine.CheckOperationsVerbose(model, ops, 2*time.Minute)
	if result == porcupine.Ok {
		return nil
	}
	picture := filepath.Join(t.ArtifactDir(), "history.html")
	if err := porcupine.VisualizePath(model, info, picture); err != nil {
		picture = err.Error()
	}
	return fmt.Errorf("%d operations are not linearizable (%s): %s", len(ops), result, picture)
}

// settled is the history without what says nothing: reads that got no answer, and
// writes with an unknown outcome whose values nobody ever saw. Nobody could write
// over such a value, since that takes its version; so if it was ever written, then
// after all else. (One that also deletes may be seen by what is gone.) Where somebody saw it, it was written, with the version that was
// seen.
func (h *history) settled() (ops []porcupine.Operation) {
	shown := map[string]uint64{} // version by key and value
	for i := range h.operations {
		in, out := h.operations[i].Input.(input), h.operations[i].Output.(output)
		if out.unknown || in.part >= pairs {
			continue
		}
		for k, f := range out.found {
			if f.version != 0 {
				shown[h.keyOf(in.part, k)+f.value] = f.version
			}
		}
	}
	for _, o := range h.operations {
		in, out := o.Input.(input), o.Output.(output)
		if out.unknown && in.get {
			continue
		}
		if out.unknown && in.part < pairs {
			writes, seen := 0, 0
			for i, k := range in.which {
				if in.ops[i].Kind == store.OpDeleteIfVersion {
					continue
				}
				writes++
				if v := shown[h.keyOf(in.part, k)+in.token]; v != 0 {
					out.versions[k] = v
					seen++
				}
			}
			if writes == len(in.ops) && seen == 0 {
				continue
			}
			out.unknown = writes > seen || writes == 0 // the version that nobody saw stays unknown
			out.applied = seen > 0
			o.Output = out
		}
		ops = append(ops, o)
	}
	return ops
}

// linearState is what the model says of one pair, or of one counter.
type linearState struct {
	keys [2]seenAt
	most [2]uint64 // the largest version that was ever given
	sum  int64
}

// linearModel is the store as one that does one operation at a time would be.
var linearModel = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byPart := map[int][]porcupine.Operation{}
		for _, o := range history {
			p := o.Input.(input).part
			byPart[p] = append(byPart[p], o)
		}
		var out [][]porcupine.Operation
		for ops := range maps.Values(byPart) {
			out = append(out, ops)
		}
		return out
	},
	Init: func() []any { return []any{linearState{}} },
	Step: func(state, in, out any) []any { return stepLinear(state.(linearState), in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string {
		return fmt.Sprintf("%+v -> %+v", in, out)
	},
}

// stepLinear gives the states that the store may be in after an operation with
// this answer; none: it cannot have answered so.
func stepLinear(s linearState, in input, out output) []any {
	switch {
	case in.part >= pairs:
		return stepCounter(s, in, out)
	case in.get:
		if s.keys[in.key] != out.found[in.key] {
			return nil
		}
		return []any{s}
	case !out.applied && !out.unknown:
		return stepConflict(s, in, out)
	}
	next := s
	for i, k := range in.which {
		if !holds(&in.ops[i], s.keys[k]) {
			if out.unknown && !out.applied {
				return []any{s} // then it conflicted, and nobody heard of it
			}
			return nil
		}
		if in.ops[i].Kind == store.OpDeleteIfVersion {
			next.keys[k] = seenAt{}
			continue
		}
		v := out.versions[k]
		if v == 0 { // unknown, and seen by nobody
			v = s.most[k] + 1
		}
		if v <= s.most[k] {
			return nil
		}
		next.keys[k], next.most[k] = seenAt{v, in.token}, v
	}
	if out.unknown && !out.applied {
		return []any{s, next}
	}
	return []any{next}
}

// holds reports whether the condition of an operation does.
func holds(op *store.Op, now seenAt) bool {
	if op.Kind == store.OpPutIfAbsent {
		return now.version == 0
	}
	return now.version == op.Version
}

// stepConflict is stepLinear for a conflict: those before held, and this one met
// what was shown.
func stepConflict(s linearState, in input, out output) []any {
	for i, k := range in.which {
		if i == out.conflict {
			if holds(&in.ops[i], s.keys[k]) || s.keys[k] != out.found[k] {
				return nil
			}
			return []any{s}
		}
		if !holds(&in.ops[i], s.keys[k]) {
			return nil
		}
	}
	return nil
}

func stepCounter(s linearState, in input, out output) []any {
	op := &in.ops[0]
	sum := s.sum + op.Delta
	fits := sum >= 0 && sum <= op.Limit
	next := s
	next.sum = sum
	switch {
	case out.unknown && fits:
		return []any{s, next}
	case out.unknown:
		return []any{s}
	case out.applied && fits && out.sum == strconv.FormatInt(sum, 10) && out.versions[0] > s.most[0]:
		next.most[0] = out.versions[0]
		return []any{next}
	case !out.applied && !fits && shows(out.found[0], s.sum):
		return []any{s}
	}
	return nil
}

// shows reports whether a conflict showed this sum. A counter that nobody added to
// may be no record.
func shows(now seenAt, sum int64) bool {
	return now.version == 0 && sum == 0 || now.value == strconv.FormatInt(sum, 10)
}
